"""The reason for this start, and what follows from it: crashes in a row (A9), short power cycles in place of a button
(A7), sleep.

Crashes are counted in ``note``, memory that outlives every reset but no power cut (a chip's RTC memory), so a device
that was switched on always starts whole. Power cycles are counted in flash. A panic reads as an ordinary reset on
ESP32; the mark that the program runs tells it from a restart that was meant.
"""

import binascii
import struct
import sys

from latchkey.errors import NOT_STORED
from latchkey.limits import const
from latchkey.stores.slots import Slots

_CYCLE_S = const(10)  # switched off again sooner, a start counts as one of a row
_CYCLES_RETRY_S = const(60)
_CYCLES_OPEN = const(5)
_CYCLES_RESET = const(10)
_CRASHES = const(3)
_STABLE_S = const(300)
_NOTE = "<2sBBHIQ"  # magic, running, crashes, wakes, ms of sleep, floor
# A release that comes back must not inherit the crashes of the one that went: its folder, a or b, is in the magic.
_MAGIC = b"L" + (sys.path[0][-1:] or "N").encode()
# The oscillator that counts sleep is good to some percent: less is known to be past.
_SLEPT_PERCENT = const(90)


class Boots:
    """``note()`` gives the bytes that ``note(bytes)`` kept. ``cause``: of this start (hw/chip.py). ``counts_cycles``: a
    device without a button. ``timed``: a sleep ended because its time was over.

    ``.safe``: no application in this boot (A9). ``.gesture``: "long", "reset" or None, what power cycles say.
    ``.crashes``; ``.wakes``: sleeps since power-on; ``.kept``: bytes that outlived the sleep; ``.floor_unix_s``: a
    moment known to be past, 0 for none.
    """

    def __init__(self, note, store, cause, counts_cycles, timed=False):
        self._note = note
        self._store = store
        (running, self.crashes, self.wakes, slept_ms, self.floor_unix_s), self.kept = _unpack(note())
        if cause == "power":
            # The memory may then hold noise that happens to fit.
            self.crashes = self.wakes = self.floor_unix_s = 0
        elif running and cause in ("watchdog", "reset"):
            self.crashes += 1
        if cause != "sleep":
            self.kept = b""
        else:
            self.wakes = (self.wakes + 1) & 0xFFFF
            self.floor_unix_s += slept_ms * _SLEPT_PERCENT // 100000 if timed else 0
        self.safe = self.crashes >= _CRASHES
        count = Slots(store, "starts", b"b").read(1) if counts_cycles else None
        self._cycles = count[0] if count else 0
        self._settles_s = _CYCLE_S
        self.gesture = None
        if counts_cycles and cause == "power":
            self.keep_cycles(min(self._cycles + 1, 255))
            # The count stays until the reset is carried out: a power cut may come first.
            if self._cycles >= _CYCLES_OPEN:
                self.gesture = "reset" if self._cycles >= _CYCLES_RESET else "long"
        self._write(True)

    def settled(self, uptime_s):
        """To be called now and then: after a while power cycles and crashes no longer count."""
        if self._cycles and uptime_s >= self._settles_s:
            self._settles_s = uptime_s + _CYCLES_RETRY_S
            self.keep_cycles(0)
        if self.crashes and not self.safe and uptime_s >= _STABLE_S:
            self.crashes = 0
            self._write(True)

    def end(self, floor_unix_s=0, crashed=False, sleep_ms=0, kept=b""):
        """Before a reset or sleep of our own, or a return to the prompt. An intended one clears the count of crashes.

        It also ends a row of power cycles: opening a serial port resets many boards, which reads as power-on.
        """
        self.kept = kept
        if self._cycles and not crashed:
            self.keep_cycles(0)
        self.crashes = self.crashes + 1 if crashed else 0
        self.floor_unix_s = max(self.floor_unix_s, floor_unix_s)
        self._write(False, sleep_ms)

    def keep_cycles(self, count):
        """Count on from here; a count that flash refuses is as before, or a row would never end."""
        try:
            Slots(self._store, "starts", b"b").write(bytes((count,)))
            self._cycles = count
        except NOT_STORED:
            pass

    def _write(self, running, sleep_ms=0):
        head = struct.pack(_NOTE, _MAGIC, running, min(self.crashes, 255), self.wakes, sleep_ms, self.floor_unix_s)
        data = head + self.kept
        self._note(data + struct.pack("<I", binascii.crc32(data)))


def _unpack(data):
    """(running, crashes, wakes, ms of sleep, floor), kept bytes; zeros if it is not a note: after power-on it is
    noise."""
    size = struct.calcsize(_NOTE)
    if len(data) < size + 4 or data[:2] != _MAGIC or binascii.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        return (0, 0, 0, 0, 0), b""
    return struct.unpack(_NOTE, data[:size])[1:], data[size:-4]
