"""Answers of the local API, and the refusal of a request."""

import json

from latchkey.errors import LatchkeyError


class Refused(LatchkeyError):
    """A request refused for itself. ``lines``: further header lines of the answer."""

    def __init__(self, code, lines=()):
        super().__init__(code)
        self.lines = lines


class Response:
    """``status``, ``body`` bytes, or None for one that ends with the connection, which ``stream`` (events.Stream)
    gives; ``file``: sent in place of the body, then closed; ``lines`` of further header, ``after``: callable to run
    once the answer is out, ``code``: what an error answers, else None."""

    def __init__(self, status, body: bytes | None = b"", lines=(), media="application/json", code=None):
        self.status = status
        self.body = body
        self.lines = lines
        self.media = media
        self.code = code
        self.stream = self.file = self.after = None


def as_json(status, value):
    return Response(status, json.dumps(value).encode())


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
