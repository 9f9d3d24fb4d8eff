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


class Stream:
    """One listener. ``due`` is polled until ``ended``; ``close`` gives the place back."""

    def __init__(self, api, request):
        api.streams += 1
        self._api = api
        self._request = request
        self._sent = -1
        self._asked_ms = self._wrote_ms = 0
        self.ended = False

    def due(self, now_ms):
        """Bytes to write now, or b"". ``now_ms`` rises from 0 at the opening."""
        changed = self._sent != self._api.changes
        try:
            if changed or now_ms - self._asked_ms >= _REASK_MS:
                self._api.ask(self._request, "read")
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
        if not changed:
            return b": beat\n\n"
        self._sent = self._api.changes
        state = json.dumps(self._api.product.state())
        return ("id: %d\nevent: state\ndata: %s\n\n" % (self._sent, state)).encode()

    def close(self):
        self._api.streams -= 1


def _get_events(api, request):
    """The answer that begins a stream."""
    api.product.state()  # A product without one says so before the stream begins.
    response = Response(200, None, media="text/event-stream")
    if request.method != "HEAD":
        if api.streams >= _STREAMS:
            raise Refused("full_house")
        response.stream = Stream(api, request)
    return response


ROUTES = (("/v1/events", "GET", "read", _get_events, 0, False),)
