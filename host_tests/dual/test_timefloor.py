"""The earliest possible time: rules T1 to T3."""

import unittest

from fake_clock import FakeClock
from ram_store import PowerCut, RamStore

from latchkey.errors import StoreError
from latchkey.limits import YEAR_2020_S
from latchkey.stores.timefloor import TimeFloor

NOW = 1747061946
DAY = 86400


class TestTimeFloor(unittest.TestCase):
    def setUp(self):
        self.store = RamStore()
        self.clock = FakeClock()
        self.floor = TimeFloor(self.store, self.clock, NOW)

    def boot(self, least=NOW, host_trusted=False, unix_now=946684800):
        self.clock = FakeClock(unix_now, host_trusted)
        self.floor = TimeFloor(self.store, self.clock, least)

    def trust(self, unix_s):
        self.clock.set_unix_s(unix_s)
        self.floor.source_set()
        self.floor.tls_checked()

    def test_trust_takes_a_source_and_then_a_handshake_in_this_order(self):
        self.assertFalse(self.floor.trusted)
        self.floor.tls_checked()
        self.assertFalse(self.floor.trusted)
        self.floor.source_set()
        self.assertFalse(self.floor.trusted)
        self.floor.tls_checked()
        self.assertTrue(self.floor.trusted)
        self.boot()
        self.assertFalse(self.floor.trusted)

    def test_a_host_that_keeps_time_is_a_source(self):
        self.boot(host_trusted=True)
        self.assertFalse(self.floor.trusted)
        self.floor.tls_checked()
        self.assertTrue(self.floor.trusted)

    def test_a_clock_set_anew_must_be_checked_anew(self):
        self.trust(NOW)
        self.floor.source_set()
        self.assertFalse(self.floor.trusted)

    def test_the_floor_rises_with_uptime_however_long_it_is_not_asked(self):
        for days in range(1, 20):
            self.clock.pass_s(DAY)
            self.assertEqual(self.floor.floor_unix_s, NOW + days * DAY)
        for _ in range(10):
            self.clock.pass_s(0.25)
        self.assertEqual(self.floor.floor_unix_s, NOW + 19 * DAY + 2)

    def test_an_untrusted_clock_is_not_asked(self):
        self.clock.set_unix_s(NOW + 5 * DAY)
        self.assertEqual(self.floor.now_unix_s(), NOW)
        self.floor.source_set()
        self.assertEqual(self.floor.now_unix_s(), NOW)

    def test_a_trusted_clock_raises_the_floor_and_is_never_below_it(self):
        self.trust(NOW + 5 * DAY)
        self.assertEqual(self.floor.now_unix_s(), NOW + 5 * DAY)
        self.clock.set_unix_s(NOW)
        self.assertEqual(self.floor.now_unix_s(), NOW + 5 * DAY)

    def test_the_tokens_iat_counts_only_without_a_trusted_clock_and_only_for_itself(self):
        far = NOW + 4000 * DAY
        self.assertEqual(self.floor.now_unix_s(far), far)
        self.assertEqual(self.floor.now_unix_s(), NOW)
        self.assertEqual(self.floor.now_unix_s(NOW - 1), NOW)
        self.trust(NOW + 1)
        self.assertEqual(self.floor.now_unix_s(far), NOW + 1)

    def test_what_the_cloud_wrote_raises_the_floor_within_bounds(self):
        self.assertTrue(self.floor.learn(NOW + 400 * DAY))
        self.assertEqual(self.floor.floor_unix_s, NOW + 400 * DAY)
        self.assertFalse(self.floor.learn(NOW + 801 * DAY))
        self.assertTrue(self.floor.learn(NOW))
        self.assertFalse(self.floor.learn(YEAR_2020_S - 1))
        self.assertEqual(self.floor.floor_unix_s, NOW + 400 * DAY)

    def test_with_a_trusted_clock_the_bound_is_a_minute(self):
        self.trust(NOW + DAY)
        self.assertFalse(self.floor.learn(NOW + DAY + 61))
        self.assertTrue(self.floor.learn(NOW + DAY + 60))
        self.assertEqual(self.floor.latest_unix_s(), NOW + DAY + 60)
        self.assertEqual(self.floor.now_unix_s(), NOW + DAY + 60)

    def test_heard_is_two_minutes_before_the_later_of_clock_and_floor(self):
        self.assertEqual(self.floor.heard_unix_s(), NOW - 120)
        self.trust(NOW + DAY)
        self.assertEqual(self.floor.heard_unix_s(), NOW + DAY - 120)

    def test_it_is_saved_at_most_hourly(self):
        saves = 0
        self.assertTrue(self.floor.save_if_due())
        for minute in range(24 * 60):
            self.clock.pass_s(60)
            saves += self.floor.save_if_due()
            if minute % 100 == 0:
                self.floor.learn(self.floor.floor_unix_s + 2 * 3600)
        self.assertEqual(saves, 24)
        self.assertEqual(self.store.closes, 26)

    def test_nothing_is_saved_that_did_not_rise(self):
        self.floor.save()
        self.floor.save()
        self.assertEqual(self.store.closes, 2)
        self.boot()
        self.assertFalse(self.floor.save_if_due())
        self.assertEqual(self.store.closes, 2)

    def test_it_survives_a_restart_and_never_falls(self):
        self.floor.learn(NOW + 9 * DAY)
        self.floor.save()
        self.boot()
        self.assertEqual(self.floor.floor_unix_s, NOW + 9 * DAY)
        self.assertFalse(self.floor.trusted)
        self.boot(least=NOW + 10 * DAY)
        self.assertEqual(self.floor.floor_unix_s, NOW + 10 * DAY)

    def test_over_the_cable_it_goes_back_in_both_slots(self):
        for day in (100, 900):
            self.floor.learn(NOW + day * DAY)
            self.floor.save()
        self.floor.set_over_cable(NOW + 1)
        for name in ("floor.0", "floor.1"):
            self.store.files[name], kept = b"\xff" * 36, self.store.files[name]
            self.boot()
            self.assertEqual(self.floor.floor_unix_s, NOW + 1)
            self.store.files[name] = kept

    def test_over_the_cable_it_goes_back(self):
        self.trust(NOW + 900 * DAY)
        self.floor.save_if_due()
        self.floor.set_over_cable(NOW + 1)
        self.assertEqual(self.floor.floor_unix_s, NOW + 1)
        self.assertEqual(self.clock.unix_s(), NOW + 1)
        self.assertFalse(self.floor.trusted)
        self.floor.tls_checked()
        self.assertTrue(self.floor.trusted)
        self.boot()
        self.assertEqual(self.floor.floor_unix_s, NOW + 1)

    def test_a_store_that_refuses_is_reported_and_the_floor_in_ram_stands(self):
        self.floor.learn(NOW + DAY)
        self.store.readonly = True
        self.assertRaises(StoreError, self.floor.save)
        self.assertEqual(self.floor.floor_unix_s, NOW + DAY)

    def test_a_damaged_slot_leaves_the_value_before_and_is_reported(self):
        self.floor.learn(NOW + DAY)
        self.floor.save()
        self.floor.learn(NOW + 2 * DAY)
        self.floor.save()
        self.store.files["floor.0"] = b"\xff" * 36
        self.boot()
        self.assertEqual(self.floor.floor_unix_s, NOW + DAY)
        self.assertEqual(self.floor.status()["damaged_slots"], [0])

    def test_a_power_cut_leaves_the_old_or_the_new(self):
        for cut in range(30):
            self.setUp()
            self.floor.save()
            self.floor.learn(NOW + DAY)
            self.store.cut_after = cut
            try:
                self.floor.save()
                return
            except PowerCut:
                self.store.cut_after = None
            self.boot(least=YEAR_2020_S)
            self.assertEqual(self.floor.floor_unix_s, NOW)
        self.fail("never finished")

    def test_status_tells_what_is_known_and_whence(self):
        found = self.floor.status()
        self.assertEqual((found["trusted"], found["floor_unix_s"], found["source_set"]), (False, NOW, False))
