"""Two slots: the newest whole one counts, whatever happened to the other."""

import unittest

from ram_store import PowerCut, RamStore

from latchkey.errors import StoreError
from latchkey.stores.slots import Slots

# "hello" as counter 7, written by format version 1 (SHA-256 cut to 8 bytes).
VERSION_1 = b"LKx\x01\x07\x00\x00\x00hello\x05\x00\x00\x00"


class _Spoiling(RamStore):
    """Changes a byte of what is written (``spoils``), or lacks the memory for it (``too_much``)."""

    spoils = too_much = None

    def create(self, name):
        file = RamStore.create(self, name)
        write = file.write

        def spoil(data):
            if data == self.too_much:
                raise MemoryError
            write(b"?" + data[1:] if data == self.spoils else data)

        file.write = spoil
        return file


def _slots(store):
    return Slots(store, "thing", b"x")


def _version_1():
    import hashlib

    return VERSION_1 + hashlib.sha256(VERSION_1).digest()[:8]


class TestSlots(unittest.TestCase):
    def test_a_new_store_holds_nothing(self):
        slots = _slots(RamStore())
        self.assertIsNone(slots.read(100))
        self.assertFalse(slots.ever_written)
        self.assertEqual(slots.damaged, ())

    def test_what_was_written_is_read_by_the_next_one(self):
        store = RamStore()
        slots = _slots(store)
        for n in range(5):
            slots.write(b"value %d" % n)
            self.assertEqual(slots.read(100), b"value %d" % n)
            self.assertEqual(_slots(store).read(100), b"value %d" % n)
            self.assertEqual(_slots(store).counter, n + 2)
        self.assertEqual(sorted(store.files), ["thing.0", "thing.1"])

    def test_an_empty_payload_is_a_payload(self):
        store = RamStore()
        _slots(store).write(b"")
        self.assertEqual(_slots(store).read(100), b"")
        self.assertTrue(_slots(store).ever_written)

    def test_the_first_payload_and_one_that_shall_be_alone_survive_any_damaged_byte(self):
        for both in (False, True):
            store = RamStore()
            if both:
                _slots(store).write(b"other")
                _slots(store).write(b"another")
            _slots(store).write(b"payload", both=both)
            for name in ("thing.0", "thing.1"):
                whole = store.files[name]
                for at in range(len(whole)):
                    store.files[name] = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
                    self.assertEqual(_slots(store).read(100), b"payload")
                store.files[name] = whole

    def test_a_second_copy_that_finds_no_room_is_an_error_only_where_it_was_asked_for(self):
        for both in (False, True):
            store = RamStore()
            store.capacity = 60
            if both:
                self.assertRaises(StoreError, _slots(store).write, b"x" * 20, both=True)
            else:
                _slots(store).write(b"x" * 20)
            self.assertEqual(_slots(store).read(100), b"x" * 20)

    def test_every_single_damaged_byte_of_the_newest_slot_brings_back_the_one_before(self):
        store = RamStore()
        slots = _slots(store)
        slots.write(b"before")
        slots.write(b"newest")
        whole = store.files["thing.0"]
        for at in range(len(whole)):
            store.files["thing.0"] = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
            found = _slots(store)
            self.assertEqual(found.read(100), b"before")
            self.assertEqual(found.damaged, (0,))

    def test_every_truncation_and_extension_is_noticed(self):
        store = RamStore()
        slots = _slots(store)
        slots.write(b"before")
        slots.write(b"newest")
        whole = store.files["thing.0"]
        for cut in range(1, len(whole)):
            store.files["thing.0"] = whole[:cut]
            self.assertEqual(_slots(store).read(100), b"before")
        store.files["thing.0"] = whole + b"\x00"
        self.assertEqual(_slots(store).damaged, (0,))

    def test_a_damaged_slot_is_healed_by_the_next_write(self):
        store = RamStore()
        slots = _slots(store)
        slots.write(b"one")
        slots.write(b"two")
        store.files["thing.1"] = b"garbage"
        slots = _slots(store)
        self.assertEqual(slots.damaged, (1,))
        slots.write(b"three")
        self.assertEqual(slots.damaged, ())
        self.assertEqual(_slots(store).read(100), b"three")
        self.assertEqual(_slots(store).damaged, ())

    def test_two_damaged_slots_are_nothing_but_were_once_written_and_heal(self):
        store = RamStore({"thing.0": b"garbage", "thing.1": _version_1()[:-1]})
        slots = _slots(store)
        self.assertIsNone(slots.read(100))
        self.assertTrue(slots.ever_written)
        self.assertEqual(slots.damaged, (0, 1))
        slots.write(b"new")
        self.assertEqual(_slots(store).damaged, ())
        self.assertEqual(_slots(store).read(100), b"new")

    def test_the_previous_format_version_is_read_and_its_successor_outranks_it(self):
        store = RamStore({"thing.0": _version_1()})
        slots = _slots(store)
        self.assertEqual(slots.read(100), b"hello")
        self.assertEqual(slots.counter, 7)
        slots.write(b"now")
        self.assertEqual(_slots(store).read(100), b"now")
        self.assertEqual(_slots(store).counter, 8)
        self.assertEqual(store.files["thing.1"][3], 2)

    def test_a_store_that_keeps_its_format_is_written_in_the_version_that_was_found(self):
        """A release that is not proven may go back to one that reads version 1 alone."""
        store = RamStore({"thing.0": _version_1()})
        store.keeps_format = True
        for text in (b"first", b"second", b"third"):
            _slots(store).write(text)
            self.assertEqual(_slots(store).read(100), text)
        self.assertEqual([store.files["thing.%d" % slot][3] for slot in (0, 1)], [1, 1])
        slots = _slots(store)
        store.keeps_format = False
        slots.write(b"fourth")
        self.assertEqual(_slots(store).read(100), b"fourth")
        store.keeps_format = True
        slots.write(b"fifth")
        self.assertEqual([store.files["thing.%d" % slot][3] for slot in (0, 1)], [2, 2])

    def test_a_later_format_version_and_another_kind_are_not_believed(self):
        store = RamStore()
        _slots(store).write(b"one")
        self.assertIsNone(Slots(store, "thing", b"y").read(100))
        later = store.files["thing.0"]
        store.files["thing.0"] = later[:3] + b"\x03" + later[4:]
        self.assertEqual(_slots(store).damaged, (0,))

    def test_a_full_and_a_readonly_store_say_so_and_the_old_state_stands(self):
        for setting, code in (("capacity", "store_full"), ("readonly", "store_readonly")):
            store = RamStore()
            slots = _slots(store)
            slots.write(b"old")
            slots.write(b"older" * 3)
            setattr(store, setting, 80 if setting == "capacity" else True)
            with self.assertRaises(StoreError) as caught:
                slots.write(b"x" * 100)
            self.assertEqual(caught.exception.code, code)
            self.assertEqual(slots.read(100), b"older" * 3)
            self.assertEqual(_slots(store).read(100), b"older" * 3)
            setattr(store, setting, None)
            slots.write(b"new")
            self.assertEqual(_slots(store).read(100), b"new")

    def test_a_write_that_does_not_read_back_is_an_error_and_not_used(self):
        store = _Spoiling()
        slots = _slots(store)
        slots.write(b"old")
        store.spoils = b"new"
        self.assertRaises(StoreError, slots.write, b"new")
        self.assertEqual(slots.read(100), b"old")
        self.assertEqual(_slots(store).read(100), b"old")
        self.assertEqual(_slots(store).damaged, ())

    def test_an_update_that_memory_does_not_suffice_for_leaves_no_trace_but_space(self):
        store = _Spoiling()
        slots = _slots(store)
        slots.write(b"old")
        slots.write(b"now")
        store.too_much = b"half"
        self.assertRaises(MemoryError, slots.update, b"one", b"half")
        self.assertEqual(slots.read(100), b"now")
        self.assertEqual(_slots(store).read(100), b"now")
        self.assertEqual(_slots(store).damaged, ())

    def test_a_payload_may_come_in_parts(self):
        store = RamStore()
        slots = _slots(store)
        slots.update(b"one", bytearray(b"two"), b"")
        self.assertEqual(slots.read(100), b"onetwo")
        self.assertEqual(_slots(store).read(100), b"onetwo")
        self.assertEqual(store.closes, 1)

    def test_a_power_cut_before_any_operation_leaves_old_or_new(self):
        for torn in (False, True):
            for cut in range(40):
                store = RamStore()
                store.torn = torn
                slots = _slots(store)
                slots.write(b"zero")
                slots.write(b"old")
                store.cut_after = cut
                try:
                    slots.write(b"new")
                    done = True
                except PowerCut:
                    done = False
                store.cut_after = None
                after = _slots(store)
                self.assertIn(after.read(100), (b"new",) if done else (b"new", b"old"))
                after.write(b"next")
                self.assertEqual(_slots(store).read(100), b"next")
                if done:
                    break
            self.assertTrue(done)

    def test_rot_after_loading_is_noticed_when_the_payload_is_read(self):
        store = RamStore()
        slots = _slots(store)
        slots.write(b"one")
        slots.write(b"two")
        store.files["thing.0"] = store.files["thing.0"].replace(b"two", b"tvo")
        self.assertIsNone(slots.read(100))
        self.assertEqual(_slots(store).read(100), b"one")

    def test_a_store_that_cannot_be_read_counts_as_damaged(self):
        store = RamStore()
        _slots(store).write(b"one")
        store.failing = True
        slots = _slots(store)
        self.assertEqual(slots.damaged, (0, 1))

    def test_an_older_folder_that_comes_back_is_known_until_the_next_update(self):
        store = RamStore(watched=True)
        slots = Slots(store, "thing", b"x", True)
        slots.write(b"one")
        slots.write(b"two")
        before = dict(store.files)
        slots.write(b"three")
        store.files = before
        slots = Slots(store, "thing", b"x", True)
        self.assertEqual((slots.read(100), store.behind), (b"two", {"thing"}))
        slots.write(b"four")
        self.assertEqual(store.behind, set())
        self.assertEqual(Slots(store, "thing", b"x", True).read(100), b"four")
        self.assertEqual(store.behind, set())

    def test_a_folder_that_was_lost_whole_is_known_too(self):
        store = RamStore(watched=True)
        Slots(store, "thing", b"x", True).write(b"one")
        store.files.clear()
        self.assertIsNone(Slots(store, "thing", b"x", True).read(100))
        self.assertEqual(store.behind, {"thing"})

    def test_an_update_counts_where_its_note_fails(self):
        store = RamStore(watched=True)
        store.outside.failing = True
        slots = Slots(store, "thing", b"x", True)
        slots.write(b"one")
        self.assertEqual((slots.read(100), store.behind), (b"one", set()))
        self.assertEqual(Slots(store, "thing", b"x", True).unnoted, 2)

    def test_what_is_noted_beside_the_counter_is_there_while_the_counter_is_not_later(self):
        store = RamStore(watched=True)
        slots = Slots(store, "thing", b"x", True)
        slots.note = b"beside"
        slots.update(b"one")
        before = dict(store.files)
        slots.update(b"two")
        found = Slots(store, "thing", b"x", True)
        self.assertEqual((found.note, found.behind, found.unnoted), (b"beside", False, 0))
        newest, store.files = store.files, before
        found = Slots(store, "thing", b"x", True)
        self.assertEqual((found.note, found.behind, found.unnoted), (b"beside", True, 0))
        store.files = newest
        store.outside.kept["thing"] = b"\x01\0\0\0beside"
        found = Slots(store, "thing", b"x", True)
        self.assertEqual((found.note, found.behind, found.unnoted), (b"", False, 1))

    def test_an_update_that_failed_can_be_noted_and_the_next_one_counts(self):
        store = RamStore(watched=True)
        slots = Slots(store, "thing", b"x", True)
        slots.update(b"one")
        slots.take_note(1)
        self.assertTrue(Slots(store, "thing", b"x", True).behind)
        slots.update(b"two")
        self.assertFalse(Slots(store, "thing", b"x", True).behind)
