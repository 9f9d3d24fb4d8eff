"""Keys in RAM, in flash and of the factory: rules K1 to K3."""

import unittest

from keys import key
from ram_store import PowerCut, RamStore

from latchkey import keystore
from latchkey.errors import KeySetError, StoreError
from latchkey.keystore import KeyStore, pack, unpack
from latchkey.stores.slots import Slots

DAY = 86400


def _kids(keystore):
    return [k.kid for k in keystore.keys]


class TestKeyStore(unittest.TestCase):
    def setUp(self):
        self.store = RamStore()
        self.kept = KeyStore(self.store)

    def test_a_new_store_has_no_keys(self):
        self.assertEqual(self.kept.keys, [])
        self.assertEqual(self.kept.source, "none")

    def test_keys_of_the_simulator_in_flash_count_for_development_only(self):
        self.kept.replace([key(1, "SIM-a")])
        self.assertEqual(_kids(KeyStore(self.store, None, True)), ["SIM-a"])
        found = KeyStore(self.store, [key(2)], False)
        self.assertEqual((_kids(found), found.source), (["key-2"], "factory"))

    def test_every_part_of_a_key_comes_back(self):
        given = [key(1, "a", "RS256"), key(2, None), key(3, "\u00e9" * 128, "RS512", 4096), key(4, "z", None, 3072)]
        self.kept.replace(given)
        again = KeyStore(self.store)
        self.assertEqual(again.source, "flash")
        for a, b in zip(given, again.keys):  # noqa: B905
            self.assertEqual((a.kid, a.alg, a.public_key.e), (b.kid, b.alg, b.public_key.e))
            self.assertEqual(a.public_key.n_be, b.public_key.n_be)
        self.assertEqual(len(again.keys), 4)

    def test_a_new_set_replaces_the_old_one_whole(self):
        self.kept.replace([key(1), key(2)])
        generation = self.kept.generation
        self.assertTrue(self.kept.replace([key(3)]))
        self.assertEqual(_kids(self.kept), ["key-3"])
        self.assertGreater(self.kept.generation, generation)
        self.assertEqual(_kids(KeyStore(self.store)), ["key-3"])

    def test_the_same_set_in_any_order_is_not_written_again(self):
        self.kept.replace([key(1), key(2), key(3)])
        closes, generation = self.store.closes, self.kept.generation
        for again in (self.kept, KeyStore(self.store)):
            self.assertFalse(again.replace([key(3), key(1), key(2)]))
            self.assertFalse(again.replace([key(3), key(1), key(2)], 0))
            self.assertFalse(again.save_if_due(100000))
        self.assertEqual((self.store.closes, self.kept.generation), (closes, generation))

    def test_a_changed_kid_alg_or_number_is_a_change(self):
        for changed in (key(1, "other"), key(1, None), key(1, "key-1", "RS512"), key(2, "key-1")):
            self.kept.replace([key(1)])
            self.assertTrue(self.kept.replace([changed]))

    def test_an_empty_set_leaves_the_old_keys_and_is_counted(self):
        self.kept.replace([key(1)])
        self.assertRaises(KeySetError, self.kept.replace, [])
        self.kept.refuse("json_refused")
        self.assertEqual(_kids(self.kept), ["key-1"])
        self.assertEqual(self.kept.status()["sets_refused"], 2)
        self.assertEqual(self.kept.status()["last_refusal"], "json_refused")

    def test_the_first_eight_count(self):
        self.kept.replace([key(n) for n in range(10)])
        self.assertEqual(_kids(KeyStore(self.store)), ["key-%d" % n for n in range(8)])

    def test_a_burst_is_in_force_at_once_and_in_flash_after_a_pause(self):
        self.kept.replace([key(0)])
        closes = self.store.closes
        for n in range(1, 20):
            self.assertTrue(self.kept.replace([key(n)], n * 100))
            self.assertEqual(_kids(self.kept), ["key-%d" % n])
            self.assertFalse(self.kept.save_if_due(n * 100 + 50))
        self.assertEqual(self.store.closes, closes)
        self.assertEqual(self.kept.source, "cloud")
        self.assertFalse(self.kept.save_if_due(1900 + 1999))
        self.assertTrue(self.kept.save_if_due(1900 + 2000))
        self.assertFalse(self.kept.save_if_due(100000))
        self.assertEqual(self.store.closes, closes + 1)
        self.assertEqual(_kids(KeyStore(self.store)), ["key-19"])

    def test_keys_that_arrive_are_built_once(self):
        given = [key(1), key(2)]
        self.kept.replace(given, 0)
        public_key, keystore.PublicKey = keystore.PublicKey, None
        try:
            self.assertTrue(self.kept.save_if_due(2000))
        finally:
            keystore.PublicKey = public_key
        for a, b in zip(given, self.kept.keys):  # noqa: B905
            self.assertIs(a, b)
        self.assertEqual(_kids(KeyStore(self.store)), ["key-1", "key-2"])

    def test_the_first_set_is_in_flash_without_a_pause(self):
        self.kept.replace([key(1)], 5)
        self.assertTrue(self.kept.save_if_due(6))
        self.assertEqual(_kids(KeyStore(self.store)), ["key-1"])
        self.kept.replace([key(2)], 7)
        self.assertFalse(self.kept.save_if_due(8))

    def test_a_burst_that_ends_where_it_began_writes_nothing(self):
        self.kept.replace([key(0)])
        closes = self.store.closes
        self.kept.replace([key(1)], 0)
        self.kept.replace([key(0)], 10)
        self.assertTrue(self.kept.save_if_due(5000))
        self.assertEqual(self.store.closes, closes)

    def test_what_is_in_force_but_not_in_flash_is_written_on_demand(self):
        self.kept.replace([key(1)], 0)
        self.kept.save()
        self.assertEqual(_kids(KeyStore(self.store)), ["key-1"])
        self.kept.replace([key(2)], 0)
        self.kept.replace([key(2)])
        self.assertEqual(_kids(KeyStore(self.store)), ["key-2"])

    def test_when_a_set_was_heard_is_exact_in_ram_and_within_a_day_on_flash(self):
        self.kept.replace([key(1)], 0, DAY)
        self.kept.save()
        self.assertEqual((self.kept.heard_unix_s, KeyStore(self.store).heard_unix_s), (DAY, DAY))
        closes = self.store.closes
        self.assertFalse(self.kept.replace([key(1)], 0, 2 * DAY - 1))
        self.assertFalse(self.kept.save_if_due(10000))
        self.assertEqual(self.kept.heard_unix_s, 2 * DAY - 1)
        self.assertEqual((self.store.closes, KeyStore(self.store).heard_unix_s), (closes, DAY))
        self.assertFalse(self.kept.replace([key(1)], 10000, 2 * DAY))
        self.assertTrue(self.kept.save_if_due(12000))
        self.assertEqual(KeyStore(self.store).heard_unix_s, 2 * DAY)
        self.assertFalse(self.kept.save_if_due(99000))

    def test_a_set_that_changes_has_its_moment_on_flash_and_one_without_a_moment_keeps_it(self):
        self.kept.replace([key(1)], 0, DAY)
        self.kept.save()
        self.kept.replace([key(2)], 0, DAY + 5)
        self.kept.save()
        self.assertEqual(KeyStore(self.store).heard_unix_s, DAY + 5)
        self.kept.replace([key(3)])  # by a signed file
        self.assertEqual((self.kept.heard_unix_s, KeyStore(self.store).heard_unix_s), (DAY + 5, DAY + 5))

    def test_the_serial_cable_sets_the_moment_back_too(self):
        self.kept.replace([key(1)], None, 9 * DAY)
        self.assertFalse(self.kept.replace([key(1)], None, 2 * DAY))
        self.assertEqual(KeyStore(self.store).heard_unix_s, 2 * DAY)

    def test_keys_of_the_first_version_are_read_and_were_never_heard(self):
        Slots(self.store, "keys", b"k").write(pack([key(1), key(2)]))
        again = KeyStore(self.store)
        self.assertEqual((_kids(again), again.heard_unix_s), (["key-1", "key-2"], 0))
        self.assertFalse(again.replace([key(1), key(2)], 0, DAY))
        self.assertTrue(again.save_if_due(2000))
        self.assertEqual(KeyStore(self.store).heard_unix_s, DAY)

    def test_the_first_version_reads_keys_with_a_moment(self):
        self.kept.replace([key(1)], None, DAY)
        payload = Slots(self.store, "keys", b"k").read(9999)
        self.assertEqual(len(payload), len(pack([key(1)])) + 4)
        self.assertEqual([one.kid for one in unpack(payload)], ["key-1"])

    def test_factory_keys_serve_until_the_cloud_has_spoken(self):
        kept = KeyStore(self.store, [key(8), key(9)])
        self.assertEqual((_kids(kept), kept.source), (["key-8", "key-9"], "factory"))
        kept.replace([key(1)])
        self.assertEqual(_kids(KeyStore(self.store, [key(8)])), ["key-1"])

    def test_the_factorys_own_keys_from_the_cloud_are_kept_in_flash_too(self):
        kept = KeyStore(self.store, [key(8)])
        kept.replace([key(8)])
        self.assertEqual(KeyStore(self.store).source, "flash")

    def test_damaged_flash_leaves_the_factory_keys_and_says_so(self):
        self.kept.replace([key(1)])
        self.kept.replace([key(2)])
        self.store.files["keys.0"] = b"\x00" * 300
        self.assertEqual(_kids(KeyStore(self.store, [key(9)])), ["key-1"])
        self.store.files["keys.1"] = b"\xff" * 300
        kept = KeyStore(self.store, [key(9)])
        self.assertEqual((_kids(kept), kept.source), (["key-9"], "factory"))
        self.assertEqual(kept.status()["damaged_slots"], [0, 1])
        kept.replace([key(3)])
        self.assertEqual(kept.status()["damaged_slots"], [])
        self.assertEqual(_kids(KeyStore(self.store)), ["key-3"])

    def test_a_full_or_readonly_store_says_so_and_the_old_keys_stay_in_force(self):
        for name, value, code in (("capacity", 600, "store_full"), ("readonly", True, "store_readonly")):
            self.setUp()
            self.kept.replace([key(1)])
            setattr(self.store, name, value)
            with self.assertRaises(StoreError) as caught:
                self.kept.replace([key(2), key(3)])
            self.assertEqual(caught.exception.code, code)
            self.assertEqual(_kids(self.kept), ["key-1"])
            self.assertEqual(_kids(KeyStore(self.store)), ["key-1"])

    def test_a_rotation_that_flash_refuses_is_in_force_in_ram_and_tried_again(self):
        self.kept.replace([key(1)])
        self.store.readonly = True
        self.kept.replace([key(2)], 0)
        self.assertRaises(StoreError, self.kept.save_if_due, 3000)
        self.assertEqual(_kids(self.kept), ["key-2"])
        self.assertFalse(self.kept.status()["saved"])
        self.store.readonly = False
        self.assertTrue(self.kept.save_if_due(6000))
        self.assertEqual(_kids(KeyStore(self.store)), ["key-2"])

    def test_a_power_cut_leaves_the_old_or_the_new_set(self):
        for cut in range(30):
            self.setUp()
            self.kept.replace([key(1)])
            self.store.cut_after = cut
            try:
                self.kept.replace([key(2)])
                self.assertGreater(cut, 2)
                return
            except PowerCut:
                self.store.cut_after = None
            self.assertEqual(_kids(KeyStore(self.store)), ["key-1"])
        self.fail("never finished")

    def test_status_names_kids_and_sizes_and_no_numbers(self):
        self.kept.replace([key(1, "a", "RS512")])
        (found,) = self.kept.status()["keys"]
        self.assertEqual((found["kid"], found["alg"], found["bits"], "n" in found), ("a", "RS512", 2048, False))

    def test_bytes_that_pack_did_not_make_are_refused(self):
        whole = pack([key(1, "abc"), key(2)])
        for cut in range(1, len(whole)):
            with self.assertRaises((ValueError, KeySetError)):
                unpack(whole[:cut])
        self.assertEqual(len(unpack(whole)), 2)
