"""Ways in which an old retained list might have brought back what a live one took away, each tried (L5, L6)."""

import io
import unittest

from lists import BASE, SYSTEM16, ingest, jti16, record, text
from ram_store import RamStore

from latchkey.errors import StoreError
from latchkey.ledger import Ledger

HEARD = BASE + 1000
OLD = record(1, BASE, updatedAt="2025-05-12T16:00:00")
GOOD = record(2, BASE)
IAT = BASE


def state(ledger, n=1):
    return ledger.standing(jti16(n), IAT)[0]


def send(ledger, records, retained=False, heard=HEARD):
    data = records if isinstance(records, bytes) else text(records)
    ingest(ledger, io.BytesIO(data), retained, heard)


class AnOldList(unittest.TestCase):
    def setUp(self):
        self.store = RamStore()
        self.ledger = Ledger(self.store, SYSTEM16)
        send(self.ledger, [OLD, GOOD])
        self.assertEqual(state(self.ledger), "listed")

    def refuses(self, live):
        """After the live list the token is out, and stays out when the old one comes again, after a restart too."""
        send(self.ledger, live)
        self.assertEqual(state(self.ledger), "revoked")
        for ledger in (self.ledger, Ledger(self.store, SYSTEM16)):
            send(ledger, [OLD, GOOD], retained=True)
            self.assertEqual(state(ledger), "revoked")
            self.assertEqual(state(ledger, 2), "listed")

    def test_does_not_outdo_a_refusal_without_times(self):
        self.refuses([record(1, status="DEACTIVATED", createdAt=None, updatedAt=None), GOOD])

    def test_does_not_outdo_a_refusal_with_unreadable_times(self):
        self.refuses([record(1, status="DEACTIVATED", createdAt="yesterday", updatedAt="soon"), GOOD])

    def test_does_not_outdo_a_refusal_whose_update_was_left_out(self):
        self.refuses([record(1, status="DEACTIVATED", updatedAt=...), GOOD])

    def test_does_not_outdo_a_record_with_a_name_twice(self):
        twice = text([OLD])[1:-1].replace(b'"status"', b'"status": "DEACTIVATED", "status"')
        self.refuses(b"[" + twice + b", " + text([GOOD])[1:])

    def test_does_not_outdo_a_record_that_is_too_long(self):
        self.refuses([dict(OLD, token="x" * 5000), GOOD])

    def test_does_not_outdo_a_token_that_left_the_list(self):
        self.refuses([GOOD])

    def test_does_not_outdo_a_refusal_though_its_own_times_are_beyond_32_bits(self):
        late = record(1, BASE, updatedAt="9999-12-31T23:59:59")
        send(self.ledger, [late, GOOD])
        send(self.ledger, [record(1, status="DEACTIVATED"), GOOD])
        send(self.ledger, [late, GOOD], retained=True)
        self.assertEqual(state(self.ledger), "revoked")

    def test_does_not_widen_roles_that_a_live_list_narrowed_without_times(self):
        send(self.ledger, [record(1, createdAt=None, updatedAt=None, roles=[]), GOOD])
        send(self.ledger, [OLD, GOOD], retained=True)
        self.assertEqual(self.ledger.standing(jti16(1), IAT)[3], ())

    def test_is_no_first_list_where_only_the_mark_beside_the_ledger_is_left(self):
        send(self.ledger, [GOOD])
        send(self.ledger, [GOOD], heard=HEARD + 60)
        for name in ("ledger.0", "ledger.1"):
            self.store.files.pop(name, None)
        ledger = Ledger(self.store, SYSTEM16)
        self.assertEqual(ledger.unknown, "damaged")
        send(ledger, [OLD, GOOD], retained=True)
        self.assertEqual(state(ledger), "revoked")


class ALostLedger(unittest.TestCase):
    """L6: of retained lists only the very one that was lost brings it back, for an older one may be revoked in part."""

    def setUp(self):
        self.store = RamStore(watched=True)
        self.ledger = Ledger(self.store, SYSTEM16)
        send(self.ledger, [OLD, GOOD])

    def lose(self):
        for name in list(self.store.files):
            del self.store.files[name]
        self.ledger = Ledger(self.store, SYSTEM16)
        self.assertEqual(self.ledger.unknown, "damaged")
        self.assertEqual(self.ledger.standing(jti16(1), BASE + 86400)[0], "unknown")
        self.assertEqual(state(self.ledger), "revoked")

    def test_takes_the_list_that_was_lost(self):
        for heard in (HEARD, HEARD + 60):
            send(self.ledger, [OLD, GOOD], retained=True, heard=heard)
            self.lose()
            send(self.ledger, [OLD, GOOD], retained=True, heard=heard)
            for _ in range(2):
                self.assertEqual([state(self.ledger, n) for n in (1, 2, 3)], ["listed", "listed", "revoked"])
                self.assertIsNone(self.ledger.unknown)
                self.ledger = Ledger(self.store, SYSTEM16)

    def test_takes_no_list_that_was_there_before(self):
        send(self.ledger, [GOOD])
        self.lose()
        send(self.ledger, [OLD, GOOD], retained=True)
        self.assertEqual(self.ledger.unknown, "damaged")
        self.assertEqual(state(self.ledger), "revoked")
        send(self.ledger, [GOOD], retained=True)
        self.assertEqual([state(self.ledger, n) for n in (1, 2)], ["revoked", "listed"])

    def test_takes_no_list_that_counted_in_part(self):
        send(self.ledger, [GOOD])
        send(self.ledger, [OLD], retained=True)
        self.lose()
        for records in ([OLD], [GOOD], [OLD, GOOD]):
            send(self.ledger, records, retained=True)
            self.assertEqual(self.ledger.unknown, "damaged")
        send(self.ledger, [GOOD])
        self.assertEqual([state(self.ledger, n) for n in (1, 2)], ["revoked", "listed"])

    def test_takes_no_list_that_flash_refused_before_another(self):
        store = RamStore(watched=True)
        store.readonly = True
        ledger = Ledger(store, SYSTEM16)
        self.assertRaises(StoreError, send, ledger, [OLD, GOOD])
        store.readonly = False
        send(ledger, [GOOD])
        store.files.clear()
        ledger = Ledger(store, SYSTEM16)
        send(ledger, [OLD, GOOD], retained=True)
        self.assertEqual((ledger.unknown, state(ledger)), ("damaged", "revoked"))

    def test_takes_any_live_list(self):
        self.lose()
        send(self.ledger, [GOOD])
        self.assertEqual([state(self.ledger, n) for n in (1, 2)], ["revoked", "listed"])
        self.assertIsNone(self.ledger.unknown)

    def test_is_forgotten_over_the_cable_and_the_next_list_is_the_first(self):
        self.lose()
        self.ledger.set_over_cable(HEARD)
        for _ in range(2):
            self.assertEqual((self.ledger.unknown, state(self.ledger)), (None, "unlisted"))
            self.ledger = Ledger(self.store, SYSTEM16)
        send(self.ledger, [dict(GOOD, createdAt=None, updatedAt=None), OLD], retained=True)
        self.assertEqual([state(self.ledger, n) for n in (1, 2, 3)], ["listed", "listed", "revoked"])

    def test_is_noticed_where_an_older_file_is_left(self):
        files = dict(self.store.files)
        send(self.ledger, [GOOD])
        self.store.files = files
        self.ledger = Ledger(self.store, SYSTEM16)
        self.assertEqual(self.ledger.unknown, "damaged")
        self.assertEqual([state(self.ledger, n) for n in (1, 2)], ["unknown", "unknown"])
        send(self.ledger, [OLD, GOOD], retained=True)
        self.assertEqual([state(self.ledger, n) for n in (1, 2)], ["unknown", "unknown"])


class FarTokens(unittest.TestCase):
    def test_without_a_readable_iat_that_were_left_out_are_refused_whenever_they_were_issued(self):
        ledger = Ledger(RamStore(), SYSTEM16)
        issued = BASE + 500 * 86400
        far = [record(n, issued + 9 + n, token=None) for n in range(40)]
        send(ledger, far)
        for _ in range(3):
            send(ledger, [])
            seen = {ledger.standing(jti16(n), issued)[0] for n in range(40)}
            self.assertEqual(seen, {"full", "revoked"})

    def test_however_many_do_not_return_by_an_old_list(self):
        ledger = Ledger(RamStore(), SYSTEM16)
        far = [record(n, BASE + 500 * 86400, token=None) for n in range(40)]
        send(ledger, far)
        send(ledger, [])
        send(ledger, far, retained=True)
        listed = [n for n in range(40) if ledger.standing(jti16(n), BASE + 500 * 86400)[0] == "listed"]
        self.assertEqual(listed, [])


class AList(unittest.TestCase):
    def test_is_read_as_strictly_as_everything_else(self):
        plain = text([record(1)])
        for crooked in (
            plain.replace(b'"status": "ACTIVATED"', b'"status": "DEACTIVATED", "status" : "ACTIVATED"'),
            plain.replace(b'"status": "ACTIVATED"', b'"x": "y": "status", "ACTIVATED"'),
            plain.replace(b'"status": "ACTIVATED"', b'"status": "ACTIVATED", "y": 007'),
            plain.replace(b'"status": "ACTIVATED"', b'"status": "ACTIVATED", "y": nope'),
        ):
            self.assertNotEqual(crooked, plain)
            ledger = Ledger(RamStore(), SYSTEM16)
            send(ledger, crooked)
            self.assertEqual(state(ledger), "revoked", crooked[:200])


if __name__ == "__main__":
    unittest.main()
