"""`latchkey token`: the mutations as DRIVR's guide shows them, the wallet, and a token explained offline."""

import contextlib
import json
import os
import re
import socket
import stat
import sys
import threading
import time

import pytest
import technician
from technician import OTHER_SYSTEM, SYSTEM, Keyboard, Stub, device, key_set, make_token

from latchkey_tools.cli import show
from latchkey_tools.device import cloud_api, local_api, offline_check, pairing, pasted, wallet

API_KEY = "planted-cloud-key-0123456789abcdef"
SHORT = re.compile(
    rf'mutation {{ createLocalApiToken\(systemUuid: "{SYSTEM}", requestedDevice: "(.*)", duration: (.*)\) '
    r"{ jwt uuid } }"
)
PERMANENT = re.compile(
    rf'mutation {{ createPermanentLocalApiToken\(systemUuid: "{SYSTEM}", name: "(.*)"\) {{ jwt uuid }} }}'
)


@pytest.fixture
def tech(tmp_path):
    keyboard = Keyboard(tmp_path)
    keyboard.secrets.append(API_KEY)
    return keyboard


def cloud(answer):
    return Stub({("POST", "/graphql"): answer})


def made(mutation, token):
    return 200, {"data": {mutation: {"jwt": token, "uuid": wallet.claims_of(token)["jti"]}}}, {}


def planted(tech, token):
    """From now on the signature of this token must show up nowhere."""
    tech.secrets.append(token.split(".")[2])
    return token


def create(tech, stub, *words, **more):
    key = {"LATCHKEY_CLOUD_KEY": API_KEY} | more
    return tech.run("token", "create", SYSTEM, "--endpoint", stub.url + "/graphql", *words, **key)


def test_a_token_is_made_by_the_mutation_of_the_page_and_kept(tech):
    token = planted(tech, make_token())
    with cloud(made("createLocalApiToken", token)) as stub:
        done = create(tech, stub, "--duration", "1D", "--name", "cellar")
    assert done.status == 0 and "cellar is in the wallet: ends in 1 day" in done.err and not done.out
    ((method, _path, headers, body),) = stub.requests
    assert headers["authorization"] == f"Bearer {API_KEY}" and method == "POST"
    assert SHORT.fullmatch(json.loads(body)["query"]).groups() == ("smart-bulb", '"1D"')
    (kept,) = tech.data("token", "list")
    assert kept["name"] == "cellar" and kept["systems"] == [SYSTEM] and kept["roles"] == ["System Maintainer"]
    assert tech.open_files() == [] and tech.spilt() == []


def test_a_permanent_token_and_seconds_are_asked_for_as_the_page_does(tech):
    token = make_token(lasts_s=None)
    with cloud(made("createPermanentLocalApiToken", token)) as stub:
        assert create(tech, stub, "--permanent", 'Anna\'s "own"\n').status == 0
        query = json.loads(stub.requests[0][3])["query"]
        assert PERMANENT.fullmatch(query)[1] == 'Anna\'s \\"own\\"\\n'
    with cloud(made("createLocalApiToken", make_token())) as stub:
        assert create(tech, stub, "--duration", "3600").status == 0
        assert SHORT.fullmatch(json.loads(stub.requests[0][3])["query"])[2] == "3600"
    assert "never ends" in tech.ok("token", "list")


@pytest.mark.parametrize(
    "answer, words",
    [
        ((401, {"error": "no"}, {}), "does not take the API key in LATCHKEY_CLOUD_KEY"),
        ((200, {"errors": [{"message": "that may not\x1b[2J"}]}, {}), "the cloud refuses: that may not?[2J"),
        ((200, {"errors": [{"message": f"who is {API_KEY[3:14].upper()}"}]}, {}), "its words repeat a secret"),
        ((500, {"errors": [{"message": f"for {make_token()}"}]}, {}), "its words repeat a secret"),
        ((200, {"data": None}, {}), "without a token"),
        ((200, [], {}), "answered 200, not as GraphQL does; is it DRIVR's"),
        ((200, b"[" * 60_000, {}), "not as GraphQL does; is it DRIVR's"),
        ((502, b"<html>", {}), "answered 502, not as GraphQL does"),
        ((200, b"x" * 100_000, {}), "far too much"),
        ((302, b"", {"Location": "https://elsewhere.example/"}), "answered 302"),
        (made("createLocalApiToken", make_token(OTHER_SYSTEM)), "not a token for this System; nothing was kept"),
    ],
    ids="401 errors key token null list deep html endless redirect another-System".split(),
)
def test_what_the_cloud_may_answer_instead_is_told_in_one_line_without_the_key(tech, answer, words):
    with cloud(answer) as stub:
        done = create(tech, stub)
    assert done.status == 1 and words in done.err and done.err.count("\n") == 1
    assert len(stub.requests) == 1 and tech.spilt() == [] and tech.data("token", "list") == []
    assert API_KEY[3:14] not in done.err.lower() and "eyJ" not in done.err


def test_a_cloud_whose_answer_drips_is_not_waited_for_without_end(tech, monkeypatch):
    monkeypatch.setattr(cloud_api, "_WITHIN_S", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=drip, args=(listening,), daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/graphql"
        done = tech.run("token", "create", SYSTEM, "--endpoint", url, LATCHKEY_CLOUD_KEY=API_KEY)
    assert done.status == 1 and "gave no whole answer in 0.4 s" in done.err


def drip(listening):
    connection, _ = listening.accept()
    with connection, contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.05)


def test_the_endpoint_is_drivr_s_for_a_slug_and_a_key_goes_nowhere_without_tls(tech):
    assert cloud_api.endpoint("company-example") == "https://company-example.api.drivr.cloud/graphql"
    for slug in ("evil.example/", "a b", "", "x" * 64, "-a"):
        with pytest.raises(ValueError):
            cloud_api.endpoint(slug)
    for url in (
        *("http://example.org/graphql", "ftp://localhost", "localhost/graphql", "https://u:planted@example.org/"),
        *("https://:planted@example.org/", "https://example.org/graphql?key=planted", "https://example.org/#planted"),
        *("https://127.0.0.1:abc/graphql", "https://[::1/graphql", "https:// example.org/graphql"),
    ):
        done = tech.run("token", "create", SYSTEM, "--endpoint", url, LATCHKEY_CLOUD_KEY=API_KEY)
        assert done.status == 2 and "endpoint" in done.err and "planted" not in done.err, done
    assert cloud_api.checked_endpoint(" https://example.org/graphql\n") == "https://example.org/graphql"
    assert tech.spilt() == []
    for words, named in (((), "--slug"), (("--slug", "a/b"), "slug"), (("--duration", "1X"), "--duration")):
        done = tech.run("token", "create", SYSTEM, *words, LATCHKEY_CLOUD_KEY=API_KEY)
        assert done.status == 2 and named in done.err
    assert tech.run("token", "create", "cellar", "--sim").status == 2
    assert "LATCHKEY_CLOUD_KEY" in tech.run("token", "create", SYSTEM, "--slug", "nobody").err
    done = tech.run("token", "create", SYSTEM, "--slug", "nobody", LATCHKEY_CLOUD_KEY=f"{API_KEY}\nmore")
    assert done.status == 2 and "is not one line of ASCII text" in done.err and tech.spilt() == []


def test_ctrl_d_at_a_prompt_is_one_line(tech):
    with tech.terminal("token", "inspect") as screen:
        screen.expect("not shown")
        screen.sendeof()
        screen.expect("latchkey: |there was no answer, so nothing was changed")
    assert screen.exitstatus == 1 and "Aborted" not in tech.seen[-1]


def test_the_key_is_asked_for_at_a_terminal_and_is_not_echoed(tech):
    with cloud(made("createLocalApiToken", make_token())) as stub:
        with tech.terminal("token", "create", SYSTEM, "--endpoint", stub.url + "/graphql") as screen:
            screen.expect("API key of 127.0.0.1 .not shown.: ")
            screen.sendline(API_KEY)
            screen.expect("is in the wallet: ends in 1 day")
        assert screen.exitstatus == 0 and stub.requests[0][2]["authorization"] == f"Bearer {API_KEY}"
    assert tech.spilt() == []


def test_a_typed_key_is_remembered_by_a_keyring_once_the_cloud_has_taken_it(tech, tmp_path):
    (tmp_path / "file_keyring.py").write_text(KEYRING)
    tech.env |= {"PYTHON_KEYRING_BACKEND": "file_keyring.Keyring", "PYTHONPATH": str(tmp_path)}
    refused, taken, kept = (401, {}, {}), made("createLocalApiToken", make_token()), tmp_path / "file_keyring.json"
    with cloud([refused, taken, refused]) as stub:
        words = ["token", "create", SYSTEM, "--endpoint", stub.url + "/graphql", "--remember"]
        for key in ("a-key-with-a-typo", API_KEY):
            with tech.terminal(*words) as screen:
                screen.expect("not shown")
                screen.sendline(key)
            assert kept.exists() == (key == API_KEY)
        done = tech.run(*words, apart=True)
        assert done.status == 1 and "in the keyring" in done.err and "forgotten now" in done.err
        assert [r[2]["authorization"] for r in stub.requests[1:]] == [f"Bearer {API_KEY}"] * 2 and not kept.exists()
    assert tech.spilt() == []


KEYRING = """import json, os, pathlib
from keyring.backend import KeyringBackend

class Keyring(KeyringBackend):
    priority = 1
    path = pathlib.Path(__file__).with_suffix(".json")
    def get_password(self, service, name):
        return json.loads(self.path.read_text()).get(f"{service} {name}") if self.path.exists() else None
    def set_password(self, service, name, password):
        self.path.write_text(json.dumps({f"{service} {name}": password}))
    def delete_password(self, service, name):
        self.path.unlink()
"""


def test_a_token_is_imported_shown_handed_out_and_removed(tech, tmp_path):
    token = planted(tech, make_token())
    assert tech.run("token", "import", "-", "--name", "keller", given=token + "\n").status == 0
    assert "Marie Curie" in tech.ok("token", "show", "keller")
    out = tmp_path / "out"
    assert tech.ok("token", "show", "keller", "--out", out) == ""
    assert out.read_text() == token and stat.S_IMODE(out.stat().st_mode) == 0o600
    for taken in (out, tmp_path, "/dev/null", tmp_path / "none" / "out"):
        done = tech.run("token", "show", "keller", "--out", taken)
        assert done.status == 2 and "name a" in done.err, done
    assert tech.run("token", "show", "keller", "--out", tmp_path / "new", "--json").status == 2
    assert not (tmp_path / "new").exists() and out.read_text() == token
    assert tech.spilt() == []
    uuid = wallet.claims_of(token)["jti"]
    assert tech.run("token", "remove", uuid[:8], "--yes").status == 0
    assert tech.data("token", "list") == []
    assert "no token is called keller" in tech.run("token", "show", "keller").err


def test_removing_asks_and_a_no_keeps_the_token(tech):
    tech.ok("token", "import", "-", "--name", "keller", given=make_token())
    with tech.terminal("token", "remove", "keller") as screen:
        screen.expect("Remove keller .* from the wallet")
        screen.sendline("n")
    assert screen.exitstatus == 1 and len(tech.data("token", "list")) == 1
    with tech.terminal("token", "remove", "keller") as screen:
        screen.expect("Remove keller")
        tech.interrupt(screen)
    assert screen.exitstatus == 130
    done = tech.run("token", "remove", "keller", given="y\n")
    assert done.status == 2 and "give --yes" in done.err and len(tech.data("token", "list")) == 1


def test_a_token_pasted_at_the_prompt_is_explained_and_not_echoed(tech):
    token = planted(tech, make_token())
    with tech.terminal("token", "inspect") as screen:
        screen.expect("not shown")
        screen.sendline(token)
    assert "Marie Curie" in tech.seen[-1] and "\x1b[" in tech.seen[-1]
    assert tech.spilt() == []


def test_a_token_on_the_command_line_is_refused_for_safety(tech):
    token = make_token()
    for words in (
        *(["token", command] for command in ("inspect", "import", "show", "remove", "create", "list")),
        *(["token", "create", "--slug"], ["device", "set", "bulb"], ["device", "find", "--host"], ["sim", "set"]),
        *(["sim", "extend", "x"], ["pair", "--passphrase-file"], ["device", "state", "127.0.0.1:1", "--token"], []),
    ):
        for said in (token, token.removeprefix("CLOUD-"), f"--name={token}", token[:30], f"Bearer {token.lower()}"):
            done = tech.run(*words, said)
            assert done.status == 3 and "other users can see" in done.err and said[-12:] not in done.err, (words, said)


def test_what_only_looks_like_a_token_is_no_token(tech):
    for word in ("cloud-key.local", "honey-pot.example.com", "CLOUD-tokens/eyes.tok", "they.are.it", "eyJhbGciOi"):
        assert not wallet.holds_token(word)
        assert "no token is called" in tech.run("token", "show", word).err


def inspected(tech, token, status, *words):
    done = tech.run("token", "inspect", "-", *words, given=token)
    assert done.status == status, done
    return done.out


def test_inspect_says_what_a_device_would(tech, tmp_path):
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(key_set()))
    good = make_token()
    assert "not checked" in inspected(tech, good, 0)
    done = tech.run("token", "import", jwks, "--name", "home")
    assert done.err == "the key set home is in the wallet: 1 usable key\n"
    words = inspected(tech, good, 0)
    for part in ("signed with RS512", f"the System {SYSTEM}", "System Maintainer", "in 1 day", "good: key SIM-"):
        assert part in " ".join(words.split()).replace("is good", "good"), words
    head, payload, signature = good.split(".")
    forged = f"{head}.{payload}.{signature[:50]}{'A' if signature[50] != 'A' else 'B'}{signature[51:]}"
    for token, code in (
        (forged, "No key set here verifies it"),
        (make_token(made_s_ago=90000), "expired"),
        (make_token(nbf=4_000_000_000, exp=None), "not_yet_valid"),
        (make_token(sub=7), "claims_refused"),
        (good + "=", "token_malformed"),
        (good[:200] + "\n" + good[200:], "token_malformed"),
        (good.removeprefix("CLOUD-"), "token_malformed"),
        ("CLOUD-" + "a." * 3000, "token_malformed"),
        ("", "token_malformed"),
    ):
        assert code in inspected(tech, token, 1), code
    assert "good" in inspected(tech, good, 0, "--keys", str(jwks))


def test_inspect_as_data_holds_the_claims_and_not_the_token(tech):
    token = planted(tech, make_token())
    data = json.loads(inspected(tech, token, 0, "--json"))
    assert data["claims"]["aud"] == SYSTEM and data["signature"] == "unchecked" and data["problems"] == []
    assert tech.spilt() == []


def test_what_a_token_says_cannot_drive_the_terminal(tech):
    words = inspected(tech, make_token(name="\x1b[2J\x07[red]Marie[/red]\u202e"), 0)
    assert "?[2J?[red]Marie[/red]?" in words and "\x1b" not in words


def test_a_damaged_or_open_wallet_is_not_used_and_not_overwritten(tech):
    tech.ok("token", "import", "-", given=make_token())
    file = tech.wallet / wallet.FILE_NAME
    file.chmod(0o640)
    done = tech.run("token", "list")
    assert done.status == 3 and "chmod 600" in done.err
    file.chmod(0o600)
    tech.wallet.chmod(0o755)
    assert tech.run("token", "import", "-", given=make_token()).status == 3
    tech.wallet.chmod(0o700)
    file.write_text("{")
    done = tech.run("token", "import", "-", given=make_token())
    assert done.status == 1 and "damaged" in done.err and file.read_text() == "{"
    entry = {"uuid": SYSTEM, "name": "x", "token": "y", "added_unix_s": 1}
    for content in (
        *([], 5, None, {}, {"version": 1, "tokens": {}, "key_sets": {}}, {"version": 1, "tokens": [], "key_sets": [1]}),
        *({"version": 1, "tokens": [e], "key_sets": {}} for e in (5, entry | {"more": 1}, entry | {"name": 5})),
        {"version": 1, "tokens": [], "key_sets": {"x": 1}},
    ):
        file.write_text(json.dumps(content))
        for words in (["list"], ["import", "-"], ["inspect", "-"]):
            done = tech.run("token", *words, given=make_token())
            assert done.status == 1 and "damaged" in done.err and json.loads(file.read_text()) == content
    file.write_text("[" * 100_000)
    assert "damaged" in tech.run("token", "list").err
    file.write_text('{"version": 3}')
    assert "another version" in tech.run("token", "list").err


def test_the_cloud_is_not_asked_for_a_token_that_the_wallet_could_not_keep(tech):
    tech.ok("token", "import", "-", given=make_token())
    (tech.wallet / wallet.FILE_NAME).chmod(0o644)
    with cloud(made("createLocalApiToken", make_token())) as stub:
        assert create(tech, stub).status == 3 and stub.requests == []
        for folder, todo in (("/proc/nowallet", "; check "), ("/dev/null/wallet", "; name another folder")):
            done = create(tech, stub, LATCHKEY_WALLET=folder)
            assert done.status == 1 and todo in done.err and "Errno" not in done.err and stub.requests == []


def test_a_token_that_is_lost_all_the_same_is_named_so_that_it_can_be_revoked(tech):
    token = planted(tech, make_token())

    def damage(_request):
        (tech.wallet / wallet.FILE_NAME).write_text("{")
        return made("createLocalApiToken", token)

    with cloud(damage) as stub:
        done = create(tech, stub)
    assert done.status == 1 and "damaged" in done.err and "revoke it" in done.err and tech.spilt() == []
    assert f"the token {wallet.claims_of(token)['jti']} was made" in done.err


def data_of(mutation, jwt, uuid=SYSTEM):
    return {"data": {mutation: {"jwt": jwt, "uuid": uuid}}}


LOST = "ffffffff-1111-4222-8333-444444444444"
WRONG = [{"message": "but", "extensions": {"uuid": SYSTEM}}]
BAD_ANSWERS = {
    "another System's": (200, data_of("M", make_token(OTHER_SYSTEM, jti=LOST), LOST), {}),
    "no token": (200, data_of("M", "x", LOST), {}),
    "null": (200, data_of("M", None, LOST.upper()), {}),
    "a list": (200, data_of("M", [], LOST), {}),
    "no CLOUD-": (200, data_of("M", make_token().removeprefix("CLOUD-"), LOST.replace("-", "")), {}),
    "errors beside": (200, data_of("M", None, LOST) | {"errors": WRONG}, {}),
    "status 500": (500, data_of("M", None, LOST), {}),
    "status 401": (401, data_of("M", None, LOST), {}),
    "errors of another shape": (200, data_of("M", make_token(jti=LOST)) | {"errors": "slow"}, {}),
    "uuid in braces": (200, data_of("M", None, f"{{{LOST}}}"), {}),
    "uuid as a URN": (200, data_of("M", None, f"urn:uuid:{LOST.upper()}"), {}),
    "cut off": (200, json.dumps(data_of("M", "x", LOST)).encode()[:-3], {}),
    "broken off": (200, data_of("M", "x", LOST), {"Content-Length": "9999", "Connection": "close"}),
    "far too much": (200, json.dumps(data_of("M", "x", LOST)).encode() + b" " * 70_000, {}),
    "no uuid beside it": (200, {"data": {"M": {"jwt": make_token(OTHER_SYSTEM, jti=LOST)}}}, {}),
    "jti in braces": (200, data_of("M", make_token(OTHER_SYSTEM, jti=f"{{{LOST}}}"), 5), {}),
}


@pytest.mark.parametrize("words", [[], ["--permanent", "for-ever"]], ids=["short", "permanent"])
@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_token_that_was_made_and_is_not_kept_is_named(tech, name, words):
    mutation = "createPermanentLocalApiToken" if words else "createLocalApiToken"
    status, body, headers = BAD_ANSWERS[name]
    body = (body if isinstance(body, bytes) else json.dumps(body).encode()).replace(b'"M"', f'"{mutation}"'.encode())
    with cloud((status, body, headers)) as stub:
        done = create(tech, stub, *words)
    assert done.status == 1 and done.err.count("\n") == 1 and tech.data("token", "list") == []
    assert f"the token {LOST} was made and is lost" in done.err and "revoke it in the cloud" in done.err


def test_errors_that_do_not_speak_of_a_token_name_none(tech):
    with cloud((200, {"data": None, "errors": [{"message": "no", "extensions": {"uuid": LOST}}]}, {})) as stub:
        assert LOST not in create(tech, stub).err


def test_a_token_with_errors_beside_it_is_kept_and_the_errors_are_told(tech):
    answer = made("createLocalApiToken", make_token(jti=LOST))[1] | {"errors": [{"message": "slow\x1b[2J"}]}
    with cloud((200, answer, {})) as stub:
        done = create(tech, stub)
    assert done.status == 0 and "the cloud made the token, and says: slow?[2J" in done.err
    assert tech.data("token", "list")[0]["uuid"] == LOST


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_a_token_that_cannot_be_kept_for_any_reason_is_named(tech, monkeypatch, failure):
    def fail(*_):
        raise failure

    def answer(_request):
        monkeypatch.setattr(wallet.Wallet, "_write", fail)
        return made("createLocalApiToken", make_token(jti=LOST))

    with cloud(answer) as stub:
        done = create(tech, stub)
    assert done.status == (130 if isinstance(failure, KeyboardInterrupt) else 1)
    assert f"the token {LOST} was made" in done.err and "revoke it in the cloud" in done.err


def test_an_answer_that_was_lost_leaves_the_question_whether_a_token_was_made(tech, monkeypatch):
    cut_off = (200, b'{"data": {"createLocal', {})
    for answer in ((200, b"", {"Content-Length": "50", "Connection": "close"}), (504, b"<html>", {}), cut_off):
        with cloud(answer) as stub:
            done = create(tech, stub)
        assert done.status == 1 and "a token may have been made all the same" in done.err
    done = create(tech, stub)
    assert "does not answer (ConnectError); is this machine online?" in done.err and "may have" not in done.err


NO_TIMES = [1.5, "soon", True, -5, 1_800_000_000_000, {}, [], 10**30, float("nan"), float("inf")]


@pytest.mark.parametrize("end", NO_TIMES)
def test_an_end_that_cannot_be_read_is_not_said_to_be_none(tech, end):
    token = make_token(exp=end)
    done = tech.run("token", "import", "-", "--name", "odd", given=token)
    assert done.status == 0 and "has an unreadable end" in done.err
    assert "has an unreadable end" in tech.ok("token", "list")
    assert tech.data("token", "list")[0]["exp_unix_s"] is not None
    for words in (tech.ok("token", "list", "--json"), tech.run("token", "inspect", "odd", "--json").out):
        json.loads(words, parse_constant=pytest.fail)  # RFC 8259 has neither NaN nor Infinity
    for words in (tech.ok("token", "show", "odd"), tech.run("token", "inspect", "odd").out):
        assert re.search("ends +not a time", words) and "never" not in words
    assert "has an unreadable end" in pairing.checked_here(token)
    tech.ok("token", "import", "-", "--name", "good", given=make_token(made_s_ago=9000))
    assert wallet.Wallet(tech.wallet).fitting(SYSTEM)[0].name == "good"


@pytest.mark.parametrize("without", [["exp"], []], ids=["absent", "null"])
def test_a_token_without_an_end_never_ends(tech, without):
    claims = wallet.claims_of(make_token(exp=None))
    token = technician.signing.token({n: c for n, c in claims.items() if n not in without}, technician.signing_key()[1])
    assert "never ends" in tech.run("token", "import", "-", given=token).err
    assert "never ends" in tech.ok("token", "list")
    assert re.search("ends +never", tech.ok("token", "show", claims["jti"]))


def test_what_import_and_remove_did_is_told_as_data(tech, tmp_path):
    token = planted(tech, make_token())
    taken = tech.data("token", "import", "-", "--name", "keller", given=token)
    assert taken["uuid"] == wallet.claims_of(token)["jti"] and tech.data("token", "list") == [taken]
    assert tech.data("token", "remove", "keller", "--yes") == taken and tech.data("token", "list") == []
    (tmp_path / "jwks").write_text(json.dumps(key_set()))
    assert tech.data("token", "import", tmp_path / "jwks") == {"key_set": "default", "usable_keys": 1}
    assert tech.spilt() == []


def test_failures_of_the_system_are_sentences_that_say_what_to_do(tech, tmp_path):
    (tmp_path / "bytes").write_bytes(b"CLOUD-\xff\xfe")
    for words, told in (
        (("import", tmp_path / "none"), "No such file or directory; check how it is written"),
        (("import", tmp_path), "Is a directory; name a file"),
        (("import", tmp_path / "bytes"), "is not a UTF-8 text; check which file it is"),
        (("show", "\x1b[2J"), "no token is called ?[2J; "),
    ):
        done = tech.run("token", *words)
        assert done.status == 1 and told in done.err and done.err.count("\n") == 1 and "Errno" not in done.err


BARE = SYSTEM.replace("-", "")
WRITTEN = [BARE, SYSTEM.upper(), f"{{{SYSTEM}}}", f"{{{BARE.upper()}}}", f"urn:uuid:{SYSTEM}", f"URN:UUID:{BARE}"]


@pytest.mark.parametrize("system", WRITTEN)
def test_a_system_is_the_same_however_its_uuid_is_written(tech, system):
    with cloud(made("createLocalApiToken", make_token())) as stub:
        words = ["token", "create", system, "--endpoint", stub.url + "/graphql"]
        assert tech.run(*words, LATCHKEY_CLOUD_KEY=API_KEY).status == 0
        assert SHORT.fullmatch(json.loads(stub.requests[0][3])["query"])
    assert len(tech.data("token", "list", "--system", system)) == 1
    assert local_api.parse_host(system)[1] == f"latchkey-{SYSTEM[:8]}.local"


NO_UUIDS = ["0x" + BARE[2:], BARE[:-1], f"{{{SYSTEM}", SYSTEM[:8] + SYSTEM[9:], BARE[:-1] + "\u0661", "1_" + BARE[2:]]


@pytest.mark.parametrize("text", NO_UUIDS)
def test_what_only_looks_like_a_uuid_is_none(tech, text):
    assert tech.run("token", "list", "--system", text).status == 2


@pytest.mark.parametrize("written", WRITTEN)
def test_a_token_is_the_same_however_its_uuid_and_its_system_are_written(tech, written):
    tech.ok("token", "import", "-", "--name", "old", given=make_token(jti=SYSTEM, aud=OTHER_SYSTEM))
    tech.ok("token", "import", "-", "--name", "keller", given=make_token(jti=written, aud=[written, OTHER_SYSTEM]))
    (kept,) = tech.data("token", "list", "--system", SYSTEM)
    assert kept["uuid"] == SYSTEM and kept["systems"] == [SYSTEM, OTHER_SYSTEM]
    for word in (written, written[:-6], written.upper()[:-6]):
        assert "keller" in tech.ok("token", "show", word)
    assert wallet.Wallet(tech.wallet).fitting(written)[0].name == "keller"
    assert tech.run("token", "remove", written, "--yes").status == 0 and tech.data("token", "list") == []


def test_a_wallet_that_holds_a_uuid_in_another_form_is_read_in_this_one(tech):
    tech.ok("token", "import", "-", given=make_token(jti=SYSTEM))
    file = tech.wallet / wallet.FILE_NAME
    file.write_text(file.read_text().replace(f'"uuid": "{SYSTEM}"', f'"uuid": "{BARE.upper()}"'))
    assert BARE.upper() in file.read_text() and tech.data("token", "list")[0]["uuid"] == SYSTEM
    tech.ok("token", "import", "-", given=make_token(jti=SYSTEM))
    assert len(tech.data("token", "list")) == 1


def wrapped(text, width=76):
    return "\r\n".join(text[at : at + width] for at in range(0, len(text), width))


PASTED = {
    "byte order mark": lambda t: "\ufeff" + t,
    "bearer": lambda t: f"bearer {t}",
    "BEARER, two blanks": lambda t: f"BEARER  {t}\n",
    "header": lambda t: f"authorization:Bearer {t}",
    "quotes": lambda t: f'"{t}"',
    "typographic quotes": lambda t: f"\u201c{t}\u201d",
    "no-break spaces": lambda t: f"\u00a0{t}\u00a0",
    "header in quotes": lambda t: f"'Authorization: Bearer {t}'",
    "zero-width spaces": lambda t: f"\u200b{t[:300]}\u200b{t[300:]}\u200b",
    "wrapped": wrapped,
    "wrapped at 64, and in quotes": lambda t: wrapped(f'"{t}"', 64),
    "wrapped after Bearer": lambda t: "Bearer " + wrapped(t),
    "wrapped, and indented": lambda t: wrapped(t).replace("\n", "\n   "),
    "wrapped, and signed": lambda t: wrapped(t) + "\r\nRegards\r\nMarie",
    "text around": lambda t: f"This is it:\n{t}\nRegards",
    "an answer": lambda t: json.dumps({"data": {"createLocalApiToken": {"jwt": t, "uuid": SYSTEM}}}),
}


@pytest.mark.parametrize("form", PASTED)
def test_a_token_is_taken_as_people_paste_it(tech, tmp_path, form):
    token = make_token()
    text = PASTED[form](token)
    for data in (text.encode(), b"\xff\xfe" + text.encode("utf-16-le"), b"\xfe\xff" + text.encode("utf-16-be")):
        assert pasted.token(pasted.decoded(data, "x")) == token
    file = tmp_path / "token"
    file.write_text(text)
    file.chmod(0o600)
    assert tech.run("token", "inspect", file).status == 0
    assert tech.run("token", "import", "-", given=text.encode("utf-16")).status == 0
    assert [e.token for e in wallet.Wallet(tech.wallet).entries()] == [token]
    with Stub(device()) as stub:
        tech.ok("device", "state", stub.url, "--token-file", file)
        tech.ok("device", "state", stub.url, LATCHKEY_TOKEN=text)
        assert set(stub.tokens()) == {token}


def test_of_two_tokens_none_is_guessed(tech):
    done = tech.run("token", "import", "-", given=f"{make_token()}\n{make_token()}")
    assert done.status == 1 and "more than one token" in done.err and tech.data("token", "list") == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_key_set_is_taken_with_a_byte_order_mark(tech, tmp_path, encoding):
    jwks = tmp_path / "jwks.json"
    jwks.write_bytes(json.dumps(key_set()).encode(encoding))
    assert tech.data("token", "import", jwks) == {"key_set": "default", "usable_keys": 1}
    assert "is good" in inspected(tech, make_token(), 0, "--keys", jwks)


def test_a_name_in_the_wallet_is_not_taken_for_a_folder_and_a_pipe_is_a_file(tech, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tech.ok("token", "import", "-", "--name", "cellar", given=make_token())
    (tmp_path / "cellar").mkdir()
    assert tech.run("token", "inspect", "cellar").status == 0
    os.mkfifo("pipe")
    threading.Thread(target=lambda: (tmp_path / "pipe").write_text(make_token()), daemon=True).start()
    assert tech.run("token", "inspect", "pipe").status == 0


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_uuid_in_the_list_is_whole_at_every_width(tech, width):
    tech.ok("token", "import", "-", "--name", "the light in the cellar", given=make_token())
    tech.ok("token", "import", "-", "--name", "both", given=make_token(aud=[SYSTEM, OTHER_SYSTEM]))
    with tech.terminal("token", "list", size=(60, width)):
        pass
    shown = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", tech.seen[-1]).split("\r\n")]
    assert sum(SYSTEM in line for line in shown) == 2 and sum(OTHER_SYSTEM in line for line in shown) == 1
    assert max(map(len, shown)) <= width


def test_what_is_piped_has_no_blanks_at_its_ends_and_does_not_fold(tech):
    role = {"uuid": SYSTEM, "name": "System Maintainer of " + "a very long hall " * 20}
    tech.ok("token", "import", "-", "--name", "x" * 300, given=make_token(roles=[role]))
    with Stub(device()) as stub:
        for words in ("token list", f"token show {'x' * 300}", f"doctor {stub.url}", f"device info {stub.url}"):
            lines = tech.run(*words.split(), COLUMNS="80").out.splitlines()
            assert [line for line in lines if line != line.rstrip()] == []
    listed = tech.run("token", "list").out
    assert "x" * 300 in listed and role["name"].strip() in listed and len(listed.splitlines()) == 5, listed


def test_many_at_once_lose_no_token(tmp_path):
    tokens = [make_token() for _ in range(12)]
    threads = [threading.Thread(target=wallet.Wallet(tmp_path / "w").add, args=(t, "bulb")) for t in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = wallet.Wallet(tmp_path / "w").entries()
    assert {e.token for e in entries} == set(tokens) and len({e.name for e in entries}) == 12


def test_the_wallet_offers_live_and_newer_tokens_first(tmp_path):
    kept = wallet.Wallet(tmp_path / "w")
    for name, token in (
        ("old", make_token(made_s_ago=500)),
        ("expired", make_token(made_s_ago=10, lasts_s=5)),
        ("new", make_token(made_s_ago=1)),
        ("elsewhere", make_token(OTHER_SYSTEM)),
        ("for ever", make_token(made_s_ago=900, lasts_s=None)),
    ):
        kept.add(token, name)
    assert [e.name for e in kept.fitting(SYSTEM.upper())] == ["new", "old", "for ever", "expired"]
    assert kept.fitting(None) == [] and set(kept.systems()) == {SYSTEM, OTHER_SYSTEM}


def test_times_are_told_in_words():
    now = 1_800_000_000
    told = [show.when(now + s, now) for s in (0, 1, 59, 3 * 3600, 86399, -86400 * 2, 86400 * 800)]
    assert told == ["now", "in 1 second", "in 1 minute", "in 3 hours", "in 1 day", "2 days ago", "in 2 years"]
    assert show.moment(10**30, now) == "no time"


def test_a_verdict_does_not_depend_on_who_asks_in_which_order():
    other = {"keys": [technician.signing.jwk(*technician.signing.new_key())]}
    token = make_token()
    assert offline_check.judge(token, {"other": other, "home": key_set()}).key[0] == "home"
    assert offline_check.judge(token, {"home": key_set(), "other": other}).signature == "good"
    assert offline_check.judge(token, {"other": other}).signature == "bad"
    assert offline_check.judge(token, {"broken": {"keys": []}}).signature == "unchecked"


@pytest.mark.skipif(sys.platform != "linux", reason="argv is looked up in /proc")
def test_while_a_token_is_made_no_secret_is_in_argv(tech):
    seen = []

    def look(_request):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                seen.append(open(f"/proc/{pid}/cmdline", "rb").read())
            except OSError:
                continue
        return made("createLocalApiToken", make_token())

    with cloud(look) as stub:
        assert create(tech, stub, apart=True).status == 0
    assert any(b"latchkey_tools.cli.main" in line for line in seen)
    assert not any(API_KEY.encode() in line for line in seen)


def test_without_the_firmware_beside_it_the_command_says_that_it_cannot_check(tech, tmp_path, monkeypatch):
    monkeypatch.setattr(offline_check.build, "FIRMWARE", tmp_path / "nowhere")
    done = tech.run("token", "inspect", "-", given=make_token())
    assert done.status == 1 and "needs a checkout" in done.err
    assert tech.run("token", "import", "-", given=make_token()).status == 0
