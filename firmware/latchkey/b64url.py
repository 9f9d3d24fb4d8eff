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
        text = bytes(data[at : at + _STEP])
        standard = text.replace(b"-", b"+").replace(b"_", b"/")
        piece = binascii.a2b_base64(standard + b"=="[: -len(text) & 3])
        # There and back: binascii skips stray characters and drops unused bits.
        if b"+" in text or b"/" in text or binascii.b2a_base64(piece).rstrip(b"=\n") != standard:
            raise ValueError("base64url")
        out[done : done + len(piece)] = piece
        done += len(piece)
