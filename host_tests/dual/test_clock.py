"""Milliseconds that never wrap, over ticks that do (2**30 ms on a chip)."""

import unittest

from latchkey.hw import clock

_WRAP = 1 << 30
_HOUR_MS = 3600 * 1000
_SIX_DAYS_MS = 6 * 24 * _HOUR_MS


class Ticks:
    """A chip's ticks, which the test moves. ``between``: called once in the middle of a reading, as another thread
    that reads the clock at that moment."""

    def __init__(self, start):
        self.now = start
        self.between = None

    def ms(self):
        return self.now % _WRAP

    def diff(self, later, earlier):
        between, self.between = self.between, None
        if between:
            between()
        return (later - earlier + _WRAP // 2) % _WRAP - _WRAP // 2


class TestMonotonic(unittest.TestCase):
    def setUp(self):
        self.real = clock.ticks_ms, clock.ticks_diff

    def tearDown(self):
        clock.ticks_ms, clock.ticks_diff = self.real

    def start(self, at):
        self.ticks = Ticks(at)
        clock.ticks_ms, clock.ticks_diff = self.ticks.ms, self.ticks.diff
        self.clock = clock.BoardClock(None)

    def test_it_counts_on_where_ticks_wrap(self):
        for start in (0, 1, _WRAP // 2, _WRAP - 5000, _WRAP - 1):
            self.start(start)
            for step in (0, 1, 4998, 1, 1, _HOUR_MS, _SIX_DAYS_MS, _HOUR_MS, _SIX_DAYS_MS, 7):
                self.ticks.now += step
                self.assertEqual(self.clock.now_ms(), self.ticks.now - start)

    def test_it_never_wraps_itself(self):
        self.start(_WRAP - 1)
        for _ in range(200):
            self.ticks.now += _SIX_DAYS_MS
            self.assertEqual(self.clock.now_ms(), self.ticks.now - _WRAP + 1)
        self.assertEqual(self.clock.uptime_s(), 200 * 6 * 86400)

    def test_nothing_is_lost_where_two_threads_read_it_at_once(self):
        self.start(_WRAP - 5000)
        seen = []

        def other():
            self.ticks.now += self.step
            seen.append(self.clock.now_ms())

        for self.step in (0, 1, _HOUR_MS, 5 * _HOUR_MS) * 20:
            before = self.ticks.now
            self.ticks.between = other
            self.assertEqual(self.clock.now_ms(), before - _WRAP + 5000)
            self.assertEqual(seen.pop(), self.ticks.now - _WRAP + 5000)
            self.ticks.now += 3 * _HOUR_MS
            self.assertEqual(self.clock.now_ms(), self.ticks.now - _WRAP + 5000)


if __name__ == "__main__":
    unittest.main()
