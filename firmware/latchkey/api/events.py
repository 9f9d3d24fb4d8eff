"""Server-sent events (WHATWG HTML 9.2) of state changes, asked again before every one (A8).

Pure: a stream says at any moment which bytes are due; the server writes them. A state is a
snapshot, so a slow reader skips to the newest one instead of queueing. No replay: an
``id`` only counts the changes since start.
"""

import json

from latchkey import limits
from latchkey.errors import TokenError

_BEAT = b": beat\n\n"


class Hub:
    """Counts changes of one product's state and who listens, at most ``limits.EVENT_STREAMS``."""

    def __init__(self, product):
        self.product = product
        self.changes = 0
        self.open = 0
        product.on_change = self.changed

    def changed(self):
        """The state is another now. To be called by the product after every change."""
        self.changes += 1

    def subscribe(self, ask):
        """A Stream, or None when the house is full. ``ask()`` raises TokenError once the door is shut."""
        if self.open >= limits.EVENT_STREAMS:
            return None
        self.open += 1
        return Stream(self, ask)


class Stream:
    """One listener. ``due`` is polled; ``close`` gives the place back (twice does no harm)."""

    def __init__(self, hub, ask):
        self._hub = hub
        self._ask = ask
        self._sent = -1
        self._asked_ms = 0
        self._wrote_ms = 0
        self.ended = False

    def due(self, now_ms):
        """Bytes to write now, or b"". ``now_ms`` rises from 0 at the opening. After ``ended`` nothing is due."""
        if self.ended:
            return b""
        changed = self._sent != self._hub.changes
        if changed or now_ms - self._asked_ms >= limits.REASK_MS:
            busy = self._refused(now_ms)
            if self.ended:
                return busy
            if busy is not None:
                return b""
        if changed:
            return self._state(now_ms)
        if now_ms - self._wrote_ms >= limits.HEARTBEAT_MS:
            self._wrote_ms = now_ms
            return _BEAT
        return b""

    def close(self):
        if self._hub:
            self._hub.open -= 1
        self._hub = None
        self.ended = True

    def _refused(self, now_ms):
        """None if the token still opens; else the last bytes (``ended``), or b"" to wait while the verifier is busy."""
        try:
            self._ask()
        except TokenError as exc:
            # Busy is no verdict, yet nothing may leave unasked for longer than one asking period.
            if exc.code == "verify_busy" and now_ms - self._asked_ms < 2 * limits.REASK_MS:
                return b""
            self.ended = True
            return b'event: end\ndata: {"code": "%s"}\n\n' % exc.code.encode()
        self._asked_ms = now_ms
        return None

    def _state(self, now_ms):
        self._sent = self._hub.changes
        self._wrote_ms = now_ms
        state = json.dumps(self._hub.product.state())
        return ("id: %d\nevent: state\ndata: %s\n\n" % (self._sent, state)).encode()
