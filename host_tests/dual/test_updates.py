"""Effects of the cloud's messages on the stores, in the right order and whatever fails."""

import unittest

from fake_link import Noting

from latchkey.cloud.messages import Updates
from latchkey.errors import StoreError
from latchkey.jwk import Key
from latchkey.rsa import PublicKey

# 2048 bits: the shape is all that counts here
MODULUS = b"\xc3" + b"\x55" * 255
KEYS = ("keys", [Key("one", PublicKey(MODULUS, 65537))], 0)


class FakeCloudLink:
    stopping = False
    attempt = "running"

    def __init__(self):
        self.states = []

    def change(self, *state):
        self.states.append(state)


class TestUpdates(unittest.TestCase):
    def setUp(self):
        self.keystore = Noting(("replace", "refuse"))
        self.ledger = Noting(("begin", "add", "commit", "abort", "give_up"))
        self.ledger.newest_changed_unix_s = 66
        names = ("source_set", "tls_checked", "heard_unix_s", "latest_unix_s", "learn", "now_ms")
        self.floor = Noting(names, heard_unix_s=77, latest_unix_s=99, now_ms=5)
        self.floor.floor_unix_s = 88
        self.lines, self.settled = [], []
        self.link = FakeCloudLink()
        self.updates = self.make()

    def make(self, pinned=False):
        return Updates(self.keystore, self.ledger, self.floor, self.settled.append, self.lines.append, pinned)

    def apply(self, *messages):
        for message in messages:
            self.updates.apply(message, self.link)

    def ledger_calls(self):
        return [name for name, _ in self.ledger.calls]

    def test_keys_replace_the_keys_held(self):
        self.apply(KEYS)
        name, (keys, now_ms, heard_unix_s) = self.keystore.calls[0]
        self.assertEqual((name, keys[0].kid, keys[0].public_key.bits), ("replace", "one", 2048))
        self.assertEqual((now_ms, heard_unix_s), (5, 88))

    def test_keys_that_cannot_be_used_are_logged(self):
        self.apply(KEYS[:2] + (3,))
        self.assertEqual(self.lines, ["cloud: 3 keys of the set cannot be used here"])

    def test_pinned_keys_are_left_alone(self):
        self.updates = self.make(pinned=True)
        self.apply(KEYS)
        self.assertEqual((self.keystore.calls, self.lines), ([], []))

    def test_a_refused_key_set_is_counted_and_logged(self):
        self.apply(("keys_refused", "json_refused"))
        self.assertEqual(self.keystore.calls, [("refuse", ("json_refused",))])
        self.assertEqual(self.lines, ["cloud: key set refused: json_refused"])

    def test_a_list_is_stored_between_begin_and_commit(self):
        self.apply(("list_begin", True), ("list_records", (1, 2)), ("list_records", (3,)), ("list_commit",))
        self.assertEqual(
            self.ledger.calls, [("begin", (True, 77, 99)), ("add", ((1, 2),)), ("add", ((3,),)), ("commit", ())]
        )
        self.assertEqual(self.floor.calls[-1], ("learn", (66,)))

    def test_a_list_that_breaks_off_is_aborted(self):
        self.apply(("list_begin", False), ("list_records", (1,)), ("list_abort", "truncated"))
        self.assertEqual(self.ledger_calls(), ["begin", "add", "abort"])
        self.assertEqual(self.lines, ["cloud: token list refused: truncated"])

    def test_a_list_that_was_never_ended_gives_way_to_the_next(self):
        self.apply(("list_begin", False), ("list_records", (1,)), ("list_begin", True), ("list_commit",))
        self.assertEqual(self.ledger_calls(), ["begin", "add", "begin", "commit"])

    def test_a_store_that_fails_in_a_list_gives_it_up_and_nothing_else(self):
        self.ledger.fail["add"] = StoreError("store_full")
        self.apply(("list_begin", False), ("list_records", (1,)), ("list_records", (2,)), ("list_commit",), KEYS)
        self.assertEqual(self.ledger_calls()[:3], ["begin", "add", "give_up"])
        self.assertEqual(self.lines[0], "cloud: list_records failed: store_full")
        self.assertEqual([name for name, _ in self.keystore.calls], ["replace"])

    def test_only_short_memory_asks_for_the_message_again(self):
        self.assertTrue(self.updates.apply(KEYS, self.link))
        self.assertTrue(self.updates.apply(("state", "online", "", None), self.link))
        self.keystore.fail["replace"] = StoreError("store_full")
        self.assertTrue(self.updates.apply(KEYS, self.link))
        self.keystore.fail["replace"] = MemoryError()
        self.assertFalse(self.updates.apply(KEYS, self.link))

    def test_a_commit_that_fails_is_told(self):
        self.ledger.fail["commit"] = StoreError("store_failed")
        self.apply(("list_begin", False), ("list_commit",))
        self.assertEqual(self.floor.calls[-1][0], "latest_unix_s")
        self.assertEqual(self.lines, ["cloud: list_commit failed: store_failed"])

    def test_time_and_handshakes_reach_the_floor_in_their_order(self):
        self.apply(("time",), ("tls", None), ("state", "online", "", None), ("attempt", True, ""))
        self.assertEqual([name for name, _ in self.floor.calls], ["source_set", "tls_checked"])

    def test_the_link_shows_what_it_says_of_itself(self):
        self.apply(("tls", 1900000000), ("state", "online", "", None), ("attempt", False, "cert_refused"))
        link = self.link
        self.assertEqual((link.broker_not_after, link.states), (1900000000, [("online", "", None)]))
        self.assertEqual((link.attempt, self.settled), ("cert_refused", [False]))
        self.apply(("attempt", True, ""))
        self.assertEqual((link.attempt, self.settled), ("kept", [False, True]))
        link.stopping = True
        self.apply(("state", "waiting", "closed", None))
        self.assertEqual(link.states, [("online", "", None)])

    def test_a_broker_that_is_only_tried_changes_nothing_that_is_kept(self):
        keeps = {
            ("list_begin", True),
            ("list_records", (1,)),
            ("list_commit",),
            ("list_abort", "closed"),
            ("attempt", True, ""),
        }
        for message in [KEYS, ("keys_refused", "json_refused")] + list(keeps):
            self.assertTrue(self.updates.apply(message, self.link, True))
        self.assertEqual((self.keystore.calls, self.ledger.calls, self.settled), ([], [], []))
        self.updates.apply(("tls", None), self.link, True)
        self.updates.apply(("state", "online", "", None), self.link, True)
        self.assertEqual(
            (self.link.states, [name for name, _ in self.floor.calls]), ([("online", "", None)], ["tls_checked"])
        )


if __name__ == "__main__":
    unittest.main()
