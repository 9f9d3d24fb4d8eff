"""The record of uses: the ring of uses, pure and over the API."""

import json
import unittest

from setting_up import OWNER, Device, whole

from latchkey.api.uses import Uses
from latchkey.errors import LatchkeyError


class Grant:
    def __init__(self, name="Marie Curie", jti="530886ea-da07-4927-ade0-b49c05d655f4"):
        self.name, self.jti = name, jti


ROUTES = (("/v1/state", "GET", "read"), ("/v1/state", "PATCH", "control"))


def said(ring, now):
    """The answer of the ring (dict)."""
    return json.loads(whole(*ring.answer(now, ROUTES, {})))


class TestRing(unittest.TestCase):
    def test_equal_uses_share_a_place_and_the_newest_is_first(self):
        ring = Uses()
        for now, status in ((5, 200), (6, 422), (9, 200)):
            ring.used(now, Grant(), "Owner", 1, False, status)
        changes = said(ring, 10)["changes"]
        self.assertEqual([(use["status"], use["count"], use["ago_s"]) for use in changes], [(200, 2, 1), (422, 1, 4)])
        expected = {"name": "Marie Curie", "jti": "530886ea", "role": "Owner", "permission": "control"}
        expected.update({"method": "PATCH", "path": "/v1/state", "status": 200, "count": 2, "ago_s": 1})
        self.assertEqual(changes[0], expected)

    def test_polling_erases_no_change_and_what_is_held_is_bounded(self):
        ring = Uses()
        ring.used(0, Grant("first"), "Owner", 1, False, 200)
        for i in range(3000):
            ring.used(i, Grant("poller %d" % (i % 50)), "Visitor", 0, True, 200)
            ring.refused(i, "192.0.2.%d" % (i % 200))
        found = said(ring, 3000)
        self.assertEqual([use["name"] for use in found["changes"]], ["first"])
        self.assertEqual((len(found["reads"]), len(found["peers"]), sum(map(len, ring._rings))), (8, 8, 2048))
        for i in range(100):
            ring.used(3000 + i, Grant("changer %d" % i), "Owner", 1, False, 200)
        changes = [use["name"] for use in said(ring, 3100)["changes"]]
        self.assertEqual(changes, ["changer %d" % i for i in range(99, 75, -1)])

    def test_refusals_are_counted_for_the_newest_peers(self):
        ring = Uses()
        for now, peer in enumerate(("a", "b", "a")):
            ring.refused(now, peer)
        peers = said(ring, 5)["peers"]
        self.assertEqual(peers, [{"peer": "a", "count": 2, "ago_s": 3}, {"peer": "b", "count": 1, "ago_s": 4}])

    def test_a_count_has_an_end_and_a_name_is_cut_between_characters(self):
        ring = Uses()
        for _ in range(65537):
            ring.used(1, Grant("x" * 19 + "\u00e4\u00e4"), "\u20ac" * 9, 0, True, 200)
        (use,) = said(ring, 1)["reads"]
        self.assertEqual((use["count"], use["name"], use["role"]), (65535, "x" * 19, "\u20ac" * 6))
        ring.used(1, Grant(None), "", 0, True, 200)
        self.assertEqual(len(said(ring, 1)["reads"]), 2)

    def test_a_use_that_comes_while_an_answer_is_sent_does_not_change_it(self):
        ring = Uses()
        ring.used(1, Grant("before"), "Owner", 1, False, 200)
        pieces, length = ring.answer(2, ROUTES, {"bad_signature": 1})
        ring.used(3, Grant("a longer name"), "Owner", 1, False, 200)
        ring.refused(3, "192.0.2.1")
        text = whole(pieces, length)
        found = json.loads(text)
        self.assertEqual((len(text), [use["name"] for use in found["changes"]]), (length, ["before"]))
        self.assertEqual((found["peers"], found["refusals"]), ([], {"bad_signature": 1}))


class TestApi(unittest.TestCase):
    def test_who_did_what_with_which_result_and_never_a_token(self):
        device = Device(ssid="Old")
        device.call("PATCH", "/v1/state", {"on": True})
        device.call("PATCH", "/v1/state", {"on": 7})
        device.call("GET", "/v1/state")
        device.code("GET", "/v1/state", role="nobody-at-all")
        device.pass_s(3)
        status, found = device.call("GET", "/v1/uses")
        told = [(use["method"], use["path"], use["status"], use["permission"]) for use in found["changes"]]
        self.assertEqual((status, sorted(told)), (200, [("PATCH", "/v1/state", s, "control") for s in (200, 422)]))
        self.assertEqual([(use["path"], use["ago_s"]) for use in found["reads"]], [("/v1/state", 3)])
        self.assertEqual(found["reads"][0]["role"], OWNER)
        self.assertTrue(found["refusals"]["no_permission"] >= 1)
        self.assertFalse("CLOUD-" in json.dumps(found) or "nobody" in json.dumps(found))
        self.assertFalse([ring for ring in device.api.uses._rings if b"CLOUD-" in ring])

    def test_refusals_are_counted_by_peer_and_only_who_configures_may_ask(self):
        device = Device(ssid="Old")
        refusal = device.api.refusal(LatchkeyError("bad_signature"))
        device.api.uses.note(device.api, None, "192.0.2.7", refusal)
        found = device.call("GET", "/v1/uses")[1]
        self.assertEqual([(one["peer"], one["count"]) for one in found["peers"]], [("192.0.2.7", 1)])
        self.assertEqual(device.code("GET", "/v1/uses", role="Visitor"), (403, "insufficient_scope"))
