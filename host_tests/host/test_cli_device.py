"""`latchkey device`: calls to a stand-in for a device, and what is said when it says no."""

import contextlib
import json
import re
import socket
import ssl
import sys
import threading
import time

import pytest
import technician
from technician import INFO, OTHER_SYSTEM, SYSTEM, Keyboard, Stub, device, keep, make_token, refusal

from latchkey_tools.cli import advice, device_commands, show
from latchkey_tools.device import local_api
from latchkey_tools.device.local_api import Device, Unreachable
from latchkey_tools.sim import pki

NAME = f"latchkey-{SYSTEM[:8]}.local"


@pytest.fixture
def tech(tmp_path):
    return Keyboard(tmp_path)


def no_token_first(answer):
    """Without a token as a device answers, so that the channel can be chosen; with one, ``answer``."""

    def judged(request):
        return answer if "authorization" in request[2] else refusal(401, "token_missing")

    return judged


def test_the_wallet_s_token_for_this_system_goes_along_and_no_other(tech):
    keep(tech, "elsewhere", system=OTHER_SYSTEM)
    token = keep(tech)
    with Stub(device()) as stub:
        assert tech.data("device", "state", stub.url) == {"on": True, "brightness_pct": 40}
        assert "brightness_pct  40" in tech.ok("device", "state", f"127.0.0.1:{stub.port}")
        assert set(stub.tokens()) == {token}
    assert tech.spilt() == []


def test_set_understands_what_people_write(tech):
    keep(tech)
    with Stub(device()) as stub:
        words = ["on", "brightness_pct=40", "rgb=255,120,0", "color_temp_k=2700", "name=cellar", "transition_ms=500"]
        tech.ok("device", "set", stub.url, *words)
        (sent,) = [json.loads(body) for method, *_, body in stub.requests if method == "PATCH"]
        assert sent == {
            "on": True,
            "brightness_pct": 40,
            "rgb": [255, 120, 0],
            "color_temp_k": 2700,
            "name": "cellar",
            "transition_ms": 500,
        }
        tech.ok("device", "set", stub.url, "name=NaN", f"deep={'[' * 5000}", "far=1e999", "x=null")
        assert json.loads(stub.requests[-1][3]) == {"name": "NaN", "deep": "[" * 5000, "far": "1e999", "x": None}
        assert tech.run("device", "set", stub.url, "brighter").status == 2
        tech.ok("device", "set", stub.url, "on=off")
        assert json.loads(stub.requests[-1][3]) == {"on": False}


def test_a_token_of_one_s_own_comes_from_a_file_the_environment_or_by_name(tech, tmp_path):
    keep(tech, "second")
    first = keep(tech, "first", made_s_ago=500)
    file = tmp_path / "token"
    file.write_text(make_token() + "\n")
    other = make_token()
    with Stub(device()) as stub:
        for words, environment, expected in (
            (["--token-file", file], {"LATCHKEY_TOKEN": other}, file.read_text().strip()),
            (["--token", "first"], {"LATCHKEY_TOKEN": other}, first),
            ([], {"LATCHKEY_TOKEN": other}, other),
        ):
            done = tech.run("device", "state", stub.url, *words, **environment)
            assert done.status == 0 and stub.tokens()[-1] == expected
            assert ("others can read" in done.err) is (file in words)
        file.chmod(0o600)
        assert tech.run("device", "state", stub.url, "--token-file", file).err == ""
        done = tech.run("device", "state", stub.url, "--token", other)
        assert done.status == 3 and other[:30] not in done.err


def test_a_token_for_another_system_is_not_even_sent(tech):
    with Stub(device()) as stub:
        done = tech.run("device", "state", stub.url, LATCHKEY_TOKEN=make_token(OTHER_SYSTEM))
        assert done.status == 1 and stub.tokens() == []
        for part in ("wrong_system", OTHER_SYSTEM, SYSTEM, "not sent", advice.advice("wrong_system")):
            assert part in done.err
        done = tech.run("device", "state", stub.url, LATCHKEY_TOKEN="hunter2")
        assert "token_malformed" in done.err and "hunter2" not in done.err and stub.tokens() == []
        done = tech.run("device", "state", stub.url)
        todo = f"latchkey token create {SYSTEM}; without internet: latchkey token import FILE"
        assert f"({SYSTEM}). What to do: {todo}.\n" in done.err and stub.tokens() == []


@pytest.mark.parametrize("system", [None, "", [], 0, {}, [SYSTEM], OTHER_SYSTEM])
def test_who_does_not_say_that_it_is_the_token_s_system_is_sent_none(tech, tmp_path, system):
    keep(tech)
    token = make_token()
    (tmp_path / "token").write_text(token)
    with Stub(device(info=(200, INFO | {"system_uuid": system}, {}))) as stub:
        for words, environment in (
            (["--token", "mine"], {}),
            (["--token-file", tmp_path / "token"], {}),
            ([], {"LATCHKEY_TOKEN": token}),
            ([], {}),
        ):
            done = tech.run("device", "state", stub.url, *words, **environment)
            assert done.status == 1 and stub.tokens() == [], words
        for command in ("pair", "doctor"):
            assert tech.run(command, stub.url).status == 1 and stub.tokens() == []


def test_a_token_on_standard_input_is_taken(tech):
    token = make_token()
    with Stub(device()) as stub:
        assert tech.run("device", "state", stub.url, "--token-file", "-", given=token + "\n").status == 0
        assert stub.tokens() == [token]
        for given in ("hunter2", ""):
            done = tech.run("device", "state", stub.url, "--token-file", "-", given=given)
            assert done.status == 1 and "The text on standard input is not a CLOUD- token" in done.err
        header = f"Authorization: Bearer {token}\n"  # as curl takes it from a file
        assert tech.run("device", "state", stub.url, "--token-file", "-", given=header).status == 0
        gone = tech.run("device", "state", stub.url, "--token-file", "/nowhere/token")
        assert "/nowhere/token cannot be read (No such file or directory); give a file" in gone.err


def test_a_folder_in_place_of_a_token_file_gets_no_advice_on_its_mode(tech, tmp_path):
    with Stub(device()) as stub:
        done = tech.run("device", "state", stub.url, "--token-file", tmp_path)
        assert done.status == 1 and "Is a directory" in done.err and "chmod" not in done.err
        done = tech.run("pair", stub.url, "--ssid", "Home", "--passphrase-file", tmp_path)
        assert done.status == 2 and "chmod" not in done.err


@pytest.mark.parametrize("written", [SYSTEM.upper(), SYSTEM])
def test_a_device_may_write_its_system_in_upper_case(tech, written):
    token = keep(tech)
    with Stub(device(info=(200, INFO | {"system_uuid": written}, {}))) as stub:
        assert tech.data("device", "info", stub.url)["system_uuid"] == SYSTEM
        assert tech.run("device", "state", stub.url).status == 0 and stub.tokens() == [token]


@pytest.mark.parametrize("address", [" {}", "{}\t", "\u00a0{} ", "http:// {}", "{} /"])
def test_blanks_around_an_address_are_none_of_its_letters(tech, address):
    keep(tech)
    with Stub(device()) as stub:
        host = address.format(f"127.0.0.1:{stub.port}")
        done = tech.run("device", "state", host)
        if host.strip().count(" "):
            assert done.status == 2 and "is not an address of a device" in done.err
        else:
            assert done.status == 0 and tech.run("device", "info", LATCHKEY_HOST=host).status == 0
        assert "%20" not in done.err


EVIL = "\x1b]0;x\x07\x1b[31m\u202e[bold]x[/bold]\u2028\x9b31m\ud800"


def evil(value):
    """``value`` with texts that a terminal, and rich, would obey."""
    if isinstance(value, dict):
        keep = ("system_uuid", "permissions")
        return {EVIL: EVIL} | {name: one if name in keep else evil(one) for name, one in value.items()}
    if isinstance(value, list):
        return [evil(one) for one in value]
    return EVIL if isinstance(value, str) else value


def test_nothing_that_a_device_says_drives_the_terminal(tech):
    keep(tech, "na\x1b[31mme")
    end = b"event: x\ndata: " + json.dumps({EVIL: EVIL}).encode() + b"\n\nevent: end\ndata: "
    end += json.dumps({"code": EVIL}).encode() + b"\n\n"
    last = {"unix_s": 5, "jti": EVIL, "fields": [EVIL]}
    facts = {"cloud": {"state": EVIL, "reason": EVIL}, "keys": {"keys": [{"kid": EVIL}], "sets_refused": 1}}
    pairing = {"state": "failed", "what": EVIL, "ssid": EVIL, "address": EVIL, "reason": EVIL, "host": EVIL}
    answers = device(
        info=(200, evil(INFO), {}),
        state=(200, {EVIL: EVIL, "on": [EVIL]}, {}),
        diagnostics=(200, evil(facts), {}),
        log=(200, {"lines": [{"uptime_s": 1, "text": EVIL}]}, {}),
        events=(200, end, {}),
        config=(200, {"config": {EVIL: {EVIL: EVIL}}, "trust": {"changes": 1, "last": [last]}}, {}),
        pairing=(200, pairing, {}),
    )
    with Stub(answers) as stub:
        words = ["info", "state", "diagnostics", "log", "events", "config", "identify"]
        for command in (*(["device", word] for word in words), ["doctor"], ["pair", "--status"]):
            for answer in (answers, evil_refusals()):
                stub.answers = {("GET", "/v1/info"): answers[("GET", "/v1/info")]} | answer
                done = tech.run(*command, stub.url)
                shown = (done.out + done.err).replace("\n", "")
                assert shown and shown.isprintable(), (command, done)
                assert "config" not in command or answer is not answers or "[bold]x[/bold]" in done.out


def evil_refusals():
    paths = ("whoami", "state", "diagnostics", "log", "events", "config", "pairing", "identify")
    answer = (401, {"code": EVIL, "field": EVIL}, {})
    return {(method, f"/v1/{path}"): answer for path in paths for method in ("GET", "POST")}


@pytest.mark.parametrize(
    "command, path, answer",
    [
        (["device", "log"], "log", {"lines": [None]}),
        (["device", "log"], "log", {"lines": [{"uptime_s": "\x1b[2J"}]}),
        (["device", "config"], "config", {"config": 5}),
        (["device", "config"], "config", {"config": {}, "trust": {"changes": "[bold]"}}),
        (["device", "diagnostics"], "diagnostics", {"cloud": {"since": 10**30}}),
        (["device", "diagnostics"], "diagnostics", b'{"uptime_s": NaN}'),
        (["doctor"], "whoami", {"permissions": 5}),
        (["doctor"], "diagnostics", {"clock": {"floor_unix_s": "x"}}),
        (["pair", "--status"], "pairing", {"state": ["x"]}),
        (["pair", "--status"], "pairing", b'{"state": "idle", "access_point_s": 1e400}'),
    ],
)
def test_an_answer_of_another_shape_is_one_line(tech, command, path, answer):
    keep(tech)
    with Stub(device(**{path: (200, answer, {})})) as stub:
        done = tech.run(*command, stub.url)
    assert done.status == 1 and "not as a Latchkey device does" in done.out + done.err
    assert command == ["doctor"] or done.err.splitlines()[-1].startswith("latchkey: http://127.0.0.1")


@pytest.mark.parametrize("code", list(advice.CODES))
def test_every_code_is_explained_in_one_line(tech, code):
    keep(tech)
    with Stub(device(state=refusal(401, code))) as stub:
        done = tech.run("device", "state", stub.url)
    assert done.status == 1 and done.err.count("\n") == 1
    assert f"401 {code}: {advice.meaning(code)}. What to do: {local_api.todo_of(code)}." in done.err


def test_a_refused_token_gives_way_to_the_next_that_fits(tech):
    worse, better = keep(tech, "newer"), keep(tech, "older", made_s_ago=500)

    def answer(request):
        good = request[2].get("authorization") == f"Bearer {better}"
        return (200, {"on": True}, {}) if good else refusal(401, "revoked")

    with Stub(device(state=answer)) as stub:
        done = tech.run("device", "state", stub.url)
        assert done.status == 0 and "newer is refused (revoked); trying older" in done.err
        assert stub.tokens() == [worse, better]
        named = tech.run("device", "state", stub.url, "--token", "newer")
        assert named.status == 1 and "401 revoked" in named.err


def test_a_good_token_is_found_behind_many_that_are_refused(tech):
    good = keep(tech, "good", made_s_ago=500)
    for number in range(6):
        keep(tech, f"newer{number}")

    def answer(request):
        opens = request[2].get("authorization") == f"Bearer {good}"
        return (200, {"on": True}, {}) if opens else refusal(401, "revoked")

    with Stub(device(state=answer)) as stub:
        assert tech.run("device", "state", stub.url).status == 0
        assert len(stub.tokens()) == 7


def test_retry_after_is_honoured_once_with_words(tech):
    keep(tech)
    busy = refusal(429, "verify_busy", Retry_After="1")
    with Stub(device(state=[busy, (200, {"on": True}, {})])) as stub:
        done = tech.run("device", "state", stub.url)
        assert done.status == 0 and "asks to wait 1 second (verify_busy); trying once more" in done.err
    with Stub(device(state=[busy])) as stub:
        done = tech.run("device", "state", stub.url)
        assert done.status == 1 and "429 verify_busy" in done.err
        assert len([r for r in stub.requests if r[1] == "/v1/state"]) == 2
    with Stub(device(state=refusal(503, "full_house", Retry_After="86400"))) as stub:
        assert tech.run("device", "state", stub.url).status == 1
        assert len([r for r in stub.requests if r[1] == "/v1/state"]) == 1


@pytest.mark.parametrize(
    "answer, words",
    [
        ((200, b"<html>my router</html>", {}), "not as a Latchkey device does; check the address"),
        ((200, {"hello": "world"}, {}), "not as a Latchkey device does; check the address"),
        ((200, b"[" * 100_000, {}), "not as a Latchkey device does; check the address"),
        ((200, b"x" * 1_000_000, {}), "far too much"),
        ((404, b"", {}), "not as a Latchkey device does; check the address"),
        ((302, INFO, {"Location": "http://127.0.0.1:1/"}), "not as a Latchkey device does; check the address"),
    ],
    ids=["html", "json", "deep", "endless", "404", "302"],
)
def test_whatever_else_answers_gets_no_token(tech, answer, words):
    keep(tech)
    with Stub(device(info=answer)) as stub:
        done = tech.run("device", "state", stub.url)
        assert done.status == 1 and words in done.err and stub.tokens() == []


def test_nobody_there_and_addresses_that_are_none_are_told(tech):
    keep(tech)
    with Stub({}) as stub:
        gone = stub.url
    for host, words in ((gone, "nothing answers"), ("latchkey-0.invalid", "the name latchkey-0.invalid is not known")):
        done = tech.run("device", "state", host)
        assert done.status == 1 and words in done.err and done.err.count("\n") == 1, done.err
    assert "HOST is missing" in tech.run("device", "state").err


NO_HOSTS = ["http://127.0.0.1/v1/state", "ftp://127.0.0.1", "127.0.0.1:99999", "http://127.0.0.1:0", "300.300.300.300"]
NO_HOSTS += ["a\udcffb", "a\x07b", "a..b", "x" * 300, "http://me@127.0.0.1", "127.0.0.1#a", "http://[::1", ""]


@pytest.mark.parametrize("host", NO_HOSTS, ids=range(len(NO_HOSTS)))
def test_what_is_no_address_is_wrong_usage_in_one_line(tech, host):
    for words in (["device", "info", host], ["device", "find", "--host", host], ["doctor", host], ["pair", host]):
        done = tech.run(*words)
        assert done.status == 2 and "not an address of a device" in done.err, words
        assert done.err.count("\n") == 1 and done.err[:-1].isprintable()


def test_a_sensor_that_sleeps_is_thought_of_where_nobody_answers(tech):
    keep(tech)
    with Stub({}) as stub:
        gone = stub.url
    assert "a sensor on battery may be asleep: press its button\n" in tech.run("device", "state", gone).err


def test_what_to_do_is_told_in_words_of_commands():
    assert "latchkey pair --status" in local_api.todo_of("attempt_running")
    assert "GET" not in local_api.todo_of("attempt_running")
    assert "HTTP from the network" not in local_api.todo_of("plain_http")
    assert local_api.todo_of("revoked") == advice.advice("revoked")


def test_a_host_is_a_name_an_address_a_url_or_a_system_uuid():
    parse = local_api.parse_host
    assert parse("192.168.4.1") == (False, "192.168.4.1", 80)
    assert parse("cellar.local:8080") == (False, "cellar.local", 8080)
    assert parse("https://cellar.local") == (True, "cellar.local", 443)
    assert parse("[fe80::1]:81") == (False, "fe80::1", 81)
    assert parse("::1") == (False, "::1", 80)
    assert parse(SYSTEM.upper()) == (False, NAME, 80)


def test_find_tries_the_wallet_s_names_the_access_point_and_hosts_given(tech, monkeypatch):
    keep(tech)
    tried = []
    ask = device_commands._ask_one
    monkeypatch.setattr(device_commands, "_ask_one", lambda place, answers: tried.append(place) or ask(place, answers))
    monkeypatch.setattr(device_commands, "ACCESS_POINT", "access-point.invalid")
    with Stub(device()) as stub:
        table = tech.ok("device", "find", "--host", stub.url)
        assert stub.url in table and "Cellar light" in table and "mine" in table
        assert stub.tokens() == []
        assert tried == [NAME, "access-point.invalid", stub.url]
        (found,) = tech.data("device", "find", "--host", stub.url)
        assert found["system_uuid"] == SYSTEM and found["host"] == stub.url
    nothing = tech.run("device", "find")
    assert nothing.status == 1 and "--host" in nothing.err


def test_diagnostics_and_log_are_told_in_words(tech):
    keep(tech)
    weak = technician.DIAGNOSTICS | {"cloud": {"state": "waiting", "reason": "dns", "since": 1700000000}}
    lines = {"lines": [{"n": 1, "uptime_s": 3, "text": "started: \x1b[31mready"}]}
    with Stub(device(diagnostics=(200, weak, {}), log=(200, lines, {}))) as stub:
        done = tech.run("device", "diagnostics", stub.url)
        assert "SIM-a (2048 bits, any algorithm)" in done.out and "years ago (2023-11-14" in done.out
        assert "broker's name does not resolve. What to do: check broker.host" in done.err
        assert tech.ok("device", "log", stub.url) == "       3 s  started: ?[31mready\n"
        assert tech.data("device", "diagnostics", stub.url) == weak


def test_the_device_s_tokens_are_shown_page_by_page_beside_the_wallet_s(tech):
    keep(tech)
    (mine,) = tech.data("token", "list")
    row = {"jti": OTHER_SYSTEM, "admits": True, "end_unix_s": None, "changed_unix_s": 1700000000}
    listed = row | {"jti": mine["uuid"], "admits": False}
    first = (200, {"tokens": [row], "more": True}, {})
    pages = {("GET", f"/v1/tokens?after={OTHER_SYSTEM}"): (200, {"tokens": [listed], "more": False}, {})}
    with Stub(device(tokens=first) | pages) as stub:
        assert tech.data("device", "tokens", stub.url) == {"tokens": [row, listed], "only_in_wallet": []}
        told = tech.ok("device", "tokens", stub.url)
        assert mine["name"] in told and "2023-11-14" in told
    with Stub(device(tokens=(200, {"tokens": [row], "more": False}, {}))) as stub:
        assert tech.data("device", "tokens", stub.url)["only_in_wallet"] == [mine["uuid"]]
        assert "is in the wallet, but not in the device's list" in tech.run("device", "tokens", stub.url).err


def test_who_did_what_and_who_was_refused_is_shown(tech):
    keep(tech)
    use = {"name": "Marie\x1b", "jti": "530886ea", "role": "Owner", "permission": "control", "method": "PATCH"}
    use |= {"path": "/v1/state", "status": 200, "count": 3, "ago_s": 120}
    facts = {"changes": [use], "reads": [], "refusals": {}, "peers": [{"peer": "192.0.2.7", "count": 9, "ago_s": 60}]}
    with Stub(device(uses=(200, facts, {}))) as stub:
        told = tech.ok("device", "uses", stub.url)
        assert "Marie?" in told and "PATCH /v1/state" in told and "refused: 192.0.2.7, 9 times" in told
        assert tech.data("device", "uses", stub.url) == facts


def test_events_are_printed_until_the_device_ends_them(tech):
    keep(tech)
    stream = b'id: 0\nevent: state\ndata: {"on": true}\n\n: beat\n\nevent: state\r\ndata: {"on": false}\r\n\r\n'
    end = b'event: end\ndata: {"code": "expired"}\n\n'
    with Stub(device(events=(200, stream + end, {"Content-Type": "text/event-stream"}))) as stub:
        done = tech.run("device", "events", stub.url, "--json")
        assert done.out == '{"on": true}\n{"on": false}\n'
        assert done.status == 1 and "expired" in done.err and advice.advice("expired") in done.err
        assert tech.ok("device", "events", stub.url, "--count", "1").endswith("on yes\n")
    with Stub(device(events=(200, stream, {}))) as stub:
        done = tech.run("device", "events", stub.url)
        assert done.status == 1 and "ended early" in done.err
    for answer, words in (((201, {}, {}), "not as a Latchkey device does"), (refusal(503, "full_house"), "full_house")):
        with Stub(device(events=answer)) as stub:
            assert words in tech.run("device", "events", stub.url).err
    assert tech.run("device", "events", stub.url, "--count", "-3").status == 2


class Dripping:
    """Answers everybody with ``head``, and then with a byte again and again."""

    def __init__(self, head, byte):
        self._head, self._byte = head, byte
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._listening.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            peer, _ = self._listening.accept()
            peer.sendall(self._head)
            while not self._ended.wait(0.05):
                peer.sendall(self._byte)


@pytest.mark.parametrize(
    "head, byte",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "head", "continue"],
)
def test_an_answer_that_drips_has_an_end(head, byte):
    with Dripping(head, byte) as stub, Device(stub.url, timeout_s=0.3, connect_s=0.1) as drips:
        begun = time.monotonic()
        with pytest.raises(Unreachable, match="does not answer in time") as caught:
            drips.info()
        assert time.monotonic() - begun < 10 and caught.value.may_have_arrived


@pytest.mark.parametrize("head, byte", [(b"HTTP/1.1 200 OK\r\nX: ", b"x"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")])
def test_a_stream_whose_head_drips_has_an_end(head, byte):
    with Dripping(head, byte) as stub, Device(stub.url, timeout_s=0.3, connect_s=0.1) as drips:
        drips._probed = True
        with pytest.raises(Unreachable, match="does not answer in time"):
            next(drips.events(None))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"))


def served_over_tls(stub, identity):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert_pem, identity.key_pem)
    stub._server.socket = context.wrap_socket(stub._server.socket, server_side=True)
    return f"https://127.0.0.1:{stub.port}"


def test_over_https_the_name_in_the_certificate_is_that_of_the_token_s_system(tech, authority):
    token = keep(tech)
    right = pki.server(authority.folder, authority.ca, "right", [NAME])
    wrong = pki.server(authority.folder, authority.ca, "wrong", [f"latchkey-{OTHER_SYSTEM[:8]}.local"])
    with Stub(device()) as stub:
        url = served_over_tls(stub, right)
        assert tech.data("device", "state", url, "--ca", authority.ca.cert_pem)["on"] is True
        assert stub.tokens() == [token]
        done = tech.run("device", "state", url)
        assert done.status == 1 and "--ca" in done.err and "not to be trusted" in done.err
    with Stub(device()) as stub:
        url = served_over_tls(stub, wrong)
        done = tech.run("device", "state", url, LATCHKEY_CA=str(authority.ca.cert_pem))
        assert done.status == 1 and "not to be trusted" in done.err and stub.tokens() == []
    assert tech.spilt() == []


def test_no_name_leads_a_token_to_the_certificate_of_another_system(tech, authority, monkeypatch):
    token = keep(tech)
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *more, **others: look_up("127.0.0.1", *more, **others))
    other = f"latchkey-{OTHER_SYSTEM[:8]}.local"
    names = [other, "cellar.example"]
    with Stub(device()) as stub:
        served_over_tls(stub, pki.server(authority.folder, authority.ca, "others", names))
        for name in names:
            url = f"https://{name}:{stub.port}"
            assert tech.run("device", "info", url, "--ca", authority.ca.cert_pem).status == 0
            done = tech.run("device", "state", url, "--ca", authority.ca.cert_pem, "--token", "mine")
            assert done.status == 1 and f"not valid for '{NAME}'" in done.err and stub.tokens() == []
            assert f"'{NAME}'; call the device that is meant" in done.err
    with Stub(device()) as stub:
        served_over_tls(stub, pki.server(authority.folder, authority.ca, "both", [NAME, "cellar.example"]))
        url = f"https://cellar.example:{stub.port}"
        tech.ok("device", "state", url, "--ca", authority.ca.cert_pem)
        assert stub.tokens() == [token]


def test_of_a_token_for_several_systems_the_name_is_that_of_the_one_that_answers(tech, authority):
    both = keep(tech, aud=[OTHER_SYSTEM, SYSTEM])
    with Stub(device()) as stub:
        url = served_over_tls(stub, pki.server(authority.folder, authority.ca, "second", [NAME]))
        tech.ok("device", "state", url, "--ca", authority.ca.cert_pem)
        assert stub.tokens() == [both]


def test_a_file_of_a_ca_that_cannot_be_used_is_named(tech, tmp_path):
    (tmp_path / "empty.pem").write_text("")
    for name, words in (("none.pem", "No such file"), ("empty.pem", "it has no certificate in PEM; check")):
        done = tech.run("device", "info", "https://127.0.0.1:1", "--ca", tmp_path / name)
        assert done.status == 1 and f"the CA file {tmp_path / name} cannot be used: {words}" in done.err


def test_where_https_is_served_no_token_goes_over_plain_http(tech):
    keep(tech)
    upgrade = {"Upgrade": "TLS/1.2, HTTP/1.1", "Connection": "Upgrade"}
    with Stub(device(info=(200, INFO, upgrade), state=refusal(426, "tls_required"))) as stub:
        done = tech.run("device", "state", stub.url)
        assert done.status == 1 and "426 tls_required" in done.err and stub.tokens() == []


def test_proxies_of_the_environment_are_not_asked_for_a_device(tech):
    keep(tech)
    with Stub(device()) as stub, Stub({}) as proxy:
        tech.ok("device", "state", stub.url, http_proxy=proxy.url, HTTP_PROXY=proxy.url, ALL_PROXY=proxy.url)
        assert proxy.requests == []


def test_colour_is_for_terminals_alone(tech):
    keep(tech)
    with Stub(device()) as stub:
        for words in (["device", "find", "--host", stub.url], ["doctor", stub.url], ["token", "list"]):
            assert "\x1b[" not in tech.run(*words).out


def test_where_it_is_narrow_each_row_gets_a_block_that_loses_no_ends(tech, monkeypatch):
    keep(tech)
    monkeypatch.setattr(device_commands, "ACCESS_POINT", "access-point.invalid")
    with Stub(device()) as stub:
        find = ["device", "find", "--host", stub.url]
        assert re.search(r"^ ?host .* token *$", tech.ok(*find), re.MULTILINE)
        monkeypatch.setattr(show, "_PIPE_WIDTH", 80)
        assert f"System  {SYSTEM}" in tech.ok(*find)
        monkeypatch.setattr(show, "_PIPE_WIDTH", 40)
        for words in (find, ["token", "list"]):
            lines = [line.strip() for line in tech.ok(*words).splitlines()]
            assert SYSTEM in "".join(line.removeprefix("System").strip() for line in lines)
            assert max(map(len, lines)) <= 40 and min(map(len, filter(None, lines))) > 2


def test_a_field_that_the_device_refuses_is_answered_with_its_bounds_or_the_names_there_are(tech):
    keep(tech)
    described = {"on": {}, "brightness_pct": {"min": 1, "max": 100}, "rgb": {}}
    for word, answered, said in (
        ("brightness_pct=400", described, "brightness_pct is a number from 1 to 100"),
        ("brightness=40", described, "the state has no field brightness; its fields are on, brightness_pct"),
        ("brightness=40", refusal(404, "not_found"), "`latchkey device state` and `latchkey device config` show"),
    ):
        refused = 422, {"code": "invalid_field", "field": word.split("=")[0]}, {}
        fields = (200, answered, {}) if isinstance(answered, dict) else answered
        routes = {("PATCH", "/v1/state"): refused, ("GET", "/v1/state/fields"): fields}
        with Stub(device() | routes) as stub:
            done = tech.run("device", "set", stub.url, word)
        assert done.status == 1 and said in done.err and "422 invalid_field" in done.err
        assert "openapi" not in done.err


class Narrow:
    def __init__(self, terminal=True):
        self.isatty = lambda: terminal


def test_remarks_on_a_terminal_are_folded_at_blanks_and_never_inside_a_command(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    command = "latchkey pair --status 127.4.0.1:8080"
    text = f"the device cannot be reached from here now; ask later: {command}; then look again, or `latchkey doctor X`"
    lines = show.folded(text, Narrow()).split("\n")
    assert " ".join(lines) == text and max(map(len, lines)) <= 60
    assert any(command in line for line in lines) and any("`latchkey doctor X`" in line for line in lines)
    assert show.folded(text, Narrow(terminal=False)) == text
    assert show.folded(f"see {'x' * 70}", Narrow()) == f"see\n{'x' * 70}"


def test_lines_of_data_are_folded_at_blanks_on_a_terminal_alone(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = "sensor-1.2.0.latchkey: sensor 1.2.0 for esp32s3-sensor, files, counter 12"
    show.line(text)
    assert capsys.readouterr().out == f"{text}\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show.line(text)
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines) == text and 1 < len(lines) and max(map(len, lines)) <= 40


def test_a_wrong_port_of_a_device_with_https_leads_to_the_other(tech):
    upgrade = {"Upgrade": "TLS/1.2, HTTP/1.1", "Connection": "Upgrade"}
    with Stub(device(info=(200, INFO, upgrade))) as stub:
        keep(tech)
        assert "call its HTTPS port: https://127.0.0.1:PORT" in tech.run("device", "state", stub.url).err


@pytest.mark.parametrize("reads", [True, False])
def test_a_device_without_memory_for_https_is_not_taken_for_one_without_https(reads):
    """It closes at once. Where it has not read the question, the client sees a reset."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Device(f"https://127.0.0.1:{listener.getsockname()[1]}") as it,
    ):

        def close():
            peer = listener.accept()[0]
            peer.recv(1, socket.MSG_PEEK)
            if reads:
                peer.recv(4096)
            peer.close()

        threading.Thread(target=close, daemon=True).start()
        with pytest.raises(Unreachable, match="closed the connection before TLS began; .* no memory for HTTPS"):
            it.call("GET", "/v1/info", None)


def test_wrong_usage_is_folded_at_blanks_too(tech):
    with tech.terminal("device", "set", "127.0.0.1", "on", "--token-fil", "a" * 30, size=(24, 40)) as screen:
        screen.expect_exact("option\r\n--token-fil;")
    assert max(map(len, tech.seen[-1].splitlines())) <= 40
