"""`latchkey device update` against a stand-in: it resumes, waits until a release is good, and says why one is not."""

import json
import time

import pytest
import technician
from technician import Keyboard, keep, refusal
from updatable import Bulb, keys_file, release_file

from latchkey_tools.cli import advice
from latchkey_tools.device import update
from latchkey_tools.release import manifest


@pytest.fixture
def tech(tmp_path, monkeypatch):
    monkeypatch.setattr(update, "POLL_S", 0.01)
    monkeypatch.setattr(update, "SETTLES_WITHIN_S", 60)
    keyboard = Keyboard(tmp_path)
    keep(keyboard)
    return keyboard


def send(tech, *words, status=0):
    """{host: result} of a run with --json, and what it said meanwhile."""
    done = tech.run("device", "update", *words, "--json")
    assert done.status == status, done
    assert tech.spilt() == []
    return {result["host"]: result for result in json.loads(done.out)}, done.err


def test_a_release_is_sent_and_waited_for_until_it_is_good(tech, tmp_path):
    path, payload = release_file(tmp_path)
    with Bulb(["gone", "gone", "unproven", "unproven", "good"]) as bulb:
        results, said = send(tech, bulb.url, path)
        assert bulb.received == payload and bulb.puts == [0]
        assert results[bulb.url] == {
            "host": bulb.url,
            "state": "good",
            "words": "it runs 1.2.0",
            "todo": "",
            "reason": None,
        }
        steps = ["sending 1.2.0", "the device checks it", "restarting", "1.2.0 runs, not proven yet", "good"]
        assert said.splitlines() == [f"{bulb.url}: {step}" for step in steps]
        results, _ = send(tech, bulb.url, path)
        assert results[bulb.url]["state"] == "has it" and bulb.puts == [0]
        send(tech, bulb.url, path, "--again")
        assert bulb.puts == [0, 0]


def test_an_upload_that_breaks_off_goes_on_where_it_ended(tech, tmp_path):
    path, payload = release_file(tmp_path)
    with Bulb(breaks=[0, 5000, 5000, 17000]) as bulb:
        results, said = send(tech, bulb.url, path)
        assert bulb.received == payload and bulb.puts == [0, 0, 5000, 5000, 17000]
        assert results[bulb.url]["state"] == "good" and "broke off; trying again" in said


@pytest.mark.parametrize("code", ["no_memory", "timeout", "verify_busy"])
def test_an_upload_that_the_device_ends_for_now_goes_on_too(tech, tmp_path, code):
    path, payload = release_file(tmp_path)
    with Bulb(breaks=[0, 5000]) as bulb:
        bulb.short = code
        results, _ = send(tech, bulb.url, path)
        assert results[bulb.url]["state"] == "good"
        assert bulb.received == payload and bulb.puts == [0, 0, 5000]


def test_a_connection_that_breaks_again_and_again_at_the_same_place_is_given_up(tech, tmp_path):
    path, _ = release_file(tmp_path)
    with Bulb(breaks=[5000] * 9) as bulb:
        results, _ = send(tech, bulb.url, path, status=1)
        assert results[bulb.url]["state"] == "failed" and bulb.puts == [0, 5000, 5000, 5000]


def test_the_next_command_goes_on_where_the_one_before_was_broken_off(tech, tmp_path):
    path, payload = release_file(tmp_path)
    with Bulb() as bulb:
        bulb.go_on.clear()
        with tech.terminal("device", "update", bulb.url, path) as screen:
            assert bulb.progress.wait(20)
            screen.expect("sending 1.2.0")
            screen.sendintr()
            screen.expect("stopped, 0 of 1 done; the same command continues here")
        assert screen.exitstatus == 130
        bulb.go_on.set()
        deadline = time.monotonic() + 20
        while bulb.firmware["upload"]["running"] and time.monotonic() < deadline:
            time.sleep(0.01)
        had = len(bulb.received)
        assert 0 < had < len(payload)
        send(tech, bulb.url, path)
        assert bulb.puts == [0, had] and bulb.received == payload


def test_what_another_release_left_is_not_gone_on_with(tech, tmp_path):
    (first, _), (second, payload) = release_file(tmp_path), release_file(tmp_path, b"y" * 30000, 13, "1.3.0")
    with Bulb(breaks=[5000] * 4) as bulb:
        send(tech, bulb.url, first, status=1)
        results, _ = send(tech, bulb.url, second)
        assert bulb.puts[4:] == [0] and bulb.received == payload and results[bulb.url]["words"] == "it runs 1.3.0"


def test_a_device_that_lost_what_it_had_gets_the_whole_again(tech, tmp_path):
    path, payload = release_file(tmp_path)
    with Bulb(breaks=[5000]) as bulb:
        lost = bulb.take

        def forget(path, *more):
            if path.endswith("=5000"):
                bulb.received = b""
            return lost(path, *more)

        bulb.take = forget
        send(tech, bulb.url, path)
        assert bulb.puts == [0, 5000, 0] and bulb.received == payload


@pytest.mark.parametrize("reason", ["crashed", "not_good"])
def test_a_release_that_went_back_is_reported_with_what_to_do(tech, tmp_path, reason):
    path, _ = release_file(tmp_path)
    with Bulb(["gone", "unproven", "gone", reason]) as bulb:
        results, _ = send(tech, bulb.url, path, status=1)
        result = results[bulb.url]
        assert (result["state"], result["reason"], bulb.puts) == ("went back", reason, [0])
        happened, todo = advice.update_advice(reason)
        assert result["words"].endswith(f"1.2.0 went back to 0.1.0: {happened}") and result["todo"] == todo
        assert "`" not in result["words"] + result["todo"]


def test_a_device_that_was_switched_off_before_its_release_was_good_gets_it_once_more(tech, tmp_path):
    path, _ = release_file(tmp_path)
    with Bulb(["gone", "reset", "gone", "good"]) as bulb:
        results, said = send(tech, bulb.url, path)
        assert results[bulb.url]["state"] == "good" and bulb.puts == [0, 0] and "sending again" in said
    for reason in ("reset", "not_started"):
        with Bulb([reason]) as bulb:
            results, _ = send(tech, bulb.url, path, status=1)
            assert results[bulb.url]["reason"] == reason and bulb.puts == [0, 0]


def test_a_release_that_refuses_the_token_is_waited_for(tech, tmp_path):
    path, _ = release_file(tmp_path)
    with Bulb(["gone", "clock_unset", "unproven", "clock_unset", "not_good"]) as bulb:
        results, said = send(tech, bulb.url, path, status=1)
        assert results[bulb.url]["reason"] == "not_good" and "it answers clock_unset" in said


def test_a_device_that_does_not_come_back_is_given_up_after_a_while(tech, tmp_path, monkeypatch):
    monkeypatch.setattr(update, "SETTLES_WITHIN_S", 0.3)
    path, _ = release_file(tmp_path)
    for phases, words in ((["gone"], "it did not answer"), (["no_keys"], "it answered no_keys")):
        with Bulb(phases) as bulb:
            results, _ = send(tech, bulb.url, path, status=1)
            assert results[bulb.url]["state"] == "failed" and words in results[bulb.url]["words"]
            assert "15 minutes" in results[bulb.url]["todo"]


def test_a_release_that_is_not_proven_yet_is_waited_for_and_not_sent_again(tech, tmp_path):
    path, _ = release_file(tmp_path)
    with Bulb(["unproven", "unproven", "good"]) as bulb:
        bulb.sent = {"version": "1.2.0", "counter": 12}
        results, _ = send(tech, bulb.url, path)
        assert results[bulb.url]["state"] == "has it" and bulb.puts == []
        bulb.sent, bulb.phases = {"version": "1.2.0", "counter": 12}, ["unproven", "crashed"]
        results, _ = send(tech, bulb.url, path, status=1)
        assert results[bulb.url]["reason"] == "crashed" and bulb.puts == []


def test_an_answer_that_was_lost_is_not_taken_for_a_lost_upload(tech, tmp_path):
    path, payload = release_file(tmp_path)
    with Bulb(["gone", "unproven", "good"]) as bulb:
        take = bulb.take
        bulb.take = lambda *more: take(*more) and None
        results, _ = send(tech, bulb.url, path)
        assert results[bulb.url]["state"] == "good" and bulb.puts == [0] and bulb.received == payload


@pytest.mark.parametrize(
    "status, code", [(403, "presence_needed"), (403, "manifest_signature"), (409, "counter_low"), (507, "no_room")]
)
def test_what_the_device_refuses_is_told_with_what_to_do(tech, tmp_path, status, code):
    path, _ = release_file(tmp_path)
    with Bulb(refuse=(status, code)) as bulb:
        results, _ = send(tech, bulb.url, path, status=1)
        assert results[bulb.url]["words"].startswith(f"{code}: ") and bulb.puts == [0]
        assert results[bulb.url]["todo"] == advice.advice(code)


def test_a_token_that_may_not_configure_sends_nothing(tech, tmp_path):
    path, _ = release_file(tmp_path)
    with Bulb(permissions=("read", "control")) as bulb:
        results, _ = send(tech, bulb.url, path, status=1)
        assert results[bulb.url]["words"].startswith("insufficient_scope") and bulb.puts == []


def test_a_device_without_updates_is_said_to_be_one(tech, tmp_path):
    path, _ = release_file(tmp_path)
    with technician.Stub(technician.device()) as stub:
        results, _ = send(tech, stub.url, path, status=1)
        assert results[stub.url]["words"].startswith("not_found")


def test_many_devices_are_done_at_once_and_one_table_tells_of_all(tech, tmp_path):
    path, _ = release_file(tmp_path)
    phases = (["gone", "unproven", "good"], ["gone", "good"], ["crashed"])
    bulbs = [Bulb(one, at=f"127.0.0.{n}") for n, one in enumerate(phases, 1)]
    gone = Bulb(at="127.0.0.9")
    gone.__exit__()
    hosts = [bulb.url for bulb in (*bulbs, gone)]
    try:
        done = tech.run("device", "update", *hosts, path)
    finally:
        for bulb in bulbs:
            bulb.__exit__()
    rows = [line.split()[:2] for line in done.out.splitlines() if line.strip().startswith("http")]
    assert done.status == 1
    assert rows == [[hosts[0], "good"], [hosts[1], "good"], [hosts[2], "went"], [hosts[3], "failed"]]
    assert f"{hosts[2]}: {advice.update_advice('crashed')[1]}." in done.err


def test_once_a_release_went_back_on_a_device_no_other_is_begun_unless_told(tech, tmp_path):
    path, _ = release_file(tmp_path)
    for words, states in (((), ["good", "went back", "not begun"]), (("--keep-going",), ["good", "went back", "good"])):
        bulbs = [Bulb(phases, at=f"127.0.0.{n}") for n, phases in enumerate((["good"], ["crashed"], ["good"]), 1)]
        results, _ = send(tech, *(bulb.url for bulb in bulbs), path, "--at-once", 1, *words, status=1)
        assert [results[bulb.url]["state"] for bulb in bulbs] == states
        assert bulbs[2].puts == ([0] if words else [])
        for bulb in bulbs:
            bulb.__exit__()


def test_a_new_release_key_goes_the_same_way_without_a_restart(tech, tmp_path):
    path = tmp_path / "key.latchkey"
    members = {"counter": 5, "n": "AQAB", "e": "AQAB"}
    path.write_bytes(manifest.signed(manifest.RELEASE_KEY, members, lambda _: bytes(256), "RS256"))
    with Bulb() as bulb:
        results, _ = send(tech, bulb.url, path)
        assert results[bulb.url]["words"] == "it has the new release key, counter 5" and bulb.puts == [0]


def test_a_file_for_another_command_or_a_damaged_one_goes_to_no_device(tech, tmp_path):
    path, _ = release_file(tmp_path)
    with Bulb() as bulb:
        assert "give it to `latchkey device update`" in tech.run("device", "keys", bulb.url, path).err
        path.write_bytes(path.read_bytes()[:-1])
        assert "is damaged" in tech.run("device", "update", bulb.url, path).err
        keys = keys_file(tmp_path)
        assert "give it to `latchkey device keys`" in tech.run("device", "update", bulb.url, keys).err
        assert bulb.puts == []


def test_a_key_set_goes_without_a_token(tech, tmp_path):
    path = keys_file(tmp_path)
    answers = technician.device() | {("PUT", "/v1/keys"): [(200, {"keys": 2}, {}), refusal(403, "presence_needed")]}
    with technician.Stub(answers) as stub:
        assert "it has the key set, with 2 keys" in tech.ok("device", "keys", stub.url, path)
        ((headers, body),) = [request[2:] for request in stub.requests if request[0] == "PUT"]
        assert body == path.read_bytes() and "authorization" not in headers
        assert headers["content-type"] == "application/octet-stream"
        done = tech.run("device", "keys", stub.url, path)
        assert done.status == 1 and "press" in done.err and stub.tokens() == []


def test_a_bar_shows_how_far_each_device_is_within_80_columns(tech, tmp_path):
    path, payload = release_file(tmp_path)
    with Bulb() as bulb, Bulb(at="127.0.0.2") as other:
        bulb.go_on.clear()
        with tech.terminal("device", "update", bulb.url, other.url, path) as screen:
            screen.expect("sending 1.2.0")
            assert other.progress.wait(20)
            screen.expect("%")
            bulb.go_on.set()
            screen.expect("what happened", timeout=60)
        assert screen.exitstatus == 0
    assert bulb.received == other.received == payload


def test_what_a_device_says_of_its_version_does_not_drive_the_terminal(tech, tmp_path):
    path, _ = release_file(tmp_path)
    with Bulb(["crashed"]) as bulb:
        bulb.firmware["version"] = "\x1b[31m[bold]x"
        done = tech.run("device", "update", bulb.url, path)
        assert "\x1b" not in done.out + done.err and "[bold]x" in done.out
