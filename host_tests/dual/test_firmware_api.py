"""PUT and GET /v1/firmware: everything is judged before anything is written, and what is refused has not happened."""

import json
import unittest

from updating import KEYS, PAYLOAD, SIGNED, Body, Gone, Updated

GOOD = SIGNED["good"]
LINE = GOOD["release"]


class TestUpdate(unittest.TestCase):
    def test_a_release_arrives_is_read_back_and_the_device_restarts_into_it(self):
        device = Updated()
        self.assertEqual(device.put(LINE, PAYLOAD), (202, None))
        self.assertEqual(json.loads(device.response.body), {"state": "restarting", "version": "1.2.3"})
        self.assertEqual((device.carrier.content, device.carrier.next), (PAYLOAD, "b8"))
        self.assertEqual(device.kept()["sent"]["place"], "b8")
        self.assertEqual(device.board.restarts, 0)
        device.pass_s(3)
        self.assertTrue(device.board.restarts > 0)

    def test_what_runs_is_shown(self):
        facts = Updated().firmware()
        names = ("board", "kind", "running", "state", "upload", "last")
        self.assertEqual([facts[name] for name in names], ["desk", "files", "a7", "good", None, None])
        self.assertEqual(facts["keys"], {"release": True, "recovery": True})

    def test_what_does_not_fit_is_refused_before_anything_is_written(self):
        device = Updated()
        for name, status, code in (
            ("of a sensor", 409, "wrong_product"),
            ("of another board", 409, "wrong_board"),
            ("image", 409, "wrong_board"),
            ("large", 507, "no_room"),
            ("larger than its room", 507, "no_room"),
            ("key set", 400, "manifest_refused"),
            ("by the new key", 403, "manifest_signature"),
        ):
            self.assertEqual(device.put(GOOD[name], PAYLOAD), (status, code), name)
        self.assertEqual(device.carrier.calls, [])
        self.assertEqual(device.upload, None)

    def test_a_break_is_resumed_under_the_same_manifest(self):
        device = Updated()
        whole = (LINE + "\n").encode() + PAYLOAD
        with self.assertRaises(Gone):
            device.put(LINE, body=Body(whole[:-1500], len(whole)))
        self.assertEqual(device.firmware()["upload"]["received"], 8192)
        self.assertEqual(device.put(LINE, PAYLOAD[8192:], "from=8192"), (202, None))
        self.assertEqual(device.carrier.content, PAYLOAD)

    def test_without_a_key_no_release_is_taken(self):
        self.assertEqual(Updated(keys=[]).put(LINE, PAYLOAD), (409, "no_update_key"))
        self.assertEqual(Updated(keys=KEYS[:1]).put(GOOD["release key 1"]), (409, "no_update_key"))

    def test_the_recovery_key_replaces_the_release_key(self):
        device = Updated()
        self.assertEqual(device.put(GOOD["release key 1"]), (200, None))
        self.assertEqual(device.firmware()["key_counter"], 1)
        self.assertEqual(device.put(LINE, PAYLOAD), (403, "manifest_signature"))
        self.assertEqual(device.put(GOOD["by the new key"], PAYLOAD), (202, None))
