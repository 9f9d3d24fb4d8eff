"""Composition: builds the parts of this board's device, hands each what it needs, and runs them.

    import main; main.run()        until the power goes or the console interrupts

Nobody imports it but the start of the board.
"""

import asyncio
import sys

from board_config import Board

import latchkey
from latchkey import jwk, ledger, limits, policy, renewal, uuids
from latchkey.api import Api
from latchkey.device import Device, Uptime
from latchkey.hw.cloud import Link
from latchkey.hw.server import Server, tls_context
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
        if board.radio.wants_network and config:
            board.radio.use(config["wifi"]["ssid"], credentials["wifi_passphrase"])
        if config:
            self._provisioned(board, config, credentials, log)
        self.product = board.product()
        api = Api(self.device, self.verifier, self.product)
        host, port, tls_port = board.listen
        self.server = self.device.server = Server(api, host, port, https(credentials, log), tls_port)

    def _provisioned(self, board, config, credentials, log):
        dev = config["dev"]
        factory_keys = jwk.factory_keys(board.factory_keys(), dev)
        keystore = self.device.keystore = KeyStore(board.store, factory_keys, dev)
        tokens = self.device.ledger = ledger.Ledger(board.store, uuids.to_bytes(config["system_uuid"]))
        self.verifier = Verifier(keystore, tokens, self.floor, policy.from_config(config))
        pinned = config["policy"]["keys"] == "pinned"
        self.updates = self.device.updates = Updates(keystore, tokens, self.floor, log.add, pinned, dev)
        self.link = self.device.link = Link(
            config,
            credentials,
            board.radio,
            board.clock,
            self.floor.floor_unix_s,
            use_thread=board.threads,
            log=log.add,
            trial=renewal.trial(credentials),
        )

    def apply(self, message):
        """Do what one message of the link says; False if memory was too short for it."""
        if message[0] == "trial":
            self.device.settle_trial(message[1])
        return self.updates.apply(message)


def load_settings(store):
    """(configuration or None, credentials), and the module that judges them let go: it is a tenth of a small heap."""
    from latchkey import config

    found = config.ConfigStore(store).load(), config.CredentialStore(store).load()
    del latchkey.config
    del sys.modules["latchkey.config"]
    return found


def https(credentials, log):
    """What HTTPS serves with, or None where no certificate was provisioned, or a wrong one (A2)."""
    if not credentials["https_cert_der"]:
        return None
    try:
        return tls_context(credentials["https_cert_der"], credentials["https_key_der"])
    except (OSError, ValueError, TypeError):
        log.add("https: the certificate or its key cannot be used")
        return None


async def serve(parts, measure_every_s, watchdog):
    """Serve until cancelled. ``measure_every_s``: how often a sensor measures; None for a product that does not.
    ``watchdog``: hw/watchdog.Watchdog, or None on a board without."""
    await parts.server.start()
    parts.device.log.add("started: " + parts.device.state())
    if parts.link:
        parts.link.start()
    if measure_every_s:
        asyncio.create_task(measure(parts.product, measure_every_s, parts.device.log))
    while True:
        if parts.link:
            parts.link.pump(parts.apply)
            parts.updates.tick()
        parts.device.save_floor_if_due()
        parts.device.uptime_s()  # counts by looking
        if watchdog:
            watchdog.look(parts.link.turns if parts.link else None)
        await asyncio.sleep(limits.LOOP_S)


async def measure(product, every_s, log):
    """A sensor that does not answer keeps its last values, whose age shows."""
    while True:
        try:
            product.measure()
        except OSError:
            log.add("sensor: no answer")
        await asyncio.sleep(every_s)


def run():
    """Build and serve; a console interrupt leaves nothing running but the REPL."""
    board = Board()
    parts = Parts(board)
    try:
        asyncio.run(serve(parts, board.measure_every_s, board.watchdog()))
    finally:
        if parts.link:
            parts.link.stop()
        parts.device.save()
