"""A release is unproven until it was good; what is not goes back by itself, and says why."""

import json
import sys
import unittest

import old_layout
from fake_carrier import FakeCarrier
from fake_radio import FakeRadio
from ram_store import PowerCut, RamStore
from setting_up import DOCUMENT, NOW, Board, FakeClock
from updating import KEYS, PAYLOAD, SIGNED, Updated

from latchkey.device import config, settings
from latchkey.errors import StoreError
from latchkey.stores.slots import Slots
from latchkey.update import record

LINE = SIGNED["good"]["release"]


def switched(kind="files", hurry=1):
    """The first start of a release that was sent."""
    device = Updated()
    device.carrier.kind = kind
    device.board.hurry = hurry
    assert device.put(LINE if kind == "files" else SIGNED["good"]["image"], PAYLOAD) == (202, None)
    return device.starts()


def answers(device):
    device.server.answered += 1


class TestGood(unittest.TestCase):
    def test_online_is_good_at_once(self):
        device = switched()
        self.assertEqual((device.firmware()["state"], device.firmware()["running"]), ("unproven", "b8"))
        device.pass_s(5)
        self.assertTrue(device.proof)
        device.link.state = "online"
        device.pass_s(1)
        self.assertIsNone(device.proof)
        kept = device.kept()
        self.assertEqual((kept["counter"], kept["version"], kept["sent"]), (5, "1.2.3", None))
        self.assertEqual((device.carrier.new, device.firmware()["state"]), (False, "good"))
        self.assertIsNone(device.starts().proof)

    def test_an_answer_to_a_token_is_good_once_a_minute_has_passed(self):
        device = switched()
        device.pass_s(50)
        answers(device)
        device.pass_s(20)
        self.assertTrue(device.proof)
        answers(device)
        device.pass_s(1)
        self.assertIsNone(device.proof)
        self.assertEqual(device.kept()["counter"], 5)

    def test_without_settings_a_minute_is_enough(self):
        device = switched()
        for name in ("settings.0", "settings.1"):
            device.store.remove(name)
        device = device.starts_blank()
        device.pass_s(59)
        self.assertTrue(device.proof)
        device.pass_s(2)
        self.assertIsNone(device.proof)

    def test_the_counter_never_falls(self):
        device = switched()
        record.save(device.store, dict(device.kept(), counter=9))
        device.link.state = "online"
        device.pass_s(1)
        self.assertEqual(device.kept()["counter"], 9)

    def test_a_release_by_cable_is_proven_too_and_leaves_the_counter(self):
        device = Updated()
        device.carrier.new = True
        device = device.starts()
        self.assertTrue(device.proof)
        device.link.state = "online"
        device.pass_s(1)
        self.assertEqual((device.kept()["counter"], device.carrier.new), (0, False))

    def test_a_release_by_cable_over_one_that_was_sent_does_not_prove_that_one(self):
        device = switched()
        device.carrier.running = device.carrier.next = "b9"
        device = device.starts()
        device.link.state = "online"
        device.pass_s(1)
        kept = device.kept()
        self.assertEqual((kept["counter"], kept["sent"], device.firmware()["last"]), (0, None, None))
        self.assertEqual((device.starts().firmware()["state"], device.carrier.new), ("good", False))

    def test_where_flash_refuses_it_is_tried_again(self):
        device = switched()
        device.link.state = "online"
        for place in ("carrier", "store"):
            device.carrier.fails = "good" if place == "carrier" else None
            device.store.readonly = place == "store"
            device.pass_s(1)
            self.assertTrue(device.proof)
            self.assertEqual(device.kept()["counter"], 0)
            device.store.readonly, device.carrier.fails = False, None
            if place == "carrier":
                device.pass_s(1)
        device.pass_s(121)
        self.assertEqual((device.proof, device.kept()["counter"]), (None, 5))

    def test_a_power_cut_between_the_carrier_and_the_record_is_made_good(self):
        for kind in ("files", "image"):
            device = switched(kind)
            device.carrier.good()
            device = device.starts()
            self.assertEqual((device.proof, device.kept()["counter"], device.kept()["sent"]), (None, 5, None))

    def test_a_soft_reset_proves_no_program(self):
        device = switched("image")
        device.board.reset_cause = "soft"
        device = device.starts()
        self.assertTrue(device.proof)


class TestBack(unittest.TestCase):
    def test_after_fifteen_minutes_it_goes_back_and_the_old_one_says_why(self):
        for kind in ("files", "image"):
            device = switched(kind)
            self.assertEqual(device.firmware()["goes_back_s"], 900)
            device.pass_s(899)
            self.assertEqual((device.firmware()["goes_back_s"], device.board.restarts), (1, 0))
            device.pass_s(1)
            self.assertEqual((device.board.restarts, device.carrier.reason), (1, "not_good"))
            old = device.starts()
            facts = old.firmware()
            self.assertEqual((facts["state"], facts["running"], facts["counter"]), ("good", "a7", 0))
            self.assertEqual(facts["last"], {"result": "went_back", "version": "1.2.3", "reason": "not_good"})
            self.assertEqual("good" in old.carrier.calls, kind == "image")
            self.assertIn("update: went back from 1.2.3, not_good", [line["text"] for line in old.log.lines()])
            self.assertEqual(old.starts().firmware()["last"]["reason"], "not_good")

    def test_a_bootloader_that_went_back_is_told_as_a_reset_and_a_starter_s_word_as_it_is(self):
        for word, told in ((None, "reset"), ("crashed", "crashed")):
            device = switched()
            device.carrier.next, device.carrier.returns, device.carrier.reason = "a7", True, word
            old = device.starts()
            self.assertEqual(old.kept()["last"]["reason"], told)
            self.assertEqual(old.kept()["sent"], None)

    def test_a_power_cut_before_the_switch_is_not_told_as_a_reset_of_the_new_release(self):
        for kind in ("files", "image"):
            device = Updated()
            device.carrier.kind = kind

            def goes(store=device.store):
                store.cut_after = 0
                raise PowerCut

            device.carrier.switch = goes
            with self.assertRaises(PowerCut):
                device.put(LINE if kind == "files" else SIGNED["good"]["image"], PAYLOAD)
            device.store.cut_after = None
            again = device.starts()
            facts = again.firmware()
            self.assertEqual(facts["last"], {"result": "went_back", "version": "1.2.3", "reason": "not_started"})
            self.assertEqual((facts["state"], again.kept()["sent"]), ("good", None))

    def test_hurry_divides_the_windows(self):
        device = switched(hurry=100)
        self.assertEqual(device.firmware()["goes_back_s"], 9)

    def test_the_safe_state_never_makes_it_good_and_goes_back_at_once(self):
        device = switched()
        device.safe = True
        device.link.state = "online"
        device.pass_s(1)
        self.assertEqual((device.board.restarts, device.carrier.reason), (1, "crashed"))
        self.assertEqual(device.kept()["counter"], 0)

    def test_where_flash_refuses_it_is_tried_again_a_minute_later(self):
        device = switched()
        device.carrier.fails = "back"
        device.pass_s(930)
        self.assertEqual((device.board.restarts, device.carrier.calls.count("back")), (0, 1))
        device.carrier.fails = None
        device.pass_s(60)
        self.assertEqual(device.board.restarts, 1)

    def test_a_release_that_went_back_may_be_sent_again(self):
        device = switched()
        device.pass_s(900)
        device = device.starts()
        self.assertEqual(device.put(LINE, PAYLOAD), (202, None))
        self.assertIsNone(device.kept()["last"])


class TestMeanwhile(unittest.TestCase):
    def test_no_release_is_taken_and_no_sensor_sleeps(self):
        device = switched()
        self.assertEqual(device.put(SIGNED["good"]["higher"], PAYLOAD), (409, "unproven"))
        self.assertTrue(device.busy())
        device.link.state = "online"
        device.pass_s(1)
        self.assertFalse(device.busy())

    def test_stores_keep_their_format_until_it_is_good(self):
        device = switched()
        self.assertTrue(device.store.keeps_format)
        device.link.state = "online"
        device.pass_s(1)
        self.assertFalse(device.store.keeps_format)

    def test_settings_of_an_earlier_layout_stay_until_it_is_good(self):
        store = RamStore()
        old_layout.write(store, config.parse(json.dumps(DOCUMENT).encode()))
        earlier = dict(store.files)
        board = Board(store, FakeRadio(), FakeClock(NOW))
        board.fitted = FakeCarrier()
        board.fitted.new = True
        device = Updated(board)
        self.assertEqual((device.config["name"], device.settings["ap_passphrase"]), ("Cellar", "on the label"))
        self.assertEqual({name: store.files[name] for name in earlier}, earlier)
        device.link.state = "online"
        device.pass_s(1)
        device = device.starts()
        self.assertEqual((device.config["name"], "config.0" in store.files), ("Cellar", False))

    def test_settings_that_a_later_version_stored_are_read(self):
        device = Updated()
        later = dict(device.settings, config=dict(device.config, later=1))
        later["config"]["policy"] = dict(later["config"]["policy"], later="on")
        settings.save(device.store, later)
        again = device.starts()
        self.assertEqual((again.config["name"], "later" in again.config["policy"]), ("Cellar", False))

    def test_nothing_of_it_is_loaded_once_it_is_good(self):
        device = switched()
        device.link.state = "online"
        device.pass_s(1)
        for name in ("proof", "record", "upload", "manifest"):
            if name != "record":  # this file's own
                self.assertFalse("latchkey.update." + name in sys.modules, name)


class Stubborn(RamStore):
    """``refuses``: the keys cannot be written, and with ``for_ever`` nothing can after they could not."""

    refuses = for_ever = False

    def create(self, name):
        if self.refuses and name.startswith("update_keys"):
            self.readonly = self.for_ever
            raise StoreError("store_failed")
        return RamStore.create(self, name)


class TestKeys(unittest.TestCase):
    def test_an_older_folder_that_comes_back_lowers_no_counter_and_brings_no_withdrawn_key(self):
        store = RamStore(watched=True)
        record.set_over_cable(store, KEYS)
        record.save(store, dict(record.load(store), counter=5, set_counter=3))
        older = dict(store.files)
        record.save(store, dict(record.load(store), counter=6, set_counter=4))
        newer, store.files = store.files, dict(older)
        self.assertEqual((record.load(store)["counter"], record.load(store)["set_counter"]), (6, 4))
        store.files = newer
        record.replace_release_key(store, KEYS[1], 1, KEYS)
        self.assertEqual(len(record.keys(store)), 2)
        store.files = older
        self.assertEqual(record.keys(store), [])
        record.set_over_cable(store, KEYS)
        self.assertEqual((len(record.keys(store)), record.load(store)["counter"]), (2, 0))

    def test_another_release_key_begins_the_counters_anew_and_the_same_one_does_not(self):
        store = Stubborn(watched=True)
        record.set_over_cable(store, KEYS)
        highest = dict(record.load(store), counter=(1 << 31) - 1, set_counter=9, sha256="00" * 32)
        record.save(store, highest)
        record.replace_release_key(store, KEYS[0], 1, KEYS)
        self.assertEqual(record.load(store), highest)
        for store.for_ever in (False, True):
            store.refuses = True
            with self.assertRaises(StoreError):
                record.replace_release_key(store, KEYS[1], 2, KEYS)
            store.refuses = store.readonly = False
            self.assertEqual((record.load(store), record.key_counter(record.keys(store))), (highest, 1))
        record.replace_release_key(store, KEYS[1], 2, KEYS)
        kept = record.load(store)
        self.assertEqual((kept["counter"], kept["set_counter"], kept["sha256"]), (0, 0, ""))
        self.assertEqual(record.key_counter(record.keys(store)), 2)

    def test_what_is_damaged_reads_as_nothing(self):
        store = RamStore()
        self.assertEqual((record.keys(store), record.key_counter([])), ([], 0))
        Slots(store, "update", b"u").write(b"{", both=True)
        Slots(store, "update_keys", b"m").write(b"\x02short", both=True)
        self.assertEqual((record.load(store)["counter"], record.keys(store)), (0, []))

    def test_the_serial_cable_begins_the_counters_anew(self):
        device = switched()
        device.link.state = "online"
        device.pass_s(1)
        record.set_over_cable(device.store, KEYS)
        self.assertEqual((device.kept()["counter"], device.kept()["sha256"]), (0, ""))
