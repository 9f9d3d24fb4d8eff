"""`latchkey doctor`: each link of the chain broken in turn, and named."""

import datetime
import ssl
import time

import pytest
import technician
from technician import DIAGNOSTICS, INFO, SYSTEM, Keyboard, Stub, device, keep, key_set, make_token, refusal

from latchkey_tools.cli import advice
from latchkey_tools.device import doctor, local_api
from latchkey_tools.sim import pki


@pytest.fixture
def tech(tmp_path):
    keyboard = Keyboard(tmp_path)
    keep(keyboard)
    return keyboard


def healthy(**changes):
    now = int(time.time())
    facts = DIAGNOSTICS | {"clock": {"trusted": True, "floor_unix_s": now}} | changes
    return (200, facts, {})


def examined(tech, answers, status, **environment):
    """{link: its dict} of what doctor says about a device with these answers."""
    with Stub(answers) as stub:
        done = tech.run("doctor", stub.url, "--json", **environment)
        words = tech.run("doctor", stub.url, **environment).out
    assert done.status == status, done
    links = technician.json.loads(done.out)["links"]
    assert [link["name"] for link in links] == list(doctor.LINKS)
    broken = [link["name"] for link in links if link["verdict"] == "broken"]
    unseen = [link["name"] for link in links if link["verdict"] == "not seen"]
    assert ("No link is broken." in words) is (not broken and not unseen)
    count = f"{len(unseen)} link{'s' * (len(unseen) > 1)} could not be seen: {', '.join(unseen)}."
    assert (f"No link that was seen is broken; {count}" in words) is (not broken and bool(unseen))
    assert (f"Broken: {', '.join(broken)}" in words) is bool(broken)
    assert tech.spilt() == []
    return {link["name"]: link for link in links}


def broken(links):
    return {name: link for name, link in links.items() if link["verdict"] == "broken"}


def test_a_whole_chain_is_said_to_be_whole(tech):
    links = examined(tech, device(diagnostics=healthy()), 0)
    assert [links[name]["verdict"] for name in doctor.LINKS] == ["ok", "weak", *["ok"] * 8]
    assert "Wi-Fi key" in links["TLS"]["seen"]


def test_plain_http_is_not_weak_on_the_device_s_own_access_point(tech):
    with Stub(device(diagnostics=healthy()), at=("127.4.0.1", 0)) as stub:
        links = technician.json.loads(tech.ok("doctor", stub.url, "--json"))["links"]
    assert (links[1]["verdict"], links[1]["todo"]) == ("ok", None) and "access point" in links[1]["seen"]


def test_nobody_there_breaks_the_first_link_and_hides_the_others(tech):
    with Stub({}) as stub:
        gone = stub.url
    done = tech.run("doctor", gone, "--json")
    links = technician.json.loads(done.out)["links"]
    assert done.status == 1 and [link["verdict"] for link in links] == ["broken"] + ["not seen"] * 9


@pytest.mark.parametrize(
    "answers, link, advice",
    [
        ({"info": (200, INFO | {"state": "unprovisioned", "system_uuid": None}, {})}, "provisioned", "unprovisioned"),
        ({"whoami": refusal(503, "no_keys")}, "keys", "no_keys"),
        ({"whoami": refusal(401, "clock_unset")}, "clock", "clock_unset"),
        ({"whoami": refusal(401, "not_yet_valid")}, "clock", "clock_unset"),
        ({"whoami": refusal(401, "wrong_issuer")}, "token", "wrong_issuer"),
        ({"whoami": refusal(403, "no_permission")}, "roles", "no_permission"),
        ({"whoami": refusal(403, "plain_http")}, "TLS", "plain_http"),
        ({"whoami": refusal(421, "wrong_host")}, "reachable", "wrong_host"),
        ({"whoami": refusal(401, "unlisted")}, "cloud link", "unlisted"),
    ],
)
def test_a_broken_link_is_named_with_what_to_do(tech, answers, link, advice):
    found = broken(examined(tech, device(**({"diagnostics": healthy()} | answers)), 1))
    assert list(found) == [link] and found[link]["todo"] == local_api.todo_of(advice)


def test_a_device_that_demands_tls_is_called_at_its_https_port(tech):
    stub = device(diagnostics=healthy(), info=(200, INFO, {"Upgrade": "TLS/1.2, HTTP/1.1"}))
    found = broken(examined(tech, stub, 1))
    assert list(found) == ["TLS"] and "call its HTTPS port: https://127.0.0.1:PORT" in found["TLS"]["todo"]


def test_a_device_without_keys_is_named_with_what_to_do(tech):
    """Its facts have the time of now: made with the other tests they would be old."""
    facts = healthy(keys={"keys": [], "source": "none"})
    found = broken(examined(tech, device(diagnostics=facts), 1))
    assert list(found) == ["keys"] and found["keys"]["todo"] == local_api.todo_of("no_keys")


def test_settings_that_are_lost_are_told_from_a_new_device(tech):
    lost = INFO | {"state": "settings_lost", "system_uuid": None}
    found = broken(examined(tech, device(info=(200, lost, {})), 1))
    assert list(found) == ["provisioned"] and "cannot be read" in found["provisioned"]["seen"]
    assert "provision it again" in found["provisioned"]["todo"]


def test_the_cloud_link_is_broken_while_local_calls_work(tech):
    away = healthy(cloud={"state": "waiting", "reason": "no_wifi", "since": int(time.time()) - 7200})
    link = broken(examined(tech, device(diagnostics=away), 1))["cloud link"]
    assert link["seen"] == "waiting for 2 hours: no network"
    assert link["todo"] == "check the Wi-Fi; the broker is tried as soon as it is back"
    with Stub(device(diagnostics=away)) as stub:
        assert "Local calls work. Broken: cloud link." in tech.run("doctor", stub.url).out


def linked(**dates):
    return healthy(cloud=DIAGNOSTICS["cloud"] | {name: int(time.time()) + days * 86400 for name, days in dates.items()})


@pytest.mark.parametrize(
    "dates, verdict, words, todo",
    [
        ({"cert_not_after": 61, "broker_cert_not_after": 61}, "ok", "", None),
        ({"cert_not_after": 59}, "weak", "this device's certificate ends in 59 days", "latchkey certificate renew"),
        ({"cert_not_after": -2}, "weak", "this device's certificate ended 2 days ago", "latchkey certificate renew"),
        ({"broker_cert_not_after": 59}, "weak", "the broker's certificate ends in 59 days", "who runs the broker"),
        ({"ca_not_after": 59}, "weak", "broker's CA on this device ends in 59 days", "board provision --ca"),
    ],
    ids="later soon over broker ca".split(),
)
def test_certificates_that_end_soon_are_told_with_what_to_do(tech, dates, verdict, words, todo):
    link = examined(tech, device(diagnostics=linked(**dates)), 0)["cloud link"]
    assert link["verdict"] == verdict and words in link["seen"] and (todo or "") in (link["todo"] or "")


@pytest.mark.parametrize("days, told", [(61, False), (59, True)])
def test_the_end_of_the_certificate_for_https_is_told_over_plain_http_too(tech, days, told):
    facts = healthy(https_cert_not_after=int(time.time()) + days * 86400)
    link = examined(tech, device(diagnostics=facts), 0)["TLS"]
    assert ("the device's certificate for HTTPS ends in 59 days" in link["seen"]) is told
    assert ("latchkey certificate renew --https" in (link["todo"] or "")) is told


def test_a_certificate_that_the_broker_refuses_since_it_ended_is_broken_and_says_so(tech):
    cloud = {"state": "waiting", "reason": "cert_refused", "cert_not_after": int(time.time()) - 86400}
    link = broken(examined(tech, device(diagnostics=healthy(cloud=cloud)), 1))["cloud link"]
    assert "ended 1 day ago" in link["seen"] and "latchkey certificate renew" in link["todo"]


@pytest.mark.parametrize("days, verdict", [(61, "ok"), (59, "weak")])
def test_the_certificate_of_https_and_its_authority_are_watched(tech, tmp_path, days, verdict):
    certs = pki.make(tmp_path / "pki")
    name, now = f"latchkey-{SYSTEM[:8]}.local", datetime.datetime.now(datetime.UTC)
    identity = pki.server(tmp_path / "pki", certs.ca, "api", [name], now + datetime.timedelta(days=days, hours=1))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert_pem, identity.key_pem)
    with Stub(device(diagnostics=healthy())) as stub:
        stub.serve_tls(context)
        url = f"https://127.0.0.1:{stub.port}"
        links = technician.json.loads(tech.ok("doctor", url, "--ca", certs.ca.cert_pem, "--json"))["links"]
    assert links[1]["name"] == "TLS" and links[1]["verdict"] == verdict
    assert ("ends in 59 days" in links[1]["seen"]) is (verdict == "weak")
    assert ("certificate renew --https" in (links[1]["todo"] or "")) is (verdict == "weak")


def test_a_signature_that_is_good_here_points_at_the_device_s_keys(tech, tmp_path):
    answers = device(whoami=refusal(401, "bad_signature"))
    assert list(broken(examined(tech, answers, 1))) == ["token"]
    tech.ok("token", "import", "-", given=technician.json.dumps(key_set()))
    assert list(broken(examined(tech, answers, 1))) == ["keys"]


def test_a_revoked_token_may_have_been_dropped_by_an_old_list(tech):
    link = broken(examined(tech, device(whoami=refusal(401, "revoked")), 1))["token"]
    assert "mine" in link["seen"] and "old list" in link["todo"]


def test_an_expired_token_is_to_blame_unless_it_lives_here(tech):
    answers = device(whoami=refusal(401, "expired"))
    links = examined(tech, answers, 1)
    assert list(broken(links)) == ["token"] and links["clock"]["verdict"] == "weak"
    links = examined(tech, answers, 1, LATCHKEY_TOKEN=make_token(made_s_ago=90000))
    assert list(broken(links)) == ["token"] and links["clock"]["verdict"] == "not seen"


def test_no_token_at_all_is_a_broken_link_with_the_command_that_makes_one(tmp_path):
    link = broken(examined(Keyboard(tmp_path / "empty"), device(), 1))["token"]
    assert link["todo"] == f"latchkey token create {SYSTEM}; without internet: latchkey token import FILE"


def test_a_second_token_that_opens_makes_the_link_whole(tech):
    good = make_token(made_s_ago=500)
    tech.ok("token", "import", "-", "--name", "older", given=good)
    opens = device()[("GET", "/v1/whoami")]

    def answer(request):
        return opens if request[2].get("authorization") == f"Bearer {good}" else refusal(401, "revoked")

    links = examined(tech, device(whoami=answer, diagnostics=healthy()), 0)
    opened, refused = links["token"]["seen"].split("\n")
    assert "older: opens" in opened and refused.startswith("mine: revoked: ")


def test_each_token_tried_has_a_line_and_an_expired_one_is_not_the_verdict(tech):
    old, older = make_token(made_s_ago=90000), make_token(made_s_ago=95000)
    tech.ok("token", "import", "-", "--name", "old", given=old)
    tech.ok("token", "import", "-", "--name", "older", given=older)

    def answer(request):
        ended = request[2].get("authorization", "").removeprefix("Bearer ") in (old, older)
        return refusal(401, "expired" if ended else "revoked")

    link = broken(examined(tech, device(whoami=answer), 1))["token"]
    named = [line.split(": ")[:2] for line in link["seen"].split("\n")]
    assert named == [["mine", "revoked"], ["old", "expired"], ["older", "expired"]] and "old list" in link["todo"]
    with Stub(device(whoami=answer)) as stub:
        shown = tech.run("doctor", stub.url).out.splitlines()
        assert sum(": expired: " in line for line in shown) == 2


def test_the_error_of_a_call_is_that_of_the_token_that_lives(tech):
    tech.ok("token", "import", "-", "--name", "old", given=make_token(made_s_ago=90000))
    codes = iter(["revoked", "expired"])
    answers = device(state=lambda _request: refusal(401, next(codes)))
    with Stub(answers) as stub:
        done = tech.run("device", "state", stub.url)
    assert done.status == 1 and "latchkey: 401 revoked" in done.err
    assert "mine is refused (revoked); trying old" in done.err and "old is refused (expired)\n" in done.err


def test_tokens_that_wait_for_a_list_are_named_though_another_link_is_to_blame(tech):
    tech.ok("token", "import", "-", "--name", "old", given=make_token(made_s_ago=90000))
    codes = iter(["unlisted", "expired"] * 2)
    links = examined(tech, device(whoami=lambda _request: refusal(401, next(codes))), 1)
    assert list(broken(links)) == ["cloud link"]
    assert links["token"]["verdict"] == "not seen" and len(links["token"]["seen"].split("\n")) == 2


def test_on_plain_http_it_is_said_how_to_see_what_was_not_seen(tech):
    capped = device(diagnostics=refusal(403, "plain_http"), pairing=refusal(403, "plain_http"))
    links = examined(tech, capped, 0)
    for name in ("clock", "network", "cloud link"):
        assert links[name]["verdict"] == "not seen" and "plain HTTP" in links[name]["seen"]
        assert "latchkey doctor 192.168.4.1" in links[name]["todo"] and "3 seconds" in links[name]["todo"]
    with Stub(capped) as stub:
        words = tech.run("doctor", stub.url).out
    assert words.count("press its button") == 1 and "clock, network, cloud link: press its button" in words
    assert "3 links could not be seen" in words and "No link is broken" not in words


def test_a_grant_that_says_nothing_of_an_end_is_not_said_to_have_none(tech):
    grant = {name: one for name, one in device()[("GET", "/v1/whoami")][1].items() if name != "exp_unix_s"}
    links = examined(tech, device(whoami=(200, grant, {}), diagnostics=healthy()), 0)
    assert links["token"]["seen"] == "mine: opens"


def test_what_is_about_no_token_is_asked_with_one_alone(tech):
    tech.ok("token", "import", "-", "--name", "older", given=make_token(made_s_ago=500))
    with Stub(device(whoami=refusal(503, "full_house"))) as stub:
        assert tech.run("doctor", stub.url).status == 1 and len(stub.tokens()) == 1


def test_without_configure_what_is_inside_is_not_seen_and_not_guessed(tech):
    links = examined(tech, device(permissions=("read",)), 0)
    assert links["keys"]["verdict"] == "ok"
    for name in ("clock", "cloud link"):
        assert links[name]["verdict"] == "not seen" and "configure" in links[name]["seen"]
    capped = device(diagnostics=refusal(403, "plain_http"))
    assert "plain HTTP" in examined(tech, capped, 0)["cloud link"]["seen"]


def test_a_clock_ahead_is_broken_and_one_that_is_unset_is_weak(tech):
    ahead = healthy(clock={"trusted": True, "floor_unix_s": int(time.time()) + 86400 * 30})
    link = broken(examined(tech, device(diagnostics=ahead), 1))["clock"]
    assert "30 days later than here" in link["seen"] and "over the serial cable" in link["todo"]
    unset = healthy(clock={"trusted": False, "floor_unix_s": int(time.time()) - 86400 * 3})
    link = examined(tech, device(diagnostics=unset), 0)["clock"]
    assert link["verdict"] == "weak" and "3 days ago" in link["seen"]


def test_a_clock_here_that_is_ahead_of_the_device_s_is_broken(tech):
    behind = healthy(clock={"trusted": True, "floor_unix_s": int(time.time()) - 86400})
    link = broken(examined(tech, device(diagnostics=behind), 1))["clock"]
    assert "1 day earlier than here" in link["seen"] and link["todo"].startswith("check the clock of this machine")


def test_a_token_that_opens_though_it_has_ended_here_is_not_called_whole(tech):
    grant = device()[("GET", "/v1/whoami")][1] | {"exp_unix_s": int(time.time()) - 86400}
    link = examined(tech, device(whoami=(200, grant, {}), diagnostics=healthy()), 0)["token"]
    assert link["verdict"] == "weak" and "it ended 1 day ago by this machine's clock" in link["seen"]
    assert "check the clock of this machine" in link["todo"]


def test_a_device_that_goes_away_in_the_middle_is_not_called_reachable(tech):
    torn = (200, b"{", {"Content-Length": "500", "Connection": "close"})
    with Stub(device(diagnostics=torn)) as stub:
        done = tech.run("doctor", stub.url)
    assert done.status == 1 and "Broken: reachable" in done.out and "restarting" in done.out


ATTEMPT = {"state": "joined", "what": "wifi", "ssid": "Home", "address": "192.168.1.7", "reason": ""}
FAILED = ATTEMPT | {"state": "failed", "address": None, "reason": "wifi_wrong_passphrase"}
UNPAIRED = {"info": (200, INFO | {"state": "pairing"}, {})}


@pytest.mark.parametrize(
    "answers, verdict, words",
    [
        ({"pairing": (200, ATTEMPT, {})}, "ok", "in Home, as 192.168.1.7"),
        ({"pairing": (200, ATTEMPT | {"address": None, "offline": "wifi_not_found"}, {})}, "weak", "no such network"),
        ({"pairing": (200, ATTEMPT | {"state": "joining"}, {})}, "weak", "is trying another"),
        ({"pairing": (200, FAILED, {})}, "weak", "the network refuses the passphrase"),
        ({"pairing": (200, FAILED, {})} | UNPAIRED, "broken", "none: the newest attempt failed"),
        ({"pairing": (200, ATTEMPT | {"state": "idle", "ssid": ""}, {})} | UNPAIRED, "weak", "none yet"),
        ({"pairing": (200, ATTEMPT | {"state": "joining"}, {})} | UNPAIRED, "weak", "is trying another"),
        ({"pairing": refusal(404, "not_found")}, "ok", "connected"),
        ({"pairing": refusal(403, "plain_http")}, "not seen", "cannot be seen"),
        (UNPAIRED | {"whoami": device(permissions=("read",))[("GET", "/v1/whoami")]}, "weak", "none yet"),
    ],
)
def test_the_network_is_told_and_how_the_newest_attempt_ended(tech, answers, verdict, words):
    links = examined(tech, device(**{"diagnostics": healthy()} | answers), int(verdict == "broken"))
    assert links["network"]["verdict"] == verdict and words in links["network"]["seen"]
    if verdict in ("weak", "broken"):
        assert links["network"]["todo"]


def test_the_safe_state_is_told_and_local_calls_do_not_work_in_it(tech):
    answers = device(state=refusal(503, "safe_boot"), diagnostics=healthy())
    link = broken(examined(tech, answers, 1))["application"]
    assert link["todo"] == advice.advice("safe_boot")
    with Stub(answers) as stub:
        assert "Local calls do not work. Broken: application." in tech.run("doctor", stub.url).out


def test_a_device_that_fails_to_answer_is_not_called_whole(tech):
    assert list(broken(examined(tech, device(diagnostics=refusal(500, "server_error")), 1))) == ["application"]


def test_an_older_state_that_a_fault_of_the_flash_brought_back_is_said(tech):
    links = examined(tech, device(diagnostics=healthy(stores_behind=["config"])), 0)
    link = links["application"]
    assert link["verdict"] == "weak" and "older state of: config" in link["seen"] and "device config" in link["todo"]


@pytest.mark.parametrize("lowest, verdict", [(8191, "weak"), (8192, "ok")])
def test_a_device_whose_memory_outside_python_s_heap_ran_short_is_weak(tech, lowest, verdict):
    heap = {"idf_free_bytes": 40000, "idf_largest_bytes": 30000, "idf_lowest_bytes": lowest}
    link = examined(tech, device(diagnostics=healthy(heap=heap)), 0)["application"]
    assert link["verdict"] == verdict and ("8,191 bytes" in link["seen"]) == (verdict == "weak")


@pytest.mark.parametrize(
    "ledger, verdict, words, todo",
    [
        ({"full": True}, "weak", "longer than the device can hold", "delete old tokens in the cloud"),
        ({"unknown": "damaged"}, "broken", "was lost", "change any token in the cloud"),
        ({"unknown": "unstored", "saved": False}, "broken", "could not be stored", "its flash is worn"),
        ({"saved": False}, "broken", "could not be stored", "its flash is worn"),
        ({"unknown": "unreadable_uuid"}, "broken", "that cannot be read", "change any token in the cloud"),
        ({"damaged_slots": [1]}, "weak", "copy of the token list is damaged", "its flash is worn"),
        ({"damaged_heard_slots": [0]}, "weak", "copy of the token list is damaged", "its flash is worn"),
        ({"outside_behind": 2}, "weak", "lacks 2 updates", "its flash is worn"),
        ({"outside_behind": 1, "saved": True, "full": False, "unknown": None}, "ok", "online", None),
    ],
)
def test_what_is_wrong_with_the_token_list_is_said(tech, ledger, verdict, words, todo):
    facts = healthy(ledger=ledger, cloud={"state": "online", "reason": None})
    link = examined(tech, device(diagnostics=facts), int(verdict == "broken"))["cloud link"]
    assert link["verdict"] == verdict and words in link["seen"], link
    assert todo in link["todo"] if todo else link["todo"] is None


@pytest.mark.parametrize(
    "firmware, words, todo",
    [
        ({"state": "good", "last": None}, "runs", None),
        (
            {"state": "unproven", "goes_back_s": 840},
            "1.2.0, which is not proven yet: in 14 minutes",
            "reach the broker",
        ),
        (
            {"state": "good", "last": {"result": "went_back", "version": "1.3.0", "reason": "crashed"}},
            "runs 1.2.0; 1.3.0 went back: it crashed",
            "read its console",
        ),
    ],
)
def test_a_release_that_is_not_proven_or_went_back_makes_the_application_weak(tech, firmware, words, todo):
    answer = (200, {"version": "1.2.0", "running": "a1"} | firmware, {})
    link = examined(tech, device(diagnostics=healthy(), firmware=answer), 0)["application"]
    assert words in link["seen"] and (todo in link["todo"] if todo else link["todo"] is None)
    assert link["verdict"] == ("weak" if todo else "ok")
