"""Compact JWS (RFC 7515 sections 5.2 and 7.1) with RS256 and RS512 (RFC 7518 section 3.3), in pieces.

``verify_compact`` does it all. A caller with cheap checks of its own between the steps calls ``split``,
``parse_header``, ``choose_keys`` and ``verify_signature`` in that order. The token never chooses
where a key comes from: ``jku``, ``jwk``, ``x5u``, ``x5c`` are not looked at. Knows no claims and no time.
"""

from latchkey import b64url, rsa, strictjson
from latchkey.errors import FormatError, TokenError
from latchkey.limits import KEYS_HELD, RSA_MAX_BITS, TOKEN_BYTES, const

_TOKEN_PREFIX = const(b"CLOUD-")
_JOSE_HEADER_BYTES = const(512)
_HASH_OF = {"RS256": "sha256", "RS512": "sha512"}
# The longest segments in base64url.
_HEADER_CHARS = const((_JOSE_HEADER_BYTES * 4 + 2) // 3)
_SIGNATURE_CHARS = (RSA_MAX_BITS // 8 * 4 + 2) // 3


def verify_compact(jws: bytes, keys: list) -> tuple:
    """``(header, payload_bytes, key)`` of the compact JWS in ``jws`` (bytes-like, no ``CLOUD-``); else TokenError.

    ``keys``: what ``jwk.parse_key_set`` gives. The payload may be empty.
    """
    header_b, payload_b, signature, signing_input = split(jws)
    header = parse_header(header_b)
    key = verify_signature(header["alg"], signing_input, signature, choose_keys(header, keys))
    return header, bytes(payload_b), key


def of_token(token: bytes) -> memoryview:
    """A view of the compact JWS in ``token`` (bytes-like, with ``CLOUD-``); TokenError("token_malformed")."""
    view = memoryview(token)
    if len(view) > TOKEN_BYTES or bytes(view[: len(_TOKEN_PREFIX)]) != _TOKEN_PREFIX:
        raise TokenError("token_malformed")
    return view[len(_TOKEN_PREFIX) :]


def split(jws: bytes) -> tuple:
    """``(header_b, payload_b, signature_b, signing_input)``: three segments decoded to bytearrays, and a view of what
    is signed. Lengths are judged before anything is decoded. TokenError("token_malformed").
    """
    view = memoryview(jws)
    if len(view) > TOKEN_BYTES:
        raise TokenError("token_malformed")
    # A view has no find, and a copy of the whole token is too much at once.
    tail = max(0, len(view) - _SIGNATURE_CHARS - 1)
    first = bytes(view[: _HEADER_CHARS + 1]).find(b".")
    second = tail + bytes(view[tail:]).rfind(b".")
    if first < 0 or second <= first or second < tail:
        raise TokenError("token_malformed")
    segments = view[:first], view[first + 1 : second], view[second + 1 :]
    try:  # room for all first, so that what stays lies together; a third dot is not in base64url's alphabet
        parts = [b64url.room(len(segment)) for segment in segments]
        for i in range(3):
            b64url.decode_into(parts[i], segments[i])
    except ValueError:
        raise TokenError("token_malformed")
    return parts[0], parts[1], parts[2], view[:second]


def parse_header(header_b: bytes, typs: tuple = ("JWT",)) -> dict:
    """The protected header as a dict, by rule V2; TokenError("header_refused") or ("alg_refused").

    ``typs``: its ``typ`` must be one of them; a header without one is a JWT's.
    """
    try:
        header = strictjson.parse(header_b)
    except FormatError:
        header = None
    if not isinstance(header, dict) or header.get("typ", "JWT") not in typs:
        raise TokenError("header_refused")
    if not isinstance(header.get("kid", ""), str) or "crit" in header or "b64" in header or "zip" in header:
        raise TokenError("header_refused")
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in _HASH_OF:
        raise TokenError("alg_refused")
    return header


def choose_keys(header: dict, keys: list) -> list:
    """Rule V4: the key that ``kid`` names if it is held, otherwise all that fit ``alg``, in order and at most 8."""
    fitting = []
    for key in keys:
        if "kid" in header and key.kid == header["kid"]:
            return [key]
        if key.alg in (None, header["alg"]):
            fitting.append(key)
    return fitting[:KEYS_HELD]


def verify_signature(alg: str, signing_input: bytes, signature: bytes, keys: list, charge=None):
    """The first of ``keys`` whose signature this is; TokenError("bad_signature") if there is none.

    ``charge()`` is called before each key is tried and may raise; keys that cannot fit cost nothing.
    """
    info = None
    for key in keys:
        if key.alg not in (None, alg) or len(signature) != key.public_key.size:
            continue
        if charge is not None:
            charge()
        if info is None:
            info = rsa.digest_info(_HASH_OF[alg], signing_input)
        if rsa.fits(key.public_key, signature, info):
            return key
    raise TokenError("bad_signature")
