"""The time, and the moment that is known to be past (T1 to T3).

The floor is the latest moment known to be past; it only ever rises, except over the serial cable. The clock is trusted
from when a source set it in this boot and a TLS handshake that checked dates then succeeded.
"""

import struct

from latchkey.limits import YEAR_2020_S, const
from latchkey.stores.slots import Slots

HEARD_MARGIN_S = const(120)
FLOOR_AHEAD_S = const(400 * 86400)
CLOCK_AHEAD_S = const(60)
_FLOOR_SAVE_S = const(3600)


class TimeFloor:
    """``clock``: see hw/clock.py; ``least_unix_s``: a moment that is past (build time, RTC memory)."""

    def __init__(self, store, clock, least_unix_s=YEAR_2020_S):
        self._clock = clock
        self.now_ms = clock.now_ms
        self._slots = Slots(store, "floor", b"t", True)
        saved = self._slots.read(8) or b""
        self._saved = struct.unpack("<Q", saved)[0] if len(saved) == 8 else 0
        self._floor = max(least_unix_s, YEAR_2020_S, self._saved)
        self._uptime_s = clock.uptime_s()  # up to which the floor has risen
        self._saved_at_s = None
        self._source = bool(clock.host_trusted)
        self._checked = False

    @property
    def trusted(self):
        """T1."""
        return self._source and self._checked

    @property
    def floor_unix_s(self):
        """The latest moment known to be past: what was learned, and the uptime since."""
        uptime_s = self._clock.uptime_s()
        self._floor += uptime_s - self._uptime_s
        self._uptime_s = uptime_s
        if self.trusted:
            self._floor = max(self._floor, self._clock.unix_s())
        return self._floor

    def now_unix_s(self, iat_unix_s=None):
        """Now, as far as we know (T3). ``iat_unix_s``: of the token at hand, its signature verified; counts without a
        trusted clock alone."""
        floor = self.floor_unix_s
        if self.trusted or iat_unix_s is None:
            return floor
        return max(floor, iat_unix_s)

    def latest_unix_s(self):
        """No moment after this is believed of a token or a list (T2)."""
        if self.trusted:
            return self._clock.unix_s() + CLOCK_AHEAD_S
        return self.floor_unix_s + FLOOR_AHEAD_S

    def heard_unix_s(self):
        """The mark ``heard`` for a list received at this moment."""
        return self.floor_unix_s - HEARD_MARGIN_S

    def learn(self, unix_s):
        """``unix_s`` was written by the cloud, so it is past; False if it lies outside what T2 believes."""
        if not YEAR_2020_S <= unix_s <= self.latest_unix_s():
            return False
        self._floor = max(self._floor, unix_s)
        return True

    def source_set(self):
        """A source (NTP, the technician, a battery-backed RTC) has just set the clock."""
        self._source = True
        self._checked = False

    def tls_checked(self):
        """A TLS handshake that checked dates against the clock has just succeeded."""
        self._checked = self._source

    def save_if_due(self):
        """Write the floor if it rose by an hour, at most hourly; True if it did. StoreError: tried again in an hour."""
        floor = self.floor_unix_s
        if floor - self._saved < _FLOOR_SAVE_S:
            return False
        if self._saved_at_s is not None and self._uptime_s - self._saved_at_s < _FLOOR_SAVE_S:
            return False
        self._saved_at_s = self._uptime_s
        self.save()
        return True

    def save(self):
        """Write the floor now, as before a planned restart."""
        floor = self.floor_unix_s
        if floor != self._saved:
            self._slots.write(struct.pack("<Q", floor))
            self._saved = floor

    def set_over_cable(self, unix_s):
        """Set clock and floor, back too; saved at once. The clock is trusted again after the next handshake."""
        self._clock.set_unix_s(unix_s)
        self._floor = unix_s
        self._uptime_s = self._clock.uptime_s()
        self.source_set()
        # Into both slots: a damaged one would bring back the later floor that this replaces.
        self._slots.write(struct.pack("<Q", unix_s), both=True)
        self._saved = unix_s

    def status(self):
        return {
            "trusted": self.trusted,
            "source_set": self._source,
            "clock_unix_s": self._clock.unix_s(),
            "floor_unix_s": self.floor_unix_s,
            "floor_saved_unix_s": self._saved,
            "damaged_slots": list(self._slots.damaged),
        }
