"""The cloud link, the stores and the local API in one process, on either interpreter, for tests from outside.

    link_desk.main()

The environment's LINK_DESK is JSON: ``folder`` (with DER files), ``store`` (a folder), ``port`` (the broker's),
``api_port``, and others that ``Desk`` needs.
Prints what the link logs. ``GET /test`` gives the stored data and the free heap.
"""

import asyncio
import gc
import json
import os
import sys

from desk import DeskRadio
from deskclock import DeskClock
from fake_device import SYSTEM_UUID, FakeBoard, FakeDevice, FakeVerifier

from latchkey import uuids
from latchkey.api import handlers
from latchkey.cloud.link import Link
from latchkey.cloud.messages import Updates
from latchkey.cloud.session import Timing
from latchkey.hw.flash import FileStore
from latchkey.keystore import KeyStore
from latchkey.ledger import Ledger
from latchkey.net import connection, server
from latchkey.stores.timefloor import TimeFloor


class Product:
    name = "bulb"
    on_change = None

    def state(self):
        return {"on": False}


def read(path):
    with open(path, "rb") as file:
        return file.read()


def credentials(folder, name):
    return {
        "ca_der": read(folder + "/ca.cert.der"),
        "cert_der": read(folder + "/" + name + ".cert.der"),
        "key_der": read(folder + "/" + name + ".key.der"),
    }


class Desk:
    def __init__(self, options):
        self.clock = DeskClock(options.get("clock") == "unset")
        store = FileStore(options["store"])
        self.keystore = KeyStore(store)
        self.ledger = Ledger(store, uuids.to_bytes(SYSTEM_UUID))
        self.floor = TimeFloor(store, self.clock)
        self.updates = Updates(self.keystore, self.ledger, self.floor, lambda _kept: None, print)
        self.seen = {}
        self.attempts = []
        self._options = options
        self.link = self._link(options)
        self.api = handlers.Api(FakeDevice(), FakeVerifier(), Product())
        self.api.routes += (
            ("/test", "GET", handlers.OPEN, lambda _api, _request: self.tell(), 0, False),
            ("/test/again", "GET", handlers.OPEN, lambda _api, _request: self.again(), 0, False),
        )

    def _link(self, options):
        timing = Timing()
        for name, value in options.get("timing", {}).items():
            setattr(timing, name, value)
        config = {
            "system_uuid": SYSTEM_UUID,
            "slug": options.get("slug", "company-example"),
            "broker": {"host": options.get("host", "localhost"), "port": options["port"]},
            "ntp": options.get("ntp", ()),
            "dev": True,
        }
        attempt = options.get("attempt")
        return Link(
            config,
            credentials(options["folder"], options.get("who", "device")),
            DeskRadio(options.get("uplink")),
            self.clock,
            options.get("floor", 0),
            print,
            credentials(options["folder"], attempt) if attempt else None,
            timing,
        )

    def apply(self, message, link, distrusted):
        self.seen[message[0]] = self.seen.get(message[0], 0) + 1
        if message[0] == "keys" and self.seen["keys"] <= self._options.get("short", 0):
            return False
        return self.updates.apply(message, link, distrusted)

    def tell(self):
        gc.collect()
        return {
            "link": self.link.status(),
            "seen": self.seen,
            "kids": [k.kid for k in self.keystore.keys],
            "keys_generation": self.keystore.generation,
            "ledger": self.ledger.status(),
            "floor": self.floor.status(),
            "free": gc.mem_free() if hasattr(gc, "mem_free") else 0,
        }

    def again(self):
        """The steps of main when the broker changes: stop the link and build a new one."""
        self.link.stop()
        self.link = self._link(self._options)
        self.link.start()
        return {}

    async def run(self, port):
        if sys.implementation.name == "cpython":
            import port_sockets

            port_sockets.install(server, connection)
        await server.Server(self.api, FakeBoard(self.clock.now_ms, port), None).start()
        self.link.start()
        print("ready")
        while True:
            self.link.pump(self)
            await asyncio.sleep(0.05)


def main():
    # Not an argument: MicroPython interns those, and dies of one over 255 bytes.
    options = json.loads(os.getenv("LINK_DESK"))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    asyncio.run(Desk(options).run(options["api_port"]))
