"""UUIDs (RFC 9562 section 4) as 16 bytes: the only form in which they are compared.

Text is 8-4-4-4-12 hexadecimal digits in either case; braces, ``urn:uuid:`` and
bare digits are refused. Variant and version bits are not judged.
"""

import binascii


def to_bytes(text):
    """16 bytes of the UUID in ``text`` (str or bytes); ValueError if it is not one."""
    # As bytes: on MicroPython a character taken out of a str is interned, kept for ever.
    raw = text.encode() if isinstance(text, str) else text if isinstance(text, bytes) else b""
    digits = raw.replace(b"-", b"")
    if len(raw) != 36 or len(digits) != 32 or not raw[8] == raw[13] == raw[18] == raw[23] == 0x2D:
        raise ValueError("uuid")
    b16 = binascii.unhexlify(digits)
    # There and back: what counts as a digit differs between ports.
    if binascii.hexlify(b16) != digits.lower():
        raise ValueError("uuid")
    return b16


def or_none(text):
    """``to_bytes``, or None for whatever is not a UUID."""
    try:
        return to_bytes(text)
    except ValueError:
        return None


def to_text(b16):
    """Lower-case text of 16 bytes."""
    # Pieces as bytes: MicroPython looks up every new str among all that it has interned.
    h = binascii.hexlify(b16)
    return b"-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:])).decode()
