"""The server with K bytes of heap left: `micropython little_server.py PORT CONTROL_PORT TLS_PORT CERT KEY`.

A client of CONTROL_PORT commands it, a line each: `changes` answers all of little_memory's as JSON; `try K`
builds a device anew on a LittleFS, keeps all of the heap but K bytes and answers `full`; a byte then gives the memory
back, and another, once the caller has its answer, requests the memory held before and after as JSON. Nothing
is allocated for the first byte. `break K` keeps every other K bytes instead.
"""

import asyncio
import json
import socket
import sys

import cut_flash
import heaps
import little_memory
import vfs
from deskclock import DeskClock
from fake_device import FakeBoard

from latchkey.hw.flash import FileStore
from latchkey.net import connection, https
from latchkey.net.server import Server

FULL = b"full\n"
SWEPT_MS = 300
connection.REQUEST_MS = connection.IDLE_MS = connection.LINGER_MS = 300


class Flash:
    """A LittleFS that holds a provisioned device, as it was made, at each ``renew``."""

    def __init__(self):
        self.flash = cut_flash.CutFlash(64)
        cut_flash.mount(self.flash)
        self.store = FileStore("/cut/state")
        for name, data in little_memory.Device().store.files.items():
            file = self.store.create(name)
            file.write(data)
            file.close()
        self.image = bytes(self.flash.data)

    def renew(self):
        cut_flash.unmount()
        self.flash.data[:] = self.image
        vfs.mount(vfs.VfsLfs2(self.flash, mtime=False), "/cut")
        return little_memory.Device(self.store)


def listening(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    listener.listen(1)
    return listener


async def line_of(control):
    line = b""
    while line[-1:] != b"\n":
        part = control.read(100)
        if part == b"":
            sys.exit()
        line += part or b""
        await asyncio.sleep_ms(1)
    return line.decode().split()


async def tried(control, server, device, shorten, size):
    """Facts before and after; every connection has ended by then. ``overdue``: how many outlived their deadline."""
    server.api = device.api
    before = little_memory.facts(device)
    one, count = bytearray(1), None
    shorten(size)
    control.write(FULL)
    while count is None:
        await asyncio.sleep_ms(1)
        count = control.readinto(one)
    heaps.give_back()
    now = server.now_ms()
    overdue = [place for place in server._open if not place.deadline or now - place.deadline > SWEPT_MS]
    while control.readinto(one) is None:
        await asyncio.sleep_ms(1)
    while server._open:
        await asyncio.sleep_ms(1)
    return {"before": before, "after": little_memory.facts(device), "overdue": len(overdue)}


async def main(port, control_port, tls_port, cert, key):
    flash = Flash()
    listener = listening(control_port)
    device = flash.renew()
    with open(cert, "rb") as certificate, open(key, "rb") as private:
        tls = https.context({"https_cert_der": certificate.read(), "https_key_der": private.read()}, None)
    server = Server(device.api, FakeBoard(DeskClock().now_ms, port, tls_port), tls)
    asyncio.get_event_loop().set_exception_handler(lambda _loop, told: device.log.failed("task", told["exception"]))
    await server.start()
    server.tls = None  # The plain port answers everything too.
    print("ready")
    control = listener.accept()[0]
    control.setblocking(False)
    changes = list(little_memory.changes(device.api))
    while True:
        words = await line_of(control)
        device = flash.renew()
        shorten = heaps.break_up if words[0] == "break" else heaps.fill
        answer = changes if words[0] == "changes" else await tried(control, server, device, shorten, int(words[1]))
        control.write(json.dumps(answer).encode() + b"\n")


asyncio.run(main(*[int(word) for word in sys.argv[1:4]], *sys.argv[4:]))
