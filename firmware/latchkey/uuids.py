"""UUIDs (RFC 9562 section 4) as 16 bytes: the only form in which they are compared.

Text is 8-4-4-4-12 hexadecimal digits in either case; braces, ``urn:uuid:`` and
bare digits are refused. Variant and version bits are not judged.
"""

import binascii


def to_bytes(text):
    """16 bytes of the UUID in ``text`` (str); ValueError if it is not one."""
    # As bytes: on MicroPython a character taken out of a str is interned, kept for ever.
    raw = text.encode() if isinstance(text, str) else b""
    if len(raw) != 36 or not raw[8] == raw[13] == raw[18] == raw[23] == 0x2D:
        raise ValueError("uuid")
    digits = raw[:8] + raw[9:13] + raw[14:18] + raw[19:23] + raw[24:]
    b16 = binascii.unhexlify(digits)
    # There and back: what counts as a digit differs between ports.
    if binascii.hexlify(b16) != digits.lower():
        raise ValueError("uuid")
    return b16


def to_text(b16):
    """Lower-case text of 16 bytes."""
    h = binascii.hexlify(b16).decode()
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))
