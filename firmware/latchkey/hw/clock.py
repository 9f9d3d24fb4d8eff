"""Clocks: Unix seconds, and milliseconds that only count. Nobody else knows the epoch.

``DeskClock``: the host keeps the time, or an unset clock that starts in 1970 for tests.
``BoardClock``: the chip's RTC (1970 or 2000 by port, measured from ``time.gmtime(0)``).
Both: ``unix_s() set_unix_s(s) ticks_ms() ticks_diff_ms(later, earlier) sleep_ms(ms) host_trusted``.
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


class _Ticks:
    host_trusted = False

    def ticks_ms(self):
        return ticks_ms()

    def ticks_diff_ms(self, later, earlier):
        return ticks_diff(later, earlier)

    def sleep_ms(self, ms):
        sleep_ms(ms)


class DeskClock(_Ticks):
    """Time of the host, which keeps it; with ``start_unset``, a clock that begins at 0 and counts."""

    def __init__(self, start_unset=False):
        self.host_trusted = not start_unset
        self._offset_s = -int(time.time()) if start_unset else 0

    def unix_s(self):
        return int(time.time()) + self._offset_s

    def set_unix_s(self, unix_s):
        # A desk whose host keeps the time is not ours to set.
        if not self.host_trusted:
            self._offset_s = unix_s - int(time.time())


class BoardClock(_Ticks):
    """``rtc``: a ``machine.RTC``."""

    def __init__(self, rtc):
        self._rtc = rtc
        self._epoch_unix_s = _UNIX_OF_2000 if time.gmtime(0)[0] == 2000 else 0

    def unix_s(self):
        return int(time.time()) + self._epoch_unix_s

    def set_unix_s(self, unix_s):
        t = time.gmtime(unix_s - self._epoch_unix_s)
        self._rtc.datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
