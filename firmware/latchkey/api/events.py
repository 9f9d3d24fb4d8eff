"""GET /v1/events: server-sent events (WHATWG HTML 9.2) of state changes, for a token that is asked again (A8).

A state is a snapshot, so a slow reader skips to the newest one instead of queueing. No replay: an ``id`` only counts
the changes since start.
"""

import json

from latchkey.api.response import Response
from latchkey.errors import LatchkeyError, TokenError
from latchkey.limits import const

_STREAMS = const(2)
_REASK_S = const(10)
_HEARTBEAT_S = const(15)


def _stream(api, request):
    """Generator of the bytes that are due, b"" if none are. The first ``next`` takes the place, ``close`` frees it."""
    uptime_s, sent, data = api.device.log.uptime_s, -1, b""
    asked_s = wrote_s = uptime_s()
    api.streams += 1
    try:
        while True:
            yield data
            now_s, changed, data = uptime_s(), sent != api.changes, b""
            try:
                if changed or now_s - asked_s >= _REASK_S:
                    api.ask(request, "read")
                    asked_s = now_s
            except TokenError as exc:
                # Busy is not a verdict, yet no event may leave unasked for longer than one asking period.
                if exc.code == "verify_busy" and now_s - asked_s < 2 * _REASK_S:
                    continue
                yield b'event: end\ndata: {"code": "%s"}\n\n' % exc.code.encode()
                return
            if changed:
                sent, wrote_s = api.changes, now_s
                data = ("id: %d\nevent: state\ndata: %s\n\n" % (sent, json.dumps(api.product.state()))).encode()
            elif now_s - wrote_s >= _HEARTBEAT_S:
                wrote_s, data = now_s, b": beat\n\n"
    finally:
        api.streams -= 1


def _get_events(api, request):
    """The answer that begins a stream."""
    api.product.state()  # A product without one says so before the stream begins.
    response = Response(200, None, media="text/event-stream")
    if request.method != "HEAD":
        if api.streams >= _STREAMS:
            raise LatchkeyError("full_house")
        response.pieces = _stream(api, request)
        next(response.pieces)
    return response


ROUTES = (("/v1/events", "GET", "read", _get_events, 0, False),)
