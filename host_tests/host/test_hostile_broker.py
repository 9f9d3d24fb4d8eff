"""A broker of raw bytes that does everything wrong, and what the device makes of it: nothing.

After each case: the same process, the next local request answered, old keys in force, reconnected; at the end the
memory is where it was.
"""

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
    remaining,
    suback,
    token_list,
    until,
)

from latchkey_tools.sim import pki


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"), "company-example", SYSTEM_UUID)


def good(peer):
    """An honest session: keys, a list, pings answered."""
    peer.welcome()
    peer.send(publish(KEYS_TOPIC, key_set("good")) + publish(LIST_TOPIC, token_list(2)))
    peer.stay()


@pytest.fixture(scope="module", params=INTERPRETERS)
def pair(request, made):
    """(broker, device) that have met once in peace."""
    with hostile(made, good) as broker:
        with device(request.param, made.folder, broker.port) as desk:
            desk.wait_for("online")
            until(lambda: desk.told()["kids"] == ["good"] and desk.told()["ledger"]["received"])
            desk.first_footprint = desk.footprint()
            yield broker, desk


def welcomed(*data):
    """A script that accepts the device, sends ``data`` and waits until the device has had enough."""

    def script(peer):
        peer.welcome()
        for part in data:
            peer.send(part)
        peer.wait_closed()

    return script


def instead_of_connack(data):
    def script(peer):
        peer.expect(0x10)
        peer.send(data)
        peer.wait_closed()

    return script


def instead_of_suback(data):
    def script(peer):
        peer.expect(0x10)
        peer.send(CONNACK)
        peer.expect(0x82)
        peer.send(data)
        peer.wait_closed()

    return script


def endless_instead_of_suback(peer):
    peer.expect(0x10)
    peer.send(CONNACK)
    while True:
        peer.send(publish(b"elsewhere", b"x") * 50)


def drip(peer):
    peer.welcome()
    for byte in publish(KEYS_TOPIC, key_set("slow")):
        peer.send(bytes((byte,)))
        time.sleep(0.3)


def no_pong(peer):
    peer.welcome()
    peer.wait_closed()


def refuse_one(index):
    def script(peer):
        peer.expect(0x10)
        peer.send(CONNACK)
        for i in range(2):
            peer.send(suback(int.from_bytes(peer.expect(0x82)[:2], "big"), 0x80 if i == index else 0))
        peer.stay()

    return script


def refuse_both(peer):
    peer.expect(0x10)
    peer.send(CONNACK)
    for _ in range(2):
        peer.send(suback(int.from_bytes(peer.expect(0x82)[:2], "big"), 0x80))
    peer.wait_closed()


def publish_head(topic, size):
    return b"\x30" + remaining(size) + len(topic).to_bytes(2, "big") + topic


# name: (what the broker does, the reason that the device gives)
ENDINGS = {
    "half a CONNACK, then silence": (instead_of_connack(b"\x20\x02"), "stalled"),
    "silence for a CONNACK": (instead_of_connack(b""), "stalled"),
    "another packet for a CONNACK": (instead_of_connack(b"\x30\x02\x00\x00"), "bad_packet"),
    "a CONNACK of another length": (instead_of_connack(b"\x20\x03\x00\x00\x00"), "bad_packet"),
    "a CONNACK that refuses": (instead_of_connack(b"\x20\x02\x00\x05"), "broker_refused"),
    "silence for a SUBACK": (instead_of_suback(b""), "stalled"),
    "messages without end for a SUBACK": (endless_instead_of_suback, "stalled"),
    "a SUBACK for another packet": (instead_of_suback(suback(999)), "bad_packet"),
    "a SUBACK with an unknown code": (instead_of_suback(suback(1, 3)), "bad_packet"),
    "a SUBACK of another length": (instead_of_suback(b"\x90\x04\x00\x01\x00\x00"), "bad_packet"),
    "both subscriptions refused": (refuse_both, "subscription_refused"),
    "half a header, then silence": (welcomed(b"\x30"), "stalled"),
    "half a topic, then silence": (welcomed(publish_head(KEYS_TOPIC[:9], 99)), "stalled"),
    "half a key set, then silence": (welcomed(publish(KEYS_TOPIC, key_set("half"))[:-40]), "stalled"),
    "half a list, then silence": (welcomed(publish(LIST_TOPIC, token_list(9))[:-400]), "stalled"),
    "a byte now and then": (drip, "stalled"),
    "no answer to a ping": (no_pong, "stalled"),
    "a remaining length of 256 MB": (welcomed(b"\x30\xff\xff\xff\x7f"), "packet_too_large"),
    "a remaining length of five bytes": (welcomed(b"\x30\xff\xff\xff\xff\x01"), "bad_packet"),
    "a PUBLISH without a topic": (welcomed(b"\x30\x01\x00"), "bad_packet"),
    "a topic longer than its packet": (welcomed(b"\x30\x04\x00\x09ab"), "bad_packet"),
    "QoS 2": (welcomed(publish(KEYS_TOPIC, b"{}", qos=2)), "bad_packet"),
    "QoS 3": (welcomed(publish(KEYS_TOPIC, b"{}", qos=3)), "bad_packet"),
    "a CONNACK too many": (welcomed(CONNACK), "bad_packet"),
    "a PUBACK for nothing": (welcomed(b"\x40\x02\x00\x01"), "bad_packet"),
    "a SUBSCRIBE from the broker": (welcomed(b"\x82\x06\x00\x01\x00\x01a\x00"), "bad_packet"),
    "packet type 0": (welcomed(b"\x00\x00"), "bad_packet"),
    "packet type 15": (welcomed(b"\xf0\x00"), "bad_packet"),
    "a PINGRESP with a body": (welcomed(b"\xd0\x01\x00"), "bad_packet"),
    "an HTTP server": (instead_of_connack(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "bad_packet"),
    "a close after the welcome": (lambda peer: peer.welcome(), "closed"),
}

# The device stays connected in spite of these: sent after the welcome, then peace.
NUISANCES = {
    "a 64 KB topic": publish(b"t" * 65535, b"x"),
    "a topic in broken UTF-8": publish(b"\xff\xfe\xc0\x80", b"x"),
    "a topic of no bytes": publish(b"", b"x"),
    "a 1 MB message on a topic of nobody's": publish(b"elsewhere", bytes(1 << 20)),
    "a storm of retained messages": publish(KEYS_TOPIC, key_set("good")) * 300,
    "a storm of other topics": publish(b"elsewhere", b"x" * 50, qos=1) * 500,
    "a storm of lists": publish(LIST_TOPIC, token_list(2)) * 100,
    "an empty key set": publish(KEYS_TOPIC, b""),
    "a placeholder key set": publish(KEYS_TOPIC, b'{"keys":[{"n":"1","e":"AQAB","kty":"RSA","kid":"1"}]}'),
    "a key set of 40 KB": publish(KEYS_TOPIC, b" " * 40000),
    "a key set in broken UTF-8": publish(KEYS_TOPIC, b'{"keys":[{"kid":"\xff"}]}'),
    "a key set of brackets": publish(KEYS_TOPIC, b"[" * 20000),
    "a list of brackets": publish(LIST_TOPIC, b"[" * 20000),
    "a list of 3 MB": publish(LIST_TOPIC, b"[" + b" " * 2097152 + b"]"),
    "a list that breaks off": publish(LIST_TOPIC, token_list(20)[:-1]),
    "pings nobody asked for": PINGRESP * 200,
    "QoS 1": publish(KEYS_TOPIC, key_set("good"), qos=1),
}


def in_peace_again(broker, desk):
    """The device answers, kept its keys, and is back online with an honest broker."""
    broker.script = good
    assert desk.get()[0] == 200
    broker.drop()
    desk.wait_for("online")
    told = desk.told()
    assert told["kids"] == ["good"] and told["keys_generation"] == 1
    assert not broker.failures, broker.failures


@pytest.mark.parametrize("name", ENDINGS)
def test_the_device_leaves_and_tells_why_after(pair, name):
    broker, desk = pair
    script, reason = ENDINGS[name]
    line = len(desk.lines)
    broker.script = script
    broker.drop()
    desk.wait_logged("waiting " + reason, since=line)
    in_peace_again(broker, desk)


def test_a_false_connack_is_seen_where_asserts_are_compiled_away(made):
    for false in (b"\x30\x02\x00\x00", b"\x20\x09\x00\x00"):
        with hostile(made, instead_of_connack(false)) as broker:
            with device("cpython", made.folder, broker.port, env={"PYTHONOPTIMIZE": "1"}) as desk:
                desk.wait_logged("waiting bad_packet")


@pytest.mark.parametrize("name", NUISANCES)
def test_the_device_shrugs_off(pair, name):
    broker, desk = pair
    done = []

    def script(peer):
        peer.welcome()
        peer.send(publish(KEYS_TOPIC, key_set("good")) + NUISANCES[name])
        time.sleep(0.05)
        # A list after it shows that the device still reads and understands.
        peer.send(publish(LIST_TOPIC, token_list(1)))
        done.append(desk.told()["ledger"]["received"])
        peer.stay()

    before = desk.told()["ledger"]["received"]
    broker.script = script
    broker.drop()
    until(lambda: done and desk.told()["ledger"]["received"] > before, 20)
    desk.wait_for("online")
    in_peace_again(broker, desk)


@pytest.mark.parametrize("index, word", [(0, "jwks"), (1, "localApiTokens")])
def test_one_refused_subscription_is_told_while_the_other_serves(pair, index, word):
    broker, desk = pair
    broker.script = refuse_one(index)
    broker.drop()
    line = len(desk.lines)
    desk.wait_logged("cloud: partial subscription_refused " + word, since=line)
    in_peace_again(broker, desk)


def test_a_close_at_every_byte_offset_of_a_session_harms_nothing(pair):
    broker, desk = pair
    session = CONNACK + suback(1) + suback(2) + publish(KEYS_TOPIC, b'{"keys":[]}') + publish(LIST_TOPIC, b"[")
    steps = [4, 5, 5]
    at = [0]

    def script(peer):
        offset = at[0]
        at[0] += 1
        left, sent = session[:offset], 0
        peer.expect(0x10)
        for size in steps:
            peer.send(left[sent : sent + size])
            sent += size
            if sent >= len(left):
                return
            if sent < sum(steps):
                peer.expect(0x82)
        peer.send(left[sent:])

    broker.script = script
    broker.drop()
    until(lambda: at[0] > len(session), 120)
    in_peace_again(broker, desk)


def test_memory_descriptors_and_threads_are_where_they_were_after_all_this(pair):
    broker, desk = pair
    in_peace_again(broker, desk)
    free, descriptors, threads = desk.footprint()
    assert (descriptors, threads) == desk.first_footprint[1:]
    # The collector takes a stale word on a stack for a pointer, at times to a parser's window of 4 KB.
    assert free > desk.first_footprint[0] - 2 * 4096
