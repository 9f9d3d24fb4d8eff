"""The cloud link as the loop sees it: start, stop, pump, status.

Everything that may wait runs in one thread (latchkey.cloud.session); the loop takes its messages from a bounded queue.
The table of latchkey.cloud.messages says what a message does.

States: ``stopped``; ``waiting`` (for Wi-Fi, or between two tries); ``connecting``; ``online`` (both topics subscribed);
``partial`` (one subscription refused, the other serves).
"""

from latchkey.cloud.reasons import LinkError
from latchkey.cloud.session import Keeper, Timing
from latchkey.device import certdates
from latchkey.limits import const
from latchkey.net import thread

_INBOX = const(8)  # messages between the thread and the loop
_WARN_S = const(60 * 86400)
_FULL_PAUSE_MS = const(5)
_THREAD_AGAIN_MS = const(30000)


class Link:
    """``config``: the configuration (dict); ``credentials`` and ``attempt`` (those to try first, or None): dicts of
    bytes ``ca_der cert_der key_der``; ``radio``: ``up() station() scan() scanning``; ``clock``: see hw/clock.py;
    ``log``: callable of one text."""

    def __init__(self, config, credentials, radio, clock, floor_unix_s, log, attempt=None, timing=None):
        self.stopping = False
        self.turns = 0  # changes as long as the link goes round; for the watchdog
        self.state, self.reason, self.detail = "stopped", "", None
        self.since_unix_s = clock.unix_s()
        self.broker_not_after = None
        self.attempt = "running" if attempt else None
        self._clock = clock
        self._log = log
        self._timing = timing or Timing()
        self.credentials = credentials  # in force; another pair may be being tried
        self._again = False
        self._waits_ms = None  # since when memory is short for a thread
        self._inbox = thread.Inbox(_INBOX)
        self.offer = self._inbox.offer  # whether there was room for a message
        keeper = Keeper(config, credentials, attempt, floor_unix_s, radio, clock, self._timing, self)
        self.turn, self.close = keeper.turn, keeper.close

    # On the loop

    def start(self):
        """Hand the link to its thread. Where memory is too short for one, ``pump`` tries again."""
        try:
            thread.run(self, self._clock.sleep_ms)
            self._waits_ms = None
        except MemoryError:
            self._waits_ms = self._clock.now_ms()
            self.change("waiting", "no_memory", None)

    def stop(self):
        """Have the link end; it closes its connection within a slice (a name look-up may take longer)."""
        self.stopping = True
        self.change("stopped", "", None)

    def pump(self, updates, distrusted=False):
        """Have ``updates`` (messages.Updates) apply what has come, at most a queue's length. If memory was too short
        for it, the link connects again, since retained messages then come again. ``distrusted``: see there."""
        if self._waits_ms is not None:
            self.turns = (self.turns + 1) & 0x3FFF
            if self._clock.now_ms() - self._waits_ms >= _THREAD_AGAIN_MS:
                self.start()
        for _ in range(_INBOX):
            message = self._inbox.take()
            if message is None:
                return
            if not updates.apply(message, self, distrusted):
                self._again = True

    def change(self, state, reason, detail):
        """Note a state, and log it; it is the same while it waits and connects in turn for the same reason, also with
        another ``detail``."""
        if reason == "" and state == "connecting":
            reason, detail = self.reason, self.detail
        tries = ("waiting", "connecting")
        same = reason == self.reason and (state == self.state or (state in tries and self.state in tries))
        self.state, self.reason, self.detail = state, reason, detail
        if same:
            return
        self.since_unix_s = self._clock.unix_s()
        self._log("cloud: " + " ".join([str(w) for w in (state, reason, detail) if w not in ("", None)]))

    def status(self):
        """State, reason and dates as a dict of plain values; no secret is in it."""
        end = certdates.not_after(self.credentials["cert_der"])
        return {
            "state": self.state,
            "reason": self.reason,
            "detail": self.detail,
            "since": self.since_unix_s,
            "cert_not_after": end,
            "cert_warning": end is not None and end - self._clock.unix_s() < _WARN_S,
            "ca_not_after": certdates.not_after(self.credentials["ca_der"]),
            "broker_cert_not_after": self.broker_not_after,
            "attempt": self.attempt,
        }

    # In the thread

    def alive(self):
        """LinkError if the session has to end."""
        self.turns = (self.turns + 1) & 0x3FFF
        if self.stopping:
            raise LinkError("stopped")
        if self._again:
            self._again = False
            raise LinkError("no_memory")

    def put(self, message):
        """Wait for room; LinkError if the loop makes none."""
        since_ms = self._clock.now_ms()
        while not self._inbox.offer(message):
            self.alive()
            if self._clock.now_ms() - since_ms > self._timing.handover_ms:
                raise LinkError("loop_stalled")
            self._clock.sleep_ms(_FULL_PAUSE_MS)
