"""MQTT 3.1.1 over umqtt.simple, with every packet from the broker checked before it is believed.

A PUBLISH payload is handed on as a bounded stream with its retain flag, never as bytes, and drained if it was not
read. QoS 0 and 1 come in; QoS 2 was never asked for and ends the connection, as do unknown packets, wrong lengths
and silence. Works over umqtt 1.3.4 and 1.8.0; of umqtt ``connect``, ``ping`` and ``_recv_len`` are used.
Does not reconnect.
"""

from umqtt import simple

from latchkey.cloud.reasons import LinkError
from latchkey.limits import const

_PUBLISH = const(0x30)
_SUBACK = const(0x90)
_PINGRESP = const(0xD0)
_PACKET_BYTES = const(2097152 + 65536)  # a list at its longest (L7) and its topic
_BUFFER_BYTES = const(256)
_BEFORE_ANSWER = const(64)  # packets; a broker sends what it retained, and no more, before it grants a subscription


class Payload:
    """The rest of one PUBLISH: ``readinto(buf)`` gives 0 at the end, and LinkError if the connection fails."""

    def __init__(self, client, size):
        self._client = client
        self.left = size

    def readinto(self, buf):
        if not self.left or not len(buf):
            return 0
        self._client.ping_if_due()
        n = self._client.sock.readinto(memoryview(buf)[: min(len(buf), self.left)])
        self.left -= n
        return n

    def drain(self, buf):
        while self.readinto(buf):
            pass


class Client(simple.MQTTClient):
    """``on_publish(topic_index, retained, payload)`` is called for each of ``topics``, a tuple of bytes."""

    def __init__(self, client_id, host, port, transport, clock, timing, topics, on_publish):
        super().__init__(client_id, host, port, keepalive=timing.keepalive_s)
        self.sock = transport
        self._clock = clock
        self._timing = timing
        self._topics = topics
        self._on_publish = on_publish
        self._buf = bytearray(_BUFFER_BYTES)
        self._pinged_ms = 0
        self._silent_ms = None  # how long the broker has said nothing while it owes an answer to a ping

    def open(self):
        """Connect and be accepted; LinkError ``broker_refused`` with the CONNACK's code, or what the transport says."""
        transport, self.sock = self.sock, None  # 1.8.0 would close it
        simple.socket = transport  # pyright: ignore[reportAttributeAccessIssue]
        transport.operation(self._timing.connect_ms, 4)
        try:
            self.connect()
        except simple.MQTTException as e:
            raise LinkError("broker_refused", e.args[0])
        except AssertionError:
            raise LinkError("bad_packet")
        # Asserts may have been compiled away.
        if transport.heard[:2] != b"\x20\x02":
            raise LinkError("bad_packet")
        self._pinged_ms = self._clock.now_ms()

    def subscribe(self, topic):  # pyright: ignore[reportIncompatibleMethodOverride]  QoS is always 1
        """True if the broker granted it. PUBLISH packets that come before the answer are served."""
        self.pid += 1
        body = bytes((self.pid >> 8, self.pid & 255, len(topic) >> 8, len(topic) & 255)) + topic + b"\x01"
        self.sock.operation(self._timing.packet_ms, 0)
        size = len(body)
        self.sock.write(b"\x82" + (bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))) + body)
        for _ in range(_BEFORE_ANSWER):
            self.sock.operation(self._timing.packet_ms, 1)
            answer = self._packet(self.sock.read(1)[0])
            if answer is not None:
                return answer < 0x80
        raise LinkError("stalled")

    def turn(self, wait_ms):
        """Serve one packet, or wait up to ``wait_ms`` for it; keep the connection alive."""
        self.sock.operation(self._timing.packet_ms, 0)
        self.ping_if_due()
        self.sock.flush()
        since_ms = self._clock.now_ms()
        first = self.sock.try_byte(wait_ms)
        if self._silent_ms is not None:
            # Only time in which the broker said nothing counts against it.
            self._silent_ms += self._clock.now_ms() - since_ms
            if self._silent_ms > self._timing.answer_ms:
                raise LinkError("stalled")
        if first is not None:
            self._packet(first)

    def ping_if_due(self):
        """Tell the broker that we live, at half the keepalive, also while a long payload is read."""
        now_ms = self._clock.now_ms()
        if now_ms - self._pinged_ms < self._timing.keepalive_s * 500:
            return
        self._pinged_ms = now_ms
        self._silent_ms = self._silent_ms or 0
        self.ping()

    def _packet(self, op):
        """Serve one packet; returns the return code of a SUBACK, else None."""
        self.sock.operation(self._timing.packet_ms, 4)
        size = self._recv_len()
        if size > _PACKET_BYTES:
            raise LinkError("packet_too_large")
        self.sock.operation(self._timing.packet_ms + size // self._timing.rate_bytes_s * 1000, size)
        if op & 0xF0 == _PUBLISH:
            return self._publish(op, size)
        if op == _PINGRESP and size == 0:
            self._silent_ms = None
            return None
        if op == _SUBACK and size == 3 and self._number() == self.pid:
            code = self.sock.read(1)[0]
            if code in (0, 1, 2, 0x80):
                return code
        raise LinkError("bad_packet")

    def _publish(self, op, size):
        qos = op >> 1 & 3
        head = 4 if qos else 2
        if qos > 1 or size < head:
            raise LinkError("bad_packet")
        topic_bytes = self._number()
        if topic_bytes + head > size:
            raise LinkError("bad_packet")
        topic = None
        if topic_bytes > max(map(len, self._topics)):  # a longer one than ours is skipped unread
            Payload(self, topic_bytes).drain(self._buf)
        else:
            topic = self.sock.read(topic_bytes)
        pid = self._number() if qos else 0
        payload = Payload(self, size - head - topic_bytes)
        if topic in self._topics:
            self._on_publish(self._topics.index(topic), bool(op & 1), payload)
        payload.drain(self._buf)
        if qos:
            self.sock.write(bytes((0x40, 2, pid >> 8, pid & 255)))

    def _number(self):
        two = self.sock.read(2)
        return two[0] << 8 | two[1]
