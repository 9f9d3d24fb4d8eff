"""The items of a long JSON array, one in memory at a time.

``items`` finds the end of each item by counting brackets and quotes with searches in C: a record costs a few steps of
Python per bracket and none per byte. The inside of an item is not judged here: the caller parses it
(latchkey.strictjson). The frame around the items is: a missing comma, a cut end or bytes after the end raise
``FormatError``.
"""

from latchkey import strictjson
from latchkey.errors import FormatError
from latchkey.limits import const

_LIST_ITEM_BYTES = const(4096)
_LIST_BYTES = const(2097152)
_SPACE = const(b" \t\r\n")
_END = const(-1)
_QUOTE = const(0x22)
_COMMA = const(0x2C)
_COLON = const(0x3A)
_ARRAY = const(0x5B)
_ARRAY_END = const(0x5D)
_OBJECT = const(0x7B)
_OBJECT_END = const(0x7D)
# Of the buffer at first: records of DRIVR with 2,048-bit signatures take 1.3 to 1.6 KB.
_FIRST_BYTES = const(1792)
_SCALAR_ENDS = const(b",]}: \t\r\n")
_OPENING = const(b'{["')
_CLOSING = const(b'}]"')


def items(stream, member=None, item_limit=_LIST_ITEM_BYTES, total_limit=_LIST_BYTES, empty=False):
    """Yield each item of the array in ``stream`` as ``bytes``, or None for one of more than ``item_limit`` bytes.

    ``stream.readinto(buffer)`` gives a count of bytes, 0 at the end. ``member``: the array is the value of this
    member of a top-level object; None: the array is the whole text. ``empty``: a text of no bytes is an array
    without items. FormatError codes: "json_refused", "truncated", "too_large" (over ``total_limit`` bytes). Allocates
    1.8 KB, up to ``item_limit`` bytes once an item needs more, and each item.
    """
    window = _Window(stream, item_limit, total_limit)
    if member is not None:
        yield from _member(window, member)
    elif not empty or window.peek() != _END or window.left < total_limit:
        yield from window.array()
    if window.peek() != _END:
        strictjson.refuse()


def _member(window, member):
    if window.peek() != _OBJECT:
        strictjson.refuse()
    window.at += 1
    found = False
    more = window.peek() != _OBJECT_END
    while more:
        name = strictjson.parse(window.value() or b"")
        if not isinstance(name, str) or found and name == member:
            strictjson.refuse()
        window.expect(_COLON)
        if name == member:
            found = True
            yield from window.array()
        else:
            strictjson.parse(window.value() or b"null")
        more = window.separator(_OBJECT_END)
    if not found:
        strictjson.refuse()


class _Window:
    """A piece of the stream: the current value begins at ``start``, ``buf[at:end]`` lies ahead."""

    def __init__(self, stream, item_limit, total_limit):
        self.stream = stream
        self.limit = item_limit
        self.left = total_limit
        self.start = self.at = self.end = self.depth = 0
        self.quoted = False
        self.buf = bytearray(min(item_limit, _FIRST_BYTES))

    def more(self):
        """Drop the bytes before ``start`` and read on; False at the end of the stream."""
        size = self.end - self.start
        view = memoryview(self.buf)
        view[:size] = view[self.start : self.end]
        self.at -= self.start
        self.start = 0
        count = self.stream.readinto(view[size:]) or 0
        self.left -= count
        if self.left < 0:
            raise FormatError("too_large")
        self.end = size + count
        return count > 0

    def peek(self):
        """The next byte other than white space, or _END. A value may begin there."""
        self.start = self.at
        while self.at < self.end or self.more():
            byte = self.buf[self.at]
            if byte not in _SPACE:
                return byte
            self.at += 1
            self.start = self.at
        return _END

    def expect(self, byte):
        """Pass ``byte``, which comes next."""
        found = self.peek()
        if found == _END:
            raise FormatError("truncated")
        if found != byte:
            strictjson.refuse()
        self.at += 1

    def separator(self, closing):
        """True after a comma, False after ``closing``."""
        more = self.peek() != closing
        self.expect(_COMMA if more else closing)
        return more

    def array(self):
        self.expect(_ARRAY)
        more = self.peek() != _ARRAY_END or self.separator(_ARRAY_END)
        while more:
            yield self.value()
            more = self.separator(_ARRAY_END)

    def value(self):
        """Bytes of the next value, or None for one that is too long."""
        self.peek()
        kind = _OPENING.find(bytes(self.buf[self.at : self.at + 1]))
        self.depth = 0
        self.quoted = False
        fits = True
        while not (self.scalar() if kind < 0 else self.nested(_OPENING[kind : kind + 1], _CLOSING[kind : kind + 1])):
            if self.end - self.start == len(self.buf) < self.limit:
                buf = bytearray(self.limit)
                buf[: self.end] = self.buf
                self.buf = buf
            elif self.end - self.start == len(self.buf):
                # Only its end matters. After an escape ``at`` may lie one byte further on than what was read.
                fits = False
                self.start = self.end
            if not self.more():
                raise FormatError("truncated")
        return bytes(memoryview(self.buf)[self.start : self.at]) if fits else None

    def scalar(self):
        """Go on to the end of the number or word; False when that lies beyond what was read."""
        while self.at < self.end:
            if self.buf[self.at] in _SCALAR_ENDS:
                if self.at == self.start:
                    strictjson.refuse()
                return True
            self.at += 1
        return False

    def nested(self, opening, closing):
        """The same for an object, an array or a string. Brackets of its own kind are counted where the number of quotes
        before them is even; the caller's parser judges the others. No byte is searched twice for the same thing."""
        buf = self.buf
        end = self.end
        close = -1
        while self.at < end:
            if close < self.at:
                close = buf.find(closing, self.at, end)
                close = end if close < 0 else close
            stop = buf.find(opening, self.at, close)
            stop = close if stop < 0 else stop
            self.inside(stop)
            if self.at == stop < end:
                self.at += 1
                if not self.quoted:
                    self.depth += 1 if stop < close or not self.depth else -1
                    if not self.depth:
                        return True
        return False

    def inside(self, stop):
        """Count the quotes before ``stop``, but not the escaped ones. The last escape may reach beyond it."""
        escape = 0
        while escape >= 0 and self.at < stop:
            escape = self.buf.find(b"\\", self.at, stop)
            text_end = stop if escape < 0 else escape
            if self.buf.count(b'"', self.at, text_end) & 1:
                self.quoted = not self.quoted
            self.at = text_end if escape < 0 else escape + 2
