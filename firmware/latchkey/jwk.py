"""JSON Web Keys (RFC 7517, RFC 7518 section 6.3): from what the cloud publishes to RSA keys that may verify.

RSA of 2,048 to 4,096 bits with 65537 <= e < 2**32, meant for signatures by RS256 or RS512, and public: a key
that shows private members has lost its secret and is refused. Other members are ignored.
"""

import io

from latchkey import b64url, jsonstream, strictjson
from latchkey.errors import FormatError, KeySetError
from latchkey.limits import KEY_SET_BYTES, KEYS_HELD, KID_CHARS, RSA_MAX_BITS, const
from latchkey.rsa import PublicKey

_PRIVATE = const(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
_JWK_BYTES = const(4096)
_LEAST_E = const(65537)
# Characters of the largest modulus, and of the zero byte that some libraries put before it.
_MAX_CHARS = RSA_MAX_BITS // 6 + 3


class Key:
    """``kid``: str or None; ``public_key``: rsa.PublicKey; ``alg``: "RS256", "RS512" or None for both."""

    def __init__(self, kid: str | None, public_key: PublicKey, alg: str | None = None):
        self.kid = kid
        self.public_key = public_key
        self.alg = alg


class KeySet(list):
    """The usable keys in their order; ``refused``: how many members were not taken, ``too_large``: how many of these
    are longer than 4,096 bytes."""

    refused = too_large = 0


def parse_key_set(data, dev: bool = True) -> KeySet:
    """``KeySet`` of the JWKS in ``data``: bytes, or a stream with ``readinto(buf)``; at most 8 keys.

    Bad members are skipped and counted, and without ``dev`` the simulator's (A10); of two usable ones with the same
    ``kid`` neither is believed. KeySetError("json_refused"), ("truncated") or ("too_large") for anything but a JWKS;
    ("key_too_large") or ("no_usable_key") if none is left.
    """
    stream = io.BytesIO(data) if isinstance(data, (bytes, bytearray, memoryview)) else data  # pyright: ignore
    keys = KeySet()
    twice = set()
    try:
        for item in jsonstream.items(stream, "keys", _JWK_BYTES, KEY_SET_BYTES):
            _admit(keys, twice, item, dev)
    except FormatError as exc:
        raise KeySetError(exc.code)
    if not keys:
        raise KeySetError("key_too_large" if keys.too_large else "no_usable_key")
    return keys


def counts(key: Key, dev: bool) -> bool:
    """Whether ``key`` counts: one of the simulator (``kid`` begins "SIM-") on a device for development alone (A10)."""
    return dev or not (key.kid or "").startswith("SIM-")


def parse_key(members) -> Key:
    """``Key`` of one JWK's members (dict); KeySetError("key_refused") if it may not verify tokens here."""
    _need(isinstance(members, dict) and members.get("kty") == "RSA")
    for name in _PRIVATE:
        _need(name not in members)
    ops = members.get("key_ops", ["verify"])
    _need(members.get("use", "sig") == "sig" and isinstance(ops, list) and "verify" in ops)
    alg, kid = members.get("alg"), members.get("kid")
    _need("alg" not in members or alg in ("RS256", "RS512"))
    _need("kid" not in members or isinstance(kid, str) and len(kid) <= KID_CHARS)
    e = int.from_bytes(_bytes(members.get("e"), 8), "big")
    _need(e >= _LEAST_E)
    return Key(kid, PublicKey(_bytes(members.get("n"), _MAX_CHARS), e), alg)


def _bytes(text, max_chars):
    _need(isinstance(text, str) and len(text) <= max_chars)
    try:
        return b64url.decode(text)
    except ValueError:
        raise KeySetError("key_refused")


def _need(usable):
    if not usable:
        raise KeySetError("key_refused")


def _admit(keys, twice, item, dev):
    """Take the key in ``item`` if it is usable, new, and there is room; count it otherwise."""
    keys.refused += 1
    if item is None:
        keys.too_large += 1
        return
    try:
        key = parse_key(strictjson.parse(item))
    except (FormatError, KeySetError):
        return
    if not counts(key, dev):
        return
    for held in keys:
        if key.kid is not None and held.kid == key.kid:
            keys.remove(held)
            keys.refused += 1
            twice.add(key.kid)
    if key.kid not in twice and len(keys) < KEYS_HELD:
        keys.append(key)
        keys.refused -= 1
