"""`latchkey token renew`: a new token before the old one ends; the old one stays until the device accepts the new."""

import json
import threading

import pytest
import technician
from technician import (
    MAINTAINER,
    OTHER_SYSTEM,
    SYSTEM,
    Keyboard,
    Stub,
    asked,
    device,
    keep,
    make_token,
    refusal,
    token_asked,
)

from latchkey_tools.cli import renew_commands
from latchkey_tools.device import wallet
from latchkey_tools.sim import signing

API_KEY = "planted-cloud-key-0123456789abcdef"
DAY_S = 86400
MARIE = {"sub": signing.new_uuid()}


@pytest.fixture
def tech(tmp_path, monkeypatch):
    """Devices of this test alone are looked for: those of --host."""
    ask = renew_commands.ask_all
    monkeypatch.setattr(renew_commands, "ask_all", lambda places: ask([p for p in places if "127.0.0.1" in p]))
    keyboard = Keyboard(tmp_path, LATCHKEY_CLOUD_KEY=API_KEY)
    keyboard.secrets.append(API_KEY)
    return keyboard


def hold(tech, name, system=SYSTEM, lasts_s=DAY_S, made_s_ago=29 * DAY_S, **changes):
    """A token in the wallet that was made for 30 days by default; its uuid."""
    how = {"system": system, "lasts_s": lasts_s + made_s_ago, "made_s_ago": made_s_ago}
    token = keep(tech, name, **(how | MARIE | changes))
    return wallet.claims_of(token)["jti"]


def mutation(request, **changes):
    return token_asked(request, **(MARIE | changes))


def cloud(answer=mutation):
    return technician.cloud(answer)


def renew(tech, stub, *words, **more):
    """(exit status, {System: result}) of a run as cron makes it."""
    done = tech.run("token", "renew", "--endpoint", stub.url + "/graphql", *words, "--json", **more)
    return done.status, {result["system"]: result for result in json.loads(done.out or "[]")}


def names(tech):
    return [entry["name"] for entry in tech.data("token", "list")]


def test_a_device_that_accepts_the_new_token_ends_the_old_one_which_is_named(tech):
    old = hold(tech, "cellar")
    with cloud() as stub, Stub(device()) as bulb:
        words = ("--endpoint", stub.url + "/graphql", "--host", bulb.url)
        done = tech.run("token", "renew", "--all", "--before", "14D", *words)
        assert done.status == 0 and "renewed" in done.out and "the device accepts the new token" in done.out
        assert f"cellar ({old}) is removed from the wallet; it ends in 1 day, and stays valid in the cloud" in done.err
        (kept,) = tech.data("token", "list")
        assert kept["name"] == "cellar" and kept["uuid"] != old  # scripts go on with the name
        assert asked(stub.requests[0]) == (SYSTEM, 30 * DAY_S)
        assert [wallet.claims_of(token)["jti"] for token in bulb.tokens()] == [kept["uuid"]]
    assert tech.spilt() == [] and tech.open_files() == []


def test_a_device_that_is_away_is_tried_by_the_next_run_and_until_then_both_tokens_are_kept(tech):
    old = hold(tech, "cellar")
    with cloud() as stub:
        status, results = renew(tech, stub, "--all")
        assert status == 0 and results[SYSTEM]["state"] == "waiting" and results[SYSTEM]["removed"] == []
        assert names(tech) == ["cellar", "cellar-2"] and results[SYSTEM]["kept"][0]["uuid"] == old
        status, results = renew(tech, stub, SYSTEM)
        assert status == 0 and results[SYSTEM]["token"]["name"] == "cellar-2" and len(stub.requests) == 1
        with Stub(device()) as bulb:
            status, results = renew(tech, stub, SYSTEM, "--host", bulb.url)
        assert status == 0 and results[SYSTEM]["removed"][0]["uuid"] == old and len(stub.requests) == 1
    assert names(tech) == ["cellar"]


def test_a_device_that_refuses_the_new_token_keeps_the_old_one_and_says_what_to_do(tech):
    hold(tech, "cellar")
    refusing = device(whoami=refusal(401, "bad_signature"))
    with cloud() as stub, Stub(refusing) as bulb:
        status, results = renew(tech, stub, "--all", "--host", bulb.url, "--drop-old")
        assert status == 1 and results[SYSTEM]["state"] == "refused" and "key rotation" in results[SYSTEM]["todo"]
        assert names(tech) == ["cellar", "cellar-2"]
        for answer in ((503, "full_house"), (401, "unlisted"), (401, "ledger_unknown")):
            refusing[("GET", "/v1/whoami")] = refusal(*answer)
            status, results = renew(tech, stub, "--all", "--host", bulb.url)
            assert status == 0 and results[SYSTEM]["state"] == "waiting" and names(tech) == ["cellar", "cellar-2"]


def test_the_user_may_confirm_for_a_device_that_is_away(tech):
    hold(tech, "cellar")
    with cloud() as stub:
        status, results = renew(tech, stub, "--all", "--drop-old")
        assert status == 0 and results[SYSTEM]["state"] == "renewed" and names(tech) == ["cellar"]
        hold(tech, "attic", OTHER_SYSTEM)
        words = ("token", "renew", OTHER_SYSTEM, "--endpoint", stub.url + "/graphql")
        for typed, left in (("n", ["attic", "attic-2"]), ("y", ["attic"])):
            with tech.terminal(*words, size=(40, 160)) as screen:
                screen.expect("successors of attic yet. Remove the old tokens")
                screen.sendline(typed)
            assert [name for name in names(tech) if name != "cellar"] == left


def test_what_lasts_is_left_alone_and_a_token_that_never_ends_lasts(tech):
    hold(tech, "cellar", lasts_s=20 * DAY_S)
    tech.ok("token", "import", "-", "--name", "attic", given=make_token(OTHER_SYSTEM, None))
    with cloud() as stub:
        status, results = renew(tech, stub, "--all")
        assert status == 0 and {result["state"] for result in results.values()} == {"lasts"} and not stub.requests
        status, results = renew(tech, stub, "--all", "--before", "30D", "--duration", "60D")
    assert [results[system]["state"] for system in (SYSTEM, OTHER_SYSTEM)] == ["waiting", "lasts"]


def test_a_token_that_was_made_short_is_not_made_long_unasked(tech):
    hold(tech, "today", lasts_s=3600, made_s_ago=3600)
    with cloud() as stub:
        status, results = renew(tech, stub, "--all")
        assert status == 1 and "made for 2 hours" in results[SYSTEM]["words"] and not stub.requests
        assert renew(tech, stub, "--all", "--duration", "90D")[0] == 0
    for words in (("--all", "--duration", "2D"), (), ("--all", SYSTEM), ("--all", "--before", "x")):
        assert tech.run("token", "renew", "--endpoint", "https://example.org/graphql", *words).status == 2


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"roles": [{**MAINTAINER, "name": "Guest"}]}, "lacks the role System Maintainer"),
        ({"sub": signing.new_uuid()}, "is another person's"),
        ({"iss": "https://elsewhere.example"}, "has another issuer"),
    ],
    ids="roles subject issuer".split(),
)
def test_a_new_token_that_cannot_stand_in_for_the_old_one_does_not_replace_it(tech, changes, why):
    hold(tech, "cellar")
    with cloud(lambda request: mutation(request, **changes)) as stub, Stub(device()) as bulb:
        status, results = renew(tech, stub, "--all", "--host", bulb.url, "--drop-old")
    assert status == 0 and why in results[SYSTEM]["words"] and names(tech) == ["cellar", "cellar-2"]


def test_a_token_for_two_devices_stays_while_one_of_them_has_a_successor(tech):
    hold(tech, "both", [SYSTEM, OTHER_SYSTEM])
    with cloud() as stub, Stub(device()) as bulb:
        status, results = renew(tech, stub, "--all", "--host", bulb.url)
    assert status == 0 and f"does not open {OTHER_SYSTEM}" in results[SYSTEM]["words"]
    assert names(tech) == ["both", "both-2", "both-3"]


def many(count):
    return [f"{number:08x}-0000-4000-8000-000000000000" for number in range(1, count + 1)]


@pytest.mark.parametrize(
    "failure, rest",
    [
        ((502, b"<html>", {}), "failed"),
        ((401, {}, {}), "failed"),
        ((200, {"errors": [{"message": "no such System"}]}, {}), "waiting"),
    ],
    ids="away key one-System".split(),
)
def test_a_cloud_that_fails_in_the_middle_leaves_what_was_made_and_a_later_run_makes_the_rest(tech, failure, rest):
    systems = many(4)
    for system in systems:
        hold(tech, system[:8], system)
    answers = [mutation, failure, mutation]
    with cloud(lambda request: answer(answers, request)) as stub:
        status, results = renew(tech, stub, "--all")
        assert status == 1
        assert [results[system]["state"] for system in systems] == ["waiting", "failed", rest, rest]
        assert len(stub.requests) == (2 if rest == "failed" else 4)
        status, results = renew(tech, stub, "--all")
    assert status == 0 and {result["state"] for result in results.values()} == {"waiting"}
    assert len(names(tech)) == 8 and tech.spilt() == []


def answer(answers, request):
    """The next of some answers, the last for ever."""
    following = answers.pop(0) if len(answers) > 1 else answers[0]
    return following(request) if callable(following) else following


def test_a_wallet_that_cannot_be_written_ends_it_before_the_cloud_is_asked_and_a_lost_token_is_named(tech):
    systems = many(3)
    for system in systems:
        hold(tech, system[:8], system)
    lost = []

    def damage(request):
        """The wallet cannot be written from the second token on."""
        made = mutation(request)
        if len(stub.requests) == 2:
            (tech.wallet / wallet.FILE_NAME).chmod(0o644)
            lost.append(made[1]["data"]["createLocalApiToken"]["uuid"])
        return made

    with cloud(damage) as stub:
        done = tech.run("token", "renew", "--all", "--endpoint", stub.url + "/graphql")
        assert done.status == 1 and len(stub.requests) == 2
        assert f"the token {lost[0]} was made and is lost" in done.out
        assert "revoke it in the cloud" in done.err and "not tried" in done.out
        assert renew(tech, stub, "--all")[0] == 3 and len(stub.requests) == 2
        (tech.wallet / wallet.FILE_NAME).chmod(0o600)
        assert renew(tech, stub, "--all")[0] == 0
    assert len(names(tech)) == 6


def test_of_two_renewals_at_once_one_makes_the_tokens_and_the_other_says_so(tech):
    hold(tech, "cellar")
    asked, go_on = threading.Event(), threading.Event()

    def slow(request):
        asked.set()
        go_on.wait(20)
        return mutation(request)

    with cloud(slow) as stub:
        words = ("token", "renew", "--all", "--endpoint", stub.url + "/graphql")
        first = threading.Thread(target=lambda: tech.run(*words, apart=True))
        first.start()
        assert asked.wait(20)
        done = tech.run(*words)
        go_on.set()
        first.join()
        assert done.status == 1 and "another renewal runs" in done.err and len(stub.requests) == 1
    assert names(tech) == ["cellar", "cellar-2"]


def test_a_system_without_a_token_is_said_to_have_none(tech):
    with cloud() as stub:
        status, results = renew(tech, stub, SYSTEM)
    assert status == 1 and f"latchkey token create {SYSTEM}" in results[SYSTEM]["todo"] and not stub.requests


def test_a_wallet_of_the_first_version_is_read_and_written_anew(tech):
    token = make_token()
    kept = {"uuid": wallet.claims_of(token)["jti"], "name": "old", "token": token, "added_unix_s": 1}
    tech.wallet.mkdir(mode=0o700)
    file = tech.wallet / wallet.FILE_NAME
    file.touch(0o600)
    file.write_text(json.dumps({"version": 1, "tokens": [kept], "key_sets": {}}))
    assert names(tech) == ["old"] and json.loads(file.read_text())["version"] == 1
    tech.ok("token", "import", "-", "--name", "new", given=make_token())
    assert names(tech) == ["old", "new"] and json.loads(file.read_text())["version"] == 2
