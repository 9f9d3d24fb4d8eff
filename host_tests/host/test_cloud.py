"""The cloud link with a real broker that requires client certificates, on both interpreters."""

import datetime
import ssl
import time

import paho.mqtt.publish as mqtt_publish
import pytest
from brokers import KINDS
from cloud_rig import (
    INTERPRETERS,
    KEYS_TOPIC,
    LIST_TOPIC,
    SYSTEM_UUID,
    device,
    free_port,
    key_set,
    token_list,
    until,
)
from cryptography import x509

from latchkey_tools.sim import pki
from latchkey_tools.sim.broker import Broker


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"), "company-example", SYSTEM_UUID)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(params=INTERPRETERS)
def interpreter(request):
    return request.param


def publish(broker, topic, payload, retain=True, qos=0):
    context = ssl.create_default_context(cafile=str(broker.pki.ca.cert_pem))
    context.load_cert_chain(broker.pki.simulator.cert_pem, broker.pki.simulator.key_pem)
    mqtt_publish.single(
        topic.decode(), payload, qos=qos, retain=retain, hostname="localhost", port=broker.port, tls=context
    )


def lists(desk, count):
    """Wait until that many lists were stored."""
    return until(lambda: desk.told()["ledger"]["received"] >= count)


def test_keys_and_lists_arrive_retained_and_live_and_after_a_rotation_while_away(made, kind, interpreter):
    broker = Broker(made.folder, kind=kind)
    with broker:
        publish(broker, KEYS_TOPIC, key_set("one"))
        publish(broker, LIST_TOPIC, token_list(3))
        with device(interpreter, made.folder, broker.port) as desk:
            desk.wait_for("online")
            until(lambda: desk.told()["kids"] == ["one"])
            lists(desk, 1)
            publish(broker, LIST_TOPIC, token_list(40), retain=False, qos=1)
            lists(desk, 2)
            broker.stop()
            desk.wait_for("waiting")
            assert desk.get()[0] == 200
            broker.start()
            publish(broker, KEYS_TOPIC, key_set("two", "three"))
            desk.wait_for("online")
            until(lambda: desk.told()["kids"] == ["two", "three"])
            broker.kill()
            desk.wait_for("waiting")
            told = desk.told()
            assert told["kids"] == ["two", "three"] and told["ledger"]["broken_off"] == 0


def test_keepalive_holds_a_quiet_connection(made, kind):
    with Broker(made.folder, kind=kind) as broker:
        with device("micropython", made.folder, broker.port) as desk:
            since = desk.wait_for("online")["since"]
            # Three times what the broker grants a client that says nothing.
            until(lambda: desk.link()["since"] != since or _age(desk) > 4, 8, 0.2)
            assert desk.wait_for("online")["since"] == since


def _age(desk):
    return datetime.datetime.now().timestamp() - desk.link()["since"]


@pytest.mark.parametrize(
    "flaw, reason",
    [
        ("wrong_ca", "cert_wrong_ca"),
        ("wrong_name", "cert_wrong_name"),
        ("expired", "cert_expired"),
        ("not_yet_valid", "cert_not_yet_valid"),
    ],
)
def test_a_broker_with_a_flawed_certificate_is_refused_and_the_flaw_told(made, interpreter, flaw, reason):
    with Broker(made.folder, identity=pki.wrong(made, flaw)) as broker:
        with device(interpreter, made.folder, broker.port) as desk:
            desk.wait_for("waiting", reason)
            assert "tls" not in desk.told()["seen"]
            desk.wait_logged(reason)
            assert len([line for line in desk.lines if reason in line]) == 1


def test_early_certificates_with_an_unset_clock_are_told_apart(made):
    with Broker(made.folder, identity=pki.wrong(made, "not_yet_valid")) as broker:
        with device("micropython", made.folder, broker.port, clock="unset") as desk:
            desk.wait_for("waiting", "clock_unset")


@pytest.mark.parametrize("flaw", ["wrong_ca", "expired"])
def test_a_device_with_a_flawed_certificate_is_refused_and_told(made, kind, interpreter, flaw):
    flawed_client(made, flaw)
    with Broker(made.folder, kind=kind) as broker:
        with device(interpreter, made.folder, broker.port, who="client-" + flaw) as desk:
            # The alert that says so may be overtaken by the reset that follows it.
            desk.wait_logged("cloud: waiting c")
            link = desk.link()
            assert link["reason"] in ("cert_refused", "closed_early")
            assert link["cert_warning"] is (flaw == "expired")


def flawed_client(made, flaw):
    """A client identity called client-FLAW in the folder of ``made``."""
    if flaw == "wrong_ca":
        other = pki.make(made.folder / "elsewhere", "other", SYSTEM_UUID)
        for end in ("cert.der", "key.der"):
            (made.folder / f"client-wrong_ca.{end}").write_bytes((other.folder / f"device.{end}").read_bytes())
        return
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    usage = x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH
    pki._issue(made.folder, made.ca, "client-expired", SYSTEM_UUID, usage, (), now - 9 * day, now - day)


def test_credentials_that_are_none_are_told(made):
    (made.folder / "client-none.cert.der").write_bytes(b"nothing")
    (made.folder / "client-none.key.der").write_bytes(b"nothing")
    for interpreter in INTERPRETERS:
        with device(interpreter, made.folder, free_port(), who="client-none") as desk:
            desk.wait_for("waiting", "credentials_bad")


def test_names_ports_and_networks_that_lead_nowhere_are_told_apart(made, tmp_path):
    with device("micropython", made.folder, free_port()) as desk:
        desk.wait_for("waiting", "refused")
    with device("micropython", made.folder, free_port(), host="no-such-host.invalid") as desk:
        desk.wait_for("waiting", "dns")
    uplink = tmp_path / "uplink"
    uplink.write_text("down\n")
    with device("micropython", made.folder, free_port(), uplink=str(uplink)) as desk:
        desk.wait_for("waiting", "no_wifi")


def test_a_cut_uplink_is_noticed_and_its_return_used_at_once(made, kind, interpreter, tmp_path):
    uplink = tmp_path / "uplink"
    # A ceiling of a minute: only the uplink's return can bring it back in time.
    slow = {"first_ms": 60000, "ceiling_ms": 60000}
    with Broker(made.folder, kind=kind) as broker:
        with device(interpreter, made.folder, broker.port, uplink=str(uplink), timing=slow) as desk:
            desk.wait_for("online")
            uplink.write_text("down")
            desk.wait_for("waiting", "no_wifi")
            assert desk.get()[0] == 200
            uplink.write_text("up")
            desk.wait_for("online")


def test_a_new_certificate_is_kept_only_if_the_broker_takes_it(made, kind, interpreter):
    flawed_client(made, "wrong_ca")
    pki.client(made.folder, made.ca, "renewed", SYSTEM_UUID)
    with Broker(made.folder, kind=kind) as broker:
        with device(interpreter, made.folder, broker.port, attempt="renewed") as desk:
            assert desk.wait_for("online")["attempt"] == "kept"
        soon = {"attempt_ms": 1000}
        with device(interpreter, made.folder, broker.port, attempt="client-wrong_ca", timing=soon) as desk:
            assert desk.wait_for("online")["attempt"] in ("cert_refused", "closed_early")


def test_that_nobody_can_be_reached_is_no_verdict_on_a_new_certificate(made, kind, interpreter):
    pki.client(made.folder, made.ca, "renewed", SYSTEM_UUID)
    broker = Broker(made.folder, kind=kind)
    with device(interpreter, made.folder, broker.port, attempt="renewed", timing={"attempt_ms": 100}) as desk:
        desk.wait_for("waiting", "refused")
        time.sleep(0.5)
        with broker:
            assert desk.wait_for("online")["attempt"] == "kept"


def test_a_stopped_link_gives_way_to_a_new_one_in_the_same_thread(made, kind, interpreter):
    with Broker(made.folder, kind=kind) as broker:
        with device(interpreter, made.folder, broker.port) as desk:
            desk.wait_for("online")
            _, descriptors, threads = desk.footprint()
            for _ in range(5):
                desk.get("/test/again")
                desk.wait_for("online")
            assert desk.footprint()[1:] == (descriptors, threads)


def test_certificate_dates_are_told_and_no_secret_is(made, kind):
    with Broker(made.folder, kind=kind) as broker:
        with device("cpython", made.folder, broker.port) as desk:
            link = desk.wait_for("online")
            ends = x509.load_pem_x509_certificate(made.device.cert_pem.read_bytes()).not_valid_after_utc
            assert link["cert_not_after"] == int(ends.timestamp())
            assert link["cert_warning"] is False
            ends = x509.load_pem_x509_certificate(made.ca.cert_pem.read_bytes()).not_valid_after_utc
            assert link["ca_not_after"] == int(ends.timestamp())
            assert not any("der" in name for name in link)
