"""Serve the API alone on MicroPython, with the fake device: `micropython api_desk.py PORT [option=value ...]`.

Options: channel (loopback), connections (16), state, cap, cert and key (DER files: HTTPS on tls_port), product,
product_folder (where plug.py is), page (a file to serve at /), verifier (file for real_verifier), setup (pairing and
configuration too); names in capitals set limits. Lines on standard input command it, one line of answer each: `heap`
(bytes in use), `refuse CODE`, `change` (measure), `calls`, `status`, `stop`.
"""

import asyncio
import gc
import io
import json
import select
import sys
import time

from fake_device import FakeBoard, FakeDevice, FakeVerifier

OPTIONS = [word.partition("=")[0] for word in sys.argv[2:]]
if "setup" not in OPTIONS:
    # Not in a heap that is to be small.
    sys.modules["latchkey.api.uses"] = None
    if "page" not in OPTIONS:
        sys.modules["latchkey.api.page"] = None

from latchkey import limits  # noqa: E402
from latchkey.api.handlers import Api  # noqa: E402
from latchkey.net import connection, server  # noqa: E402


class Lamp:
    def show(self, _state, _transition_ms):
        pass

    def blink(self):
        pass


class DeskRelay:
    """The adapter of docs/new-product.md."""

    def __init__(self):
        self.on = False

    def switch(self, on):
        self.on = on

    def power_w(self):
        return 40 if self.on else 0

    def blink(self):
        pass


def product_of(options):
    name = options["product"]
    if name == "plug":
        sys.path.append(options["product_folder"])
        import plug

        return plug.Product(DeskRelay())
    # The desk's adapters bring the flash with them, which the tests with a small heap have no room for.
    if name == "sensor":
        from desk import DeskSensor

        from latchkey.products import sensor

        return sensor.Product(DeskSensor(quiet), lambda: 1764000000)
    from latchkey.products import bulb

    return bulb.Product(Lamp(), name)


def verifier_of(options):
    if "verifier" not in options:
        return FakeVerifier()
    import real_verifier

    return real_verifier.make(options["verifier"])


def whole_device(verifier, thing):
    """Pairing and configuration too, over a flash in RAM and a radio that joins at once; somebody is there for ever."""
    from deskclock import DeskClock
    from fake_carrier import FakeCarrier
    from fake_radio import FakeRadio
    from setting_up import Board, Device, provisioned
    from tables import load

    from latchkey import jwk
    from latchkey.update import record

    class QuickRadio(FakeRadio):
        def use(self, ssid, passphrase):
            FakeRadio.use(self, ssid, passphrase)
            if ssid:
                self.join()

    class DeskBoard(Board):
        def product(self):
            return thing

    radio = QuickRadio()
    radio.networks = (("Cellar", -50, True), ("Guests", -70, False))
    board = DeskBoard(provisioned(), radio, DeskClock())
    board.fitted = FakeCarrier()
    record.set_over_cable(board.store, [jwk.parse_key(members) for members in load("manifests.json")["keys"]])
    device = Device(board=board, verifier=lambda *_parts: verifier)
    device.pairing._present_until_s = 1 << 40
    return device


def quiet(_text):
    pass


def context_of(options):
    if "cert" not in options:
        return None
    from latchkey.net import https

    with open(options["cert"], "rb") as cert, open(options["key"], "rb") as key:
        credentials = {"https_cert_der": cert.read(), "https_key_der": key.read()}
    return https.context(credentials, None)


async def obey(device, verifier, api, served):
    """Commands, one on each line, until `stop` or the end of input."""
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    while True:
        await asyncio.sleep(0.02)
        device.turn()
        if not poll.poll(0):
            continue
        line = sys.stdin.readline()
        words = line.split()
        if not words or words[0] == "stop":
            return
        print(command(words, verifier, api, served))


def command(words, verifier, api, served):
    if words[0] == "heap":
        gc.collect()
        gc.collect()
        return gc.mem_alloc()
    if words[0] == "refuse":
        verifier.refuse = words[1] if len(words) > 1 else None
        return "ok"
    if words[0] == "change":
        if api.product.name == "sensor":
            api.product._sensor.values = (api.product._sensor.values[0] + 1, 40, 80)
        api.product.measure()
        return "ok"
    if words[0] == "calls":
        return verifier.calls
    if words[0] == "status":
        return json.dumps(dict(served.status(), traceback=traceback.getvalue()))
    return "unknown"


traceback = io.StringIO()


async def main(port, options):
    verifier, product = verifier_of(options), product_of(options)
    board = FakeBoard(time.ticks_ms, port, int(options.get("tls_port", 0)), options.get("channel", "loopback"))
    if "setup" in options:
        device = whole_device(verifier, product)
        api = device.api
    else:
        device = FakeDevice(options.get("state", "ready"))
        device.board = board
        device.log.uptime_s = lambda: time.ticks_ms() // 1000
        device.cap = options.get("cap", "control")
        api = Api(device, None if device.state() == "unprovisioned" else verifier, product)
    if "page" in options:
        from latchkey.api import page

        page.opened = lambda: open(options["page"], "rb")
    device.log._trace = lambda exc: sys.print_exception(exc, traceback)
    server.CONNECTIONS = int(options.get("connections", 16))
    served = server.Server(api, board, context_of(options))
    await served.start()
    print("ready")
    await obey(device, verifier, api, served)


def options_of(words):
    options = {"product": "rgb"}
    for word in words:
        name, _, value = word.partition("=")
        options[name] = value
        if name.isupper():
            setattr(connection if hasattr(connection, name) else limits, name, int(value))
    return options


asyncio.run(main(int(sys.argv[1]), options_of(sys.argv[2:])))
