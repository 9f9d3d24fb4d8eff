"""Thousands of damaged sessions, without a network: whatever the bytes are, only LinkError comes out."""

import random
import uuid

import pytest
from cloud_rig import CONNACK, KEYS_TOPIC, LIST_TOPIC, PINGRESP, SYSTEM_UUID, key_set, publish, suback, token_list
from deskclock import DeskClock

import counts
from latchkey import keystore
from latchkey.cloud.messages import Intake
from latchkey.cloud.mqtt import Client
from latchkey.cloud.reasons import LinkError
from latchkey.cloud.session import Timing

MESSAGES = {"keys", "keys_refused", "list_begin", "list_records", "list_commit", "list_abort"}


class BytesTransport:
    """A connection on which ``data`` arrives and then the end; keeps the transport's promises of deadline and limit."""

    def __init__(self, data):
        self.data = data
        self.at = 0
        self.limit = 0
        self.heard = b""
        self.written = b""
        self.largest = 0

    def socket(self):
        return self

    def getaddrinfo(self, host, port):
        return (((host, port),),)

    def connect(self, _address):
        self.connected = True

    def operation(self, limit_ms, byte_limit):
        assert 0 < limit_ms < 3600000 and 0 <= byte_limit <= 1 << 22
        self.limit = byte_limit

    def write(self, data, length=None):
        self.written += bytes(data[: len(data) if length is None else length])

    def flush(self):
        self.limit += 0

    def read(self, n):
        self.largest = max(self.largest, n)
        if n > self.limit:
            raise LinkError("bad_packet")
        out = bytearray(n)
        view, at = memoryview(out), 0
        while at < n:
            at += self.readinto(view[at:])
        self.heard = bytes(out)
        return self.heard

    def readinto(self, view):
        if len(view) > self.limit:
            raise LinkError("bad_packet")
        n = min(len(view), len(self.data) - self.at)
        if not n:
            raise LinkError("closed")
        view[:n] = self.data[self.at : self.at + n]
        self.at += n
        self.limit -= n
        return n

    def try_byte(self, _wait_ms):
        if self.at == len(self.data):
            raise LinkError("closed")
        self.at += 1
        return self.data[self.at - 1]

    def close(self):
        self.connected = False


def serve(data):
    """Run a whole session over ``data``; returns (messages, transport, the reason that ended it)."""
    messages = []
    transport = BytesTransport(data)
    intake = Intake(uuid.UUID(SYSTEM_UUID).bytes, messages.append)
    topics = (KEYS_TOPIC, LIST_TOPIC)
    client = Client(SYSTEM_UUID.encode(), "broker", 8883, transport, DeskClock(), Timing(), topics, intake.serve)
    try:
        client.open()
        for topic in topics:
            client.subscribe(topic)
        while True:
            client.turn(0)
    except LinkError as e:
        return messages, transport, e.code


@pytest.fixture(scope="module")
def session():
    body = publish(KEYS_TOPIC, key_set("one")) + PINGRESP + publish(LIST_TOPIC, token_list(3), qos=1)
    return CONNACK + suback(1) + suback(2) + body + publish(b"elsewhere", b"x" * 300) + publish(LIST_TOPIC, b"[]")


def test_the_session_is_good_before_it_is_damaged(session):
    messages, transport, reason = serve(session)
    assert [m[0] for m in messages] == [
        "keys",
        "list_begin",
        "list_records",
        "list_commit",
        "list_begin",
        "list_commit",
    ]
    assert reason == "closed" and transport.written.endswith(b"\x40\x02\x00\x07")


def damage(session, chance):
    data = bytearray(session)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(min(len(data), chance.choice((20, 200, len(data)))))
        kind = chance.randrange(5)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            del data[at : at + chance.choice((1, 2, 30))]
        elif kind == 3:
            data[at:at] = chance.randbytes(chance.choice((1, 2, 30)))
        else:
            del data[at:]
        if not data:
            break
    return bytes(data)


def test_damaged_sessions_end_in_a_reason_and_allocate_little(session):
    chance = random.Random(20261124)
    for _ in range(counts.get("damaged_sessions")):
        data = damage(session, chance)
        messages, transport, _ = serve(data)
        assert {m[0] for m in messages} <= MESSAGES
        # A length from the network never becomes an allocation: only topics as long as ours are read whole.
        assert transport.largest <= len(LIST_TOPIC)


def test_noise_for_a_session_ends_in_a_reason():
    chance = random.Random(24112026)
    for _ in range(counts.get("damaged_sessions")):
        messages, _, _ = serve(CONNACK + suback(1) + suback(2) + chance.randbytes(chance.randrange(60)))
        assert {m[0] for m in messages} <= MESSAGES


def believed(data):
    """The key sets and whole lists that a session brings, as they can be compared."""
    found = [m for m in serve(data)[0] if m[0] in ("keys", "list_commit")]
    return [("keys", keystore.pack(m[1])) if m[0] == "keys" else m for m in found]


def test_a_cut_at_every_byte_changes_nothing_that_was_not_whole(session):
    whole = believed(session)
    assert [m[0] for m in whole] == ["keys", "list_commit", "list_commit"]
    for end in range(len(session)):
        done = believed(session[:end])
        assert done == whole[: len(done)]
