"""`latchkey pair`: every way in which an attempt ends, while the networks change around the laptop."""

import json
import os
import socket
import threading
import time

import pytest
from technician import INFO, OTHER_SYSTEM, SYSTEM, Keyboard, Stub, device, keep, key_set, make_token, refusal

from latchkey_tools.cli import advice, pair_commands
from latchkey_tools.device import local_api, pairing

NAME = f"latchkey-{SYSTEM[:8]}.local"
PASSPHRASE = "correct horse planted"
NETWORKS = [{"ssid": "Home", "rssi_dbm": -55, "secured": True}, {"ssid": "Guests", "rssi_dbm": -80, "secured": False}]
IDLE = {"state": "idle", "what": None, "ssid": "", "address": None, "reason": "", "host": NAME}
IDLE |= {"access_point_s": 700, "presence_s": 600}
JOINING = IDLE | {"state": "joining", "what": "wifi", "ssid": "Home"}
JOINED = JOINING | {"state": "joined", "address": "127.0.0.9"}
UNPAIRED = (200, INFO | {"state": "pairing"}, {})
READY = (200, INFO, {})


def failed(reason, what="wifi"):
    return JOINING | {"state": "failed", "reason": reason, "what": what}


def boxed(*later, **changes):
    """Answers of a device that was never paired, and what GET /v1/pairing says in turn, first before the attempt."""
    answers = device(**{"info": UNPAIRED, "pairing": [(200, p, {}) for p in (IDLE, *later)]} | changes)
    answers[("GET", "/v1/pairing/networks")] = (200, {"networks": NETWORKS, "scanned_s": 20}, {})
    answers[("POST", "/v1/pairing")] = (202, JOINING, {})
    answers[("DELETE", "/v1/pairing")] = (202, IDLE, {})
    return answers


@pytest.fixture
def tech(tmp_path, monkeypatch):
    monkeypatch.setattr(pairing, "EVERY_S", 0.05)
    monkeypatch.setattr(pairing, "SILENT_S", 0.4)
    monkeypatch.setattr(pairing, "GRACE_S", 0.3)
    monkeypatch.setattr(pairing, "local_name", lambda _system: "127.0.0.2")
    keyboard = Keyboard(tmp_path, LATCHKEY_WIFI_PASSPHRASE=PASSPHRASE)
    keyboard.secrets.append(PASSPHRASE)
    keep(keyboard)
    yield keyboard
    assert keyboard.spilt() == []


def pair(tech, stub, *words, **more):
    return tech.run("pair", stub.url, "--ssid", "Home", "--wait", 3, *words, **more)


def asking(stub):
    return f"latchkey pair --status {stub.url} (with this machine on the device's access point)"


def sent(stub, method="POST"):
    return [json.loads(body) for m, path, _, body in stub.requests if m == method and path == "/v1/pairing"]


def test_a_device_is_paired_and_told_where_to_find_it(tech):
    with Stub(boxed(JOINING, JOINED)) as stub:
        done = pair(tech, stub, "--name", "Cellar light", "--broker", "mqtt.example.org:8884")
    assert done.status == 0, done
    assert "Yes: the device is in the network Home." in done.out
    assert f"http://{NAME}" in done.out and "127.0.0.9" in done.out
    steps = [f"device {stub.url}: Cellar light", "token mine: its signature cannot be checked", "is joining Home"]
    assert all(step in done.err for step in steps)
    assert sent(stub) == [
        {
            "wifi": {"ssid": "Home", "passphrase": PASSPHRASE},
            "name": "Cellar light",
            "broker": {"host": "mqtt.example.org", "port": 8884},
        }
    ]


def test_for_scripts_the_end_is_data(tech):
    with Stub(boxed(JOINED)) as stub:
        done = pair(tech, stub, "--json")
        told = json.loads(done.out)
    expected = {"state": "joined", "reason": "", "happened": None, "todo": None, "ssid": "Home", "host": NAME}
    assert told == expected | {"address": "127.0.0.9", "seen_at": stub.url, "system_uuid": SYSTEM}


REASONS = [*advice.PAIRING_REASONS, "dns", "cert_wrong_ca", "broker_refused", "from_next_year"]


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_told_with_what_to_do(tech, reason):
    happened, todo = advice.pairing_advice(reason)
    with Stub(boxed(JOINING, failed(reason))) as stub:
        done = pair(tech, stub)
        assert done.status == 1 and not done.out
        assert f"the attempt failed: {happened}. What to do: {todo}.\n" in done.err
    with Stub(boxed(failed(reason))) as stub:
        told = json.loads(pair(tech, stub, "--json").out)
        assert (told["state"], told["reason"], told["todo"]) == ("failed", reason, todo)


def test_what_a_device_says_reaches_no_terminal_raw(tech):
    with Stub(boxed(failed("\x1b[2Jevil"))) as stub:
        assert "\x1b" not in pair(tech, stub).err


@pytest.mark.parametrize("there", ["127.0.0.2", "127.0.0.9"], ids=["by its name", "at the address it reported"])
def test_it_is_found_again_where_it_went(tech, there):
    stub = Stub(boxed(JOINING | {"address": "127.0.0.9"}))

    def move():
        while not sent(stub):
            time.sleep(0.02)
        time.sleep(0.3)
        stub.close()
        with Stub({("GET", "/v1/info"): READY, **boxed(JOINED)}, at=(there, stub.port)) as moved:
            moved.answers[("GET", "/v1/pairing")] = (200, JOINED, {})
            ended.wait(10)

    ended = threading.Event()
    mover = threading.Thread(target=move)
    mover.start()
    done = pair(tech, stub, "--wait", 10, "--json")
    ended.set()
    mover.join()
    assert done.status == 0, done
    assert json.loads(done.out)["seen_at"] == f"http://{there}:{stub.port}"


def test_in_its_network_plain_http_may_not_ask_and_being_there_is_enough_for_one_that_was_in_none(tech):
    with Stub(boxed(JOINING)) as stub:
        capped = device(info=READY, pairing=refusal(403, "plain_http"))
        with Stub(capped, at=("127.0.0.2", stub.port)):
            done = pair(tech, stub)
            assert done.status == 0 and "Yes" in done.out and "127.0.0.2" in done.out
        # A place that may answer is better.
        with Stub(capped, at=("127.0.0.2", stub.port)):
            stub.answers[("GET", "/v1/pairing")] = [(200, JOINING, {})] * 2 + [(200, JOINED, {})]
            assert "127.0.0.9" in pair(tech, stub).out
        stub.answers[("GET", "/v1/pairing")] = (200, JOINING, {})
        capped[("GET", "/v1/info")] = UNPAIRED  # joined, not kept yet
        with Stub(capped, at=("127.0.0.2", stub.port)):
            assert pair(tech, stub).status == 1
    again = boxed(JOINING, info=READY)
    with Stub(again) as stub, Stub(device(info=READY, pairing=refusal(403, "plain_http")), ("127.0.0.2", stub.port)):
        done = pair(tech, stub)
        assert done.status == 1 and "does not tell over plain HTTP" in done.err


def test_another_system_that_answers_there_is_told_and_sent_no_token(tech):
    stranger = (200, INFO | {"system_uuid": OTHER_SYSTEM}, {})
    with Stub(boxed(JOINING)) as stub, Stub(boxed(JOINED, info=stranger), ("127.0.0.2", stub.port)) as other:
        done = pair(tech, stub)
    assert done.status == 1 and other.requests and other.tokens() == []
    assert f"another System ({OTHER_SYSTEM}) answers at http://127.0.0.2:{stub.port}; it is sent no token" in done.err
    assert f"still running. What to do: ask later: {asking(stub)}.\n" in done.err


def test_a_laptop_that_is_left_behind_is_told_what_to_do(tech):
    with Stub(boxed(JOINING)) as stub:
        post = stub.answers[("POST", "/v1/pairing")]

        def leave(_request):
            threading.Timer(0.2, stub.close).start()
            return post

        stub.answers[("POST", "/v1/pairing")] = leave
        done = pair(tech, stub)
    assert done.status == 1
    assert "nothing answers; is this machine still in the device's network, or in Home?" in done.err
    assert "it may have joined Home, and this machine has not" in done.err
    assert f"ask: {asking(stub)}; where that is gone, join Home and look: latchkey device find.\n" in done.err


TORN = (202, b"{", {"Content-Length": "500", "Connection": "close"})


def test_an_answer_that_is_lost_leaves_the_question_whether_it_got_there(tech):
    answers = boxed(JOINING, JOINED)
    answers[("POST", "/v1/pairing")] = TORN
    with Stub(answers) as stub:
        done = pair(tech, stub)
        assert done.status == 0 and "answer was lost" in done.err
    old = failed("wifi_not_found")
    never = boxed()
    never[("GET", "/v1/pairing")] = (200, old, {})
    never[("POST", "/v1/pairing")] = TORN
    with Stub(never) as stub:
        done = pair(tech, stub)
        assert done.status == 1 and "it never got it" in done.err and "run it again" in done.err


def test_connections_that_break_and_answers_that_never_come_are_lived_through(tech):
    torn = (200, b"{", {"Content-Length": "500", "Connection": "close"})
    answers = boxed()
    busy = refusal(503, "full_house", Retry_After="5")
    answers[("GET", "/v1/pairing")] = [(200, IDLE, {}), torn, busy, (200, JOINING, {}), torn, (200, JOINED, {})]
    with Stub(answers) as stub:
        begun = time.monotonic()
        assert pair(tech, stub).status == 0
        assert time.monotonic() - begun < 3


def test_a_name_look_up_that_hangs_holds_up_nothing(tech, monkeypatch):
    look_up, hung, ended = socket.getaddrinfo, [], threading.Event()

    def hang(host, *more, **others):
        if "latchkey-hangs" in str(host):
            hung.append(host)
            ended.wait(20)
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return look_up(host, *more, **others)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(pairing, "local_name", lambda _system: "latchkey-hangs.local")
    with Stub(boxed(JOINING, JOINING, JOINED)) as stub:
        begun = time.monotonic()
        assert pair(tech, stub).status == 0
        assert hung and time.monotonic() - begun < 3
    ended.set()


def test_a_token_that_is_withdrawn_meanwhile_ends_the_wait(tech):
    answers = boxed()
    answers[("GET", "/v1/pairing")] = [(200, IDLE, {}), refusal(401, "revoked")]
    with Stub(answers) as stub:
        done = pair(tech, stub)
        assert done.status == 1 and "401 revoked" in done.err


def test_a_token_that_may_not_configure_is_refused_before_anything_is_asked(tech):
    weak = device(permissions=("read", "control"))[("GET", "/v1/whoami")]
    with Stub(boxed(whoami=weak)) as stub:
        done = pair(tech, stub)
    assert done.status == 1 and "The token mine may read, control here; this needs one that may configure" in done.err
    assert {path for _, path, *_ in stub.requests} == {"/v1/info", "/v1/whoami"}


def test_the_next_token_that_fits_is_tried(tech):
    better = keep(tech, "older", made_s_ago=500)
    opens, weak = device()[("GET", "/v1/whoami")], device(permissions=("read",))[("GET", "/v1/whoami")]

    def whoami(request):
        return opens if request[2].get("authorization") == f"Bearer {better}" else weak

    with Stub(boxed(JOINED, whoami=whoami)) as stub:
        done = pair(tech, stub)
    assert done.status == 0 and "trying older" in done.err
    assert stub.tokens()[-1] == better


def test_the_cap_on_plain_http_is_told_before_anything_is_asked(tech):
    with Stub(boxed(pairing=refusal(403, "plain_http"))) as stub:
        done = pair(tech, stub)
    assert done.status == 1 and "plain_http" in done.err and local_api.todo_of("plain_http") in done.err
    assert not sent(stub)


def test_a_token_is_looked_at_here_first(tech):
    with Stub(boxed(JOINED)) as stub:
        tech.ok("token", "import", "-", "--name", "office", given=json.dumps(key_set()))
        assert "token mine: its signature is good by the key set office; it ends in" in pair(tech, stub).err
        forged = make_token()
        forged = forged[:-8] + ("AAAAAAAA" if forged[-8:] != "AAAAAAAA" else "BBBBBBBB")
        tech.secrets.append(forged.split(".")[2])
        done = pair(tech, stub, LATCHKEY_TOKEN=forged)
        assert "its signature is bad by the key sets kept here" in done.err
        stub.answers[("GET", "/v1/whoami")] = refusal(401, "bad_signature")
        assert "401 bad_signature" in pair(tech, stub, LATCHKEY_TOKEN=forged).err


def test_codes_of_pairing_are_told_with_what_to_do(tech):
    for status, code in ((403, "presence_needed"), (409, "attempt_running"), (507, "not_stored"), (403, "serial_only")):
        with Stub(boxed() | {("POST", "/v1/pairing"): refusal(status, code)}) as stub:
            done = pair(tech, stub)
            assert done.status == 1 and f"{status} {code}" in done.err and local_api.todo_of(code) in done.err


def test_a_wired_board_is_told_to_be_one(tech):
    answers = boxed()
    del answers[("GET", "/v1/pairing/networks")]
    answers[("DELETE", "/v1/pairing")] = refusal(405, "method_not_allowed")
    with Stub(answers) as stub:
        assert "has no Wi-Fi" in pair(tech, stub).err and not sent(stub)
        assert "has no Wi-Fi" in tech.run("pair", stub.url, "--leave", "--yes").err


def test_the_passphrase_comes_from_file_environment_or_input_and_never_from_argv(tech, tmp_path):
    file = tmp_path / "passphrase"
    file.write_text("another planted one\n")
    tech.secrets.append("another planted one")
    with Stub(boxed(JOINED)) as stub:
        assert "others can read" in pair(tech, stub, "--passphrase-file", file).err
        file.chmod(0o600)
        assert "others can read" not in pair(tech, stub, "--passphrase-file", file).err
        assert pair(tech, stub, "--passphrase-file", "-", given="third planted one\n").status == 0
        assert pair(tech, stub).status == 0
        given = [body["wifi"]["passphrase"] for body in sent(stub)]
        assert given == ["another planted one"] * 2 + ["third planted one", PASSPHRASE]
        wrong = pair(tech, stub, "--passphrase-file", "mistaken for a file")
        assert wrong.status == 2 and "never the passphrase itself" in wrong.err and "mistaken" not in wrong.err
        file.write_bytes("Käfer im Keller".encode("latin-1"))
        wrong = pair(tech, stub, "--passphrase-file", file)
        assert wrong.status == 2 and "8 to 63" in wrong.err and "0xe4" not in wrong.err
        argv = pair(tech, stub, "--passphrase", "hunter2hunter2")
        assert argv.status == 3 and "hunter2" not in argv.err and "--passphrase-file" in argv.err


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_passphrase_is_taken_from_a_file_with_a_byte_order_mark_and_from_a_pipe(tech, tmp_path, encoding):
    with Stub(boxed(JOINED)) as stub:
        data = "fourth planted one\r\n".encode(encoding)
        (tmp_path / "passphrase").write_bytes(data)
        assert pair(tech, stub, "--passphrase-file", tmp_path / "passphrase").status == 0
        os.mkfifo(tmp_path / "pipe")
        threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,), daemon=True).start()
        done = pair(tech, stub, "--passphrase-file", tmp_path / "pipe")
        assert done.status == 0 and "chmod" not in done.err
        assert [body["wifi"]["passphrase"] for body in sent(stub)] == ["fourth planted one"] * 2


@pytest.mark.parametrize("text", ["short", "x" * 64, "gr\u00fc\u00dfe aus dem keller", "tab\tand more"])
def test_a_passphrase_that_can_be_none_is_refused_before_anybody_is_asked(tech, text):
    tech.secrets.append(text)
    with Stub(boxed(JOINED)) as stub:
        done = pair(tech, stub, LATCHKEY_WIFI_PASSPHRASE=text)
        assert done.status == 2 and "8 to 63" in done.err and not stub.requests


def test_a_network_without_a_passphrase_has_to_be_meant(tech):
    with Stub(boxed(JOINED | {"ssid": "Guests"})) as stub:
        words = ["pair", stub.url, "--ssid", "Guests", "--wait", "3"]
        done = tech.run(*words)
        assert done.status == 2 and "to join it all the same, give --open" in done.err and not sent(stub)
        assert tech.run(*words, "--open").status == 0
        assert sent(stub) == [{"wifi": {"ssid": "Guests"}}]
        assert "needs a passphrase" in pair(tech, stub, "--open").err
        assert "not both" in pair(tech, stub, "--open", "--passphrase-file", "x").err
    with Stub(boxed(JOINED | {"ssid": "Hidden"})) as stub:
        done = tech.run("pair", stub.url, "--ssid", "Hidden", "--wait", "3")
        assert done.status == 0 and "did not see Hidden" in done.err


def test_without_a_terminal_nothing_is_asked(tech):
    del tech.env["LATCHKEY_WIFI_PASSPHRASE"]
    with Stub(boxed(JOINED)) as stub:
        done = tech.run("pair", stub.url)
        assert done.status == 2 and "--ssid" in done.err and "Home, Guests" in done.err
        done = pair(tech, stub)
        assert done.status == 2 and "--passphrase-file" in done.err and not sent(stub)


def test_wrong_words_are_told(tech):
    with Stub(boxed(JOINED)) as stub:
        both = ["--passphrase-file", "-", "--token-file", "-"]
        for words in (["--broker", "a:b"], ["--broker", "a b:8883"], ["--status"], ["--leave", "--status"], both):
            done = pair(tech, stub, *words)
            assert done.status == 2 and done.err.count("\n") == 1 and not stub.requests, words


def test_at_a_terminal_network_and_passphrase_are_asked_for(tech):
    del tech.env["LATCHKEY_WIFI_PASSPHRASE"]
    with Stub(boxed(JOINING, JOINED)) as stub:
        with tech.terminal("pair", stub.url, "--wait", 20) as screen:
            screen.expect("Home.*strong.*Guests.*open to everyone")
            screen.expect("Number or name of the network")
            screen.sendline("7")
            screen.expect("7 is not in the list")
            screen.expect("Number or name of the network")
            screen.sendline("1")
            screen.expect("Passphrase of Home .not shown.")
            screen.sendline(PASSPHRASE)
            screen.expect("the device is joining Home")
            screen.expect("Yes.*the device is in the network Home")
        assert screen.exitstatus == 0 and sent(stub)[0]["wifi"] == {"ssid": "Home", "passphrase": PASSPHRASE}


def test_what_is_typed_before_its_question_is_neither_shown_nor_an_answer(tech):
    del tech.env["LATCHKEY_WIFI_PASSPHRASE"]
    looked, typed = threading.Event(), threading.Event()

    def networks(request):
        looked.set()
        assert typed.wait(20)
        return 200, {"networks": NETWORKS}, {}

    answers = boxed(JOINED) | {("GET", "/v1/pairing/networks"): networks}
    with Stub(answers) as stub, tech.terminal("pair", stub.url, "--ssid", "Home", "--wait", 20) as screen:
        assert looked.wait(20)
        screen.sendline("typed too early")
        time.sleep(0.1)
        typed.set()
        screen.expect("Passphrase of Home .not shown.")
        screen.sendline(PASSPHRASE)
        screen.expect("the device is joining Home: up to 2 minutes")
        screen.expect("Yes.*the device is in the network Home")
    assert "typed too early" not in tech.seen[-1] and sent(stub)[0]["wifi"]["passphrase"] == PASSPHRASE


def test_a_key_such_as_home_is_not_the_name_of_a_network(tech):
    tech.env["LATCHKEY_WIFI_PASSPHRASE"] = PASSPHRASE
    with Stub(boxed(JOINED)) as stub, tech.terminal("pair", stub.url, "--wait", 20) as screen:
        screen.expect("Number or name of the network")
        screen.sendline("\x1b[1~")
        screen.expect("is not in the list")
        screen.expect("Number or name of the network")
        screen.sendline("Home")
        screen.expect("Yes.*the device is in the network Home")


def test_a_network_whose_name_is_a_number_is_not_another_s_row(tech):
    networks = [NETWORKS[0], NETWORKS[0] | {"ssid": "1"}, NETWORKS[0] | {"ssid": "3"}, NETWORKS[1]]
    rows = {number: network["ssid"] for number, network in pair_commands._numbered(networks).items()}
    assert rows == {"2": "Home", "4": "1", "5": "3", "6": "Guests"}
    for typed, ssid in (("1", "1"), ("2", "Home"), ("4", "1")):
        answers = boxed(JOINED | {"ssid": ssid})
        answers[("GET", "/v1/pairing/networks")] = (200, {"networks": networks}, {})
        with Stub(answers) as stub:
            with tech.terminal("pair", stub.url, "--wait", 20) as screen:
                screen.expect("2 +Home.*4 +1 ")
                screen.sendline(typed)
            assert sent(stub)[0]["wifi"]["ssid"] == ssid and screen.exitstatus == 0


def test_after_a_wrong_passphrase_another_one_can_be_typed(tech):
    wrong = failed("wifi_wrong_passphrase")
    with Stub(boxed(JOINING, wrong, wrong, JOINING, JOINED)) as stub:
        with tech.terminal("pair", stub.url, "--ssid", "Home", "--wait", 20, size=(40, 200)) as screen:
            screen.expect(
                "the attempt failed: the network refuses the passphrase, three times. What to do: type it again"
            )
            screen.expect("Passphrase of Home .not shown.")
            screen.sendline("the right one, planted")
            screen.expect("Yes.*the device is in the network Home")
        assert screen.exitstatus == 0
        assert [body["wifi"]["passphrase"] for body in sent(stub)] == [PASSPHRASE, "the right one, planted"]
    with Stub(boxed(JOINING, wrong)) as stub:
        with tech.terminal("pair", stub.url, "--ssid", "Home", "--wait", 20) as screen:
            screen.expect("Passphrase of Home .not shown.")
            screen.sendeof()
        assert screen.exitstatus == 1 and len(sent(stub)) == 1


def test_a_passphrase_that_can_be_none_is_asked_for_again_at_most_twice(tech):
    del tech.env["LATCHKEY_WIFI_PASSPHRASE"]
    with Stub(boxed(JOINED)) as stub:
        for typed, status in ((["short", "longer, and right"], 0), (["short"] * 3, 1)):
            with tech.terminal("pair", stub.url, "--ssid", "Home", "--wait", 20) as screen:
                for text in typed:
                    screen.expect("Passphrase of Home .not shown.")
                    screen.sendline(text)
            assert screen.exitstatus == status and "8 to 63 printable" in tech.seen[-1]
        assert [body["wifi"]["passphrase"] for body in sent(stub)] == ["longer, and right"]


def test_ctrl_c_at_a_question_ends_it_with_nothing_asked_for(tech):
    del tech.env["LATCHKEY_WIFI_PASSPHRASE"]
    with Stub(boxed(JOINED)) as stub:
        for words, question in (
            ([], "Number or name"),
            (["--ssid", "Home"], "Passphrase of Home"),
            (["--leave"], "Make the device leave its network"),
        ):
            with tech.terminal("pair", stub.url, *words) as screen:
                screen.expect(question)
                tech.interrupt(screen)
            assert screen.exitstatus == 130 and not sent(stub) and not sent_deletes(stub)
            assert tech.seen[-1].endswith("\n")


def test_ctrl_c_while_it_waits_says_that_the_device_goes_on_and_how_to_ask(tech):
    with Stub(boxed(JOINING)) as stub:
        with tech.terminal("pair", stub.url, "--ssid", "Home", size=(40, 200)) as screen:
            screen.expect("the device is joining Home")
            screen.sendintr()
            screen.expect("the device continues; to see how it ended: latchkey pair --status http://127.0.0.1")
        assert screen.exitstatus == 130


def test_by_https_the_question_needs_no_access_point():
    assert pairing.how_to_ask("https://cellar.local") == "latchkey pair --status https://cellar.local"
    assert pairing.how_to_ask("192.168.4.1").endswith("192.168.4.1 (with this machine on the device's access point)")


def test_status_tells_how_it_ended(tech):
    with Stub(boxed()) as stub:
        ask = ["pair", stub.url, "--status"]
        for answer, words in (
            (IDLE, ["nothing was tried yet", "closes in 11 minutes", "somebody, for 10 minutes"]),
            (JOINED, ["the network was kept", "127.0.0.9", f"http://{NAME}"]),
            (JOINING | {"access_point_s": 0, "presence_s": 0}, ["is being tried", "closed", "nobody"]),
        ):
            stub.answers[("GET", "/v1/pairing")] = (200, answer, {})
            told = tech.ok(*ask)
            assert all(word in told for word in words), told
            assert tech.data(*ask)["state"] == answer["state"]
        stub.answers[("GET", "/v1/pairing")] = (200, failed("dns", "cloud"), {})
        done = tech.run(*ask)
        assert done.status == 1 and "the broker failed" in done.out and advice.pairing_advice("dns")[1] in done.err


def test_status_over_plain_http_from_the_network_tells_what_can_be_seen(tech):
    with Stub(device(pairing=refusal(403, "plain_http"))) as stub:
        done = tech.run("pair", stub.url, "--status")
        assert done.status == 0 and "the device answers at" in done.err and "access point or HTTPS" in done.err
        assert tech.data("pair", stub.url, "--status")["info"]["state"] == "ready"


def test_leaving_is_asked_for_and_told(tech):
    with Stub(boxed()) as stub:
        done = tech.run("pair", stub.url, "--leave", given="y\n")
        assert done.status == 2 and "give --yes" in done.err and not sent_deletes(stub)
        done = tech.run("pair", stub.url, "--leave", "--yes")
        assert done.status == 0 and "opens its access point" in done.err and sent_deletes(stub) == 1
        stub.answers[("DELETE", "/v1/pairing")] = refusal(409, "no_access_point")
        done = tech.run("pair", stub.url, "--leave", "--yes")
        assert done.status == 1 and advice.advice("no_access_point") in done.err


def sent_deletes(stub):
    return len([1 for method, *_ in stub.requests if method == "DELETE"])


def test_calls_come_from_the_address_that_is_chosen(tech):
    with Stub(boxed(JOINED)) as stub:
        assert pair(tech, stub, LATCHKEY_SOURCE="127.0.0.5").status == 0
        assert set(stub.peers) == {"127.0.0.5"}
        done = tech.run("device", "state", stub.url, LATCHKEY_SOURCE="127.0.0.6, 127.0.0.7")
        assert done.status == 0 and stub.peers[-1] == "127.0.0.6"
        wrong = tech.run("device", "state", stub.url, LATCHKEY_SOURCE="192.0.2.77")
        assert wrong.status == 1 and "no address 192.0.2.77" in wrong.err
        assert "neither an IP address" in tech.run("device", "state", stub.url, LATCHKEY_SOURCE="eth0").err


def test_the_access_point_is_asked_if_no_host_is_given():
    assert local_api.ACCESS_POINT == pair_commands.pair.__defaults__[0] == "192.168.4.1"


def test_nothing_of_it_is_left_in_files(tech):
    with Stub(boxed(JOINED)) as stub:
        assert pair(tech, stub).status == 0
    holders = [p for p in tech.folder.rglob("*") if p.is_file() and PASSPHRASE in p.read_text()]
    assert holders == [] and tech.open_files() == []
