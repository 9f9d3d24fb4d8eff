"""The items of a long JSON array, one in memory at a time.

``items`` finds where each item begins and ends by searching for brackets and counting
quotes, in C, so that a record costs a few Python steps per bracket and none per byte. What stands inside an item is
not judged here: the caller parses it (latchkey.strictjson). The frame around the items is: a missing comma, a cut
end or bytes after the end raise ``FormatError``.
"""

from latchkey import limits, strictjson
from latchkey.errors import FormatError
from latchkey.limits import const

_SPACE = b" \t\r\n"
_END = const(-1)
_QUOTE = const(0x22)
_COMMA = const(0x2C)
_COLON = const(0x3A)
_ARRAY = const(0x5B)
_ARRAY_END = const(0x5D)
_OBJECT = const(0x7B)
_OBJECT_END = const(0x7D)
# Of the first buffer: records of DRIVR with 2,048-bit signatures take 1.3 to 1.6 KB.
_FIRST_BYTES = const(2048)
_SCALAR_ENDS = b",]} \t\r\n:"


class TooLong:
    """Stands for an item longer than the limit. ``text``: bytes of the string member looked for, or None."""

    def __init__(self, text):
        self.text = text


def items(stream, member=None, item_limit=limits.LIST_ITEM_BYTES, total_limit=limits.LIST_BYTES, name=b"uuid"):
    """Yield each item of the array in ``stream`` as ``bytes``, or a ``TooLong``.

    ``stream.readinto(buffer)`` gives a count of bytes, 0 at the end. ``member``: the array is the value of this
    member of a top-level object; None: the array is the whole text. ``name``: the string member whose value a
    ``TooLong`` keeps. FormatError codes: "json_refused", "truncated", "too_large" (over ``total_limit`` bytes).
    Allocates 2 KB, ``item_limit`` bytes once an item needs more, and each item.
    """
    window = _Window(stream, item_limit, total_limit, name)
    if member is None:
        yield from window.array()
    else:
        yield from _member(window, member)
    if window.peek() != _END:
        _refuse("trailing bytes")


def find_text(item, name=b"uuid"):
    """Bytes of the one string member ``name`` of an object that is not strict JSON, or None."""
    finder = _Finder(name)
    finder.feed(item, 0, len(item))
    return finder.result()


def _refuse(why):
    raise FormatError("json_refused", why)


def _member(window, member):
    if window.peek() != _OBJECT:
        _refuse("not an object")
    window.at += 1
    found = False
    more = window.peek() != _OBJECT_END
    if not more:
        window.at += 1
    while more:
        if _name(window) != member:
            value = window.value()
            if isinstance(value, bytes):
                strictjson.parse(value)
        elif found:
            _refuse("duplicate name")
        else:
            found = True
            yield from window.array()
        more = window.separator(_OBJECT_END)
    if not found:
        _refuse("no such member")


def _name(window):
    if window.peek() != _QUOTE:
        _refuse("syntax")
    name = window.value()
    if window.peek() != _COLON:
        _refuse("syntax")
    window.at += 1
    return strictjson.parse(name) if isinstance(name, bytes) else None


class _Window:
    """A piece of the stream: ``buf[start:at]`` is scanned and still needed, ``buf[at:end]`` lies ahead."""

    def __init__(self, stream, item_limit, total_limit, name):
        self.stream = stream
        self.left = total_limit
        self.limit = item_limit
        self.name = name
        self.start = self.at = self.end = 0
        self.buf = b""
        self.resize(min(item_limit, _FIRST_BYTES))
        self.depth = self.quoted = 0

    def resize(self, size):
        """A buffer of ``size`` bytes that begins with what is still needed."""
        old = self.buf
        self.buf = bytearray(size)
        self.view = memoryview(self.buf)
        self.buf[: self.end] = old[: self.end]

    def more(self):
        """Read on; False at the end of the stream. What is needed moves to the front when the window is full."""
        if self.end == len(self.buf):
            size = self.end - self.start
            self.view[:size] = self.view[self.start : self.end]
            self.at -= self.start
            self.start = 0
            self.end = size
        count = self.stream.readinto(self.view[self.end :]) or 0
        self.left -= count
        if self.left < 0:
            raise FormatError("too_large")
        self.end += count
        return count > 0

    def peek(self):
        """The next byte that is no white space, or -1 at the end. Lets go of what was scanned."""
        while True:
            while self.at < self.end:
                byte = self.buf[self.at]
                if byte not in _SPACE:
                    self.start = self.at
                    return byte
                self.at += 1
            self.start = self.at
            if not self.more():
                return -1

    def expect(self, byte, why):
        """Pass ``byte``, which comes next."""
        found = self.peek()
        if found == _END:
            raise FormatError("truncated")
        if found != byte:
            _refuse(why)
        self.at += 1

    def separator(self, closing):
        """True after a comma, False after ``closing``."""
        more = self.peek() != closing
        self.expect(_COMMA if more else closing, "syntax")
        return more

    def array(self):
        self.expect(_ARRAY, "not an array")
        if self.peek() == _ARRAY_END:
            self.at += 1
            return
        yield self.value()
        while self.separator(_ARRAY_END):
            yield self.value()

    def value(self):
        """Bytes of the next value, or a TooLong."""
        first = self.peek()
        self.depth = self.quoted = 0
        finder = None
        while not self._scan(first):
            if self.end - self.start == len(self.buf) < self.limit:
                self.resize(self.limit)
            elif self.end - self.start == len(self.buf):
                finder = finder or _Finder(self.name)
                finder.feed(self.buf, self.start, self.at)
                self.start = self.at
            if not self.more():
                raise FormatError("truncated")
        if finder:
            finder.feed(self.buf, self.start, self.at)
            return TooLong(finder.result())
        return bytes(self.view[self.start : self.at])

    def _scan(self, first):
        """Go on to the end of the value; False when that lies beyond the window."""
        if first == _OBJECT:
            return self._scan_nested(b"{", b"}")
        if first == _ARRAY:
            return self._scan_nested(b"[", b"]")
        if first == _QUOTE:
            return self._scan_string()
        while self.at < self.end:
            if self.buf[self.at] in _SCALAR_ENDS:
                if self.at == self.start:
                    _refuse("syntax")
                return True
            self.at += 1
        return False

    def _scan_nested(self, opening, closing):
        # A bracket counts when the number of quotes before it is even. Both searches are kept until passed, so
        # that no byte is searched twice for the same thing.
        buf, at, end = self.buf, self.at, self.end
        bracket = close = -1
        while at < end:
            if bracket < at:
                if close < at:
                    close = buf.find(closing, at, end)
                    close = end if close < 0 else close
                bracket = buf.find(opening, at, close)
                bracket = close if bracket < 0 else bracket
            escape = buf.find(b"\\", at, bracket)
            stop = bracket if escape < 0 else escape
            self.quoted ^= buf.count(b'"', at, stop) & 1
            at = stop
            if escape >= 0:
                if escape + 2 > end:
                    break
                at += 2
            elif at < end:
                at += 1
                if not self.quoted:
                    self.depth += -1 if bracket == close else 1
                    if self.depth == 0:
                        self.at = at
                        return True
        self.at = at
        return False

    def _scan_string(self):
        while self.at < self.end:
            quote = self.buf.find(b'"', self.at, self.end)
            quote = self.end if quote < 0 else quote
            escape = self.buf.find(b"\\", self.at, quote)
            if escape >= 0:
                self.at = escape
                if escape + 2 > self.end:
                    return False
                self.at += 2
            elif quote == self.end:
                self.at = quote
            else:
                self.at = quote + 1
                self.depth += 1
                if self.depth == 2:
                    return True
        return False


class _Finder:
    """Looks for one string member at the first level of an object that is fed piece by piece and never held.

    A name or value written with escapes is not recognised; a second member of that name spoils the find.
    """

    def __init__(self, name):
        self.name = name
        self.depth = self.skip = 0
        self.quoted = self.wanted = False
        self.text = self.last = self.gap = b""
        self.found = []

    def result(self):
        return self.found[0] if len(self.found) == 1 else None

    def feed(self, buf, at, end):
        while at < end:
            at = self._inside(buf, at, end) if self.quoted else self._outside(buf, at, end)

    def _outside(self, buf, at, end):
        quote = buf.find(b'"', at, end)
        quote = end if quote < 0 else quote
        self.depth += buf.count(b"{", at, quote) + buf.count(b"[", at, quote)
        self.depth -= buf.count(b"}", at, quote) + buf.count(b"]", at, quote)
        self.gap = (self.gap + bytes(buf[at:quote]).strip())[:2]
        if quote < end:
            self.quoted = True
            self.wanted = self.depth == 1 and self.gap == b":" and self.last == self.name
            self.text = b""
        return quote + 1

    def _inside(self, buf, at, end):
        if self.skip:
            self.skip = 0
            return at + 1
        quote = buf.find(b'"', at, end)
        quote = end if quote < 0 else quote
        escape = buf.find(b"\\", at, quote)
        stop = quote if escape < 0 else escape
        if len(self.text) < 40:
            self.text += bytes(buf[at : min(stop, at + 40)])
        if escape >= 0:
            self.text += b"\\" if len(self.text) < 40 else b""
            self.skip = 1
        elif quote < end:
            self._closed()
        return stop + 1

    def _closed(self):
        self.quoted = False
        self.gap = b""
        self.last = self.text if self.depth == 1 else b""
        if self.wanted and len(self.found) < 2:
            self.found.append(self.text)
