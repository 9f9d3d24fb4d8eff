"""Packets of the device to its broker, and its reaction to honest but unusual sessions."""

import time

import pytest
from cloud_rig import (
    CONNACK,
    INTERPRETERS,
    KEYS_TOPIC,
    LIST_TOPIC,
    PINGRESP,
    SYSTEM_UUID,
    device,
    hostile,
    key_set,
    publish,
    suback,
    token_list,
    until,
)

from latchkey_tools.sim import pki


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"), "company-example", SYSTEM_UUID)


@pytest.fixture(params=INTERPRETERS)
def interpreter(request):
    return request.param


def grant(peer):
    """Answer one SUBSCRIBE; returns its topic and the requested QoS."""
    body = peer.expect(0x82)
    peer.send(suback(int.from_bytes(body[:2], "big")))
    size = int.from_bytes(body[2:4], "big")
    return body[4 : 4 + size], body[4 + size]


def test_the_client_id_is_the_system_and_both_topics_are_asked_for_with_qos_1(made, interpreter):
    heard = []

    def script(peer):
        heard.append(peer.expect(0x10))
        peer.send(CONNACK)
        heard.extend([grant(peer), grant(peer)])
        peer.stay()

    with hostile(made, script) as broker, device(interpreter, made.folder, broker.port) as desk:
        desk.wait_for("online")
    assert heard[0] == b"\x00\x04MQTT\x04\x02\x00\x01\x00\x24" + SYSTEM_UUID.encode()
    assert heard[1:3] == [(KEYS_TOPIC, 1), (LIST_TOPIC, 1)]


def test_topics_of_more_than_122_bytes_are_subscribed(made, interpreter):
    slug = "a" * 120
    heard = []

    def script(peer):
        peer.expect(0x10)
        peer.send(CONNACK)
        topics = [grant(peer)[0], grant(peer)[0]]
        peer.send(publish(topics[1], token_list(3)))
        heard.extend(topics)
        peer.stay()

    with hostile(made, script) as broker, device(interpreter, made.folder, broker.port, slug=slug) as desk:
        desk.wait_for("online")
        until(lambda: desk.told()["ledger"]["tokens"] == 3)
    assert [len(topic) for topic in heard[:2]] == [134, 195]
    assert all(slug.encode() in topic for topic in heard)


def test_qos_1_is_acknowledged_after_it_was_read(made, interpreter):
    heard = []

    def script(peer):
        peer.welcome()
        peer.send(publish(LIST_TOPIC, token_list(2), retained=False, qos=1, pid=0x1234))
        heard.append(peer.expect(0x40))
        peer.stay()

    with hostile(made, script) as broker, device(interpreter, made.folder, broker.port) as desk:
        until(lambda: desk.told()["ledger"]["tokens"] == 2)
        until(lambda: heard)
    assert heard[0] == b"\x12\x34"


def test_messages_between_subscribe_and_its_answer_are_served(made, interpreter):
    def script(peer):
        peer.expect(0x10)
        peer.send(CONNACK)
        grant(peer)
        body = peer.expect(0x82)
        peer.send(publish(KEYS_TOPIC, key_set("early")) + PINGRESP)
        peer.send(suback(int.from_bytes(body[:2], "big")))
        peer.stay()

    with hostile(made, script) as broker, device(interpreter, made.folder, broker.port) as desk:
        desk.wait_for("online")
        until(lambda: desk.told()["kids"] == ["early"])


def test_the_retain_flag_reaches_the_ledger(made, interpreter):
    """L5: an old retained list brings no token back, a live one does."""
    retained = [True]

    def script(peer):
        peer.welcome()
        peer.send(publish(LIST_TOPIC, token_list(3)) + publish(LIST_TOPIC, token_list(1)))
        peer.send(publish(LIST_TOPIC, token_list(3), retained=retained[0]))
        peer.stay()

    with hostile(made, script) as broker, device(interpreter, made.folder, broker.port) as desk:
        until(lambda: desk.told()["ledger"]["received"] == 3)
        assert desk.told()["ledger"]["tokens"] == 1
        retained[0] = False
        broker.drop()
        until(lambda: desk.told()["ledger"]["received"] == 6)
        assert desk.told()["ledger"]["tokens"] == 3


def test_what_memory_was_too_short_for_comes_again(made, interpreter):
    def script(peer):
        peer.welcome()
        peer.send(publish(KEYS_TOPIC, key_set("one")))
        peer.stay()

    with hostile(made, script) as broker:
        with device(interpreter, made.folder, broker.port, short=2) as desk:
            until(lambda: desk.told()["kids"] == ["one"])
            assert desk.told()["seen"]["keys"] == 3 and broker.connections == 3


def test_pings_go_out_while_a_long_list_comes_in_and_their_answers_may_wait(made, interpreter):
    packet = publish(LIST_TOPIC, token_list(60))
    answers = []

    def script(peer):
        peer.welcome()
        # Three keepalives long, no packet of ours in between.
        for at in range(0, len(packet), len(packet) // 60):
            peer.send(packet[at : at + len(packet) // 60])
            time.sleep(0.05)
        pings = [peer.packet() for _ in range(4)]
        peer.send(PINGRESP * 4)
        answers.extend(pings)
        peer.stay()

    patient = {"rate_bytes_s": 2048}
    with hostile(made, script) as broker, device(interpreter, made.folder, broker.port, timing=patient) as desk:
        until(lambda: desk.told()["ledger"]["tokens"] == 60, 20)
        until(lambda: answers)
        time.sleep(1.5)
        assert desk.link()["state"] == "online" and broker.connections == 1
    assert answers == [(0xC0, b"")] * 4


def test_later_releases_of_umqtt_serve_as_well(made):
    def script(peer):
        peer.welcome()
        peer.send(publish(KEYS_TOPIC, key_set("one")) + publish(LIST_TOPIC, token_list(3)))
        peer.stay()

    with hostile(made, script) as broker, device("cpython", made.folder, broker.port, later_umqtt=True) as desk:
        for _ in range(3):
            until(lambda: desk.told()["kids"] == ["one"])
            desk.wait_for("online")
            broker.drop()
