"""Manifests that a maker signs: of a release, of a key set, or of a new release key.

A compact JWS (RFC 7515) of at most 2,048 bytes by RS256 or RS512. Its header must have a ``typ`` of its own, so that no
token passes as a manifest and no manifest as a token. Members that this version does not know are ignored.
"""

from latchkey import jwk, jws, strictjson
from latchkey.errors import LatchkeyError, TokenError
from latchkey.limits import const

RELEASE = "latchkey-release"
KEY_SET = "latchkey-keys"
RELEASE_KEY = "latchkey-release-key"

_DEPTH = const(2)
_BOARDS = const(16)
_TEXT_CHARS = const(1024)
_VERSION_CHARS = const(32)
_DIGEST_CHARS = const(64)
_MEMBERS = {
    RELEASE: ("product", "boards", "kind", "version", "counter", "size", "sha256", "room"),
    KEY_SET: ("slug", "issuer", "iat", "counter", "size", "sha256"),
    RELEASE_KEY: ("counter", "n", "e"),
}


def read(line, typs, keys, charge=None):
    """The judged members (dict) of the manifest in ``line`` (bytes-like), and its ``typ``; of a new release key also
    ``key`` (jwk.Key).

    ``typs``: it must have one of these; ``keys``: as of ``record.keys``. ``charge``: see ``jws.verify_signature``.
    LatchkeyError "manifest_refused", "no_update_key", "manifest_signature".
    """
    try:
        header_b, payload_b, signature, signed = jws.split(line)
        header = jws.parse_header(header_b, typs)
        found = _members(strictjson.parse(payload_b, _DEPTH), header["typ"])
    except LatchkeyError:
        raise LatchkeyError("manifest_refused")
    place = 1 if found["typ"] == RELEASE_KEY else 0
    if len(keys) <= place:
        raise LatchkeyError("no_update_key")
    try:
        jws.verify_signature(header["alg"], signed, signature, keys[place : place + 1], charge)
    except TokenError as exc:
        if exc.code != "bad_signature":
            raise
        raise LatchkeyError("manifest_signature")
    return found


def _members(given, typ):
    found = {"typ": typ}
    for name in _MEMBERS[typ]:
        if not isinstance(given, dict) or name not in given or not _fits(name, given[name]):
            raise LatchkeyError("manifest_refused")
        found[name] = given[name]
    if typ == RELEASE_KEY:
        found["key"] = jwk.parse_key({"kty": "RSA", "n": found.pop("n"), "e": found.pop("e")})
    return found


def _fits(name, value):
    if name in ("counter", "size", "room", "iat"):
        # A date of 2038 and later, too.
        return type(value) is int and 0 < value < 1 << (32 if name == "iat" else 31)
    if name == "boards":
        return isinstance(value, list) and 0 < len(value) <= _BOARDS and all([_is_text(v) for v in value])
    if name == "kind":
        return value in ("files", "image")
    if name == "sha256":
        return _is_text(value) and len(value) == _DIGEST_CHARS and not value.strip("0123456789abcdef")
    if name == "version":
        return _is_text(value) and len(value) <= _VERSION_CHARS
    return _is_text(value) or name == "issuer" and value is None


def _is_text(value):
    """Whether ``value`` is printable ASCII without blanks: it is logged, and shown to people."""
    raw = value.encode() if isinstance(value, str) else b""
    return 0 < len(raw) <= _TEXT_CHARS and min(raw) > 32 and max(raw) < 127
