"""Faults of the power, of flash and of what the cloud sends: a received revocation is never lost (L6 to L8)."""

import unittest

import lists
from fake_clock import FakeClock
from lists import BASE, SYSTEM16, jti16, record
from ram_store import RamStore
from streams import Bytes

from latchkey.cloud.messages import Updates
from latchkey.errors import StoreError
from latchkey.keystore import KeyStore
from latchkey.ledger import Ledger
from latchkey.stores.timefloor import TimeFloor
from latchkey.stores.tokenlist import parse_records

DAY = 86400
YEAR_2099_S = 4070908800

try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    heap_lock = heap_unlock = None


class _Case(unittest.TestCase):
    def setUp(self):
        self.store = RamStore(watched=True)
        self.lines = []
        self.start(BASE)

    def start(self, unix_s=None):
        """The device starts: without its clock, or trusting it."""
        self.clock = FakeClock(unix_s or BASE)
        self.floor = TimeFloor(self.store, self.clock, BASE - DAY)
        if unix_s:
            self.floor.source_set()
            self.floor.tls_checked()
        self.ledger = Ledger(self.store, SYSTEM16)
        self.updates = Updates(KeyStore(self.store), self.ledger, self.floor, None, self.lines.append)

    def hear(self, records, retained=False):
        self.updates.apply(("list_begin", retained), None)
        self.updates.apply(("list_records", tuple(parse_records(Bytes(lists.text(records)), SYSTEM16))), None)
        self.updates.apply(("list_commit",), None)

    def state(self, n, iat):
        return self.ledger.standing(jti16(n), iat)[0]


class ThePower(_Case):
    def test_goes_right_after_a_list_that_only_adds_and_its_marks_are_kept(self):
        # D2: token 9 was made before the second list, which does not have it.
        self.hear([record(0)])
        self.clock.pass_s(5)
        self.hear([record(0), record(1, created=BASE + 5)])
        self.assertEqual(self.state(9, BASE + 3), "revoked")
        self.start()
        self.assertEqual(self.state(9, BASE + 3), "revoked")

    def test_goes_right_after_a_list_with_a_token_that_leaves_it_then(self):
        # D2: the clock is behind, so that neither list moves a mark past token 1.
        self.start()
        issued = BASE + 500 * DAY
        self.hear([record(0)])
        self.hear([record(0), record(1, created=issued)])
        self.start()
        self.hear([record(0)])
        for _ in range(2):
            self.assertEqual(self.state(1, issued), "revoked")
            self.start()


class Flash(_Case):
    def test_that_loses_every_file_of_the_ledger_brings_nothing_back(self):
        # D3: LittleFS drops every entry of a directory that follows a damaged one.
        self.hear([record(0), record(1)])
        self.hear([record(0)])
        for name in list(self.store.files):
            del self.store.files[name]
        self.start()
        self.assertEqual(self.ledger.unknown, "damaged")
        self.assertEqual(self.state(1, BASE), "revoked")
        self.assertEqual(self.state(1, BASE + DAY), "unknown")
        self.hear([record(0), record(1)], retained=True)
        self.assertEqual(self.state(1, BASE), "revoked")

    def test_that_loses_the_newest_file_brings_nothing_back(self):
        self.hear([record(0), record(1)])
        older = dict(self.store.files)
        self.hear([record(0)])
        self.store.files = older
        self.start()
        self.assertEqual(self.state(1, BASE), "unknown")
        self.assertEqual(self.ledger.status()["unknown"], "damaged")

    def test_that_takes_nothing_takes_no_revocation_away(self):
        # D4
        self.hear([record(0), record(1), record(2)])
        self.store.readonly = True
        self.hear([record(0), record(1, status="DEACTIVATED")])
        self.assertEqual([self.state(n, BASE) for n in range(3)], ["listed", "revoked", "revoked"])
        self.assertEqual([self.ledger.admits(jti16(n)) for n in range(3)], [True, False, False])
        self.assertEqual(self.ledger.status()["unknown"], "unstored")
        self.start()
        self.assertEqual(self.ledger.status()["unknown"], "damaged")
        self.assertEqual({self.state(n, BASE + DAY) for n in range(3)}, {"unknown"})

    def test_that_takes_nothing_brings_no_new_token_in(self):
        self.hear([record(0, roles=[])])
        self.store.readonly = True
        self.hear([record(0), record(1, created=BASE + 5)])
        self.assertEqual(self.state(1, BASE + 5), "revoked")
        self.assertEqual(self.ledger.standing(jti16(0), BASE)[3], ())
        self.store.readonly = False
        self.ledger.save()
        self.assertEqual(self.state(1, BASE + 5), "listed")
        self.assertEqual(len(self.ledger.standing(jti16(0), BASE)[3]), 1)

    def test_that_takes_nothing_keeps_when_a_list_was_heard(self):
        self.hear([record(0)])
        self.clock.pass_s(600)
        self.store.readonly = True
        self.hear([record(0)])
        self.assertEqual(self.state(9, BASE + 400), "revoked")
        self.assertRaises(StoreError, self.ledger.save)
        # The mark is kept outside too.
        self.start()
        self.assertEqual(self.state(9, BASE + 400), "revoked")


class TheCloud(_Case):
    def test_dates_any_number_of_records_2099_and_no_mark_moves(self):
        # D7
        for many in (1, 32, 33, 34, 64, 140):
            for gone in (False, True):
                with self.subTest((many, gone)):
                    self.store = RamStore(watched=True)
                    self.start(BASE)
                    far = [record(n, created=YEAR_2099_S + n) for n in range(many)]
                    for made in (far, far + [record(500)]):
                        self.hear(made)
                        self.hear([] if gone else made)
                    self.hear([record(500)])
                    self.hear([record(500)])
                    for _ in range(2):
                        status = self.ledger.status()
                        moments = [status[name] for name in ("heard_unix_s", "spoken_unix_s", "newest_changed_unix_s")]
                        self.assertTrue(max(moments) <= BASE + 60)
                        self.assertEqual((self.state(600, BASE), self.state(600, BASE + 61)), ("revoked", "unlisted"))
                        self.assertEqual(self.state(500, BASE), "listed")
                        found = {self.state(n, YEAR_2099_S + n) for n in range(many)}
                        self.assertTrue(found <= {"revoked", "full"}, found)
                        self.start(BASE)

    def test_refuses_and_admits_one_token_in_one_list(self):
        # The refusal of token 0 is the first to leave its place to others.
        refusals = [record(n, created=BASE - 500 + n, status="DEACTIVATED") for n in range(40)]
        for records in (refusals + [record(0)], [record(0)] + refusals):
            self.hear(records)
            self.assertTrue(self.state(0, BASE - 500) in ("revoked", "full"))
            self.assertFalse(self.ledger.admits(jti16(0)))


class AList(_Case):
    def test_that_failed_takes_no_more_records_and_ends_as_nothing(self):
        self.hear([record(0)])
        self.updates.apply(("list_begin", False), None)
        self.updates.apply(("list_records", (None,)), None)  # nobody can take such a record
        self.assertEqual(len(self.lines), 1)
        self.updates.apply(("list_records", tuple(parse_records(Bytes(lists.text([record(1)])), SYSTEM16))), None)
        self.updates.apply(("list_commit",), None)
        self.assertEqual((len(self.lines), self.ledger.status()["received"]), (1, 1))
        self.assertEqual((self.state(0, BASE), self.state(1, BASE + DAY)), ("listed", "unknown"))


class ALookUp(_Case):
    def test_of_what_the_budget_asks_allocates_nothing(self):
        self.hear([record(n) for n in range(128)])
        if heap_lock is None:
            return
        known, strange, i = jti16(77), jti16(999), 0
        admits = self.ledger.admits
        seen = [None] * 20
        heap_lock()
        try:
            for i in range(10):
                seen[i] = admits(known)
                seen[10 + i] = admits(strange)
        finally:
            heap_unlock()
        self.assertEqual(seen, [True] * 10 + [False] * 10)


if __name__ == "__main__":
    unittest.main()
