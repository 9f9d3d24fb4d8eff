"""Clocks: Unix seconds, and milliseconds that only count. No other module knows the epoch, or ticks that wrap.

``DeskClock``: the host keeps the time, or an unset clock that starts in 1970 for tests.
``BoardClock``: the chip's RTC (1970 or 2000 by port, measured from ``time.gmtime(0)``).
Both: ``unix_s() set_unix_s(s) now_ms() uptime_s() sleep_ms(ms) host_trusted``.
"""

import time

try:
    from time import sleep_ms, ticks_diff, ticks_ms  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython has neither; its integers do not wrap

    def ticks_ms():
        return time.monotonic_ns() // 1000000  # pyright: ignore[reportAttributeAccessIssue]

    def ticks_diff(later, earlier):
        return later - earlier

    def sleep_ms(ms):
        time.sleep(ms / 1000)


_UNIX_OF_2000 = 946684800
_MARK_MS = 1 << 24  # 4.7 hours


class _Monotonic:
    host_trusted = False

    def __init__(self):
        self._mark = (ticks_ms(), 0)  # ticks, and what now_ms() was at that moment

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

    def sleep_ms(self, ms):
        sleep_ms(ms)


class DeskClock(_Monotonic):
    """Time of the host, which keeps it; with ``start_unset``, a clock that begins at 0 and counts."""

    def __init__(self, start_unset=False):
        super().__init__()
        self.host_trusted = not start_unset
        self._offset_s = -int(time.time()) if start_unset else 0

    def unix_s(self):
        return int(time.time()) + self._offset_s

    def set_unix_s(self, unix_s):
        # A desk whose host keeps the time is not ours to set.
        if not self.host_trusted:
            self._offset_s = unix_s - int(time.time())


class BoardClock(_Monotonic):
    """``rtc``: a ``machine.RTC``."""

    def __init__(self, rtc):
        super().__init__()
        self._rtc = rtc
        self._epoch_unix_s = _UNIX_OF_2000 if time.gmtime(0)[0] == 2000 else 0

    def unix_s(self):
        return int(time.time()) + self._epoch_unix_s

    def set_unix_s(self, unix_s):
        t = time.gmtime(unix_s - self._epoch_unix_s)
        self._rtc.datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
