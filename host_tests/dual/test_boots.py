"""Starts: crashes in a row, power cycles in place of a button, what outlives a sleep."""

import sys
import unittest

from ram_store import RamStore

from latchkey.device.start import Boots


class Note:
    """RTC memory: outlives resets; ``power_cut`` leaves noise."""

    def __init__(self):
        self.data = b""

    def __call__(self, data=None):
        if data is None:
            return self.data
        self.data = bytes(data)

    def power_cut(self):
        self.data = b"\xa5\x17" * 20


class TestCrashes(unittest.TestCase):
    def setUp(self):
        self.note, self.store = Note(), RamStore()

    def boot(self, cause, **more):
        return Boots(self.note, self.store, cause, False, **more)

    def test_three_crashes_in_a_row_boot_the_safe_state(self):
        self.boot("power")
        seen = []
        for cause in ("watchdog", "reset", "watchdog"):
            seen.append(self.boot(cause).safe)
        self.assertEqual(seen, [False, False, True])

    def test_an_exception_counts_as_a_crash_and_its_restart_does_not_count_again(self):
        boots = self.boot("power")
        for count in (1, 2, 3):
            boots.end(crashed=True)
            boots = self.boot("reset")
            self.assertEqual((boots.crashes, boots.safe), (count, count == 3))

    def test_a_restart_that_was_meant_is_no_crash_and_forgives_those_before(self):
        self.boot("power")
        self.boot("watchdog")
        self.boot("watchdog").end()
        boots = self.boot("reset")
        self.assertEqual((boots.crashes, boots.safe), (0, False))

    def test_power_on_is_never_a_crash_whatever_memory_holds(self):
        self.boot("power")
        for _ in range(5):
            self.assertFalse(self.boot("power").safe)
        for _ in range(3):
            boots = self.boot("watchdog")
        self.assertTrue(boots.safe)
        self.assertFalse(self.boot("power").safe)
        self.note.power_cut()
        self.assertEqual(self.boot("power").crashes, 0)
        self.note.power_cut()
        self.assertEqual(self.boot("reset").crashes, 0)

    def test_a_soft_reset_of_the_console_is_no_crash(self):
        self.boot("power")
        for _ in range(5):
            self.assertFalse(self.boot("soft").safe)

    def test_running_well_for_five_minutes_forgives(self):
        self.boot("power")
        boots = self.boot("watchdog")
        boots.settled(299)
        self.assertEqual(boots.crashes, 1)
        boots.settled(300)
        self.assertEqual((boots.crashes, self.boot("watchdog").crashes), (0, 1))

    def test_every_bit_that_rots_in_memory_reads_as_nothing_kept(self):
        self.boot("power")
        self.boot("watchdog")
        whole = self.note.data
        for bit in range(8 * len(whole)):
            spoilt = bytearray(whole)
            spoilt[bit // 8] ^= 1 << bit % 8
            self.note.data = bytes(spoilt)
            self.assertEqual(self.boot("sleep").crashes, 0)


class TestFolders(unittest.TestCase):
    def boots_in(self, folder):
        """Boots as the release in ``folder`` has it."""
        kept = sys.modules.pop("latchkey.device.start")
        sys.path.insert(0, folder)
        try:
            __import__("latchkey.device.start")
            return sys.modules["latchkey.device.start"].Boots
        finally:
            sys.path.pop(0)
            sys.modules["latchkey.device.start"] = kept

    def test_a_release_that_comes_back_does_not_inherit_the_crashes_of_the_one_that_went(self):
        note, store = Note(), RamStore()
        old, new = self.boots_in("/flash/a"), self.boots_in("/flash/b")
        new(note, store, "reset", False)
        self.assertEqual([new(note, store, "reset", False).crashes for _ in range(3)], [1, 2, 3])
        self.assertEqual([old(note, store, "reset", False).crashes for _ in range(2)], [0, 1])


class TestCycles(unittest.TestCase):
    def setUp(self):
        self.store = RamStore()

    def boot(self, cause="power", counts=True):
        return Boots(Note(), self.store, cause, counts)

    def test_five_short_power_cycles_stand_for_the_long_press_and_ten_for_the_reset(self):
        gestures = [self.boot().gesture for _ in range(12)]
        self.assertEqual(gestures, [None] * 4 + ["long"] * 5 + ["reset"] * 3)

    def test_a_reset_that_was_carried_out_ends_the_row(self):
        for _ in range(10):
            boots = self.boot()
        self.assertEqual(boots.gesture, "reset")
        boots.keep_cycles(0)
        self.assertEqual([self.boot().gesture for _ in range(5)], [None] * 4 + ["long"])

    def test_a_start_of_ten_seconds_ends_the_row(self):
        for _ in range(4):
            boots = self.boot()
        boots.settled(9)
        boots.settled(10)
        self.assertEqual([self.boot().gesture for _ in range(5)], [None] * 4 + ["long"])

    def test_a_row_ends_with_a_good_start_of_any_cause(self):
        for _ in range(4):
            self.assertEqual(self.boot().gesture, None)
            self.boot("reset").settled(10)

    def test_a_row_that_flash_cannot_end_is_ended_later_and_not_at_every_turn(self):
        for _ in range(4):
            boots = self.boot()
        self.store.readonly = True
        boots.settled(10)
        self.store.readonly = False
        boots.settled(69)
        self.assertEqual(self.boot().gesture, "long")
        boots = self.boot()
        for uptime_s in (10, 11, 70):
            boots.settled(uptime_s)
        self.assertEqual(self.boot().gesture, None)

    def test_nine_seconds_do_not_end_it(self):
        for _ in range(4):
            self.boot().settled(9)
        self.assertEqual(self.boot().gesture, "long")

    def test_who_works_at_the_console_is_no_hand_at_the_switch(self):
        for _ in range(12):
            boots = self.boot()
            self.assertEqual(boots.gesture, None)
            boots.end()

    def test_resets_and_devices_with_a_button_count_nothing(self):
        for _ in range(12):
            self.assertEqual((self.boot("reset").gesture, self.boot("power", False).gesture), (None, None))
        self.assertEqual(self.store.closes, 0)

    def test_an_ordinary_day_writes_twice_beside_the_first_copy_and_a_flash_that_refuses_does_no_harm(self):
        boots = self.boot()
        for uptime_s in range(0, 1000, 5):
            boots.settled(uptime_s)
        self.assertEqual(self.store.closes, 3)
        self.store.readonly = True
        for _ in range(12):
            self.assertEqual(self.boot().gesture, None)


class TestSleep(unittest.TestCase):
    def test_after_power_on_no_floor_is_believed(self):
        note, store = Note(), RamStore()
        Boots(note, store, "power", False).end(5102444800)
        self.assertEqual(Boots(note, store, "power", False).floor_unix_s, 0)

    def test_a_watchdog_at_the_prompt_is_no_crash(self):
        note, store = Note(), RamStore()
        Boots(note, store, "power", False).end()
        self.assertEqual(Boots(note, store, "watchdog", False).crashes, 0)

    def test_floor_count_and_measurement_outlive_a_sleep(self):
        note, store = Note(), RamStore()
        boots = Boots(note, store, "power", False)
        boots.end(1800000000, sleep_ms=300000, kept=b'{"t": 21.5}')
        boots = Boots(note, store, "sleep", False, timed=True)
        self.assertEqual((boots.wakes, boots.kept, boots.crashes), (1, b'{"t": 21.5}', 0))
        self.assertEqual(boots.floor_unix_s, 1800000000 + 270)
        boots.end(0, sleep_ms=300000)
        boots = Boots(note, store, "sleep", False, timed=False)
        self.assertEqual((boots.wakes, boots.kept, boots.floor_unix_s), (2, b"", 1800000270))

    def test_a_crash_after_a_wake_counts_and_keeps_the_floor(self):
        note, store = Note(), RamStore()
        Boots(note, store, "power", False).end(1800000000, sleep_ms=1000, kept=b"x")
        Boots(note, store, "sleep", False, timed=True)
        boots = Boots(note, store, "watchdog", False)
        self.assertEqual((boots.crashes, boots.kept, boots.floor_unix_s), (1, b"", 1800000000))


class TestMemory(unittest.TestCase):
    def test_a_count_that_memory_is_too_short_to_write_is_written_later(self):
        store = RamStore()
        boots = Boots(Note(), store, "power", True)
        create, store.create = store.create, short
        boots.settled(60)
        store.create = create
        boots.settled(10000)
        self.assertEqual(Boots(Note(), store, "reset", True)._cycles, 0)


def short(_name):
    raise MemoryError


if __name__ == "__main__":
    unittest.main()
