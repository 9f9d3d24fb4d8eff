"""Composition: builds the parts of this board's device, hands each what it needs, and runs them.

    import main; main.run()        until the power goes or the console interrupts

Nobody imports it but the start of the board.
"""

import asyncio
import sys

from board_config import Board

import latchkey
from latchkey import jwk, ledger, limits, policy, uuids
from latchkey.api import Api
from latchkey.device import Device, Uptime
from latchkey.errors import KeySetError
from latchkey.hw.cloud import Link
from latchkey.hw.server import Server
from latchkey.keystore import KeyStore
from latchkey.logring import LogRing
from latchkey.timefloor import TimeFloor
from latchkey.updates import Updates
from latchkey.verifier import Verifier


class Parts:
    """What this board runs: built once, from what its flash holds."""

    def __init__(self, board):
        uptime_s = Uptime(board.clock)
        log = LogRing(uptime_s, board.say)
        config, credentials = load_settings(board.store)
        self.device = Device(board, config, uptime_s, log)
        self.floor = self.device.floor = TimeFloor(board.store, board.clock)
        self.verifier = self.updates = self.link = None
        if config:
            self._provisioned(board, config, credentials, log)
        api = Api(self.device, self.verifier, board.product())
        host, port = board.listen
        self.server = self.device.server = Server(api, host, port)

    def _provisioned(self, board, config, credentials, log):
        keystore = self.device.keystore = KeyStore(board.store, factory_keys(board, config["dev"]))
        tokens = self.device.ledger = ledger.Ledger(board.store, uuids.to_bytes(config["system_uuid"]))
        self.verifier = Verifier(keystore, tokens, self.floor, policy.from_config(config))
        pinned = config["policy"]["keys"] == "pinned"
        self.updates = self.device.updates = Updates(keystore, tokens, self.floor, log.add, pinned, config["dev"])
        self.link = self.device.link = Link(
            config,
            credentials,
            board.radio,
            board.clock,
            self.floor.floor_unix_s,
            use_thread=board.threads,
            log=log.add,
        )


def load_settings(store):
    """(configuration or None, credentials), and the module that judges them let go: it is a tenth of a small heap."""
    from latchkey import config

    found = config.ConfigStore(store).load(), config.CredentialStore(store).load()
    del latchkey.config
    del sys.modules["latchkey.config"]
    return found


def factory_keys(board, dev):
    """The keys that the maker wrote outside the file system, or None."""
    data = board.factory_keys()
    try:
        return jwk.admitted(jwk.parse_key_set(data), dev) if data else None
    except KeySetError:
        return None


async def serve(parts):
    """Serve until cancelled."""
    await parts.server.start()
    parts.device.log.add("started: " + parts.device.state())
    if parts.link:
        parts.link.start()
    while True:
        if parts.link:
            parts.link.pump(parts.updates.apply)
            parts.updates.tick()
        parts.floor.save_if_due()
        await asyncio.sleep(limits.LOOP_S)


def run():
    """Build and serve; a console interrupt leaves nothing running but the REPL."""
    parts = Parts(Board())
    try:
        asyncio.run(serve(parts))
    finally:
        if parts.link:
            parts.link.stop()
        parts.floor.save()
