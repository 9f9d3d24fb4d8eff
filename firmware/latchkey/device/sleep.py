"""When a sensor on battery sleeps. Deep sleep is a restart: every wake decides anew how long it stays.

Switched on, or woken by its button, its API is open for five minutes; of its measurements every twelfth opens it for
one. All others measure and sleep again, without Wi-Fi. Lists that the cloud sends live meanwhile are missed, unless
they are retained.
"""

from latchkey import limits


class Awake:
    """``every_s``: between measurements. ``timed``: whether a timer woke us; ``wakes``: how often anything did."""

    def __init__(self, every_s, timed, wakes, hurry=1):
        self._every_s = every_s
        scheduled = wakes % limits.AWAKE_EVERY == 0
        window_s = (limits.AWAKE_SCHEDULED_S if scheduled else 0) if timed else limits.AWAKE_S
        self._until_s = -(-window_s // hurry)
        self._stay_s = -(-limits.AWAKE_SCHEDULED_S // hurry) + 1  # a second that has begun counts as whole
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
        """For diagnostics."""
        return {"every_s": self._every_s, "window_every": limits.AWAKE_EVERY, "misses_live_lists": True}
