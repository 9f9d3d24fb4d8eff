"""The DRIVR simulator as a process over a real broker: mutations, messages, revocation, outages, refusals."""

import asyncio
import base64
import json
import re
import signal
import stat
import subprocess
import sys
import textwrap
import time

import aiomqtt
import httpx
import pytest
from technician import Keyboard
from test_desk import has_ended

from latchkey_tools import sim
from latchkey_tools.sim import broker, pki, publisher, signing, timespan
from latchkey_tools.sim.cloud import Cloud, CloudError
from latchkey_tools.sim.publisher import Refused, parse_broker

SLUG = "company-example"
SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"
OTHER = "f3a20f70-3021-42f5-b9b9-9ea62e2eac2a"
KEY_TOPIC = f"drivr/v1/{SLUG}/jwks"
LIST_TOPIC = f"drivr/v1/{SLUG}/authorization/localApiTokens/{SYSTEM}"

# As DRIVR's guide prints them.
PAGE_SHORT = """mutation LApiToken {
createLocalApiToken(
systemUuid: "792b6149-1daa-488f-b07a-f684503b0586",
requestedDevice: "smart-bulb",
duration: "1D"
) {
jwt
uuid
}
}"""
PAGE_PERMANENT = """mutation createPermanentLocalApiTokenPermanent {
createPermanentLocalApiToken(
systemUuid: "792b6149-1daa-488f-b07a-f684503b0586",
name: "permanent-token-smart-light"
) {
jwt
uuid
}
}"""


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("sim-pki"), SLUG, SYSTEM)


@pytest.fixture(scope="module")
def mqtt(certs):
    with broker.Broker(certs.folder) as running:
        yield running


@pytest.fixture(scope="module")
def cloud(tmp_path_factory, mqtt):
    with sim.Simulator(tmp_path_factory.mktemp("sim"), SLUG, mqtt, [SYSTEM]) as running:
        running.wait_published()
        yield running


def target(mqtt, identity):
    return publisher.Target("127.0.0.1", mqtt.port, mqtt.pki.ca.cert_pem, identity.cert_pem, identity.key_pem)


def client(mqtt):
    context = publisher.tls_context(target(mqtt, mqtt.pki.device))
    return aiomqtt.Client("127.0.0.1", mqtt.port, tls_context=context)


def read(mqtt, topic, within_s=5):
    """The message on a topic for a client that subscribes now: (payload, retained). amqtt sends other topics' too."""

    async def once():
        async with client(mqtt) as subscriber, asyncio.timeout(within_s):
            await subscriber.subscribe(topic)
            async for message in subscriber.messages:
                if str(message.topic) == topic:
                    return bytes(message.payload), message.retain

    return asyncio.run(once())


def publish(mqtt, topic, payload):
    async def once():
        async with client(mqtt) as sender:
            await sender.publish(topic, payload, qos=1, retain=True)

    asyncio.run(once())


def listed(cloud, mqtt):
    cloud.wait_published()
    return json.loads(read(mqtt, LIST_TOPIC)[0])


def parts(jwt):
    assert jwt.startswith("CLOUD-")
    segments = jwt.removeprefix("CLOUD-").split(".")
    header, payload = (json.loads(base64.urlsafe_b64decode(s + "==")) for s in segments[:2])
    return header, payload


def test_both_mutations_of_the_page_work_verbatim_and_the_claims_are_the_page_s(cloud):
    short = cloud.graphql(PAGE_SHORT)["createLocalApiToken"]
    header, payload = parts(short["jwt"])
    assert header == {"alg": "RS512", "typ": "JWT"}
    assert list(payload) == ["jti", "sub", "iss", "aud", "exp", "nbf", "iat", "name", "typename", "roles"]
    assert payload["jti"] == short["uuid"] and payload["aud"] == SYSTEM
    assert payload["nbf"] == payload["iat"] - 60 and payload["exp"] == payload["iat"] + 86400
    assert abs(payload["iat"] - time.time()) < 30
    permanent = cloud.graphql(PAGE_PERMANENT)["createPermanentLocalApiToken"]
    assert parts(permanent["jwt"])[1]["exp"] is None


def test_the_key_set_is_retained_with_the_page_s_members_and_verifies_the_token(cloud, mqtt):
    import rsa

    payload, retained = read(mqtt, KEY_TOPIC)
    (key,) = json.loads(payload)["keys"]
    assert retained and list(key) == ["n", "e", "kty", "kid"] and key["kid"].startswith("SIM-")
    n = int.from_bytes(base64.urlsafe_b64decode(key["n"] + "=="), "big")
    signed, _, signature = cloud.create_token(SYSTEM).jwt.removeprefix("CLOUD-").rpartition(".")
    signature = base64.urlsafe_b64decode(signature + "==")
    assert rsa.verify(signed.encode(), signature, rsa.PublicKey(n, 65537)) == "SHA-512"


def test_the_list_is_retained_newest_first_with_the_page_s_fields(cloud, mqtt):
    older = cloud.create_token(SYSTEM, "PT1H")
    newer = cloud.create_permanent_token(SYSTEM)
    records = listed(cloud, mqtt)
    assert [r["uuid"] for r in records[:2]] == [newer.uuid, older.uuid]
    fields = "uuid createdAt updatedAt status expiresAt notBefore systemUuid roles token subject"
    assert list(records[0]) == fields.split()
    assert records[0]["token"] == newer.jwt and records[0]["expiresAt"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}", records[0]["createdAt"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", records[0]["notBefore"])
    assert set(records[0]["subject"]) == {"uuid", "name", "type"}


def test_a_token_is_revoked_by_status_and_by_leaving(cloud, mqtt):
    by_status, by_leaving = cloud.create_token(SYSTEM), cloud.create_token(SYSTEM)
    before = next(r for r in listed(cloud, mqtt) if r["uuid"] == by_status.uuid)
    cloud.revoke(by_status.uuid)
    cloud.revoke(by_leaving.uuid, leave=True)
    after = {r["uuid"]: r for r in listed(cloud, mqtt)}
    assert after[by_status.uuid]["status"] == "DEACTIVATED" and by_leaving.uuid not in after
    assert after[by_status.uuid]["updatedAt"] > before["updatedAt"]
    with pytest.raises(sim.SimulatorError, match="no token"):
        cloud.revoke(by_leaving.uuid)


def test_the_beginning_of_a_uuid_is_enough_in_any_form(cloud, tmp_path):
    tech = Keyboard(tmp_path, LATCHKEY_SIM=str(cloud.folder))
    system = f"urn:uuid:{SYSTEM.replace('-', '').upper()}"
    uuid = tech.data("sim", "create", system)["uuid"]
    assert uuid in [record["uuid"] for record in tech.data("sim", "list", f"{{{SYSTEM}}}")]
    assert tech.run("sim", "extend", uuid[:8].upper(), "P2D", "--out", tmp_path / "longer").err.startswith(uuid)
    assert tech.data("sim", "revoke", f"{{{uuid[:13]}") == {"uuid": uuid, "status": "DEACTIVATED"}
    assert uuid in tech.run("sim", "revoke", uuid.replace("-", ""), "--leave").err
    for word in ("0", "no-such", uuid, "\x1b[2J"):
        done = tech.run("sim", "revoke", word)
        assert done.status == 1 and "latchkey: no token" in done.err and done.err.count("\n") == 1, done


def test_a_beginning_that_two_tokens_have_revokes_neither(tmp_path):
    held = Cloud(tmp_path / "cloud.json", SLUG)
    for record, digit in ((held.create(SYSTEM), "0"), (held.create(SYSTEM), "1")):
        record["uuid"] = f"abcdef0{digit}" + record["uuid"][8:]
    with pytest.raises(CloudError, match="2 tokens begin with abcdef0; write more"):
        held.revoke("abcdef0")
    assert held.revoke("abcdef01")["status"] == "DEACTIVATED"


def test_what_could_not_be_stored_has_not_happened(tmp_path, monkeypatch):
    held = Cloud(tmp_path / "cloud.json", SLUG)
    first = held.create(SYSTEM)["uuid"]
    before, kids = (tmp_path / "cloud.json").read_bytes(), held.kids

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pki, "write_private", full)
    for change in (
        lambda: held.create(SYSTEM),
        lambda: held.create(OTHER),
        lambda: held.revoke(first),
        lambda: held.revoke(first, leave=True),
        held.rotate,
    ):
        with pytest.raises(OSError):
            change()
        assert [r["uuid"] for r in held.tokens(SYSTEM)] == [first] and held.systems == [SYSTEM] and held.kids == kids
        assert held.tokens(SYSTEM)[0]["status"] == "ACTIVATED"
    assert (tmp_path / "cloud.json").read_bytes() == before


def test_an_extended_token_keeps_its_uuid_and_gets_a_later_end(cloud, mqtt):
    token = cloud.create_token(SYSTEM, "PT1H")
    longer = cloud.extend(token.uuid, "P2D")
    assert longer.uuid == token.uuid
    assert parts(longer.jwt)[1]["exp"] > parts(token.jwt)[1]["exp"]
    assert next(r for r in listed(cloud, mqtt) if r["uuid"] == token.uuid)["token"] == longer.jwt


def test_a_short_lived_token_vanishes_when_it_has_expired(cloud, mqtt):
    token = cloud.create_token(SYSTEM, 1)
    deadline = time.monotonic() + 5
    while token.uuid in {r["uuid"] for r in cloud.tokens(SYSTEM)}:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert token.uuid not in {r["uuid"] for r in listed(cloud, mqtt)}


def test_rotation_replaces_the_key_set_or_keeps_the_old_key(cloud, mqtt):
    first = cloud.status()["keys"]
    new = cloud.rotate()
    cloud.wait_published()
    assert [k["kid"] for k in json.loads(read(mqtt, KEY_TOPIC)[0])["keys"]] == [new] != first
    both = [cloud.rotate(keep_old=True), new]
    cloud.wait_published()
    assert [k["kid"] for k in json.loads(read(mqtt, KEY_TOPIC)[0])["keys"]] == both


def test_rs256_is_signed_on_request(cloud):
    cloud.configure(algorithm="RS256")
    assert parts(cloud.create_token(SYSTEM).jwt)[0]["alg"] == "RS256"
    cloud.configure(algorithm="RS512")


def test_roles_of_the_subject_go_into_new_tokens_and_a_record_s_roles_shrink_alone(cloud, mqtt):
    owner = {"uuid": "8d86661d-985d-4878-a8f5-69723acfa364", "name": "Domain Owner"}
    kept = cloud.tokens(SYSTEM)[0]["roles"]
    cloud.set_subject_roles([owner])
    token = cloud.create_token(SYSTEM)
    cloud.set_subject_roles(kept)
    assert parts(token.jwt)[1]["roles"] == [owner]
    cloud.set_token_roles(token.uuid, [])
    assert next(r for r in listed(cloud, mqtt) if r["uuid"] == token.uuid)["roles"] == []


def test_times_can_be_offset_missing_and_in_mixed_zones(cloud, mqtt):
    cloud.configure(createdAtOffset=-1.0, omitUpdatedAt=True, mixedZones=True)
    cloud.create_token(SYSTEM)
    records = listed(cloud, mqtt)
    cloud.configure(createdAtOffset=0.0, omitUpdatedAt=False, mixedZones=False)
    assert "updatedAt" not in records[0]
    assert {r["createdAt"][19:].split("+")[-1] for r in records} >= {"00:00", "02:00"}
    created = time.mktime(time.strptime(records[0]["createdAt"][:19] + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone
    assert -2 < created - parts(records[0]["token"])[1]["iat"] < 0


def test_a_lagging_broker_serves_an_old_list(cloud, mqtt):
    token = cloud.create_token(SYSTEM)
    cloud.revoke(token.uuid, leave=True)
    assert token.uuid not in {r["uuid"] for r in listed(cloud, mqtt)}
    cloud.publish_old_list(SYSTEM, 1)
    assert token.uuid in {r["uuid"] for r in listed(cloud, mqtt)}
    with pytest.raises(sim.SimulatorError, match="remembered"):
        cloud.publish_old_list(SYSTEM, 1000)
    cloud.republish()


def test_live_lists_leave_nothing_for_a_late_subscriber(cloud, mqtt):
    cloud.configure(retainedLists=False)
    cloud.wait_published()
    with pytest.raises(TimeoutError):
        read(mqtt, LIST_TOPIC, within_s=0.7)
    cloud.configure(retainedLists=True)
    cloud.republish()
    cloud.wait_published()
    assert read(mqtt, LIST_TOPIC)[1]


def test_an_empty_list_is_an_array_a_payload_or_nothing(cloud, mqtt):
    cloud.revoke(cloud.create_token(OTHER).uuid, leave=True)
    cloud.wait_published()
    assert read(mqtt, LIST_TOPIC.replace(SYSTEM, OTHER))[0] == b"[]"
    cloud.configure(emptyList="PAYLOAD")
    cloud.republish()
    cloud.wait_published()
    with pytest.raises(TimeoutError):
        read(mqtt, LIST_TOPIC.replace(SYSTEM, OTHER), within_s=0.7)
    cloud.configure(emptyList="ARRAY")


def test_tests_can_make_tokens_with_any_claims_that_are_in_no_list(cloud):
    token = cloud.make_token(SYSTEM, exp=1730913498, roles=[], without=("nbf",))
    payload = parts(token)[1]
    assert payload["exp"] == 1730913498 and payload["roles"] == [] and "nbf" not in payload
    assert payload["jti"] not in {r["uuid"] for r in cloud.tokens(SYSTEM)}
    assert parts(cloud.make_token(SYSTEM, algorithm="RS256"))[0]["alg"] == "RS256"


def test_without_the_bearer_nothing_is_answered_and_the_file_is_private(cloud):
    assert stat.S_IMODE((cloud.folder / "bearer").stat().st_mode) == 0o600
    assert stat.S_IMODE((cloud.folder / "cloud.json").stat().st_mode) == 0o600
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": cloud.bearer}):
        answer = httpx.post(cloud.url, json={"query": PAGE_SHORT}, headers=headers, trust_env=False)
        assert answer.status_code == 401 and "jwt" not in answer.text
    assert httpx.get(cloud.url.replace("graphql", ""), trust_env=False).status_code == 404


def test_the_api_listens_on_loopback_alone(cloud):
    port = int(cloud.url.split(":")[2].split("/")[0])
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table]
    # 0A: it listens. A connection of somebody else may have the same port at another address.
    assert {local for _, local, _, state, *_ in rows if state == "0A" and local.endswith(f":{port:04X}")} == {
        f"0100007F:{port:04X}"
    }


def test_bad_arguments_are_refused_with_words(cloud):
    for span in ("0", "1H", "P", "-1", "yesterday"):
        with pytest.raises(sim.SimulatorError, match="Timespan"):
            cloud.create_token(SYSTEM, span)
    with pytest.raises(sim.SimulatorError, match="UUID"):
        cloud.create_token("not-a-uuid")


def test_the_api_goes_on_while_the_broker_is_away_and_state_and_messages_return(certs, tmp_path):
    with broker.Broker(certs.folder) as mqtt, sim.Simulator(tmp_path / "s", SLUG, mqtt, [SYSTEM]) as cloud:
        cloud.wait_published()
        mqtt.stop()
        token = cloud.create_token(SYSTEM)
        assert not cloud.status()["connected"] or cloud.status()["pending"]
        mqtt.start()
        assert token.uuid in {r["uuid"] for r in listed(cloud, mqtt)}
        kids, url = cloud.status()["keys"], cloud.url
        cloud.stop()
        cloud.start()
        assert (cloud.status()["keys"], cloud.url) == (kids, url)
        assert token.uuid in {r["uuid"] for r in cloud.tokens(SYSTEM)}


FOREIGN = [b'{"keys":[{"n":"1","kid":"1"}]}', b'{"keys":[]}', b"?", b'{"keys":[{"kid":"SIM-of-another"}]}']


@pytest.mark.parametrize("payload", FOREIGN)
def test_a_broker_with_a_key_set_of_somebody_else_is_refused_and_left_as_it_was(certs, tmp_path, payload):
    with broker.Broker(certs.folder) as mqtt:
        publish(mqtt, KEY_TOPIC, payload)
        cloud = sim.Simulator(tmp_path / "s", SLUG, mqtt, [SYSTEM]).start()
        try:
            assert cloud.wait_ended() == 3
            assert "did not publish" in cloud.last_words()
            assert read(mqtt, KEY_TOPIC)[0] == payload
        finally:
            cloud.stop()


def test_somebody_else_publishing_keys_later_ends_the_simulator(certs, tmp_path):
    with broker.Broker(certs.folder) as mqtt, sim.Simulator(tmp_path / "s", SLUG, mqtt) as cloud:
        cloud.wait_published()
        publish(mqtt, KEY_TOPIC, b'{"keys":[{"n":"1","kid":"1"}]}')
        assert cloud.wait_ended() == 3


def test_a_message_is_pending_until_the_broker_has_it(tmp_path):
    async def counts():
        made = publisher.Publisher(Cloud(tmp_path / "cloud.json", SLUG), publisher.Target("::1", 1, None, None, None))
        taken = asyncio.Event()
        connection = type("Connection", (), {"publish": lambda *_, **__: taken.wait()})()
        sending = asyncio.create_task(made._send_queue(connection, asyncio.create_task(asyncio.sleep(60))))
        await asyncio.sleep(0)
        made.publish_keys()
        for turn in range(20):
            yield made.pending
            if turn == 10:
                taken.set()
            await asyncio.sleep(0)
        sending.cancel()

    async def seen():
        return [count async for count in counts()]

    found = asyncio.run(seen())
    assert found[:11] == [1] * 11 and found[-1] == 0, found


@pytest.mark.parametrize("host", ["mqtt.drivr.cloud", "DRIVR.cloud", "x.y.drivr.cloud.", "Mqtt.Drivr.Cloud.."])
def test_drivr_s_own_hosts_are_refused(host):
    with pytest.raises(Refused, match="DRIVR's own"):
        parse_broker(f"mqtts://{host}:8883", "ca.pem")
    with pytest.raises(Refused):
        publisher.Publisher(None, publisher.Target(host, 8883, None, None, None))


# Python's IDNA codec turns these into mqtt.drivr.cloud: another full stop, wide letters, and letters that it drops.
OTHER_LETTERS = ["mqtt.drivr\u3002cloud", "mqtt.\uff44rivr.cloud", "mqtt.drivr.clou\u00add", "mqtt.drivr\uff61cloud"]
OTHER_LETTERS += ["mqtt.\u200bdrivr.cloud", "mqtt.drivr\uff0ecloud", "br\u00fccke.example"]


@pytest.mark.parametrize("host", OTHER_LETTERS)
def test_a_broker_s_name_in_other_letters_than_ascii_is_refused(host):
    with pytest.raises((Refused, ValueError), match="in ASCII|mqtts://host:port"):
        parse_broker(f"mqtts://{host}:8883", "ca.pem")
    with pytest.raises(Refused, match="in ASCII"):
        publisher.Publisher(None, publisher.Target(host, 8883, None, None, None))


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost", "mqtt://broker.example.org", "mqtts://", "mqtts://u:p@localhost", "mqtts://:p@localhost"),
        *("mqtts://localhost:port", "mqtts://[::1", "mqtts://localhost?password=p", "mqtts://localhost/#p"),
    ],
)
def test_broker_addresses_that_make_no_sense_are_refused(url):
    with pytest.raises(ValueError, match="mqtt"):
        parse_broker(url, "ca.pem")


def test_the_simulator_dies_with_a_parent_that_was_killed(certs, mqtt, tmp_path):
    command = [sys.executable, "-c", PARENT, str(certs.folder), str(mqtt.port), str(tmp_path / "s")]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while not has_ended(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


PARENT = textwrap.dedent("""
    import sys, time
    from latchkey_tools import sim
    from latchkey_tools.sim import broker
    mqtt = broker.Broker(sys.argv[1], port=int(sys.argv[2]))
    simulator = sim.Simulator(sys.argv[3], "another-company", mqtt).start()
    print(simulator._process.pid, flush=True)
    time.sleep(60)
""")


def test_timespans_are_iso_8601_the_page_s_form_or_seconds():
    spans = {"1D": 86400, "P1D": 86400, "PT1H": 3600, 90: 90, "90": 90, "P1DT1M1S": 86461, "1W": 604800}
    assert {text: timespan.parse_s(text) for text in spans} == spans


@pytest.mark.parametrize("bad", ["", "P", "PT", "1DT", "D", "1H", "P1D ", "٣D", True, 1.5, None, 0, -5, "9" * 50])
def test_timespans_that_are_none_are_refused(bad):
    with pytest.raises(ValueError):
        timespan.parse_s(bad)


def test_state_of_another_slug_and_damaged_state_are_refused_with_words(tmp_path):
    Cloud(tmp_path / "cloud.json", SLUG)
    with pytest.raises(CloudError, match="belongs to slug"):
        Cloud(tmp_path / "cloud.json", "another")
    for text in ("{", "[]", "5", "{}", "[" * 100_000):
        (tmp_path / "cloud.json").write_text(text)
        with pytest.raises(CloudError, match="damaged"):
            Cloud(tmp_path / "cloud.json", SLUG)


def test_a_token_s_header_has_no_kid():
    kid, key = signing.new_key()
    assert kid.startswith("SIM-") and "kid" not in parts(signing.token({}, key))[0]
