"""The tokens that are accepted after each list: rules L1 to L8, one by one."""

import json
import unittest

import lists
from lists import BASE, jti16, moment, record, uuid
from ram_store import PowerCut, RamStore
from streams import Bytes

from latchkey import limits
from latchkey.errors import FormatError, StoreError
from latchkey.ledger import Ledger
from latchkey.stores.tokenlist import parse_records, role_hash
from latchkey.uuids import to_bytes

DAY = 86400
REFUSALS = 32
SAMPLE = [
    {
        "uuid": "b70f330a-c8d1-4bf8-8763-d59d455f9c1e",
        "createdAt": "2025-05-12T14:59:06.718846",
        "updatedAt": "2025-05-12T14:59:06.936417",
        "status": "ACTIVATED",
        "expiresAt": None,
        "notBefore": "2025-05-12T14:59:06+00:00",
        "systemUuid": "792b6149-1daa-488f-b07a-f684503b0586",
        "roles": [{"uuid": "8d86661d-985d-4878-a8f5-69723acfa364", "name": "Domain Owner"}],
        "token": "CLOUD-eyJhbGciOiJSUzUxMiIsInR5cCI6IkpXVCJ9.eyJqdGkiOiJiNzBmMzMwYS1jO....",
        "subject": {"uuid": "3348037a-9f5d-425e-b593-11e6e7437b74", "name": "DrivrUser", "type": "USER"},
    },
    {
        "uuid": "c606707f-198f-46f5-883e-68794ce81159",
        "createdAt": "2025-05-12T14:50:31.670217",
        "status": "ACTIVATED",
        "expiresAt": "2025-05-13T14:50:31.672467",
        "notBefore": "2025-05-12T14:50:31+00:00",
        "systemUuid": "792b6149-1daa-488f-b07a-f684503b0586",
        "roles": [{"uuid": "8d86661d-985d-4878-a8f5-69723acfa364", "name": "Domain Owner"}],
        "token": "CLOUD-eyJ....",
        "subject": {"uuid": "3348037a-9f5d-425e-b593-11e6e7437b74", "name": "DrivrUser", "type": "USER"},
    },
]


class _Case(unittest.TestCase):
    def setUp(self):
        self.store = RamStore(watched=True)
        self.ledger = Ledger(self.store, lists.SYSTEM)

    def send(self, records, retained=False, heard=None, **more):
        data = records if isinstance(records, bytes) else lists.text(records)
        lists.ingest(self.ledger, Bytes(data), retained, heard, **more)

    def reopen(self):
        self.ledger = Ledger(self.store, lists.SYSTEM16)

    def state(self, n, iat=BASE):
        return self.ledger.standing(jti16(n), iat)[0]

    def check(self, expected, iat=BASE):
        """``expected``: state by number of token; asked before and after a restart."""
        for _ in range(2):
            self.assertEqual({n: self.state(n, iat) for n in expected}, expected)
            self.reopen()


class TestListed(_Case):
    def test_the_documented_sample_is_read(self):
        self.send(SAMPLE)
        found = self.ledger.standing(to_bytes("c606707f-198f-46f5-883e-68794ce81159"), BASE)
        self.assertEqual(found, ("listed", 1747061431, 1747147831, (role_hash(to_bytes(lists.OWNER)),)))
        found = self.ledger.standing(to_bytes("b70f330a-c8d1-4bf8-8763-d59d455f9c1e"), BASE)
        self.assertIsNone(found[2])
        self.assertEqual(self.ledger.newest_changed_unix_s, BASE + 1)

    def test_only_activated_admits(self):
        words = ("ACTIVATED", "DEACTIVATED", "activated", "", "CREATED", None, 1, True, ["ACTIVATED"], ...)
        self.send([record(n, status=word) for n, word in enumerate(words)])
        self.check({n: "revoked" if n else "listed" for n in range(len(words))})

    def test_a_record_that_cannot_be_used_refuses_its_token(self):
        bad = (
            {"expiresAt": "soon"},
            {"expiresAt": 5},
            {"notBefore": "2025-05-12"},
            {"createdAt": "x"},
            {"updatedAt": 7},
            {"roles": "Owner"},
            {"roles": [5]},
            {"roles": [{"name": "x"}]},
            {"systemUuid": None},
            {"systemUuid": ...},
            {"systemUuid": "x"},
        )
        self.send([record(n, **changes) for n, changes in enumerate(bad)])
        self.check({n: "revoked" for n in range(len(bad))}, iat=BASE + 5 * DAY)
        self.assertIsNone(self.ledger.unknown)

    def test_optional_members_may_be_missing_or_null(self):
        names = ("createdAt", "updatedAt", "expiresAt", "notBefore", "roles", "token", "subject")
        for gone in (..., None):
            self.send([record(n, **{name: gone}) for n, name in enumerate(names)])
            self.check({n: "listed" for n in range(len(names))})

    def test_roles_beyond_eight_are_left_out(self):
        roles = [{"uuid": uuid(100 + n), "name": "r"} for n in range(12)]
        self.send([record(0, roles=roles)])
        counts = self.ledger.standing(jti16(0), BASE)[3]
        counted = [role_hash(jti16(100 + n)) in counts for n in range(12)]
        self.assertEqual(counted, [True] * 8 + [False] * 4)

    def test_a_token_listed_twice_has_the_narrower_of_both(self):
        one = record(0, expiresAt=moment(BASE + 50), roles=[{"uuid": uuid(7)}, {"uuid": uuid(8)}])
        two = record(0, expiresAt=moment(BASE + 90), notBefore=moment(BASE + 9), roles=[{"uuid": uuid(8)}])
        for both in ([one, two], [two, one]):
            self.send(both)
            found = self.ledger.standing(jti16(0), BASE)
            self.assertEqual(found, ("listed", BASE + 9, BASE + 50, (role_hash(jti16(8)),)))
        self.send([one, record(0, status="ARCHIVED")])
        self.check({0: "revoked"})

    def test_it_is_found_among_many(self):
        self.send([record(n) for n in range(100)])
        self.check({n: "listed" for n in range(100)})
        self.assertEqual(self.state(100), "revoked")
        self.assertTrue(self.ledger.admits(jti16(99)))
        self.assertFalse(self.ledger.admits(jti16(100)))

    def test_a_refused_token_is_held_and_not_admitted(self):
        self.send([record(0), record(1, status="DEACTIVATED")])
        self.assertEqual(self.ledger.status()["tokens"], 2)
        self.assertEqual([self.ledger.admits(jti16(n)) for n in range(3)], [True, False, False])


class TestUnlisted(_Case):
    def test_before_any_list_a_token_is_unlisted(self):
        self.check({0: "unlisted"})
        self.assertEqual(self.ledger.standing(jti16(0), None)[0], "revoked")

    def test_what_the_cloud_has_spoken_without_is_revoked(self):
        self.send([record(0)])
        self.check({0: "listed", 1: "revoked"}, iat=BASE)
        self.check({1: "unlisted"}, iat=BASE + 1)
        self.assertEqual(self.ledger.standing(jti16(1), None)[0], "revoked")

    def test_a_token_once_listed_and_now_gone_is_revoked(self):
        self.send([record(0), record(1)])
        self.send([record(1)])
        self.check({0: "revoked", 1: "listed"})

    def test_a_fraction_in_changed_counts_up(self):
        self.send([record(0, updatedAt=moment(BASE + 10.5))])
        self.assertEqual(self.state(1, BASE + 11), "revoked")
        self.assertEqual(self.state(1, BASE + 12), "unlisted")

    def test_the_iat_inside_the_records_token_counts(self):
        self.send([record(0, iat=BASE + 100)])
        self.assertEqual(self.state(1, BASE + 100), "revoked")
        self.assertEqual(self.state(1, BASE + 101), "unlisted")
        self.assertEqual(self.ledger.newest_changed_unix_s, BASE)

    def test_records_that_cannot_be_used_move_spoken_too(self):
        self.send([record(0, createdAt=moment(BASE + 50), updatedAt="x", iat=BASE)])
        self.assertEqual(self.state(1, BASE + 50), "revoked")
        self.send([record(0, iat=BASE + 70, status="GONE")])
        self.assertEqual(self.state(1, BASE + 70), "revoked")

    def test_records_of_another_system_move_nothing_and_list_nothing(self):
        self.send([record(0), record(1, created=BASE + 90, systemUuid=lists.OTHER)])
        self.assertEqual(self.state(2, BASE + 1), "unlisted")
        self.assertEqual(self.state(1, BASE + 90), "unlisted")
        self.assertEqual(self.ledger.status()["others"], 1)
        self.assertIsNone(self.ledger.unknown)

    def test_heard_counts_and_never_goes_back(self):
        self.send([record(0)], heard=BASE + 500)
        self.check({1: "revoked"}, iat=BASE + 500)
        self.check({1: "unlisted"}, iat=BASE + 501)
        self.send([record(0)], heard=BASE + 400)
        self.send([record(0)], heard=None)
        self.check({1: "revoked"}, iat=BASE + 500)

    def test_spoken_never_goes_back(self):
        self.send([record(0, created=BASE + 90)])
        self.send([record(1, created=BASE)])
        self.send([])
        self.check({2: "revoked"}, iat=BASE + 90)

    def test_times_no_one_can_believe_move_nothing(self):
        far = BASE + 401 * DAY
        self.send([record(0, created=far), record(1, iat=far), record(2, iat=limits.YEAR_2020_S - 1)], heard=BASE)
        self.assertEqual(self.state(5, far), "unlisted")
        self.assertEqual(self.state(0, far), "listed")
        self.assertEqual(self.state(5, BASE), "revoked")
        self.send([record(1, iat=far)], heard=BASE, latest_unix_s=far)
        self.assertEqual(self.state(5, far), "revoked")

    def test_no_tokens_is_said_in_three_ways(self):
        for data in (b"[]", b"", b" [ ] "):
            self.send([record(0)])
            self.send(data)
            self.check({0: "revoked"})
            self.assertEqual(self.ledger.status()["tokens"], 0)


class TestFar(_Case):
    """Tokens made after everything that this device believes: its clock is behind."""

    far = BASE + 500 * DAY

    def test_one_that_is_gone_is_refused_as_long_as_the_marks_are_before_it(self):
        self.send([record(0), record(1, created=self.far)], heard=BASE)
        self.check({0: "listed", 1: "listed"}, iat=self.far)
        self.send([record(0)], heard=BASE + 60)
        self.check({1: "revoked"}, iat=self.far)
        self.check({2: "unlisted"}, iat=self.far)

    def test_its_refusal_is_not_written_again_and_goes_once_the_marks_have_passed(self):
        self.send([record(0), record(1, created=self.far)], heard=BASE)
        self.send([record(0)], heard=BASE + 60)
        ledgers = [name for name in self.store.names if name.startswith("ledger")]
        for n in range(5):
            self.send([record(0)], retained=n % 2 == 0, heard=BASE + 100 + n)
            self.reopen()
        self.assertEqual([name for name in self.store.names if name.startswith("ledger")], ledgers)
        self.assertEqual(self.ledger.status()["tokens"], 2)
        self.send([record(0)], heard=self.far)
        self.assertEqual(self.ledger.status()["tokens"], 1)
        self.check({0: "listed", 1: "revoked"}, iat=self.far)

    def test_it_does_not_come_back_by_an_old_list_but_by_a_live_one(self):
        self.send([record(0), record(1, created=self.far)], heard=BASE)
        self.send([record(0)], heard=BASE + 60)
        self.send([record(0), record(1, created=self.far)], retained=True, heard=BASE + 90)
        self.check({1: "revoked"}, iat=self.far)
        self.send([record(0), record(1, created=self.far)], heard=BASE + 120)
        self.check({1: "listed"}, iat=self.far)

    def test_nor_by_an_old_list_with_a_change_not_seen(self):
        self.send([record(0), record(1, created=self.far)], heard=BASE)
        self.send([record(0)], heard=BASE + 60)
        changed = record(1, created=self.far, updatedAt=moment(self.far + 9))
        self.send([record(0), changed], retained=True, heard=BASE + 90)
        self.check({0: "listed", 1: "revoked"}, iat=self.far)

    def test_more_of_them_than_there_are_places_are_full_and_move_no_mark(self):
        for many in (REFUSALS + 1, 50, 110):
            self.setUp()
            self.send([record(n, created=self.far + n) for n in range(many)], heard=BASE)
            self.assertEqual(self.ledger.status()["spoken_unix_s"], 0)
            self.send([], heard=BASE + 60)
            left_out = many - REFUSALS
            # This list had more than there are places.
            self.check({999: "full"}, iat=BASE + 61)
            self.send([], heard=BASE + 60)
            for _ in range(2):
                for n in range(many):
                    self.assertEqual(self.state(n, self.far + n), "full" if n < left_out else "revoked")
                self.assertEqual(self.state(999, BASE + 61), "unlisted")
                self.assertEqual(self.state(999, BASE + 60), "revoked")
                found = self.ledger.status()
                self.assertEqual((found["spoken_unix_s"], found["newest_changed_unix_s"], found["full"]), (0, 0, True))
                self.reopen()


class TestOldLists(_Case):
    """L5: a retained list may be an old one."""

    def test_the_first_list_ever_has_its_full_say(self):
        self.send([record(0)], retained=True, heard=BASE + DAY)
        self.check({0: "listed"})

    def test_what_an_old_list_lacks_counts(self):
        self.send([record(0), record(1)])
        self.send([record(0)], retained=True)
        self.check({0: "listed", 1: "revoked"})

    def test_a_gone_token_does_not_come_back_by_an_old_list(self):
        self.send([record(0), record(1)])
        self.send([record(1)])
        self.send([record(0), record(1)], retained=True)
        self.check({0: "revoked", 1: "listed"})
        self.assertEqual(self.ledger.status()["tokens"], 1)
        self.send([record(0), record(1)], retained=False)
        self.check({0: "listed", 1: "listed"})

    def test_a_newer_token_comes_in_by_a_retained_list(self):
        self.send([record(0)], heard=BASE + 60)
        self.send([record(1, created=BASE + 61), record(0)], retained=True)
        self.check({0: "listed", 1: "listed"})

    def test_a_token_as_old_as_heard_does_not(self):
        self.send([record(0)], heard=BASE + 60)
        self.send([record(1, created=BASE + 60), record(0)], retained=True, heard=BASE + 900)
        self.check({0: "listed", 1: "revoked"})
        self.assertEqual(self.ledger.status()["tokens"], 1)

    def test_marks_count_as_they_stood_before_the_list(self):
        self.send([record(0)])
        new = [record(3, created=BASE + 30), record(2, created=BASE + 20), record(1, created=BASE + 10), record(0)]
        self.send(new, retained=True, heard=BASE + 400)
        self.check({0: "listed", 1: "listed", 2: "listed", 3: "listed"})

    def test_a_held_token_is_widened_only_by_a_later_change(self):
        held = record(0, notBefore=moment(BASE + 5), expiresAt=moment(BASE + 50), roles=[{"uuid": uuid(7)}])
        wide = {"notBefore": None, "roles": [{"uuid": uuid(7)}, {"uuid": uuid(8)}]}
        self.send([held])
        self.send([record(0, expiresAt=moment(BASE + 90), **wide)], retained=True)
        _, start, end, role_hashes = self.ledger.standing(jti16(0), BASE)
        self.assertEqual((start, end, len(role_hashes)), (BASE + 5, BASE + 50, 1))
        later = record(0, expiresAt=moment(BASE + 90), updatedAt=moment(BASE + 1), **wide)
        self.send([later], retained=True)
        _, start, end, role_hashes = self.ledger.standing(jti16(0), BASE)
        self.assertEqual((start, end, len(role_hashes)), (None, BASE + 90, 2))

    def test_a_held_token_is_narrowed_by_any_list_field_by_field(self):
        self.send([record(0, updatedAt=moment(BASE + 40), expiresAt=moment(BASE + 50), notBefore=None)])
        self.send([record(0, expiresAt=moment(BASE + 90), notBefore=moment(BASE + 7), roles=[])], retained=True)
        found = self.ledger.standing(jti16(0), BASE)
        self.assertEqual(found[1:], (BASE + 7, BASE + 50, ()))

    def test_a_refused_token_stays_refused_until_a_later_change(self):
        self.send([record(0, updatedAt=moment(BASE + 40), status="DEACTIVATED")])
        self.send([record(0)], retained=True)
        self.check({0: "revoked"})
        self.send([record(0, updatedAt=moment(BASE + 40))], retained=True)
        self.check({0: "revoked"})
        self.send([record(0, updatedAt=moment(BASE + 41))], retained=True)
        self.check({0: "listed"})

    def test_a_refusal_of_an_unheld_token_counts_and_opens_no_way_back(self):
        self.send([record(1, created=BASE + 100)])
        self.send([record(0, status="DEACTIVATED", token=None), record(1, created=BASE + 100)], retained=True)
        self.check({0: "revoked"}, iat=BASE + 5 * DAY)
        self.send([record(0, updatedAt=moment(BASE + 50)), record(1, created=BASE + 100)], retained=True)
        self.check({0: "revoked"}, iat=BASE + 5 * DAY)
        self.send([record(0, updatedAt=moment(BASE + 101)), record(1, created=BASE + 100)], retained=True)
        self.check({0: "listed"})

    def test_a_token_seen_and_gone_does_not_come_back_by_an_old_list_with_a_change_not_seen(self):
        self.send([record(0), record(1)])
        self.send([record(1)], heard=BASE + 5)
        self.send([record(0, updatedAt=moment(BASE + 9)), record(1)], retained=True)
        self.check({0: "revoked", 1: "listed"})
        self.send([record(0, updatedAt=moment(BASE + 9)), record(1)])
        self.check({0: "listed", 1: "listed"})

    def test_a_refusal_that_is_newer_than_the_marks_outlasts_older_lists(self):
        self.send([record(0), record(1)])
        self.send([record(1)])
        later = moment(BASE + 500)
        self.send([record(0, updatedAt=later, status="DEACTIVATED"), record(1)], retained=True)
        self.send([record(0, updatedAt=later), record(1)], retained=True)
        self.check({0: "revoked", 1: "listed"})

    def test_a_token_whose_iat_cannot_be_read_is_judged_by_its_change_alone(self):
        self.send([record(0)], heard=BASE + 5)
        self.send([record(1, created=BASE + 6, token="CLOUD-eyJ...."), record(0)], retained=True)
        self.check({0: "listed", 1: "listed"})

    def test_a_token_held_twice_does_not_come_back_by_an_old_list_with_one(self):
        self.send([record(5), record(0), record(0, status="DEACTIVATED"), record(6)])
        for _ in range(2):
            self.send([record(5), record(0), record(6)], retained=True)
            self.check({0: "revoked", 5: "listed", 6: "listed"})

    def test_the_order_of_a_list_does_not_matter(self):
        self.send([record(n) for n in range(60)])
        closes = self.store.closes
        self.send([record(n) for n in range(59, -1, -1)], retained=True)
        self.send([record(n * 7 % 60) for n in range(60)])
        self.assertEqual(self.store.closes, closes)
        self.send([record(n * 7 % 60) for n in range(59)], retained=True)
        missing = 59 * 7 % 60
        self.check({n: "revoked" if n == missing else "listed" for n in range(60)})


class TestUnknown(_Case):
    def test_an_unreadable_uuid_makes_the_unlisted_unknown_until_a_clean_list(self):
        for bad in (5, None, ..., "x", uuid(3) + "0"):
            self.send([record(0), record(1, uuid=bad)])
            self.check({0: "listed"})
            self.check({2: "revoked"}, iat=BASE)
            self.check({2: "unknown"}, iat=BASE + 1)
            self.assertEqual(self.ledger.unknown, "unreadable_uuid")
            self.send([record(0)])
            self.check({2: "unlisted"}, iat=BASE + 1)

    def test_members_that_are_no_records_do_the_same(self):
        for bad in ("1", "null", "[]", '"x"', "{}", '{"uuid":"%s","uuid":"%s"}' % (uuid(3), uuid(3))):
            self.send(b"[" + bad.encode() + b"," + lists.text([record(0)])[1:])
            self.check({0: "listed"})
            self.check({3: "unknown"}, iat=BASE + 1)

    def test_a_record_that_is_not_strict_json_counts_as_one_without_a_uuid(self):
        good = json.dumps(record(3, created=BASE + 9))
        for old, new in (
            ('"status"', '"status":1,"status"'),
            ('"status"', '"status":"ACTIVATED","status"'),
            (', "status"', ' "status"'),
            (', "status"', ',, "status"'),
            ('"status":', '"status"'),
            ('"status":', '"status",'),
            ('"status":', '"\\u0073tatus":"ACTIVATED","status":'),
            ('"ACTIVATED"', '"ACTIVATED",'),
            ('"USER"', '"USER",'),
            ('"USER"', '"US\nER"'),
            ('"USER"', '"US\tER"'),
            ('"USER"', "NaN"),
            ('"USER"', "[" * 600 + "]" * 600),
            ('"USER"', "tru"),
        ):
            bad = good.replace(old, new)
            with self.subTest(new):
                self.assertNotEqual(bad, good)
                self.send(b"[" + bad.encode() + b"," + lists.text([record(0)])[1:])
                self.check({0: "listed", 3: "unknown"}, iat=BASE + 9)
                self.assertEqual(self.ledger.unknown, "unreadable_uuid")

    def test_a_record_however_it_is_written_is_the_same_record(self):
        plain = json.dumps(record(0, subject={"name": "a,b:c{d}[e]"}))
        spaced = plain.replace(": ", " :\n\t").replace(", ", " , ")
        compact = plain.replace(": ", ":").replace(", ", ",")
        for written in (plain, compact, spaced, plain.replace("a,b", "\u00fc\\u00fc,")):
            self.send(b"[" + written.encode() + b"]")
            self.check({0: "listed"})
            self.assertIsNone(self.ledger.unknown)
        self.assertEqual(self.store.closes, 1)

    def test_a_record_over_4_kb_counts_as_one_without_a_uuid(self):
        self.send([record(3, extra="x" * 4000), record(0), record(4, extra="x" * 1000)])
        self.check({0: "listed", 3: "unknown", 4: "listed"}, iat=BASE + 9)

    def test_the_same_unclean_list_is_not_written_twice(self):
        for _ in range(3):
            self.send([record(0), record(1, uuid=5)], retained=True)
        self.assertEqual(self.store.closes, 1)

    def test_a_damaged_ledger_refuses_what_is_not_listed_until_a_clean_list(self):
        self.send([record(0)], heard=BASE + 5)
        self.send([record(0), record(1)], heard=BASE + 7)
        for name in ("ledger.0", "ledger.1"):
            self.store.files[name] = b"\xff" * 200
        self.reopen()
        self.assertEqual(self.ledger.unknown, "damaged")
        self.assertEqual(self.state(0, BASE + 7), "revoked")
        self.assertEqual(self.state(0, BASE + 8), "unknown")
        self.assertEqual(self.ledger.status()["damaged_slots"], [0, 1])
        self.send([record(0), record(1)])
        self.check({0: "listed", 1: "listed"})
        self.check({2: "unlisted"}, iat=BASE + 9)
        self.assertEqual(self.ledger.status()["damaged_slots"], [])

    def test_heard_outlives_a_damaged_ledger(self):
        self.send([record(0)], heard=BASE + 5)
        self.send([record(0)], heard=BASE + 700)
        self.store.files["ledger.0"] = b"\xff" * 200
        self.reopen()
        self.assertEqual(self.state(1, BASE + 700), "revoked")

    def test_if_the_newest_slot_rots_the_list_before_it_admits_nothing_and_its_marks_count(self):
        self.send([record(0)])
        self.send([record(1)], heard=BASE + 50)
        self.store.files["ledger.1"] = self.store.files["ledger.1"].replace(jti16(1), jti16(2))
        self.assertEqual([self.state(n) for n in range(3)], ["revoked", "listed", "revoked"])
        for _ in range(2):
            self.reopen()
            self.assertEqual(self.state(0), "unknown")
            self.assertEqual([self.state(n, BASE + 50) for n in (1, 2)], ["revoked", "revoked"])
            self.assertEqual(self.state(2, BASE + 51), "unknown")
            self.assertEqual(self.ledger.unknown, "damaged")
            self.assertEqual(self.ledger.status()["damaged_slots"], [1])
        self.send([record(1)])
        self.check({0: "revoked", 1: "listed", 2: "revoked"})
        self.assertIsNone(self.ledger.unknown)

    def test_rot_while_running_is_never_believed(self):
        self.send([record(0, status="DEACTIVATED"), record(1)])
        self.send([record(0, status="DEACTIVATED"), record(1), record(2)])
        held = self.store.files["ledger.1"]
        at = held.find(jti16(0)) + 16
        self.store.files["ledger.1"] = held[:at] + b"\x01" + held[at + 1 :]
        self.assertEqual(self.state(0), "revoked")
        self.send([record(0), record(1)], retained=True)
        self.assertEqual(self.state(0), "revoked")

    def test_of_a_list_that_cannot_be_stored_counts_what_it_takes_away(self):
        for setting, value, code in (("capacity", 700, "store_full"), ("readonly", True, "store_readonly")):
            self.setUp()
            self.send([record(0), record(1)])
            setattr(self.store, setting, value)
            new = [record(0, status="ARCHIVED")] + [record(n, created=BASE + 50) for n in range(1, 30)]
            with self.assertRaises(StoreError) as caught:
                self.send(new, retained=True, heard=BASE + 90)
            self.assertEqual(caught.exception.code, code)
            self.assertEqual([self.state(n) for n in range(3)], ["revoked", "listed", "revoked"])
            self.assertEqual(self.state(2, BASE + 90), "revoked")
            self.assertEqual(self.state(2, BASE + 91), "unknown")
            self.assertEqual((self.ledger.unknown, self.ledger.status()["saved"]), ("unstored", False))
            # The power goes: what is on flash is out of date, and is known to be.
            files = dict(self.store.files)
            self.reopen()
            self.assertEqual([self.state(n, BASE + 91) for n in range(3)], ["unknown"] * 3)
            self.store.files = files
            setattr(self.store, setting, None)
            self.send(new, heard=BASE + 90)
            self.check({0: "revoked", 1: "listed", 2: "listed", 29: "listed", 30: "revoked"})
            self.check({30: "unlisted"}, iat=BASE + 91)

    def test_a_list_that_breaks_off_changes_nothing_and_moves_no_mark(self):
        self.send([record(0), record(1)], heard=BASE)
        before = dict(self.store.files)
        data = lists.text([record(2, created=BASE + 90), record(0, status="ARCHIVED")])
        for cut in (1, 200, 800, 1000, len(data) - 1):
            self.assertRaises(FormatError, self.send, data[:cut], heard=BASE + 500)
            with self.assertRaises(OSError):
                lists.ingest(self.ledger, Bytes(data, 100, error_at=cut), False, BASE + 500)
            self.assertEqual([self.state(n, BASE + 1) for n in range(3)], ["listed", "listed", "unlisted"])
        self.assertEqual({n: v for n, v in self.store.files.items() if n == "ledger.0"}, before)
        self.check({0: "listed", 1: "listed", 2: "unlisted"}, iat=BASE + 1)

    def test_another_systems_ledger_is_none(self):
        self.send([record(0)], heard=BASE + 90)
        self.ledger = Ledger(self.store, lists.OTHER)
        self.assertEqual(self.state(0, BASE), "unlisted")
        self.assertIsNone(self.ledger.unknown)


class TestStoring(_Case):
    def test_an_unchanged_list_writes_nothing(self):
        everything = [record(n) for n in range(20)]
        self.send(everything)
        for retained in (True, False):
            self.send(everything, retained=retained)
        self.assertEqual(self.store.closes, 1)

    def test_only_heard_moves_in_a_small_record_of_its_own(self):
        self.send([record(0)], heard=BASE)
        names = len(self.store.names)
        self.send([record(0)], heard=BASE + 600, retained=True)
        self.assertEqual(self.store.names[names:], ["heard.0"])
        self.assertLess(len(self.store.files["heard.0"]), 65)
        self.check({1: "revoked"}, iat=BASE + 600)

    def test_generation_rises_with_every_change_and_with_nothing_else(self):
        seen = []
        for records, heard in (
            ([record(0)], BASE),
            ([record(0)], BASE),
            ([record(0)], BASE + 1),
            ([record(0), record(1)], BASE + 1),
            ([], BASE + 1),
        ):
            self.send(records, heard=heard)
            seen.append(self.ledger.generation)
        self.assertEqual([seen[i + 1] > seen[i] for i in range(4)], [False, True, True, True])

    def test_records_and_marks_of_a_list_that_only_adds_are_one_commit_at_once(self):
        records = [record(0)]
        self.send(records)
        for n in range(1, 10):
            records.insert(0, record(n, created=BASE + n))
            self.send(records, retained=n % 2 == 0, heard=BASE + n)
            self.assertEqual(self.store.closes, n + 1)
            self.check({n: "listed", 50: "revoked"}, iat=BASE + n)
        self.check({n: "listed" for n in range(10)})

    def test_a_list_that_takes_away_is_committed_at_once(self):
        self.send([record(0), record(9)])
        self.send([record(1), record(0), record(9)])
        self.send([record(1), record(9)])
        self.assertEqual(self.store.closes, 3)
        self.check({0: "revoked", 1: "listed", 9: "listed"})

    def test_a_refusal_that_one_list_added_outlasts_an_old_list_right_after(self):
        self.send([record(0)])
        refusing = [record(1, status="DEACTIVATED", created=BASE + 50), record(0)]
        self.send(refusing)
        self.send(refusing)
        self.send([record(1), record(0)], retained=True)
        self.check({1: "revoked"})

    def test_what_could_not_be_stored_is_tried_again(self):
        self.send([record(0)])
        self.store.readonly = True
        self.assertRaises(StoreError, self.send, [record(1), record(0)])
        self.assertEqual(self.state(1), "revoked")
        self.assertRaises(StoreError, self.ledger.save)
        self.assertEqual(self.ledger.unknown, "unstored")
        self.store.readonly = False
        self.ledger.save()
        self.assertIsNone(self.ledger.unknown)
        self.check({0: "listed", 1: "listed"})

    def test_a_power_cut_before_any_operation_leaves_the_old_list_or_the_new(self):
        old = [record(0), record(1)]
        new = [record(2, created=BASE + 9), record(0, status="ARCHIVED")]
        for torn in (False, True):
            for cut in range(60):
                self.setUp()
                self.store.torn = torn
                self.send([record(7)])
                self.send(old)
                self.store.cut_after = cut
                try:
                    self.send(new)
                    done = True
                except PowerCut:
                    done = False
                self.store.cut_after = None
                self.reopen()
                states = [self.state(n, BASE + 1) for n in range(3)]
                either = (["revoked", "revoked", "listed"], ["listed", "listed", "unlisted"])
                self.assertIn(states, either[:1] if done else either)
                self.send(new)
                self.check({0: "revoked", 1: "revoked", 2: "listed"}, iat=BASE + 1)
                if done:
                    break
            self.assertTrue(done)

    def test_the_token_never_reaches_flash(self):
        secret = lists.token_text(0, BASE)
        self.send([record(0), record(1, extra="x" * 5000)])
        for data in self.store.files.values():
            for at in range(0, len(secret) - 16, 8):
                self.assertEqual(data.find(secret[at : at + 16].encode()), -1)

    def test_marks_go_back_over_the_cable_alone(self):
        self.send([record(0, created=BASE + 300 * DAY)], heard=BASE)
        self.send([record(0, created=BASE + 300 * DAY)], heard=BASE + 350 * DAY)
        self.assertEqual(self.state(1, BASE + 350 * DAY), "revoked")
        self.ledger.set_over_cable(BASE)
        self.check({1: "unlisted", 0: "listed"}, iat=BASE + 1)

    def test_status_has_no_secret_and_says_what_a_technician_needs(self):
        self.send([record(0), record(1, systemUuid=lists.OTHER), record(2, uuid=1)], heard=BASE + 3)
        found = self.ledger.status()
        self.assertEqual((found["tokens"], found["others"], found["unreadable"]), (1, 1, 1))
        self.assertEqual((found["heard_unix_s"], found["newest_changed_unix_s"]), (BASE + 3, BASE))


class TestParsing(unittest.TestCase):
    def test_records_are_immutable_and_small_and_need_no_store(self):
        found = list(parse_records(Bytes(lists.text([record(0), record(1)]), 7), lists.SYSTEM16))
        self.assertEqual([len(r) for r in found], [65, 65])
        self.assertNotEqual(found[0], found[1])
        for r in found:
            self.assertIsInstance(r, bytes)

    def test_bytes_that_are_no_list_are_refused(self):
        for data in (b"{}", b"null", b"x", b"[", b"[]]", b'{"tokens":[]}', b" "):
            with self.subTest(data):
                self.assertRaises(FormatError, list, parse_records(Bytes(data), lists.SYSTEM16))
