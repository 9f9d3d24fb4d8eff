"""Strict JSON (RFC 8259), alike on CPython and MicroPython, whose own parsers are both lenient.

Refused beyond the grammar: duplicate member names, a byte order mark, lone surrogates, deep nesting, more than 192
values (each takes time and memory, however short it is), numbers over 19 digits before the point, over 32 characters,
or not within 1e38 (a chip's float is single precision). Reads only; does not write JSON.
"""

import binascii

from latchkey.errors import FormatError
from latchkey.limits import const

_JSON_DEPTH = const(6)
_VALUES = const(192)

# Characters of the grammar.
_BLANK = const(0x20)
_QUOTE = const(0x22)
_COMMA = const(0x2C)
_COLON = const(0x3A)
_ARRAY = const(0x5B)
_ARRAY_END = const(0x5D)
_OBJECT = const(0x7B)
_OBJECT_END = const(0x7D)
_SPACE = const(b" \t\r\n")
_WORDS = const(((b"true", True), (b"false", False), (b"null", None)))
_IN_NUMBERS = const(b"0123456789.-+eE")
_NUMBER_CHARS = const(32)
_WHOLE_DIGITS = const(19)
_ESCAPES = const(b'"\\/bfnrt')
_MEANINGS = const(b'"\\/\b\f\n\r\t')
_PIECE = const(128)


def parse(data, max_depth=_JSON_DEPTH, as_bytes=False):
    """The value of one JSON text in ``data`` (bytes-like); FormatError("json_refused") otherwise.

    ``max_depth``: how many arrays and objects may be nested. ``as_bytes``: strings and names are bytes
    of UTF-8, because MicroPython looks up every new str among all that it has interned; ``data`` must be bytes then.
    """
    reader = _Reader(bytes(data) if isinstance(data, memoryview) else data, as_bytes)  # a view has no find
    try:
        value = reader.value(0, max_depth)
    except (IndexError, ValueError):  # cut off, or not a number or UTF-8
        refuse()
    if bytes(reader.data[reader.end :]).strip(_SPACE):
        refuse()
    return value  # pyright: ignore[reportPossiblyUnboundVariable]


def refuse():
    raise FormatError("json_refused")


class _Reader:
    """Each method reads what begins at index ``at`` and leaves in ``end`` where it ends.

    Past the last byte they raise IndexError. On MicroPython a call costs as much as ten comparisons, and a search in
    ``_SPACE`` five: so what most records are made of, plain strings with little white space, is read without either.
    """

    def __init__(self, data, as_bytes):
        self.data = data
        self.end = self.count = 0
        self.as_bytes = as_bytes
        # The strings of such a text need no check of their own.
        self.plain = b"\\" not in data and _is_printable(data)

    def space(self, at):
        """Index of the first byte that is not white space."""
        data = self.data
        while data[at] <= _BLANK and data[at] in _SPACE:
            at += 1
        return at

    def value(self, at, depth):
        data = self.data
        self.count += 1
        if self.count > _VALUES:
            refuse()
        while data[at] <= _BLANK and data[at] in _SPACE:
            at += 1
        first = data[at]
        if first == _QUOTE:
            return self.string(at)
        if first != _OBJECT and first != _ARRAY:
            return self.scalar(at)
        if depth < 1:
            refuse()
        return self.nested(at, depth - 1)

    def nested(self, at, depth):
        """The object or array whose bracket is at ``at``."""
        data = self.data
        named = data[at] == _OBJECT
        closing = _OBJECT_END if named else _ARRAY_END
        found = {} if named else []
        at = self.space(at + 1)
        more = data[at] != closing
        while more:
            while data[at] <= _BLANK and data[at] in _SPACE:
                at += 1
            if named:
                name = self.string(at)
                at = self.end
                if data[at] <= _BLANK:
                    at = self.space(at)
                if name in found or data[at] != _COLON:
                    refuse()
                found[name] = self.value(at + 1, depth)  # pyright: ignore
            else:
                found.append(self.value(at, depth))  # pyright: ignore
            at = self.end
            if data[at] <= _BLANK:
                at = self.space(at)
            more = data[at] == _COMMA
            if not more and data[at] != closing:
                refuse()
            at += 1
        self.end = at if found else at + 1
        return found

    def string(self, at):
        data = self.data
        if data[at] != _QUOTE:
            refuse()
        end = data.find(b'"', at + 1)
        if end < 0:
            refuse()
        self.end = end + 1
        raw = data[at + 1 : end]
        if not self.plain:
            if b"\\" in raw:
                raw = self.escaped(at + 1, end)
            else:
                text(raw)
        return raw if self.as_bytes else str(raw, "utf-8")

    def escaped(self, at, end):
        """Bytes of the string with escapes from ``at`` on; ``end``: its first quote, which may be escaped."""
        out = bytearray()
        more = True
        while more:
            escape = self.data.find(b"\\", at, end)
            more = escape >= 0
            stop = escape if more else end
            piece = bytes(self.data[at:stop])
            text(piece)
            out += piece
            if more:
                out += self.escape(escape + 1)
                at = self.end
                if at > end:
                    end = self.data.find(b'"', at)
        if end < 0:
            refuse()
        self.end = end + 1
        return bytes(out)

    def escape(self, at):
        """Bytes of what the letter at ``at`` means after a backslash."""
        letter = bytes(self.data[at : at + 1])
        self.end = at + 1
        known = _ESCAPES.find(letter)
        if known >= 0:
            return _MEANINGS[known : known + 1]
        if letter != b"u":
            refuse()
        unit = self.unit(at + 1)
        if 0xD800 <= unit < 0xE000:
            low = self.unit(self.end + 2) if self.data[self.end : self.end + 2] == b"\\u" else 0
            if unit >= 0xDC00 or not 0xDC00 <= low < 0xE000:
                refuse()
            unit = 0x10000 + ((unit & 0x3FF) << 10) + (low & 0x3FF)
        return _utf8(unit)

    def unit(self, at):
        """The number of four hexadecimal digits."""
        self.end = at + 4
        return int.from_bytes(binascii.unhexlify(self.data[at : at + 4]), "big")

    def scalar(self, at):
        word = bytes(self.data[at : at + _NUMBER_CHARS + 1])
        for name, value in _WORDS:
            if word.startswith(name):
                self.end = at + len(name)
                return value
        size = len(word) - len(word.lstrip(_IN_NUMBERS))
        self.end = at + size
        return _number(word[:size])


def _number(word):
    mantissa, e, exponent = word.lower().partition(b"e")
    whole, dot, fraction = mantissa.partition(b".")
    digits = whole[1:] if whole[:1] == b"-" else whole
    if exponent and exponent[0] in b"+-":
        exponent = exponent[1:]
    if not digits.isdigit() or dot and not fraction.isdigit() or e and not exponent.isdigit():
        refuse()
    if len(digits) > _WHOLE_DIGITS or len(word) > _NUMBER_CHARS or len(digits) > 1 and digits[:1] == b"0":
        refuse()
    if not dot and not e:
        return int(word)
    value = float(word)
    if not -1e38 < value < 1e38:
        refuse()
    return value


def _utf8(point):
    """Bytes of one character. Not chr(): MicroPython keeps for ever what that makes, and strangers choose it."""
    if point < 0x80:
        return bytes((point,))
    tail = b""
    most = 0x3F  # of what the first byte may have
    while point > most:
        tail = bytes((0x80 | point & 0x3F,)) + tail
        point >>= 6
        most >>= 1
    return bytes((~most << 1 & 0xFF | point,)) + tail


def _is_printable(data):
    """Whether all bytes of ``data`` are ASCII and no control characters; False also for a short text.

    Many bytes at a time as one integer, which takes two fifths of the time of ``min``: 0x60 added to a byte below 0x80
    sets its highest bit if it is 0x20 or more.
    """
    view = memoryview(data)
    last = len(view) - _PIECE
    if last < 0:
        return False
    highest = int.from_bytes(b"\x80" * _PIECE, "big")
    sixties = highest - (highest >> 2)
    for at in range(0, len(view), _PIECE):
        at = min(at, last)  # the last piece begins within the one before it
        number = int.from_bytes(view[at : at + _PIECE], "big")
        if number & highest or (number + sixties) & highest != highest:
            return False
    return True


def text(raw):
    """``raw`` (bytes) as str; FormatError for what no JSON string may hold as it is: control characters, bad UTF-8."""
    # min looks at every byte without a step of ours for each.
    if raw and min(raw) < _BLANK:
        refuse()
    try:
        decoded = str(raw, "utf-8")
    except ValueError:
        refuse()
    if len(decoded) == len(raw):  # pyright: ignore[reportPossiblyUnboundVariable]
        return decoded  # ASCII alone # pyright: ignore[reportPossiblyUnboundVariable]
    # RFC 3629, table 3-7 of Unicode: of what str() decoded, MicroPython's lets through overlong forms, surrogates and
    # what lies above U+10FFFF. Bytes, because MicroPython keeps for ever what taking a text apart makes.
    lead = 0
    for byte in raw:
        pair = lead << 8 | byte
        if (
            0xC000 <= pair < 0xC200
            or 0xE000 <= pair < 0xE0A0
            or 0xEDA0 <= pair < 0xEE00
            or 0xF000 <= pair < 0xF090
            or pair >= 0xF490
        ):
            refuse()
        lead = byte
    return decoded  # pyright: ignore[reportPossiblyUnboundVariable]
