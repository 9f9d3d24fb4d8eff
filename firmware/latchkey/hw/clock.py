"""Clocks (Unix seconds, and milliseconds that only count), and the watchdog.

No other module knows the epoch, or ticks that wrap.

A chip's RTC counts from 1970 or 2000, by port: ``time.gmtime(0)`` says which. The desk's clock, which has the time of
its host, is boards/desk/adapters/deskclock.py.
"""

import time

# Another name of the same module. CPython's has none of these: tests bring them under this one.
from utime import sleep_ms, ticks_diff, ticks_ms

from latchkey.limits import const

_UNIX_OF_2000 = const(946684800)
_MARK_MS = const(1 << 24)  # 4.7 hours


class BoardClock:
    """``rtc``: a ``machine.RTC``. ``.host_trusted``: whether somebody else keeps the time, as on a desk."""

    host_trusted = False
    sleep_ms = staticmethod(sleep_ms)

    def __init__(self, rtc):
        self._rtc = rtc
        self._mark = (ticks_ms(), 0)  # ticks, and what now_ms() was at that moment
        self._epoch_unix_s = _UNIX_OF_2000 if time.gmtime(0)[0] == 2000 else 0

    def now_ms(self):
        """Milliseconds since this clock was made. They never wrap, if somebody asks at least every six days: ticks wrap
        at 2**30 ms, and a difference of more than half of that is ambiguous. The loop asks at each of its turns.

        Without a lock: a thread that stores an older mark than another does no harm, since every mark is true.
        """
        mark_ticks, mark_ms = self._mark
        ticks = ticks_ms()
        passed_ms = ticks_diff(ticks, mark_ticks)
        if passed_ms >= _MARK_MS:
            self._mark = (ticks, mark_ms + passed_ms)
        return mark_ms + passed_ms

    def uptime_s(self):
        """Whole seconds since the start of the device, which makes its clock first."""
        return self.now_ms() // 1000

    def unix_s(self):
        return int(time.time()) + self._epoch_unix_s

    def set_unix_s(self, unix_s):
        t = time.gmtime(unix_s - self._epoch_unix_s)
        self._rtc.datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))


class Watchdog:
    """Fed only when both the loop and the link have made progress since it was fed last. ``wdt``: a running
    ``machine.WDT``."""

    def __init__(self, wdt):
        self._wdt = wdt
        self._turns = None

    def look(self, link_turns):
        """To be called on the loop at least every few seconds. ``link_turns``: any number that changes whenever the
        link makes progress, or None for a device without a link. An unchanged number feeds nothing."""
        if link_turns is None or link_turns != self._turns:
            self._turns = link_turns
            self._wdt.feed()
