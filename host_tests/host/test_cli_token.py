"""`latchkey token`: the mutations as DRIVR's guide shows them, the wallet, and a token explained offline."""

import json
import os
import re
import stat
import sys
import threading

import pytest
import technician
from technician import OTHER_SYSTEM, SYSTEM, Keyboard, Stub, key_set, make_token

from latchkey_tools import cloud_api, judge, show, wallet

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
        ((200, {"errors": [{"message": f"{API_KEY} may not\x1b[2J"}]}, {}), "the cloud refuses: ... may not?[2J"),
        ((200, {"data": None}, {}), "without a token"),
        ((200, [], {}), "no JSON; is it DRIVR's"),
        ((502, b"<html>", {}), "answered 502, and no JSON"),
        ((200, b"x" * 100_000, {}), "far too much"),
        ((302, b"", {"Location": "https://elsewhere.example/"}), "answered 302"),
        (made("createLocalApiToken", make_token(OTHER_SYSTEM)), "no token for this System; nothing was kept"),
    ],
    ids=["401", "errors", "null", "list", "html", "endless", "redirect", "another System"],
)
def test_what_the_cloud_may_answer_instead_is_told_in_one_line_without_the_key(tech, answer, words):
    with cloud(answer) as stub:
        done = create(tech, stub)
    assert done.status == 1 and words in done.err and done.err.count("\n") == 1
    assert len(stub.requests) == 1 and tech.spilt() == [] and tech.data("token", "list") == []


def test_the_endpoint_is_drivr_s_for_a_slug_and_a_key_goes_nowhere_without_tls(tech):
    assert cloud_api.endpoint("company-example") == "https://company-example.api.drivr.cloud/graphql"
    for slug in ("evil.example/", "a b", "", "x" * 64, "-a"):
        with pytest.raises(ValueError):
            cloud_api.endpoint(slug)
    for url in ("http://example.org/graphql", "ftp://localhost", "https://u:p@example.org/", "localhost/graphql"):
        done = tech.run("token", "create", SYSTEM, "--endpoint", url, LATCHKEY_CLOUD_KEY=API_KEY)
        assert done.status == 1 and tech.spilt() == []
    assert "--slug" in tech.run("token", "create", SYSTEM, LATCHKEY_CLOUD_KEY=API_KEY).err
    assert "LATCHKEY_CLOUD_KEY" in tech.run("token", "create", SYSTEM, "--slug", "nobody").err


def test_the_key_is_asked_for_at_a_terminal_and_is_not_echoed(tech):
    with cloud(made("createLocalApiToken", make_token())) as stub:
        with tech.terminal("token", "create", SYSTEM, "--endpoint", stub.url + "/graphql") as screen:
            screen.expect("API key of 127.0.0.1 .not shown.: ")
            screen.sendline(API_KEY)
            screen.expect("is in the wallet: ends in 1 day")
        assert screen.exitstatus == 0 and stub.requests[0][2]["authorization"] == f"Bearer {API_KEY}"
    assert tech.spilt() == []


def test_a_typed_key_is_remembered_by_a_keyring_if_one_works(tech, tmp_path):
    (tmp_path / "file_keyring.py").write_text(KEYRING)
    tech.env |= {"PYTHON_KEYRING_BACKEND": "file_keyring.Keyring", "PYTHONPATH": str(tmp_path)}
    with cloud(made("createLocalApiToken", make_token())) as stub:
        words = ["token", "create", SYSTEM, "--endpoint", stub.url + "/graphql", "--remember"]
        with tech.terminal(*words) as screen:
            screen.expect("not shown")
            screen.sendline(API_KEY)
        assert tech.run(*words, apart=True).status == 0
        assert [r[2]["authorization"] for r in stub.requests] == [f"Bearer {API_KEY}"] * 2
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
"""


def test_a_token_is_imported_shown_handed_out_and_removed(tech, tmp_path):
    token = planted(tech, make_token())
    assert tech.run("token", "import", "-", "--name", "keller", given=token + "\n").status == 0
    assert "Marie Curie" in tech.ok("token", "show", "keller")
    out = tmp_path / "out"
    assert tech.ok("token", "show", "keller", "--out", out) == ""
    assert out.read_text() == token and stat.S_IMODE(out.stat().st_mode) == 0o600
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
        screen.sendintr()
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
    for words in (["inspect"], ["import"], ["show"], ["remove"]):
        done = tech.run("token", *words, token)
        assert done.status == 3 and "seen by others" in done.err and token[:20] not in done.err


def inspected(tech, token, status, *words):
    done = tech.run("token", "inspect", "-", *words, given=token)
    assert done.status == status, done
    return done.out


def test_inspect_says_what_a_device_would(tech, tmp_path):
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(key_set()))
    good = make_token()
    assert "unchecked" in inspected(tech, good, 0)
    assert tech.run("token", "import", jwks, "--name", "home").err == "the key set home is kept: 1 usable key\n"
    words = inspected(tech, good, 0)
    for part in ("signed with RS512", f"the System {SYSTEM}", "System Maintainer", "in 1 day", "good: key SIM-"):
        assert part in " ".join(words.split()).replace("is good", "good"), words
    head, payload, signature = good.split(".")
    forged = f"{head}.{payload}.{signature[:50]}{'A' if signature[50] != 'A' else 'B'}{signature[51:]}"
    for token, code in (
        (forged, "bad_signature"),
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


def test_the_cloud_is_not_asked_for_a_token_that_the_wallet_could_not_keep(tech):
    tech.ok("token", "import", "-", given=make_token())
    (tech.wallet / wallet.FILE_NAME).chmod(0o644)
    with cloud(made("createLocalApiToken", make_token())) as stub:
        assert create(tech, stub).status == 3 and stub.requests == []


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
    assert judge.judge(token, {"other": other, "home": key_set()}).key[0] == "home"
    assert judge.judge(token, {"home": key_set(), "other": other}).signature == "good"
    assert judge.judge(token, {"other": other}).problems == ["bad_signature"]
    assert judge.judge(token, {"broken": {"keys": []}}).signature == "unchecked"


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
    assert any(b"latchkey_tools.cli" in line for line in seen)
    assert not any(API_KEY.encode() in line for line in seen)


def test_without_the_firmware_beside_it_the_command_says_that_it_cannot_check(tech, tmp_path, monkeypatch):
    monkeypatch.setattr(judge.build, "FIRMWARE", tmp_path / "nowhere")
    done = tech.run("token", "inspect", "-", given=make_token())
    assert done.status == 1 and "needs a checkout" in done.err
    assert tech.run("token", "import", "-", given=make_token()).status == 0
