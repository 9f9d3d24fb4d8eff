"""HTTP/1.1 without sockets: bytes of one connection in, requests out.

RFC 9112 for the framing, RFC 9110 for the words. A text that two readers could understand differently is refused: line
folding, a bare CR or LF, NUL and other control characters, white space around a field name, a second Content-Length or
Host, any Transfer-Encoding. HTTP/1.0 is answered and closed; any later HTTP/1 is taken as 1.1. No chunked bodies, no
trailers, no upgrade, no percent-decoding of paths.
"""

from latchkey.errors import FormatError
from latchkey.limits import const

_REQUEST_LINE_BYTES = const(1024)
_HEADER_FIELDS = const(48)
_LENGTH_DIGITS = const(8)
# Fields that are looked at; each may come once. All others are checked and dropped. A tuple would take 160 bytes more.
_KNOWN = b" host authorization content-length content-type content-encoding transfer-encoding origin expect "
_TOKEN_CHARS = b"abcdefghijklmnopqrstuvwxyz0123456789-_!#$%&'*+.^`|~"  # RFC 9110 5.6.2, lowered
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Request:
    """One head, parsed. ``path`` and ``query`` are text as sent; ``token`` the bytes after Bearer, or None.

    ``length`` is the Content-Length or None; ``close`` tells that the client wants no further request.
    ``channel`` ("loopback", "ap", "tls", "lan"), ``peer`` and ``tls_serves`` are set by the server: how the
    request came, from which address, and whether HTTPS is offered beside this plain port. The API sets ``route`` (a row
    of its table), ``grant`` (None on an open route) and ``body`` (dict, or what a streamed body was made to).
    """

    def __init__(self, line, fields):
        self.method, authority, target, minor = _request_line(line)
        self.path, _, self.query = target.partition("?")
        field = fields.get(b"host")
        _need(field is not None or not minor)
        _need(None in (authority, field) or field.lower() == authority.lower())
        self.host = field if authority is None else authority
        _need(not self.host or max(self.host) < 127)
        self.origin = fields.get(b"origin")
        # RFC 6750 2.1: b"" after a bare "Bearer".
        scheme, _, token = fields.get(b"authorization", b"").partition(b" ")
        self.token = token.strip(b" ") if scheme.lower() == b"bearer" else None
        self.length = _length(fields)
        self.media = fields.get(b"content-type", b"")
        self.encoded = b"content-encoding" in fields
        # HTTP/1.0 knows no 1xx answers: its Expect is ignored (RFC 9110 10.1.1).
        expect = fields.get(b"expect") if minor else None
        _need(expect is None or expect.lower() == b"100-continue")
        self.wants_continue = expect is not None
        # No list is made of what a stranger sends: each item takes many times its text.
        words = fields.get(b"connection", b"").replace(b" ", b"").replace(b"\t", b"") + b","
        self.close = b",close," in words or not minor
        self.channel = "lan"
        self.peer = ""
        self.tls_serves = False
        self.route = self.grant = None
        self.body = {}


class Reader:
    """Cuts requests out of a buffer that the caller owns and fills through ``room``; ``held``: bytes in it."""

    def __init__(self, buffer):
        self._buf = buffer
        self._view = memoryview(buffer)
        self.held = 0

    def room(self):
        """View of the free rest, to be filled from its start; add the number of bytes to ``held``."""
        return self._view[self.held :]

    def request(self):
        """The next Request, or None while its head is not whole; FormatError with an API code."""
        if self.held >= 2 and self._buf[:2] == b"\r\n":
            self._drop(2)  # RFC 9112 2.2: an empty line before a request is let pass
        if not self.held:
            return None
        end = self._buf.find(b"\r\n\r\n", 0, self.held)
        if end < 0:
            _line_end(self._buf, self.held)
            if self.held == len(self._buf):
                raise FormatError("headers_too_large")
            return None
        request = parse_head(self._view, end + 2, self._buf)
        self._drop(end + 4)
        return request

    def line_end(self, most):
        """How many of the first ``most`` bytes the first line has; 0 if it has not ended."""
        return self._buf.find(b"\n", 0, min(self.held, most)) + 1

    def move(self, into):
        """Move the first bytes into ``into`` (a memoryview), as many as there are and fit; returns their number."""
        count = min(self.held, len(into))
        into[:count] = self._view[:count]
        self._drop(count)
        return count

    def _drop(self, count):
        """Drop the first ``count`` bytes; what was pipelined behind them moves to the front."""
        rest = self.held - count
        if rest:
            self._buf[:rest] = self._view[count : self.held]
        self.held = rest


def parse_head(view, end, head):
    """Request from a head: its lines, each with its CRLF, without the empty line. FormatError.

    ``head``: bytes-like that begins with ``end`` bytes of it; ``view``: a memoryview of the same.
    """
    at = _line_end(head, end)
    return Request(bytes(view[:at]), _fields(view, head, at + 2, end))


def host_name(host):
    """Text of a Host value without its port, lower case; None if it is not one. A fully qualified name may end with a
    dot (RFC 1034 3.1)."""
    name, _, port = (host or b"").lower().partition(b":")
    if not port.strip(b"0123456789"):
        return (name[:-1] if name[-1:] == b"." else name).decode() or None


def unescaped(data):
    """``data`` (bytes) in lower case, its percent-encoded bytes decoded (RFC 3986 2.1). Wrong ones stay as they are."""
    out = bytearray(data)
    at = out.find(b"%")
    while at >= 0:
        digits = bytes(out[at + 1 : at + 3])
        if len(digits) == 2 and not digits.strip(b"0123456789abcdefABCDEF"):
            out[at : at + 3] = bytes((int(digits, 16),))
        at = out.find(b"%", at + 1)
    return bytes(out).lower()


def _need(good):
    if not good:
        raise FormatError("bad_request")


def _line_end(head, end):
    """Where the request line ends, below 0 if it has not yet; refused if it is too long. In the first ``end`` bytes
    every CR is followed by LF and every LF follows a CR (RFC 9112 2.2 lets a server insist).

    The LF of a CR that is the last byte may still come."""
    at = head.find(b"\r\n", 0, end)
    if (end - 1 if at < 0 else at) > _REQUEST_LINE_BYTES:  # its CR may be the last byte yet
        # The commonest cause has a code of its own: a token pasted into the address.
        line = unescaped(bytes(memoryview(head)[:_REQUEST_LINE_BYTES]))
        raise FormatError("token_in_url" if b"cloud-" in line else "uri_too_long")
    count = head.count(b"\r\n", 0, end)
    _need(head.count(b"\n", 0, end) == count and head.count(b"\r", 0, end - 1) == count)
    return at


def _request_line(line):
    """(method, authority (bytes) or None, origin-form, whether it is HTTP/1.1 or later); RFC 9110 2.5: a higher minor
    version is answered as 1.1."""
    parts = line.split(b" ", 3)
    _need(len(parts) == 3)
    method, target, version = parts
    _need(len(version) == 8 and version[:7] == b"HTTP/1." and version[7:].isdigit())
    _need(method and not method.lower().strip(_TOKEN_CHARS))
    _need(target and min(target) > 32 and max(target) < 127 and b"#" not in target)
    authority = None
    if target[:1] != b"/":
        # RFC 9112 3.2.2: absolute-form must be understood.
        scheme, mark, rest = target.partition(b"://")
        _need(mark and scheme.lower() in (b"http", b"https"))
        authority, _, path = rest.partition(b"/")
        target = b"/" + path
    return method.decode(), authority, target.decode(), version[7:] != b"0"


def _fields(view, head, at, stop):
    """{name in lower case: value} of the fields in _KNOWN, and of Connection, whose values are joined."""
    fields = {}
    for _ in range(_HEADER_FIELDS):
        if at == stop:
            return fields
        end = head.find(b"\r\n", at, stop)
        colon = head.find(b":", at, end)
        _need(colon > at)
        name = bytes(view[at:colon]).lower()
        value = bytes(view[colon + 1 : end]).strip(b" \t")
        # RFC 9110 5.5: no control character but the tab.
        _need(b"\x7f" not in value and min(value.replace(b"\t", b" ") + b" ") == 32)
        at = end + 2
        _need(not name.strip(_TOKEN_CHARS))
        if b" " + name + b" " in _KNOWN:
            _need(name not in fields)
            fields[name] = value
        elif name == b"connection":
            fields[name] = fields.get(name, b"") + b"," + value.lower()
    if at < stop:
        raise FormatError("headers_too_large")
    return fields


def _length(fields):
    text = fields.get(b"content-length")
    if b"transfer-encoding" in fields:
        raise FormatError("length_required" if text is None else "bad_request")
    if text is None:
        return None
    _need(text and not text.strip(b"0123456789"))
    if len(text) > _LENGTH_DIGITS:
        raise FormatError("too_large")
    return int(text)
