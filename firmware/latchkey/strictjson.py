"""Strict JSON (RFC 8259), alike on CPython and MicroPython, whose own parsers are both lenient.

Refused beyond the grammar: duplicate member names, a byte order mark, lone surrogates,
deep nesting, numbers over 19 digits before the point, over 32 characters, or not within
1e38 (a chip's float is single precision). Reads only; does not write JSON.
"""

from latchkey import limits
from latchkey.errors import FormatError

_ESCAPES = {0x22: '"', 0x5C: "\\", 0x2F: "/", 0x62: "\b", 0x66: "\f", 0x6E: "\n", 0x72: "\r", 0x74: "\t"}
_WORDS = {0x74: (b"true", True), 0x66: (b"false", False), 0x6E: (b"null", None)}
_HEX = b"0123456789abcdefABCDEF"
# By number of continuation bytes: a lead byte's payload mask and the least code point it may carry.
_UTF8 = ((0, 0), (0x1F, 0x80), (0x0F, 0x800), (0x07, 0x10000))


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
            return self.members(depth - 1) if first == 0x7B else self.items(depth - 1)
        if first in _WORDS:
            return self.word(*_WORDS[first])
        return self.number()

    def members(self, depth):
        self.need(0x7B)
        found = {}
        if self.take(0x7D):
            return found
        while True:
            self.space()
            name = self.string()
            if name in found:
                refuse("duplicate name")
            self.need(0x3A)
            found[name] = self.value(depth)
            if self.take(0x7D):
                return found
            self.need(0x2C)

    def items(self, depth):
        self.need(0x5B)
        found = []
        if self.take(0x5D):
            return found
        while True:
            found.append(self.value(depth))
            if self.take(0x5D):
                return found
            self.need(0x2C)

    def word(self, text, value):
        end = self.at + len(text)
        if self.data[self.at : end] != text:
            refuse("syntax")
        self.at = end
        return value

    def string(self):
        if self.peek() != 0x22:
            refuse("syntax")
        start = self.at + 1
        end = self._find_quote(start)
        escape = self.data.find(b"\\", start, end)
        if escape < 0:
            self.at = end + 1
            return _text(self.data[start:end])
        parts = []
        while escape >= 0:
            parts.append(_text(self.data[start:escape]))
            self.at = escape + 1
            parts.append(self._escaped())
            start = self.at
            if start > end:
                end = self._find_quote(start)
            escape = self.data.find(b"\\", start, end)
        parts.append(_text(self.data[start:end]))
        self.at = end + 1
        return "".join(parts)

    def _find_quote(self, start):
        end = self.data.find(b'"', start)
        if end < 0:
            refuse("syntax")
        return end

    def _escaped(self):
        byte = self.peek()
        self.at += 1
        if byte in _ESCAPES:
            return _ESCAPES[byte]
        if byte != 0x75:
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


def _text(raw):
    """``raw`` as str; min and max look at every byte without a step of ours for each."""
    if not raw:
        return ""
    if min(raw) < 0x20:
        refuse("control character")
    if max(raw) > 0x7F:
        _check_utf8(raw)
    return str(raw, "utf-8")


def _check_utf8(raw):
    # RFC 3629: MicroPython decodes overlong forms, surrogates and what lies above U+10FFFF.
    i = 0
    while i < len(raw):
        lead = raw[i]
        i += 1
        if lead < 0x80:
            continue
        more = 1 if 0xC0 <= lead < 0xE0 else 2 if 0xE0 <= lead < 0xF0 else 3 if 0xF0 <= lead < 0xF8 else 0
        mask, least = _UTF8[more]
        point = lead & mask
        for _ in range(more):
            if i >= len(raw) or raw[i] & 0xC0 != 0x80:
                refuse("utf-8")
            point = point << 6 | raw[i] & 0x3F
            i += 1
        if not more or point < least or point > 0x10FFFF or 0xD800 <= point < 0xE000:
            refuse("utf-8")
