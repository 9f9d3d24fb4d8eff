"""When a sensor on battery sleeps. Deep sleep is a restart: every wake decides anew how long it stays.

Switched on, or woken by its button, its API is open for five minutes; of its measurements every twelfth opens it for
one. All others measure and sleep again, without Wi-Fi. Lists that the cloud sends live meanwhile are missed, unless
they are retained.
"""

import json

from latchkey.errors import StoreError
from latchkey.limits import const
from latchkey.stores.timefloor import TimeFloor

_OPEN_S = const(300)  # switched on, or woken by the button
_SCHEDULED_S = const(60)
_EVERY = const(12)  # measurements to one that opens the API


class Awake:
    """``every_s``: between measurements. ``timed``: whether a timer woke us; ``wakes``: how often anything did."""

    def __init__(self, every_s, timed, wakes, hurry=1):
        self._every_s = every_s
        scheduled = wakes % _EVERY == 0
        window_s = (_SCHEDULED_S if scheduled else 0) if timed else _OPEN_S
        self._until_s = -(-window_s // hurry)
        self._stay_s = -(-_SCHEDULED_S // hurry) + 1  # a second that has begun counts as whole
        self.opens = window_s > 0

    def due(self, uptime_s, busy):
        """Whether it is time to sleep; while somebody is here (``busy``), and a minute after, it is not."""
        if busy:
            self._until_s = max(self._until_s, uptime_s + self._stay_s)
        return uptime_s >= self._until_s

    def sleep_ms(self, uptime_s):
        """How long: the measurements keep their distance."""
        return max(self._every_s - uptime_s % self._every_s, 1) * 1000

    def status(self):
        return {"every_s": self._every_s, "window_every": _EVERY, "misses_live_lists": True}

    def glance(self, board, boots, measure):
        """Measure (``measure(product)``) and sleep again: no network, no API. Returns for how long, in ms."""
        floor = TimeFloor(board.store, board.clock, boots.floor_unix_s)
        product = board.product()
        if boots.kept:
            product.restore(json.loads(boots.kept))
        measure(product)
        try:
            floor.save_if_due()
        except StoreError as exc:
            board.say("flash: " + exc.code)
        return self.begin(boots, floor, product, 0)

    def begin(self, boots, floor, product, uptime_s):
        """Keep in RTC memory what has to outlive the sleep; returns its length in ms. ``product``: None in the safe
        state."""
        sleep_ms = self.sleep_ms(uptime_s)
        kept = json.dumps(product.state()).encode() if product else b""
        boots.end(floor.floor_unix_s, sleep_ms=sleep_ms, kept=kept)
        return sleep_ms
