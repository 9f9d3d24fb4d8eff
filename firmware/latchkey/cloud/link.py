"""The cloud link as the loop sees it: start, stop, poll, status.

With ``use_thread`` (and a port that has threads) everything that may wait runs in one thread, and the loop polls a
bounded queue of messages. Without, ``pump`` does one turn of the link on the loop itself: waits are then short but
real, and ``status()["threaded"]`` says so. What the messages do is ``latchkey.cloud.messages``.
"""

from latchkey import limits
from latchkey.cloud.reasons import LinkError, Settings, Status, Timing
from latchkey.cloud.session import Keeper
from latchkey.device import certdates

try:
    from latchkey.cloud import inbox
    from latchkey.net import thread
except ImportError:  # a port without _thread
    inbox = thread = None

# Without a thread a turn holds local requests: this long for a connection or a packet, and for a list a
# second per this many bytes more.
_COOPERATIVE_MS = 3000
_COOPERATIVE_BYTES_S = 128 * 1024
_DAY_S = 86400


class Link:
    """``radio``: ``up() why() ntp_hosts() errand()``; ``clock``: see hw/clock.py; ``log``: callable of one text."""

    def __init__(
        self, config, credentials, radio, clock, floor_unix_s, use_thread=True, log=None, timing=None, attempt=None
    ):
        self.threaded = use_thread and thread is not None
        self.stopping = False
        self.turns = 0  # changes as long as the link goes round; for the watchdog
        settings = Settings(config, credentials, floor_unix_s, attempt)
        self._clock = clock
        self._timing = timing or (Timing() if self.threaded else _hasty())
        self._inbox = inbox.Inbox(limits.CLOUD_INBOX) if self.threaded else None
        self._status = Status(clock.unix_s, log or _quiet)
        self._cert_not_after = certdates.not_after(credentials["cert_der"])
        self._broker_not_after = None
        self._attempt = "running" if attempt else None
        self._apply = None
        self._again = False
        self._keeper = Keeper(settings, radio, clock, self._timing, self._put, self._tell, self._alive)

    # On the loop

    def start(self):
        if self.threaded:
            thread.run(self, self._clock.sleep_ms)

    def stop(self):
        """Tell the link to end; it closes its connection within a slice (a name look-up may take longer)."""
        self.stopping = True
        if not self.threaded:
            self.close()
        self._status.change("stopped", "", None)

    def poll(self):
        """The messages that have come, at most a queue's length, as a generator; threaded links only."""
        for _ in range(limits.CLOUD_INBOX):
            message = self._inbox.take()
            if message is None:
                return
            self._note(message)
            yield message

    def pump(self, apply):
        """Serve the link, threaded or not: ``apply(message)`` is called for what has come. If it answers False,
        the link connects again, since retained messages then come again."""
        if self.threaded:
            for message in self.poll():
                if apply(message) is False:
                    self._again = True
        elif not self.stopping:
            self._apply = apply
            self._keeper.turn(0)

    def status(self):
        """State, reason and dates as a dict of plain values; no secret is in it."""
        status = self._status
        left_s = None if self._cert_not_after is None else self._cert_not_after - self._clock.unix_s()
        return {
            "state": status.state,
            "reason": status.reason,
            "detail": status.detail,
            "since": status.since_unix_s,
            "threaded": self.threaded,
            "cert_not_after": self._cert_not_after,
            "cert_warning": left_s is not None and left_s < limits.CLOUD_WARN_DAYS * _DAY_S,
            "broker_cert_not_after": self._broker_not_after,
            "attempt": self._attempt,
        }

    def _note(self, message):
        kind = message[0]
        if kind == "state" and not self.stopping:
            self._status.change(message[1], message[2], message[3])
        elif kind == "tls":
            self._broker_not_after = message[1]
        elif kind == "attempt":
            self._attempt = "kept" if message[1] else message[2]

    # In the thread, if there is one

    def turn(self):
        self._keeper.turn(self._timing.slice_ms)

    def close(self):
        self._keeper.close()

    def _alive(self):
        self.turns = (self.turns + 1) & 0x3FFF
        if self.stopping:
            raise LinkError("stopped")
        if self._again:
            self._again = False
            raise LinkError("no_memory")

    def _tell(self, message):
        if self.threaded:
            return self._inbox.offer(message)
        self._put(message)
        return True

    def _put(self, message):
        if not self.threaded:
            self._note(message)
            self._again = self._apply(message) is False or self._again
            return
        since_ms = self._clock.now_ms()
        while not self._inbox.offer(message):
            self._alive()
            if self._clock.now_ms() - since_ms > self._timing.handover_ms:
                raise LinkError("loop_stalled")
            self._clock.sleep_ms(5)


def _hasty():
    timing = Timing()
    timing.connect_ms = timing.packet_ms = _COOPERATIVE_MS
    timing.rate_bytes_s = _COOPERATIVE_BYTES_S
    return timing


def _quiet(_text):
    """Nobody asked for a log."""
