"""Strict JSON (RFC 8259), alike on CPython and MicroPython, whose own parsers are both lenient.

Refused beyond the grammar: duplicate member names, a byte order mark, lone surrogates,
deep nesting, numbers over 19 digits before the point, over 32 characters, or not within
1e38 (a chip's float is single precision). Reads only; does not write JSON.
"""

from latchkey import limits
from latchkey.errors import FormatError

_ESCAPES = b'"\\/bfnrt'
_MEANINGS = '"\\/\b\f\n\r\t'
_WORDS = ((b"true", True), (b"false", False), (b"null", None))
_HEX = b"0123456789abcdefABCDEF"
# What no text that a person reads may hold, as the UTF-8 of a character in one number, first and last: controls (C0,
# DEL, C1), and what turns, breaks or hides text: Unicode's bidirectional controls, separators, invisible operators,
# byte order marks. The joiners U+200C and U+200D are part of scripts and emojis.
_UNSHOWN = (
    (0x00, 0x1F), (0x7F, 0x7F), (0xC280, 0xC29F), (0xD89C, 0xD89C), (0xE2808B, 0xE2808B), (0xE2808E, 0xE2808F),
    (0xE280A8, 0xE280AE), (0xE281A0, 0xE281AF), (0xEFBBBF, 0xEFBBBF), (0xEFBFB9, 0xEFBFBB),
)  # fmt: skip
# What may follow a lead byte, where that is less than every continuation byte.
_SECOND = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}


def parse(data, max_depth=limits.JSON_DEPTH):
    """The value of one JSON text in ``data`` (bytes-like); FormatError("json_refused") otherwise.

    ``max_depth``: how many arrays and objects may stand inside each other.
    """
    reader = _Reader(bytes(data) if isinstance(data, memoryview) else data)  # a view has no find
    value = reader.value(max_depth)
    reader.space()
    if reader.at != len(reader.data):
        refuse("trailing bytes")
    return value


def refuse(why):
    raise FormatError("json_refused", why)


class _Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def peek(self):
        return self.data[self.at] if self.at < len(self.data) else -1

    def space(self):
        while self.peek() in (0x20, 0x09, 0x0A, 0x0D):
            self.at += 1

    def take(self, byte):
        """Skip white space and, if ``byte`` comes next, that too; whether it came."""
        self.space()
        found = self.peek() == byte
        self.at += found
        return found

    def need(self, byte):
        if not self.take(byte):
            refuse("syntax")

    def value(self, depth):
        self.space()
        first = self.peek()
        if first == 0x22:
            return self.string()
        if first == 0x7B or first == 0x5B:
            if depth < 1:
                refuse("depth")
            self.at += 1
            return self.members(depth - 1) if first == 0x7B else self.items(depth - 1)
        for text, value in _WORDS:
            if self.data[self.at : self.at + len(text)] == text:
                self.at += len(text)
                return value
        return self.number()

    def members(self, depth):
        found = {}
        more = not self.take(0x7D)
        while more:
            self.space()
            name = self.string()
            if name in found:
                refuse("duplicate name")
            self.need(0x3A)
            found[name] = self.value(depth)
            more = self.comma(0x7D)
        return found

    def items(self, depth):
        found = []
        more = not self.take(0x5D)
        while more:
            found.append(self.value(depth))
            more = self.comma(0x5D)
        return found

    def comma(self, closing):
        """True after a comma, False after ``closing``."""
        if self.take(closing):
            return False
        self.need(0x2C)
        return True

    def string(self):
        if self.peek() != 0x22:
            refuse("syntax")
        start = self.at + 1
        end = self._find_quote(start)
        escape = self.data.find(b"\\", start, end)
        if escape < 0:
            self.at = end + 1
            return text(self.data[start:end])
        parts = []
        while escape >= 0:
            parts.append(text(self.data[start:escape]))
            self.at = escape + 1
            parts.append(self._escaped())
            start = self.at
            if start > end:
                end = self._find_quote(start)
            escape = self.data.find(b"\\", start, end)
        parts.append(text(self.data[start:end]))
        self.at = end + 1
        return "".join(parts)

    def _find_quote(self, start):
        end = self.data.find(b'"', start)
        if end < 0:
            refuse("syntax")
        return end

    def _escaped(self):
        letter = self.data[self.at : self.at + 1]  # there is one: the closing quote comes later
        self.at += 1
        known = _ESCAPES.find(letter)
        if known >= 0:
            return _MEANINGS[known]
        if letter != b"u":
            refuse("escape")
        unit = self._unit()
        if 0xD800 <= unit < 0xE000:
            if unit >= 0xDC00 or self.data[self.at : self.at + 2] != b"\\u":
                refuse("surrogate")
            self.at += 2
            low = self._unit()
            if not 0xDC00 <= low < 0xE000:
                refuse("surrogate")
            unit = 0x10000 + ((unit & 0x3FF) << 10) + (low & 0x3FF)
        return str(_utf8(unit), "utf-8")

    def _unit(self):
        digits = self.data[self.at : self.at + 4]
        self.at += 4
        if len(digits) != 4:
            refuse("escape")
        for d in digits:
            if d not in _HEX:
                refuse("escape")
        return int(str(digits, "ascii"), 16)

    def _digits(self):
        start = self.at
        while 0x30 <= self.peek() <= 0x39:
            self.at += 1
        if self.at == start:
            refuse("syntax")
        return self.at - start

    def number(self):
        start = self.at
        self.at += self.peek() == 0x2D
        leading_zero = self.peek() == 0x30
        whole = self._digits()
        if whole > 19 or (leading_zero and whole > 1):
            refuse("number")
        after = self.at
        if self.peek() == 0x2E:
            self.at += 1
            self._digits()
        if self.peek() in (0x65, 0x45):
            self.at += 1
            self.at += self.peek() in (0x2B, 0x2D)
            self._digits()
        if self.at - start > 32:
            refuse("number")
        text = str(self.data[start : self.at], "ascii")
        if self.at == after:
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


def text(raw):
    """``raw`` (bytes) as str; FormatError for what no JSON string may hold as it is: control characters, bad UTF-8."""
    if not raw:
        return ""
    # min and max look at every byte without a step of ours for each.
    if min(raw) < 0x20:
        refuse("control character")
    try:
        decoded = str(raw, "utf-8")
    except ValueError:
        refuse("utf-8")
    if max(raw) > 0x7F:
        _check_utf8(raw)
    return decoded  # pyright: ignore[reportPossiblyUnboundVariable]


def shown(raw):
    """Whether ``raw`` (bytes of UTF-8) reads on a screen as what it is: no control or bidirectional character."""
    if not raw or (min(raw) >= 0x20 and max(raw) < 0x7F):
        return True
    unit = 0
    for byte in raw:
        unit = (unit << 8 | byte) & 0xFFFFFF if byte & 0xC0 == 0x80 else byte
        for first, last in _UNSHOWN:
            if first <= unit <= last:
                return False
    return True


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
