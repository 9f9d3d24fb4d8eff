"""GET /v1/events: server-sent events (WHATWG HTML 9.2) of state changes, for a token that is asked again (A8).

A stream says at any moment which bytes are due; the server writes them. A state is a snapshot, so a slow reader skips
to the newest one instead of queueing. No replay: an ``id`` only counts the changes since start.
"""

import json

from latchkey.api.response import Refused, Response
from latchkey.errors import TokenError
from latchkey.limits import const

_STREAMS = const(2)
_REASK_MS = const(10000)
_HEARTBEAT_MS = const(15000)


class Hub:
    """Counts the changes of one product's state (``changes``) and its streams (``open``)."""

    def __init__(self, product):
        self.product = product
        self.changes = 0
        self.open = 0
        product.on_change = self.changed

    def changed(self):
        """To be called by the product after every change of its state."""
        self.changes += 1

    def subscribe(self, ask):
        """A Stream, or None when all are taken. ``ask()`` raises TokenError once the token is refused."""
        if self.open >= _STREAMS:
            return None
        self.open += 1
        return Stream(self, ask)


class Stream:
    """One listener. ``due`` is polled until ``ended``; ``close`` gives the place back (twice does no harm)."""

    def __init__(self, hub, ask):
        self._hub = hub
        self._ask = ask
        self._sent = -1
        self._asked_ms = self._wrote_ms = 0
        self.ended = False

    def due(self, now_ms):
        """Bytes to write now, or b"". ``now_ms`` rises from 0 at the opening."""
        if self.ended:
            return b""
        changed = self._sent != self._hub.changes
        try:
            if changed or now_ms - self._asked_ms >= _REASK_MS:
                self._ask()
                self._asked_ms = now_ms
        except TokenError as exc:
            # Busy is not a verdict, yet no event may leave unasked for longer than one asking period.
            if exc.code == "verify_busy" and now_ms - self._asked_ms < 2 * _REASK_MS:
                return b""
            self.ended = True
            return b'event: end\ndata: {"code": "%s"}\n\n' % exc.code.encode()
        if not changed and now_ms - self._wrote_ms < _HEARTBEAT_MS:
            return b""
        self._wrote_ms = now_ms
        return self._state() if changed else b": beat\n\n"

    def close(self):
        if self._hub:
            self._hub.open -= 1
        self._hub = None
        self.ended = True

    def _state(self):
        self._sent = self._hub.changes
        state = json.dumps(self._hub.product.state())
        return ("id: %d\nevent: state\ndata: %s\n\n" % (self._sent, state)).encode()


def get_events(api, exchange):
    """The answer that begins a stream."""
    api.product.state()  # A product without one says so before the stream begins.
    response = Response(200, None, media="text/event-stream")
    if exchange.request.method != "HEAD":
        response.stream = api.hub.subscribe(lambda: api.ask(exchange.request, "read"))
        if response.stream is None:
            raise Refused("full_house")
    return response


ROUTES = (("/v1/events", "GET", "read", get_events, 0, False),)
