"""Answers of the local API."""

import json

from latchkey.limits import const

_PIECE_BYTES = const(256)


class Response:
    """``status``, ``body`` bytes, a list of them for a long one, or None for one that ends with the connection;
    ``pieces``: a generator of the ``length`` bytes that are sent in place of the body, of what is due (b"": nothing)
    where that is None; ``lines`` of further header, ``after``: callable to run once the answer is out, ``code``: what
    an error answers, else None."""

    def __init__(self, status, body: bytes | list | None = b"", lines=(), media="application/json"):
        self.status = status
        self.body = body
        self.lines = lines
        self.media = media
        self.code: str | None = None
        self.pieces: object = None
        self.length: int | None = None
        self.after: object = None

    def head(self, length, close):
        """Bytes of the head. ``length`` None: the body ends with the connection."""
        reason = self.code or ("Accepted" if self.status == 202 else "Found" if self.status == 302 else "OK")
        out = ["HTTP/1.1 %d %s" % (self.status, reason), "Content-Type: " + self.media]
        if length is not None:
            out.append("Content-Length: %d" % length)
        out.append("Cache-Control: no-store")
        out.extend(self.lines)
        if close:
            out.append("Connection: close")
        out.append("\r\n")
        return "\r\n".join(out).encode()


def file_pieces(file):
    """Generator: how many bytes ``file`` has, then these in pieces."""
    piece = memoryview(bytearray(_PIECE_BYTES))
    with file:
        yield file.seek(0, 2)
        file.seek(0)
        count = file.readinto(piece)
        while count:
            yield piece[:count]
            count = file.readinto(piece)


def as_json(status, value):
    made = pieces(value)
    return Response(status, made if made[2:] else b"".join(made))


def pieces(value):
    """[bytes] of ``value`` as JSON: a heap in use for a while has no room for a long text in one piece."""
    made, text = [], ""
    for part in _texts(value):
        text += part
        if len(text) >= _PIECE_BYTES:
            made.append(text.encode())
            text = ""
    return made + [text.encode()] if text else made


def _texts(value):
    """Of a list each item, of a dict with lists or dicts in it each member, of anything else the whole."""
    is_list = isinstance(value, list)
    members = value.values() if isinstance(value, dict) else ()
    if not value or not is_list and not any([isinstance(member, (dict, list)) for member in members]):
        yield json.dumps(value)
        return
    mark = "[" if is_list else "{"
    for item in value:
        yield mark if is_list else mark + json.dumps(item) + ": "
        yield from _texts(item if is_list else value[item])
        mark = ", "
    yield "]" if is_list else "}"
