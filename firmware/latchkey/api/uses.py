"""GET /v1/uses: who did what, the newest of it, in RAM alone.

A place of the ring holds the token's name, the beginning of its ``jti``, the role that counted, route, status, count
and moment. Equal uses share a place, and changes have places of their own, so that polling erases no trace of a change.
Refusals are counted by peer. No byte of a token comes here.
"""

import json
import struct

from latchkey import uuids
from latchkey.api.response import Response
from latchkey.limits import const

_CHANGES = const(24)
_READS = const(8)
_NAME_BYTES = const(20)
_PEERS = const(8)
# name, role, beginning of the jti, place of the route among api.routes, status; count, uptime
_WHAT = "<20s20s8sBH"
_WHAT_BYTES = const(51)
_WHEN = "<HI"
_PLACE_BYTES = const(64)
_MOST = const(0xFFFF)


class Uses:
    """Times are seconds of uptime, which the caller gives."""

    def __init__(self):
        self._rings = bytearray(_CHANGES * _PLACE_BYTES), bytearray(_READS * _PLACE_BYTES)
        self._peers = []  # [peer, count, uptime], the newest last

    def note(self, api, request, peer, response):
        """How a request of ``peer`` was answered; ``request``: None if its head was not whole. A deed is
        answered whether or not there is memory to note it."""
        now = api.device.log.uptime_s()
        try:
            if request and request.grant:
                grant, route = request.grant, request.route
                role = _role(api.verifier.policy, grant, route[2])
                self.used(now, grant, role, api.routes.index(route), route[1] == "GET", response.status)
            if response.code:
                self.refused(now, peer)
        except MemoryError:
            pass

    def used(self, now, grant, role, route, reads, status):
        """A request with a grant was answered. ``route``: its place among the routes."""
        what = struct.pack(_WHAT, _cut(grant.name or ""), _cut(role), grant.jti[:8].encode(), route, status)
        ring = self._rings[reads]
        at = ring.find(what)
        # A name may look like a place in the middle of two.
        if at < 0 or at % _PLACE_BYTES:
            at = min(range(0, len(ring), _PLACE_BYTES), key=lambda place: _when(ring, place))
            ring[at : at + _PLACE_BYTES] = what + bytes(_PLACE_BYTES - _WHAT_BYTES)
        count = min(_MOST, struct.unpack_from(_WHEN, ring, at + _WHAT_BYTES)[0] + 1)
        struct.pack_into(_WHEN, ring, at + _WHAT_BYTES, count, now)

    def refused(self, now, peer):
        """A request of ``peer`` (text) was refused."""
        count = 1 + sum([known[1] for known in self._peers if known[0] == peer])
        others = [known for known in self._peers if known[0] != peer]
        self._peers = others[1 - _PEERS :] + [(peer, count, now)]

    def answer(self, now, routes, refusals):
        """(pieces, length) of all that is held as JSON, which has 6 to 9 KB. ``refusals``: how often each code was
        answered."""
        peers = [{"peer": peer, "count": count, "ago_s": now - then} for peer, count, then in reversed(self._peers)]
        # Copied: requests that come while the answer is sent must not change its length.
        made = list(map(_copied, self._rings)), now, routes, json.dumps({"peers": peers, "refusals": refusals})
        return _made(*made), sum(map(len, _made(*made)))


def _made(held, now, routes, rest):
    """The uses in ``held`` (places of changes, and of reads), newest first: each is made when it is sent. ``rest``:
    text of the other members."""
    for start, places in zip((b'{"changes": [', b'], "reads": ['), held):
        yield start
        comma = ""
        for place in sorted(places, key=_when, reverse=True):
            yield (comma + json.dumps(_use(place, now, routes))).encode()
            comma = ", "
    yield ("], " + rest[1:]).encode()


def _use(place, now, routes):
    name, role, jti, route, status = struct.unpack_from(_WHAT, place)
    count, then = struct.unpack_from(_WHEN, place, _WHAT_BYTES)
    path, method, permission = routes[route][:3]
    return {
        "name": name.rstrip(b"\0").decode(),
        "jti": jti.decode(),
        "role": role.rstrip(b"\0").decode(),
        "permission": permission,
        "method": method,
        "path": path,
        "status": status,
        "count": count,
        "ago_s": now - then,
    }


def _when(ring, at=0):
    """Uptime of the newest use at a place; -1 for an empty one."""
    count, then = struct.unpack_from(_WHEN, ring, at + _WHAT_BYTES)
    return then if count else -1


def _cut(text):
    """The first bytes of a name as UTF-8, cut between two characters."""
    raw = text.encode()
    end = min(len(raw), _NAME_BYTES)
    while 0 < end < len(raw) and raw[end] & 0xC0 == 0x80:
        end -= 1
    return raw[:end]


def _copied(ring):
    """The places that are in use."""
    return [ring[at : at + _PLACE_BYTES] for at in range(0, len(ring), _PLACE_BYTES) if _when(ring, at) >= 0]


def _role(policy, grant, permission):
    """The name of the first role that gives the permission, of any role if none is asked for."""
    for uuid, name in grant.roles:
        if not permission or permission in policy.permissions(((uuids.to_bytes(uuid), name),)):
            return name
    return ""


def _get_uses(api, _request):
    """The newest uses, and how often each code was answered."""
    response = Response(200)
    response.pieces, response.length = api.uses.answer(api.device.log.uptime_s(), api.routes, api.refusals)
    return response


ROUTES = (("/v1/uses", "GET", "configure", _get_uses, 0, False),)
