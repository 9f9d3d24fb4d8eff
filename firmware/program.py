"""Composition: builds the device of this board and runs it. main.py imports it once the radio has its memory."""

import asyncio
import sys

from latchkey.device import lazy
from latchkey.device.app import Device
from latchkey.device.log import LogRing
from latchkey.net.server import Server, peer_text

# A product may leave these out (firmware/features).
try:
    from latchkey.net.names import Names
except ImportError:
    Names = None
try:
    from latchkey.net import https
except ImportError:
    https = None

_LOOP_S = 0.02  # the loop's turn


def link(device, config):
    """The link of ``device`` to its cloud, by another configuration than the stored one while that is tried."""
    from latchkey.cloud.link import Link  # a quarter of all modules, and the safe state has no link

    board, held = device.board, device.credentials
    attempt = None
    if held["new_cert_der"]:
        attempt = dict(held, cert_der=held["new_cert_der"], key_der=held["new_key_der"])
    return Link(config, held, board.radio, board.clock, device.floor.floor_unix_s, device.log.add, attempt)


def server(device):
    """The server of the API of ``device``."""
    tls = None
    if https:
        with lazy.credentials as credentials:
            tls = https.context(credentials.https(device.board.store), device.log)
    return Server(device.api, device.board, tls)


def names(device):
    """DNS on the access point of ``device``, or None without one."""
    if Names and device.config and device.wireless:
        return Names(device.board.radio, device.board.names_port, device.hostname, peer_text)


async def serve(device):
    """Serve until cancelled, or until a sensor on battery may sleep."""
    board, awake = device.board, device.awake
    # A task that nobody waits for would end in silence, a fade for one.
    asyncio.get_event_loop().set_exception_handler(lambda _loop, facts: device.log.failed("task", facts["exception"]))
    await device.server.start()
    device.log.add("started: " + device.state() + (", safe state" if device.safe else ""))
    if device.link:
        device.link.start()
    if device.boots.gesture == "long" or (device.boots.gesture and device.unpaired):
        device.show_itself()
    if board.measure_every_s and not device.safe:
        asyncio.create_task(measure(device.product, board.measure_every_s, device.log))
    watchdog, dns, short = board.watchdog(), names(device), False
    while not (awake and awake.due(device.uptime_s(), device.busy())):
        try:
            device.turn()
            if dns:
                dns.turn()
            if watchdog:
                watchdog.look(device.link.turns if device.link else None)
        except MemoryError as exc:
            # The next turn may have more. A device for which every turn fails is the watchdog's.
            if not short:
                short = True
                device.log.failed("turn", exc)
        await asyncio.sleep(_LOOP_S)


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


def live(board, boots, awake):
    """Until it is time to sleep: returns for how long, in ms. ``awake``: see latchkey.device.app."""
    device = Device(board, boots, link, server, awake)
    try:
        asyncio.run(serve(device))
    finally:
        device.stop()
    return awake.begin(boots, device.floor, None if boots.safe else device.product, device.uptime_s())


def glance(board, boots, awake):
    """Measure and sleep again, without the radio; returns for how long, in ms."""
    log = LogRing(board.clock.uptime_s, board.say, trace=sys.print_exception)
    return awake.glance(board, boots, lambda product: measure_once(product, log))
