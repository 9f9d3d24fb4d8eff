"""UUIDs (RFC 9562 section 4) as 16 bytes: the only form in which they are compared.

Text is 8-4-4-4-12 hexadecimal digits in either case; braces, ``urn:uuid:`` and
bare digits are refused. Variant and version bits are not judged.
"""

import binascii

_DASHES = (8, 13, 18, 23)


def to_bytes(text):
    """16 bytes of the UUID in ``text`` (str); ValueError if it is not one."""
    # As bytes: on MicroPython a character taken out of a str is interned, kept for ever.
    raw = text.encode() if isinstance(text, str) else b""
    if len(raw) != 36:
        raise ValueError("uuid")
    for i in _DASHES:
        if raw[i] != 0x2D:
            raise ValueError("uuid")
    digits = raw.replace(b"-", b"")
    if len(digits) != 32:
        raise ValueError("uuid")
    for c in digits:
        # unhexlify is lax about what a digit is on some ports.
        if c not in b"0123456789abcdefABCDEF":
            raise ValueError("uuid")
    return binascii.unhexlify(digits)


def to_text(b16):
    """Lower-case text of 16 bytes."""
    h = binascii.hexlify(b16).decode()
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))
