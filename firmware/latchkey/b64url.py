"""Strict base64url (RFC 4648 section 5) as RFC 7515 section 2 uses it: without padding.

One text has one encoding: stray characters, ``=``, the standard alphabet's ``+`` and
``/``, and non-zero unused bits are refused. Does not encode.
"""

import binascii

from latchkey.limits import const

# Characters per step, a multiple of four: bounds what is alive beside the result.
_STEP = const(256)


def decode(data):
    """Bytes of ``data`` (bytes-like or ASCII str); ValueError if it is not strict base64url."""
    if isinstance(data, str):
        data = data.encode()
    out = room(len(data))
    decode_into(out, data)
    return bytes(out)


def room(size):
    """A bytearray for what ``size`` characters hold; ValueError if no text has that size."""
    if size & 3 == 1:
        raise ValueError("base64url")
    return bytearray(size * 3 >> 2)


def decode_into(out, data):
    """Fill ``out``, which ``room`` made for it, from bytes-like ``data``; ValueError as ``decode``."""
    done = 0
    for at in range(0, len(data), _STEP):
        piece = _decode_step(bytes(data[at : at + _STEP]))
        out[done : done + len(piece)] = piece
        done += len(piece)


def _decode_step(text):
    if b"+" in text or b"/" in text:
        raise ValueError("base64url")
    piece = binascii.a2b_base64(text.replace(b"-", b"+").replace(b"_", b"/") + b"=="[: -len(text) & 3])
    # binascii skips stray characters, which leaves fewer bytes than so many characters hold, and drops unused bits.
    rest = len(text) & 3
    if len(piece) != len(text) * 3 >> 2 or rest and _last(piece, rest) != text[-1]:
        raise ValueError("base64url")
    return piece


def _last(piece, rest):
    """The character that stands last when the bytes after the last whole four characters are encoded."""
    return binascii.b2a_base64(piece[1 - rest :]).replace(b"+", b"-").replace(b"/", b"_")[rest - 1]
