"""HTTP/1.1 without sockets: bytes of one connection in, requests out; answers to bytes.

RFC 9112 for the framing, RFC 9110 for the words. What two readers could understand
differently is refused: line folding, a bare CR or LF, NUL and other control characters,
white space around a field name, a second Content-Length or Host, any Transfer-Encoding.
HTTP/1.0 is answered and closed; any later HTTP/1 is taken as 1.1. No chunked bodies, no trailers, no upgrade, no
percent-decoding of paths.
"""

from latchkey import limits
from latchkey.errors import FormatError

# Fields that are looked at; each may stand once. All others are checked and dropped.
_KNOWN = {
    b"host": 1,
    b"authorization": 1,
    b"content-length": 1,
    b"content-type": 1,
    b"content-encoding": 1,
    b"transfer-encoding": 1,
    b"origin": 1,
    b"expect": 1,
}
_TOKEN_CHARS = b"abcdefghijklmnopqrstuvwxyz0123456789-_!#$%&'*+.^`|~"  # RFC 9110 5.6.2, lowered
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Request:
    """One head, parsed. ``path`` and ``query`` are text as sent; ``token`` the bytes after Bearer, or None.

    ``length`` is the Content-Length or None; ``close`` tells that the client wants no further request.
    ``channel`` ("loopback", "ap", "tls", "lan"), ``peer`` and ``tls_serves`` are set by the server: how the
    request came, from which address, and whether HTTPS is offered beside this plain port.
    """

    def __init__(self, method, path, query, authority, fields, close, minor):
        self.method = method
        self.path = path
        self.query = query
        self.host = _host(authority, fields.get(b"host"))
        self.origin = fields.get(b"origin")
        self.token = _bearer(fields.get(b"authorization"))
        self.length = _length(fields)
        self.media = fields.get(b"content-type", b"")
        self.encoded = b"content-encoding" in fields
        # HTTP/1.0 knows no 1xx answers: its Expect is ignored (RFC 9110 10.1.1).
        self.wants_continue = bool(minor) and _expect(fields.get(b"expect"))
        self.close = close
        self.channel = "lan"
        self.peer = ""
        self.tls_serves = False


class Reader:
    """Cuts requests out of a buffer that the caller owns and fills through ``room``; ``held``: bytes in it."""

    def __init__(self, buffer):
        self._buf = buffer
        self._view = memoryview(buffer)
        self.reset()

    def reset(self):
        """Forget everything; the buffer may serve another connection."""
        self.held = 0
        self._seen = 0

    def room(self):
        """View of the free rest, to be filled from its start; add their number to ``held``."""
        return self._view[self.held :]

    def request(self):
        """The next Request, or None while its head is not whole; FormatError with an API code."""
        if self._buf[:2] == b"\r\n" and self.held >= 2:
            self._drop(2)  # RFC 9112 2.2: an empty line before a request is let pass
        if not self.held:
            return None
        end = self._buf.find(b"\r\n\r\n", max(0, self._seen - 3), self.held)
        if end < 0:
            self._check_partial()
            return None
        request = parse_head(self._view, end + 2, self._buf)
        self._drop(end + 4)
        return request

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
            self._buf[:rest] = self._buf[count : self.held]
        self.held = rest
        self._seen = 0

    def _check_partial(self):
        held = self.held
        line_end = self._buf.find(b"\r\n", 0, held)
        if line_end < 0 and held > limits.REQUEST_LINE_BYTES:
            raise _line_too_long(self._buf, held)
        _check_line_ends(self._buf, max(0, self._seen - 1), held - 1)
        if held == len(self._buf):
            raise FormatError("headers_too_large")
        self._seen = held


def parse_head(view, end, head):
    """Request from a head: its lines, each with its CRLF, without the empty line. FormatError.

    ``head``: bytes-like that begins with ``end`` bytes of it; ``view``: a memoryview of the same.
    """
    if head.find(b"\0", 0, end) >= 0:
        raise FormatError("bad_request")
    _check_line_ends(head, 0, end)
    at = head.find(b"\r\n", 0, end)
    if at > limits.REQUEST_LINE_BYTES:
        raise _line_too_long(head, at)
    method, target, minor = _request_line(bytes(view[:at]))
    fields, connection = _fields(view, head, at + 2, end)
    if minor and b"host" not in fields:
        raise FormatError("bad_request")
    authority, target = _origin_form(target)
    path, _, query = target.partition("?")
    return Request(method, path, query, authority, fields, _closes(connection, minor), minor)


def unescaped(data):
    """``data`` (bytes) in lower case, its percent-encoded bytes decoded (RFC 3986 2.1). Wrong ones stay as they are."""
    if b"%" not in data:
        return data.lower()
    parts = data.split(b"%")
    out = bytearray(parts[0])
    for part in parts[1:]:
        try:
            out.append(int(part[:2], 16))
            out.extend(part[2:])
        except ValueError:
            out.extend(b"%" + part)
    return bytes(out).lower()


def _line_too_long(head, end):
    # The commonest cause deserves its own word: a token pasted into the address.
    line = bytes(memoryview(head)[: min(end, limits.REQUEST_LINE_BYTES)])
    return FormatError("token_in_url" if b"cloud-" in unescaped(line) else "uri_too_long")


def _check_line_ends(data, start, end):
    """Every CR is followed by LF and every LF follows a CR (RFC 9112 2.2 lets a server insist)."""
    if data.count(b"\r", start, end) != data.count(b"\r\n", start, end + 1):
        raise FormatError("bad_request")
    if data.count(b"\n", start, end) != data.count(b"\r\n", max(0, start - 1), end):
        raise FormatError("bad_request")


def _request_line(line):
    parts = line.split(b" ")
    if len(parts) != 3 or not parts[0] or not parts[1]:
        raise FormatError("bad_request")
    method, target, version = parts
    if len(version) != 8 or version[:7] != b"HTTP/1." or not 48 <= version[7] <= 57:
        raise FormatError("bad_request")
    _check_name(method.lower())
    if min(target) < 33 or max(target) > 126 or b"#" in target:
        raise FormatError("bad_request")
    # RFC 9110 2.5: a higher minor version is answered as the highest that is known.
    return method.decode(), target.decode(), version[7] != 48


def _origin_form(target):
    """(authority or None, origin-form). RFC 9112 3.2.2: absolute-form must be understood."""
    if target[0] == "/":
        return None, target
    scheme, mark, rest = target.partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        raise FormatError("bad_request")
    authority, _, path = rest.partition("/")
    return authority.encode(), "/" + path


def _fields(view, head, at, stop):
    fields = {}
    connection = b""
    count = 0
    while at < stop:
        end = head.find(b"\r\n", at, stop)
        colon = head.find(b":", at, end)
        count += 1
        if colon <= at:
            raise FormatError("bad_request")
        if count > limits.HEADER_FIELDS:
            raise FormatError("headers_too_large")
        name = bytes(view[at:colon]).lower()
        value = bytes(view[colon + 1 : end]).strip(b" \t")
        at = end + 2
        if name in _KNOWN:
            if name in fields:
                raise FormatError("bad_request")
            fields[name] = value
        else:
            _check_name(name)
            if name == b"connection":
                connection += b"," + value.lower()
        if b"\x7f" in value or (value and min(value) < 32 and min(value.replace(b"\t", b" ")) < 32):
            raise FormatError("bad_request")  # RFC 9110 5.5: no control character but the tab
    return fields, connection


def _check_name(name):
    for c in name:
        if c not in _TOKEN_CHARS:
            raise FormatError("bad_request")


def _closes(connection, minor):
    words = [word.strip(b" \t") for word in connection.split(b",")]
    return b"close" in words or not minor


def _host(authority, field):
    if authority is None:
        authority = field
    elif field is not None and field.lower() != authority.lower():
        raise FormatError("bad_request")
    if authority and max(authority) > 126:
        raise FormatError("bad_request")
    return authority


def _bearer(value):
    """Bytes after ``Bearer``, b"" for an empty or crooked one, None without or with another scheme (RFC 6750 2.1)."""
    if value is None:
        return None
    scheme, _, token = value.partition(b" ")
    return token.strip(b" ") if scheme.lower() == b"bearer" else None


def _length(fields):
    text = fields.get(b"content-length")
    if b"transfer-encoding" in fields:
        raise FormatError("bad_request" if text is not None else "length_required")
    if text is None:
        return None
    for c in text:
        if not 48 <= c <= 57:
            raise FormatError("bad_request")
    if not text:
        raise FormatError("bad_request")
    if len(text) > limits.BODY_DIGITS:
        raise FormatError("too_large")
    return int(text)


def _expect(value):
    if value is None:
        return False
    if value.lower() != b"100-continue":
        raise FormatError("bad_request")
    return True


def response_head(status, reason, length, lines=(), close=False, media="application/json"):
    """Bytes of an answer's head. ``reason``: a word for people. ``length`` None: the body ends with the connection.
    ``lines``: more "Name: value"."""
    out = ["HTTP/1.1 %d %s" % (status, reason), "Content-Type: " + media]
    if length is not None:
        out.append("Content-Length: %d" % length)
    out.append("Cache-Control: no-store")
    out.extend(lines)
    if close:
        out.append("Connection: close")
    out.append("\r\n")
    return "\r\n".join(out).encode()
