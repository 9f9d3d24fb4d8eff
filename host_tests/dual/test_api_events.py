"""Event streams ask again before every event and every ten seconds (A8)."""

import json
import unittest

from fake_device import FakeDevice, FakeGrant

from latchkey.api import events
from latchkey.api.handlers import Api
from latchkey.api.request import parse_head
from latchkey.errors import LatchkeyError, TokenError


class Product:
    def __init__(self):
        self.value = 0
        self.on_change = None

    def state(self):
        return {"value": self.value}

    def set(self, value):
        self.value = value
        self.on_change()


class Streams(unittest.TestCase):
    def setUp(self):
        self.product = Product()
        self.api = Api(FakeDevice(), self, self.product)
        self.refuse = None
        self.asked = 0
        self.stream = self.opened().pieces

    def verify(self, _token, caller=None):
        self.asked += 1
        if self.refuse:
            raise TokenError(self.refuse)
        return FakeGrant("read")

    def opened(self):
        head = b"GET /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer CLOUD-\r\n"
        return events.ROUTES[0][3](self.api, parse_head(memoryview(head), len(head), head))

    def due(self, now_ms):
        self.api.device.uptime_s = now_ms // 1000
        return next(self.stream).decode()

    def test_the_state_comes_first_and_again_at_every_change(self):
        self.assertEqual(self.due(0), 'id: 0\nevent: state\ndata: {"value": 0}\n\n')
        self.assertEqual(self.due(100), "")
        self.product.set(7)
        self.assertEqual(self.due(200), 'id: 1\nevent: state\ndata: {"value": 7}\n\n')
        self.assertEqual(self.asked, 2)

    def test_a_slow_reader_gets_the_newest_state_only(self):
        self.due(0)
        for value in range(5):
            self.product.set(value)
        lines = self.due(100).split("\n")
        self.assertEqual((lines[0], json.loads(lines[2][6:])), ("id: 5", {"value": 4}))
        self.assertEqual(self.due(200), "")

    def test_it_asks_every_ten_seconds_without_a_change(self):
        for now_ms in range(0, 30001, 100):
            self.due(now_ms)
        self.assertEqual(self.asked, 4)

    def test_a_heartbeat_comes_every_fifteen_seconds(self):
        beats = [now_ms for now_ms in range(0, 46000, 100) if self.due(now_ms) == ": beat\n\n"]
        self.assertEqual(beats, [15000, 30000, 45000])

    def test_no_event_leaves_once_the_token_is_refused(self):
        self.due(0)
        self.refuse = "revoked"
        self.product.set(9)
        self.assertEqual(self.due(100), 'event: end\ndata: {"code": "revoked"}\n\n')
        self.assertRaises(StopIteration, next, self.stream)

    def test_a_quiet_stream_ends_within_ten_seconds_of_the_refusal(self):
        self.due(0)
        self.refuse = "expired"
        self.assertEqual(self.due(9900), "")
        self.assertEqual(self.due(10000), 'event: end\ndata: {"code": "expired"}\n\n')

    def test_a_busy_verifier_holds_events_back_but_not_for_ever(self):
        self.due(0)
        self.refuse = "verify_busy"
        self.product.set(9)
        self.assertEqual(self.due(100), "")
        self.assertEqual(self.due(19900), "")
        self.assertEqual(self.due(20000), 'event: end\ndata: {"code": "verify_busy"}\n\n')

    def test_what_was_held_back_follows_when_the_verifier_is_free(self):
        self.due(0)
        self.refuse = "verify_busy"
        self.product.set(9)
        self.due(100)
        self.refuse = None
        self.assertTrue('{"value": 9}' in self.due(200))

    def test_two_streams_and_no_third_until_one_is_closed(self):
        open_now = [self.opened()]
        self.assertRaises(LatchkeyError, self.opened)
        self.stream.close()
        open_now.append(self.opened())
        self.assertRaises(LatchkeyError, self.opened)


if __name__ == "__main__":
    unittest.main()
