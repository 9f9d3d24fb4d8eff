"""Every body that is taken in pieces with K bytes of heap left, as little_memory.py: `micropython little_upload.py
STEP`; `micropython little_upload.py SIZE break` with all that is free in pieces of that size."""

import json
import sys

import heaps
from fake_carrier import FakeCarrier
from fake_radio import FakeRadio
from keys import key
from setting_up import NOW, Board, FakeClock, provisioned
from tables import load
from updating import KEYS, PAYLOAD, SIGNED, Body, Updated, driven, put_request

from latchkey import jwk
from latchkey.errors import LatchkeyError
from latchkey.keystore import KeyStore
from latchkey.update import record
from latchkey.verifier import Verifier

SETS = load("key_sets.json")
NEW = jwk.parse_key(json.loads(SETS["sets"]["new"])["keys"][0])
LINE, OF = SETS["files"]["good"]
RELEASE = (SIGNED["good"]["release"] + "\n").encode() + PAYLOAD
# Name, path, body, and at which turn of the loop memory gets short: 0 for the beginning.
BODIES = (
    ("release", "/v1/firmware", RELEASE, 0),
    ("release, while its pieces come", "/v1/firmware", RELEASE, 5),
    ("release, while it is read back", "/v1/firmware", RELEASE, 15),
    ("release key", "/v1/firmware", (SIGNED["good"]["release key 1"] + "\n").encode(), 0),
    ("key set", "/v1/keys", (LINE + "\n" + SETS["sets"][OF]).encode(), 0),
)


class Carrier(FakeCarrier):
    """Takes no memory."""

    def __init__(self):
        FakeCarrier.__init__(self)
        self.at, self.content = 0, memoryview(bytearray(len(PAYLOAD)))

    def begin(self, _manifest):
        return self.other

    def write(self, piece):
        self.content[self.at : self.at + len(piece)] = piece
        self.at += len(piece)

    def pieces(self):
        for at in range(0, len(self.content), 1024):
            yield self.content[at : at + 1024]


def made():
    store = provisioned("Old")
    KeyStore(store).replace([key(1, "old"), NEW], None, SETS["heard_unix_s"])
    board = Board(store, FakeRadio(), FakeClock(NOW))
    board.fitted = Carrier()
    record.set_over_cable(store, KEYS)
    return Updated(board, verifier=Verifier)


GRANT = made().verifier.verify(SETS["token"].encode())


def facts(device):
    """The content of RAM and of flash."""
    kept, held = record.load(device.store), record.keys(device.store)
    ram = [one.kid for one in device.keystore.keys]
    flash = [one.kid for one in KeyStore(device.store).keys]
    return [ram, flash, device.carrier.next, kept["sent"] is not None, record.key_counter(held)]


def tried(path, data, turn, size, shorten=heaps.fill):
    device = made()
    request = put_request(len(data))
    request.path = path
    request.route = [row for row in device.api.routes if row[:2] == (path, "PUT")][0]
    body = Body(memoryview(data))
    request.grant = GRANT
    before, status = facts(device), 500

    def between(now):
        if now == turn:
            shorten(size)

    body.between = between
    between(0)
    try:
        request.body = driven(request.route[4](device.api, request, body))
        status = device.api.answer(request, request.body).status
    except MemoryError:
        pass
    except LatchkeyError:
        pass
    heaps.give_back()
    running = bool(device.upload and device.upload.running)
    return status, before, facts(device), running


def broken(status, before, after, running):
    """The part of the rule that is broken, or None."""
    if after[0] != after[1]:
        return "RAM is not flash"
    if status == 500:
        return "failed and happened" if after != before else "failed and runs" if running else None
    return "done and not kept" if after == before else None


def sweep(name, path, data, turn, step):
    wrong, free_bytes, status = [], 0, 500
    while status == 500 and free_bytes < 120000:
        free_bytes += step
        status, *rest = tried(path, data, turn, free_bytes)
        found = broken(status, *rest)
        if found:
            wrong.append((free_bytes, found, rest))
    return {"route": name, "status": status, "least": free_bytes, "wrong": wrong}


def in_small_pieces(name, path, data, turn, size):
    status, *rest = tried(path, data, turn, size, heaps.break_up)
    return {"route": name, "status": status, "wrong": broken(status, *rest) or []}


if __name__ == "__main__":
    try_ = in_small_pieces if sys.argv[2:] else sweep
    for body in BODIES:
        print(json.dumps(try_(*body, int(sys.argv[1]))))
