"""Composition: builds the parts of this board's device, hands each what it needs, and runs them.

    import main; main.run()        until the power goes or the console interrupts

Nobody imports it but the start of the board.
"""

# pyright: reportAttributeAccessIssue=false

import asyncio
import json
import sys

from board_config import Board

from latchkey import jwk, ledger, limits, policy, uuids
from latchkey.api.handlers import Api
from latchkey.cloud.link import Link
from latchkey.cloud.messages import Updates
from latchkey.device import certificate
from latchkey.device.app import Device
from latchkey.device.button import Button
from latchkey.device.installation import Installation
from latchkey.device.log import LogRing
from latchkey.device.pairing import Pairing
from latchkey.device.sleep import Awake
from latchkey.device.start import Boots
from latchkey.errors import StoreError
from latchkey.keystore import KeyStore
from latchkey.net import https
from latchkey.net.server import Server
from latchkey.stores.timefloor import TimeFloor
from latchkey.verifier import Verifier


class Parts:
    """What this board runs: built once, from what its flash holds. ``boots``: latchkey.device.start.Boots."""

    def __init__(self, board, boots):
        self._board = board
        self._boots = boots
        self._button = Button()
        log = LogRing(board.clock.uptime_s, board.say, trace=sys.print_exception)
        self.installation = Installation(board.store, log.add, board.radio.wants_network)
        self.device = Device(board, self.installation, boots, log)
        self.device.floor = TimeFloor(board.store, board.clock, boots.floor_unix_s)
        if self.installation.config:
            self._provisioned(board, log)
        self.product = _safe_product() if boots.safe else board.product()
        if boots.kept and not boots.safe:
            self.product.restore(json.loads(boots.kept))
        api = Api(self.device, self.installation.verifier, self.product)
        host, port, tls_port = board.listen
        tls = https.context(self.installation.credentials, log)
        served = (host, port, tls, tls_port, board.radio.channel)
        self.server = self.device.server = Server(api, board.clock.now_ms, *served)

    @property
    def link(self):
        return self.installation.link

    def _provisioned(self, board, log):
        installation, device = self.installation, self.device
        if device.gesture == "reset" and device.try_to_store(installation.reset):
            self._boots.reset_done()
        config = installation.config
        dev = config["dev"]
        factory_keys = jwk.factory_keys(board.factory_keys(), dev)
        device.keystore = KeyStore(board.store, factory_keys, dev)
        device.ledger = ledger.Ledger(board.store, uuids.to_bytes(config["system_uuid"]), board.ledger_tokens)
        installation.verifier = Verifier(device.keystore, device.ledger, device.floor, policy.from_config(config))
        updates = Updates(
            device.keystore, device.ledger, device.floor, device.settle_attempt, log.add, installation.pinned
        )
        device.updates = installation.updates = updates
        device.pairing = Pairing(board.radio, device.uptime_s, installation, log.add, board.hurry)
        if not self._boots.safe:
            installation.relink = self._relink
            installation.link = self._new_link(config, installation.credentials)
        self._enter_network(board.radio)

    def _enter_network(self, radio):
        """The network that was given; else, or if somebody asks for it, or in the safe state, the access point."""
        installation, pairing = self.installation, self.device.pairing
        radio.name(installation.hostname)
        wake = self._board.wake()
        alone = installation.unpaired or self._boots.safe
        radio.use(*((None, None) if alone else installation.network()))
        if alone and wake != "timer" and installation.ap_passphrase:
            radio.scan()  # Now, since it blocks, and nobody has joined yet.
        # A sensor that wakes by itself would spend its cell on an access point that nobody asked for.
        if self.device.gesture or (alone and wake != "timer"):
            pairing.open(not alone)
        if self.device.gesture == "long" or wake == "button":
            pairing.pressed()

    def _new_link(self, config, credentials):
        board = self._board
        return Link(
            config,
            credentials,
            board.radio,
            board.clock,
            self.device.floor.floor_unix_s,
            self.device.log.add,
            certificate.attempt(credentials),
        )

    def _relink(self, config, credentials):
        link = self._new_link(config, credentials)  # first, for memory may not suffice
        self.link.stop()
        link.start()
        return link

    def turn(self):
        """Everything that the loop does at each of its turns; returns at once."""
        device = self.device
        if device.pairing:
            device.pairing.tick()
            self._look_at_button()
        self.installation.refresh_link()
        if self.link:
            self.link.pump(device.updates, device.pairing.distrusts_broker)
        if device.updates:
            device.updates.tick()
        device.save_floor_if_due()
        self._boots.settled(device.uptime_s())

    def _look_at_button(self):
        board, device = self._board, self.device
        said = self._button.look(board.button.down(), board.clock.now_ms()) if board.button else None
        if said is None:
            return
        device.log.add("button: " + said)
        if said == "reset":
            return device.reset()
        device.pairing.pressed()
        if said == "long":
            device.pairing.open()
            self.show_itself()

    def show_itself(self):
        """Tell who presses or switches that it was understood."""
        if self.device.safe:
            return
        try:
            self.product.identify()
        except Exception as exc:
            # A mistake in a product must not restart the device at every press.
            self.device.log.failed("identify", exc)

    def stop(self):
        """Before the end: the link lets go, and what waits in RAM is written."""
        if self.link:
            self.link.stop()
        self.device.save()


def _safe_product():
    from latchkey.products import safe

    return safe.Product()


async def serve(parts, board, awake):
    """Serve until cancelled, or until a sensor on battery (``awake``, else None) may sleep."""
    device = parts.device
    # A task that nobody waits for would end in silence, a fade for one.
    asyncio.get_event_loop().set_exception_handler(lambda _loop, told: device.log.failed("task", told["exception"]))
    await parts.server.start()
    device.log.add("started: " + device.state() + (", safe state" if device.safe else ""))
    if parts.link:
        parts.link.start()
    if device.gesture == "long" or (device.gesture and device.installation.unpaired):
        parts.show_itself()
    if board.measure_every_s and not device.safe:
        asyncio.create_task(measure(parts.product, board.measure_every_s, device.log))
    watchdog = board.watchdog()
    while not (awake and awake.due(device.uptime_s(), device.busy())):
        parts.turn()
        if watchdog:
            watchdog.look(parts.link.turns if parts.link else None)
        await asyncio.sleep(limits.LOOP_S)


async def measure(product, every_s, log):
    """A sensor that does not answer keeps its last values, whose age shows; so it is after a mistake in the product."""
    while True:
        measure_once(product, log)
        await asyncio.sleep(every_s)


def measure_once(product, log):
    try:
        product.measure()
    except OSError:
        log.add("sensor: no answer")
    except Exception as exc:
        log.failed("measure", exc)


def run():
    """Build and serve. A console interrupt leaves nothing running but the REPL; a fault starts the board anew (A9)."""
    board = Board()
    boots = Boots(board.note, board.store, board.reset_cause, board.button is None, board.wake() == "timer")
    try:
        sleep_ms = live(board, boots)
    except KeyboardInterrupt:
        boots.end()
        raise
    except Exception as exc:
        sys.print_exception(exc)
        boots.end(crashed=True)
        board.clock.sleep_ms(limits.CRASH_PAUSE_MS)
        board.restart()
    else:
        board.sleep(sleep_ms)


def live(board, boots):
    """Until it is time to sleep: returns for how long, in ms."""
    awake = Awake(board.sleep_s, board.wake() == "timer", boots.wakes, board.hurry) if board.sleep_s else None
    if awake and not awake.opens and not boots.safe:
        return glance(board, boots, awake)
    parts = Parts(board, boots)
    parts.device.awake = awake
    try:
        asyncio.run(serve(parts, board, awake))
    finally:
        parts.stop()
    product = None if boots.safe else parts.product
    return fall_asleep(boots, awake, parts.device.floor, product, parts.device.uptime_s())


def glance(board, boots, awake):
    """Measure and sleep again: no network, no API."""
    floor = TimeFloor(board.store, board.clock, boots.floor_unix_s)
    product = board.product()
    if boots.kept:
        product.restore(json.loads(boots.kept))
    measure_once(product, LogRing(board.clock.uptime_s, board.say, trace=sys.print_exception))
    try:
        floor.save_if_due()
    except StoreError as exc:
        board.say("flash: " + exc.code)
    return fall_asleep(boots, awake, floor, product, 0)


def fall_asleep(boots, awake, floor, product, uptime_s):
    """What has to outlive the sleep goes to memory that does; returns its length in ms."""
    sleep_ms = awake.sleep_ms(uptime_s)
    kept = json.dumps(product.state()).encode() if product else b""
    boots.end(floor.floor_unix_s, sleep_ms=sleep_ms, kept=kept)
    return sleep_ms
