"""Strict JSON (RFC 8259), alike on CPython and MicroPython, whose own parsers are both lenient.

Refused beyond the grammar: duplicate member names, a byte order mark, lone surrogates,
deep nesting, numbers over 19 digits before the point, over 32 characters, or not within
1e38 (a chip's float is single precision). Reads only; does not write JSON.
"""

from latchkey import limits
from latchkey.errors import FormatError
from latchkey.limits import const

# Characters of the grammar.
_BLANK = const(0x20)
_QUOTE = const(0x22)
_COMMA = const(0x2C)
_COLON = const(0x3A)
_ARRAY = const(0x5B)
_ARRAY_END = const(0x5D)
_OBJECT = const(0x7B)
_OBJECT_END = const(0x7D)
_SPACE = b" \t\r\n"
_WORDS = ((b"true", True), (b"false", False), (b"null", None))
_IN_NUMBERS = b"0123456789.-+eE"
_NUMBER_CHARS = const(32)
_WHOLE_DIGITS = const(19)
_ESCAPES = b'"\\/bfnrt'
_MEANINGS = '"\\/\b\f\n\r\t'
_HEX = b"0123456789abcdefABCDEF"
_PIECE = const(128)
# What may follow a lead byte, where that is less than every continuation byte.
_SECOND = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}


def parse(data, max_depth=limits.JSON_DEPTH, as_bytes=False):
    """The value of one JSON text in ``data`` (bytes-like); FormatError("json_refused") otherwise.

    ``max_depth``: how many arrays and objects may stand inside each other. ``as_bytes``: strings and names are bytes
    of UTF-8, because MicroPython looks up every new str among all that it has interned; ``data`` must be bytes then.
    """
    reader = _Reader(bytes(data) if isinstance(data, memoryview) else data, as_bytes)  # a view has no find
    try:
        value = reader.value(0, max_depth)
    except (IndexError, ValueError):
        refuse("cut off, or not UTF-8")
    if bytes(reader.data[reader.end :]).strip(_SPACE):
        refuse("trailing bytes")
    return value  # pyright: ignore[reportPossiblyUnboundVariable]


def refuse(why):
    raise FormatError("json_refused", why)


class _Reader:
    """Each method reads what begins at index ``at`` and leaves in ``end`` where it ends.

    Past the last byte they raise IndexError. On MicroPython a call costs as much as ten comparisons, and a search in
    ``_SPACE`` five: so what most records are made of, plain strings with little white space, is read without either.
    """

    def __init__(self, data, as_bytes):
        self.data = data
        self.end = 0
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
        first = self.data[at]
        if first <= _BLANK:
            at = self.space(at)
            first = self.data[at]
        if first == _QUOTE:
            return self.string(at)
        if first != _OBJECT and first != _ARRAY:
            return self.scalar(at)
        if depth < 1:
            refuse("depth")
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
                if name in found:
                    refuse("duplicate name")
                at = self.colon(self.end) if data[self.end] != _COLON else self.end + 1
                while data[at] <= _BLANK and data[at] in _SPACE:
                    at += 1
                found[name] = self.string(at) if data[at] == _QUOTE else self.value(at, depth)  # pyright: ignore
            else:
                found.append(self.value(at, depth))  # pyright: ignore
            at = self.end
            if data[at] <= _BLANK:
                at = self.space(at)
            more = data[at] == _COMMA
            if more:
                at += 1
            elif data[at] != closing:
                refuse("syntax")
        self.end = at + 1
        return found

    def colon(self, at):
        """Index behind a colon that stands after white space."""
        at = self.space(at)
        if self.data[at] != _COLON:
            refuse("syntax")
        return at + 1

    def string(self, at):
        data = self.data
        if data[at] != _QUOTE:
            refuse("syntax")
        end = data.find(b'"', at + 1)
        if end < 0:
            refuse("cut off")
        self.end = end + 1
        raw = data[at + 1 : end]
        if self.plain:
            return raw if self.as_bytes else str(raw, "utf-8")
        found = self.escaped(at + 1, end) if b"\\" in raw else text(raw)
        return found.encode() if self.as_bytes else found

    def escaped(self, at, end):
        """A string with escapes; ``end``: its first quote, which may be escaped."""
        data = self.data
        parts = []
        escape = data.find(b"\\", at, end)
        while escape >= 0:
            parts.append(text(data[at:escape]))
            parts.append(self.escape(escape + 1))
            at = self.end
            if at > end:
                end = data.find(b'"', at)
                if end < 0:
                    refuse("cut off")
            escape = data.find(b"\\", at, end)
        parts.append(text(data[at:end]))
        self.end = end + 1
        return "".join(parts)

    def escape(self, at):
        """What the letter at ``at`` means after a backslash."""
        letter = bytes(self.data[at : at + 1])
        self.end = at + 1
        known = _ESCAPES.find(letter)
        if known >= 0:
            return _MEANINGS[known]
        if letter != b"u":
            refuse("escape")
        unit = self.unit(at + 1)
        if 0xD800 <= unit < 0xE000:
            if unit >= 0xDC00 or self.data[self.end : self.end + 2] != b"\\u":
                refuse("surrogate")
            low = self.unit(self.end + 2)
            if not 0xDC00 <= low < 0xE000:
                refuse("surrogate")
            unit = 0x10000 + ((unit & 0x3FF) << 10) + (low & 0x3FF)
        return str(_utf8(unit), "utf-8")

    def unit(self, at):
        """The number of four hexadecimal digits."""
        digits = self.data[at : at + 4]
        self.end = at + 4
        if len(digits) != 4:
            refuse("escape")
        for d in digits:
            if d not in _HEX:
                refuse("escape")
        return int(str(digits, "ascii"), 16)

    def scalar(self, at):
        for word, value in _WORDS:
            if self.data[at : at + len(word)] == word:
                self.end = at + len(word)
                return value
        word = bytes(self.data[at : at + _NUMBER_CHARS + 1])
        size = len(word) - len(word.lstrip(_IN_NUMBERS))
        self.end = at + size
        return _number(word[:size])


def _number(word):
    mantissa, e, exponent = word.replace(b"E", b"e").partition(b"e")
    whole, dot, fraction = mantissa.partition(b".")
    if exponent[:1] in (b"+", b"-"):
        exponent = exponent[1:]
    digits = whole[1:] if whole[:1] == b"-" else whole
    if not digits.isdigit() or (dot and not fraction.isdigit()) or (e and not exponent.isdigit()):
        refuse("syntax")
    if len(digits) > _WHOLE_DIGITS or len(word) > _NUMBER_CHARS or (len(digits) > 1 and digits[:1] == b"0"):
        refuse("number")
    text = str(word, "ascii")
    if not dot and not e:
        return int(text)
    value = float(text)
    if not -1e38 < value < 1e38:
        refuse("number")
    return value


def _utf8(point):
    """Bytes of one character. Not chr(): MicroPython keeps for ever what that makes, and strangers choose it."""
    if point < 0x80:
        return bytes((point,))
    if point < 0x800:
        return bytes((0xC0 | point >> 6, 0x80 | point & 0x3F))
    tail = (0x80 | point >> 6 & 0x3F, 0x80 | point & 0x3F)
    if point < 0x10000:
        return bytes((0xE0 | point >> 12,) + tail)
    return bytes((0xF0 | point >> 18, 0x80 | point >> 12 & 0x3F) + tail)


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
    if not raw:
        return ""
    # min looks at every byte without a step of ours for each.
    if min(raw) < _BLANK:
        refuse("control character")
    try:
        decoded = str(raw, "utf-8")
    except ValueError:
        refuse("utf-8")
    if len(decoded) != len(raw):  # not ASCII alone # pyright: ignore[reportPossiblyUnboundVariable]
        _check_utf8(raw)
    return decoded  # pyright: ignore[reportPossiblyUnboundVariable]


def _check_utf8(raw):
    # RFC 3629, table 3-7 of Unicode: of what str() decoded, MicroPython's lets through overlong forms (C0, C1,
    # E0 80, F0 80), surrogates (ED A0) and what lies above U+10FFFF (F4 90, F5). Bytes, because MicroPython keeps
    # for ever what taking a text apart makes.
    lead = 0
    for byte in raw:
        if 0xC0 <= byte < 0xC2 or byte > 0xF4:
            refuse("utf-8")
        if lead in _SECOND and not _SECOND[lead][0] <= byte <= _SECOND[lead][1]:
            refuse("utf-8")
        lead = byte
