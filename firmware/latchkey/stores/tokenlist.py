"""The cloud's list of tokens: from JSON to small fixed-size records (L7).

A record is 65 bytes, integers little-endian::

    jti(16) flags(1) start(4) end(4) changed(4) iat(4) roles(8 x 4)

``flags``: bit 0 set if it admits, bit 1 if the list no longer has it (latchkey.ledger), bits 4 to 7 the number of
roles; times in Unix seconds, ``start`` 0 and ``end`` 0xFFFFFFFF for none; ``iat`` is the one inside the token, 0 if
there is none to be read; roles are the first 4 bytes of SHA-256 over the role's UUID, sorted. The token's text never
leaves this module.
"""

import hashlib
import struct

from latchkey import b64url, jsonstream, strictjson, times, uuids
from latchkey.errors import FormatError
from latchkey.limits import const

RECORD_BYTES = const(65)
NEVER = const(0xFFFFFFFF)
ADMITS = const(1)
GONE = const(2)
_FORM = const("<16sBIIII32s")
_ROLE_BYTES = const(4)
_ROLES = const(8)

# In place of a record: one that cannot be read (L6), and one for another System.
UNREADABLE = b"u"
OTHER_SYSTEM = b"o"


def parse_records(stream, system_uuid16):
    """Yield for each member of the list in ``stream`` (``readinto``) its record, or UNREADABLE or OTHER_SYSTEM.

    An empty stream is an empty list. FormatError for a list that breaks off, has no end or is not a list; OSError as
    the stream raises it. One member is in memory at a time; touches no store, so any thread may run it.
    """
    system_text = uuids.to_text(system_uuid16).encode()
    for item in jsonstream.items(stream, empty=True):
        try:
            members = strictjson.parse(item or b"", as_bytes=True)
        except FormatError:
            members = None
        item = None  # free the text before the token in it is decoded
        record = _record(members, system_text) if isinstance(members, dict) else UNREADABLE
        members = None  # and the token before the next item is read
        yield record


def role_hash(role_uuid16):
    """The part of a role that a record keeps."""
    return hashlib.sha256(role_uuid16).digest()[:_ROLE_BYTES]


def unpack(record):
    """(jti16, flags, start, end, changed, iat, roles) of a record; ``roles``: tuple of hashes."""
    jti16, flags, start, end, changed, iat, packed = struct.unpack(_FORM, record)
    roles = [packed[i : i + _ROLE_BYTES] for i in range(0, (flags >> 4) * _ROLE_BYTES, _ROLE_BYTES)]
    return jti16, flags & 15, start, end, changed, iat, tuple(roles)


def pack(jti16, flags, start, end, changed, iat, roles):
    """The record of these; of one that does not admit nothing else matters, so nothing else is kept."""
    if not flags & ADMITS:
        start, end, roles = 0, NEVER, ()
    roles = sorted(set(roles))
    return struct.pack(_FORM, jti16, flags | len(roles) << 4, start, end, changed, iat, b"".join(roles))


def narrower(a, b):
    """Of two records of one token what both allow, field by field; the later ``changed``."""
    jti16, a_flags, a_start, a_end, a_changed, a_iat, a_roles = unpack(a)
    _, b_flags, b_start, b_end, b_changed, b_iat, b_roles = unpack(b)
    start, end, changed, iat = max(a_start, b_start), min(a_end, b_end), max(a_changed, b_changed), max(a_iat, b_iat)
    return pack(jti16, a_flags & b_flags, start, end, changed, iat, set(a_roles) & set(b_roles))


def _record(members, system_text):
    system = members.get(b"systemUuid")
    if system != system_text:
        system = uuids.or_none(system)
        if system is not None and system != uuids.to_bytes(system_text):
            return OTHER_SYSTEM
    jti16 = uuids.or_none(members.get(b"uuid"))
    if jti16 is None:
        return UNREADABLE
    changed, readable = _changed(members)
    flags, start, end, roles = 0, 0, NEVER, ()
    if system is not None and readable and members.get(b"status") == b"ACTIVATED":
        try:
            start, end = _moment(members.get(b"notBefore"), 0), _moment(members.get(b"expiresAt"), NEVER)
            roles = _roles(members.get(b"roles"))
            flags = ADMITS
        except ValueError:
            pass  # It does not admit: what it would admit cannot be read.
    return pack(jti16, flags, start, end, changed, _iat(members.get(b"token")), roles)


def _changed(members):
    """The later of createdAt and updatedAt, 0 without either; and whether both can be read."""
    changed, readable = 0, True
    for name in (b"createdAt", b"updatedAt"):
        try:
            changed = max(changed, _moment(members.get(name), 0, True))
        except ValueError:
            readable = False
    return min(changed, NEVER - 1), readable


def _moment(text, default, round_up=False):
    if text is None:
        return default
    return min(max(times.parse_unix_s(text, round_up), 0), NEVER)


def _roles(roles):
    if roles is None:
        return ()
    if not isinstance(roles, list):
        raise ValueError("roles")
    hashes = []
    for role in roles[:_ROLES]:
        if not isinstance(role, dict):
            raise ValueError("roles")
        hashes.append(role_hash(uuids.to_bytes(role.get(b"uuid"))))
    return hashes


def _iat(token):
    """``iat`` of the payload, without parsing all of it: inside a JSON string its quotes would be escaped."""
    raw = token if isinstance(token, bytes) else b""
    start = raw.find(b".") + 1
    try:
        payload = b64url.decode(raw[start : raw.find(b".", start)])
    except ValueError:
        return 0
    at = payload.find(b'"iat"')
    rest = payload[at + 5 : at + 32].lstrip(b" \t\r\n:") if at >= 0 else b""
    digits = rest[: len(rest) - len(rest.lstrip(b"0123456789"))]
    iat = int(digits) if digits else 0
    return iat if iat < NEVER else 0
