"""A device that takes releases, a maker who signed some, and bodies that arrive in pieces: for tests of updates."""

import json

from fake_carrier import FakeCarrier
from fake_radio import FakeRadio
from setting_up import NOW, OWNER, Board, Device, FakeClock, body_of, provisioned
from tables import load

from latchkey import jwk
from latchkey.api.request import parse_head
from latchkey.errors import LatchkeyError
from latchkey.update import record

PAYLOAD = bytes([(i * 7 + i // 251) & 0xFF for i in range(10000)])
SIGNED = load("manifests.json")
KEYS = [jwk.parse_key(members) for members in SIGNED["keys"]]


class Server:
    """The parts of a server that proof reads."""

    answered = granted = 0


class Gone(Exception):
    """The peer closed."""


class Body:
    """Of a request: gives ``data``, then ends as ``end`` says: an exception, for a peer that leaves or is late.
    ``between(n)``: called when the loop gets its turn."""

    def __init__(self, data, length=None, end=Gone, between=None):
        self.data, self.length, self.end = data, len(data) if length is None else length, end
        self.between, self.turns, self.at = between, 0, 0

    async def line(self, most):
        most = min(most, self.length)
        for at in range(min(most, len(self.data))):
            if self.data[at] == 10:
                self.at = at + 1
                return bytearray(self.data[: self.at])
        if most > len(self.data):
            raise self.end()
        return bytearray()

    async def fill(self, view):
        size = min(len(view), self.length - self.at)
        if self.at + size > len(self.data):
            raise self.end()
        if size:
            view[:size] = self.data[self.at : self.at + size]
        self.at += size
        self.turns += 1
        if self.between:
            self.between(self.turns)
        return size


class Updated(Device):
    """Provisioned, with the maker's keys and somebody present, over a FakeCarrier."""

    def __init__(self, board=None, keys=KEYS, ssid="Old", updates="presence", verifier=None):
        if board is None:
            board = Board(provisioned(ssid), FakeRadio(), FakeClock(NOW))
            board.fitted = FakeCarrier()
            record.set_over_cable(board.store, keys)
        Device.__init__(self, board=board, verifier=verifier)
        self.server = Server()
        self.carrier = board.fitted
        self.config["policy"]["updates"] = updates
        self.pairing.pressed()

    def starts(self):
        """The same board, after it began anew."""
        board = Board(self.store, FakeRadio(), FakeClock(NOW))
        board.fitted, board.hurry = self.carrier, self.board.hurry
        board.reset_cause = self.board.reset_cause
        self.carrier.restarted()
        return Updated(board)

    def starts_blank(self):
        """The same without settings."""
        board = Board(self.store, FakeRadio(), FakeClock(NOW))
        board.fitted = self.carrier
        device = Device(board=board)
        device.server = Server()
        return device

    def put(self, line, payload=b"", query="", body=None, channel="ap", role=OWNER):
        """(status, code or None) of a release file."""
        if body is None:
            body = Body((line + "\n").encode() + payload)
        self.response = answered(self.api, put_request(body.length, query, channel, role), body)
        return self.response.status, self.response.code

    def firmware(self):
        return self.call("GET", "/v1/firmware")[1]

    def kept(self):
        return record.load(self.store)


def put_request(length, query="", channel="ap", role=OWNER):
    lines = ["PUT /v1/firmware" + ("?" + query if query else "") + " HTTP/1.1", "Host: lamp.local"]
    lines += ["Authorization: Bearer CLOUD-" + role, f"Content-Length: {length}"]
    lines += ["Content-Type: application/octet-stream", ""]
    head = bytearray("\r\n".join(lines).encode())
    request = parse_head(memoryview(head), len(head), head)
    request.channel = channel
    return request


def answered(api, request, body):
    """The response to ``request``, whose ``body`` its route reads itself."""
    try:
        api.admit(request)
        return api.answer(request, driven(request.route[4](api, request, body)))
    except LatchkeyError as exc:
        return api.refusal(exc)


def driven(coroutine):
    """The value of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as exc:
        return exc.value
    raise AssertionError("it waits")


def answer(device):
    return json.loads(body_of(device.response))
