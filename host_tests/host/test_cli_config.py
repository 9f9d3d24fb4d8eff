"""`latchkey device config` and `certificate`: what is shown, what is sent, what is said of an attempt."""

import base64
import json
import time

import pytest
from cryptography.hazmat.primitives import serialization
from technician import INFO, SYSTEM, Keyboard, Stub, device, keep, refusal

from latchkey_tools.cli import advice, config_commands
from latchkey_tools.device import local_api, pairing, settings, wallet
from latchkey_tools.device.local_api import local_name
from latchkey_tools.sim import pki

CONFIG = {
    "system_uuid": SYSTEM,
    "slug": "company-example",
    "issuer": None,
    "name": "Cellar light",
    "model": "cct",
    "dev": False,
    "broker": {"host": "mqtt.drivr.cloud", "port": 8883},
    "policy": {"unlisted": "accept", "clock_unset": "floor", "keys": "broker", "plain_http": "control", "skew_s": 60},
    "roles": {"Domain Owner": "configure", "Guest v1.0": "read"},
    "wifi": {"ssid": "Home"},
    "hosts": [],
    "ntp": [],
}
ATTEMPT = {"state": "joining", "what": "cloud", "ssid": "Home", "address": None, "reason": ""}
ATTEMPT |= {"host": local_name(SYSTEM), "access_point_s": 0, "presence_s": 500}


def answer(trust=None, **changes):
    return 200, {"config": CONFIG | changes, "trust": trust or {"changes": 0, "last": []}}, {}


def configured(*patched):
    """Answers of a device with CONFIG; ``patched``: of PATCH, in turn."""
    answers = device(config=answer())
    answers[("PATCH", "/v1/config")] = list(patched) or [answer()]
    return answers


def tried(*states, now=None):
    """Answers of one that tries a broker: PATCH is 202, and what GET /v1/pairing says in turn."""
    answers = configured((202, ATTEMPT, {}))
    answers[("GET", "/v1/config")] = [answer(), now or answer()]
    answers[("GET", "/v1/pairing")] = [(200, ATTEMPT | state, {}) for state in states]
    return answers


@pytest.fixture
def tech(tmp_path, monkeypatch):
    monkeypatch.setattr(pairing, "EVERY_S", 0.05)
    monkeypatch.setattr(pairing, "local_name", lambda _system: "127.0.0.2")
    monkeypatch.setattr(config_commands, "_POLL_S", 0.05)
    keyboard = Keyboard(tmp_path)
    keep(keyboard)
    yield keyboard
    assert keyboard.spilt() == []


def change(tech, stub, *words, **more):
    return tech.run("device", "config", stub.url, *words, **more)


def sent(stub):
    return [json.loads(body) for method, *_, body in stub.requests if method in ("PATCH", "PUT")]


def test_the_configuration_is_told_and_who_changed_what_it_trusts(tech):
    mine = wallet.Wallet(tech.wallet).find("mine").uuid
    last = [{"unix_s": int(time.time()) - 7200, "jti": mine, "fields": ["broker", "slug"]}]
    with Stub(configured() | {("GET", "/v1/config"): answer({"changes": 3, "last": last})}) as stub:
        told = tech.ok("device", "config", stub.url)
        assert "policy.plain_http" in told and "at the device" in told
        assert "roles.Guest v1.0" in told and "by latchkey pair" in told and "by serial cable" in told
        assert "changed 3 times" in told and "2 hours ago" in told and f"by the token mine ({mine})" in told
        assert tech.data("device", "config", stub.url)["config"] == CONFIG
        assert sent(stub) == []


def test_a_token_of_the_wallet_is_known_by_its_uuid_in_any_form(tech):
    mine = wallet.Wallet(tech.wallet).find("mine").uuid
    last = [{"unix_s": int(time.time()), "jti": mine.replace("-", "").upper(), "fields": ["slug"]}]
    with Stub(configured() | {("GET", "/v1/config"): answer({"changes": 1, "last": last})}) as stub:
        assert f"by the token mine ({mine})" in tech.ok("device", "config", stub.url)


def test_the_system_is_whole_at_80_columns(tech):
    with Stub(configured() | {("GET", "/v1/config"): answer(system_uuid=SYSTEM)}) as stub:
        with tech.terminal("device", "config", stub.url):
            pass
    assert SYSTEM in tech.seen[-1] and "setting " in tech.seen[-1]


def test_changes_are_sent_with_their_types_and_shown(tech):
    now = answer(name="5", policy=CONFIG["policy"] | {"plain_http": "read"}, hosts=["a.example"])
    with Stub(configured(now)) as stub:
        done = change(tech, stub, "name=5", "policy.plain_http=read", "policy.skew_s=30", "hosts=a.example,b.example")
        assert done.status == 0, done
        (body,) = sent(stub)
        assert body == {
            "name": "5",
            "policy": {"plain_http": "read", "skew_s": 30},
            "hosts": ["a.example", "b.example"],
        }
        rows = [line.split() for line in done.out.splitlines()]
        assert ["policy.plain_http", "control", "read"] in rows and ["hosts", "-", "a.example"] in rows
        told = tech.data("device", "config", stub.url, "name=5")
        assert {"name": "policy.plain_http", "before": "control", "now": "read"} in told["changed"]
        assert "nothing has changed" in change(tech, Same(stub), "name=Cellar light").err


class Same:
    """The same stand-in, which changes nothing."""

    def __init__(self, stub):
        stub.answers[("PATCH", "/v1/config")] = answer()
        self.url = stub.url


@pytest.mark.parametrize(
    "words, body",
    [
        (["issuer="], {"issuer": None}),
        (["issuer=https://a.example"], {"issuer": "https://a.example"}),
        (["broker.host=b", "broker.port=8884"], {"broker": {"host": "b", "port": 8884}}),
        (["broker.port=many"], {"broker": {"port": "many"}}),
        (["ntp="], {"ntp": []}),
        (['hosts=["a"]'], {"hosts": ["a"]}),
        (['roles={"Owner": "read"}'], {"roles": {"Owner": "read"}}),
        (["roles.Guest v1.0="], {"roles": {"Domain Owner": "configure"}}),
        (["roles.New=read"], {"roles": CONFIG["roles"] | {"New": "read"}}),
        (["name=a=b"], {"name": "a=b"}),
        (["dev=true", "system_uuid=x"], {"dev": True, "system_uuid": "x"}),
    ],
)
def test_words_become_what_the_device_takes(words, body):
    assert settings.body_of(words, CONFIG) == body
    assert CONFIG["roles"] == {"Domain Owner": "configure", "Guest v1.0": "read"}


NO_WORDS = ["name", "colour=red", "name.x=1", "roles=read", "hosts=[1", "wifi.ssid=Home", "=", ""]


@pytest.mark.parametrize("word", NO_WORDS)
def test_words_that_are_none_are_refused_before_they_are_sent(tech, word):
    with Stub(configured()) as stub:
        done = change(tech, stub, word)
        assert done.status == 2 and done.err.count("\n") == 1 and sent(stub) == []
        assert ("latchkey pair" in done.err) is word.startswith("wifi")


@pytest.mark.parametrize("status, code", [(403, "presence_needed"), (403, "serial_only"), (409, "locks_out")])
def test_what_the_device_will_not_change_is_told_with_what_to_do(tech, status, code):
    with Stub(configured(refusal(status, code))) as stub:
        done = change(tech, stub, "slug=other")
        assert done.status == 1 and f"{status} {code}" in done.err and local_api.todo_of(code) in done.err
    wrong = 422, {"code": "invalid_field", "field": "policy.skew_s"}, {}
    with Stub(configured(wrong)) as stub:
        told = change(tech, stub, "policy.skew_s=x").err
        assert f"invalid_field (policy.skew_s): {advice.meaning('invalid_field')}. What to do: " in told
        for text in ('{"a": NaN}', "[" * 5000):
            done = change(tech, stub, f"roles={text}")
            assert done.status == 2 and "roles is written as JSON" in done.err


def test_a_broker_is_followed_until_it_is_kept(tech):
    now = answer(broker={"host": "b.example", "port": 8883})
    with Stub(tried({}, {"state": "joined"}, now=now)) as stub:
        done = change(tech, stub, "broker.host=b.example")
        assert done.status == 0 and "the device is trying it" in done.err
        assert ["broker.host", "mqtt.drivr.cloud", "b.example"] in [line.split() for line in done.out.splitlines()]


@pytest.mark.parametrize("reason", ["dns", "cert_wrong_ca", "power_cut", "not_stored"])
def test_a_broker_that_is_not_kept_is_told_why(tech, reason):
    happened, todo = advice.pairing_advice(reason)
    with Stub(tried({}, {"state": "failed", "reason": reason})) as stub:
        done = change(tech, stub, "broker.host=b.example")
        assert done.status == 1 and f"the attempt failed: {happened}. What to do: {todo}." in done.err and not done.out
        told = json.loads(change(tech, Again(stub, reason), "slug=x", "--json").out)
        assert told["state"] == "failed" and told["reason"] == reason


class Again:
    def __init__(self, stub, reason):
        stub.answers[("GET", "/v1/pairing")] = (200, ATTEMPT | {"state": "failed", "reason": reason}, {})
        self.url = stub.url


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"), system_uuid=SYSTEM)


def renewing(*attempts):
    """Answers of a device that takes a certificate and tells of its attempt in turn."""
    cloud = {"state": "connecting", "reason": ""}
    answers = device(diagnostics=[(200, {"cloud": cloud | {"attempt": attempt}}, {}) for attempt in attempts])
    answers[("PUT", "/v1/config/certificate")] = (202, {"accepted": True}, {})
    return answers


def give(tech, stub, identity, *words, form="pem"):
    files = (getattr(identity, f"cert_{form}"), getattr(identity, f"key_{form}"))
    return tech.run("device", "certificate", stub.url, "--cert", files[0], "--key", files[1], "--wait", 2, *words)


@pytest.mark.parametrize("form", ["pem", "der"])
def test_a_certificate_is_sent_as_the_device_reads_it_and_followed(tech, authority, form):
    identity = authority.device
    tech.secrets += [line for line in identity.key_pem.read_text().splitlines() if "--" not in line]
    tech.secrets.append(base64.b64encode(identity.key_der.read_bytes()).decode())
    with Stub(renewing("running", "kept")) as stub:
        done = give(tech, stub, identity, form=form)
        assert done.status == 0 and "the broker accepted the new certificate" in done.err, done
        (body,) = sent(stub)
        assert base64.b64decode(body["cert_der"]) == identity.cert_der.read_bytes()
        assert base64.b64decode(body["key_der"]) == identity.key_der.read_bytes()
        assert json.loads(give(tech, stub, identity, "--json").out) == {"attempt": "kept"}


def test_a_certificate_that_the_broker_refuses_is_told_and_the_old_one_is_back(tech, authority):
    with Stub(renewing("running", "cert_refused")) as stub:
        done = give(tech, stub, authority.device)
        assert done.status == 1 and "the old certificate is back" in done.err
        assert advice.link_advice("cert_refused")[1] in done.err
    with Stub(renewing("running")) as stub:
        done = give(tech, stub, authority.device)
        assert done.status == 1 and "still running" in done.err
    with Stub(renewing() | {("PUT", "/v1/config/certificate"): refusal(507, "not_stored")}) as stub:
        assert advice.advice("not_stored") in give(tech, stub, authority.device).err
    with Stub(renewing() | {("PUT", "/v1/config/certificate"): refusal(403, "presence_needed")}) as stub:
        done = give(tech, stub, authority.device)
        assert done.status == 1 and advice.advice("presence_needed") in done.err


def test_a_device_that_is_away_while_it_tries_is_waited_for(tech, authority):
    answers = renewing("kept")
    torn = (200, b"{", {"Content-Length": "500", "Connection": "close"})
    busy = refusal(503, "full_house", Retry_After="5")
    answers[("GET", "/v1/diagnostics")] = [torn, busy, answers[("GET", "/v1/diagnostics")][0]]
    with Stub(answers) as stub:
        assert give(tech, stub, authority.device).status == 0


def test_files_that_are_no_pair_are_refused_without_their_content(tech, authority, tmp_path):
    cert, key = authority.device.cert_pem, authority.device.key_pem
    locked = tmp_path / "locked.pem"
    form, how = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    locked.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, form, how))
    nothing = tmp_path / "nothing"
    nothing.write_text("planted nonsense")
    tech.secrets.append("planted nonsense")
    expired = pki.wrong(authority, "expired")
    with Stub(renewing("kept")) as stub:
        for files, words in (
            ((cert, authority.broker.key_pem), "is not that of the certificate"),
            ((nothing, key), "no certificate in PEM or DER"),
            ((cert, nothing), "no private key in PEM or DER"),
            ((cert, locked), "encrypted"),
            ((key, key), "no certificate in PEM or DER"),
        ):
            done = tech.run("device", "certificate", stub.url, "--cert", files[0], "--key", files[1])
            assert done.status == 1 and words in done.err and not stub.requests, done
        assert "has expired" in give(tech, stub, expired).err


def test_a_device_in_another_state_says_so(tech):
    with Stub(device(info=(200, INFO | {"state": "unprovisioned", "system_uuid": None}, {}))) as stub:
        assert advice.advice("unprovisioned") in change(tech, stub).err
    with Stub(configured() | {("GET", "/v1/config"): refusal(403, "plain_http")}) as stub:
        assert local_api.todo_of("plain_http") in change(tech, stub).err
