"""The desk: the unix port as a board. Its flash is a LittleFS image; network, button and pins are files and stand-ins.

The parts of a board are listed once, here: every other board has the same names.
"""

import sys

import desk_options
from desk import DeskLight, DeskRadio, DeskSensor, Outside
from deskclock import DeskClock

from latchkey.hw import memory
from latchkey.hw.flash import FileStore
from latchkey.ledger import LEDGER_TOKENS
from latchkey.limits import YEAR_2020_S

WARM_PIN = 25
COLD_PIN = 26
PWM_HZ = 5000
# By which network the stand-in's phones and laptops come.
_CAME = {"127.4.0": "ap", "127.7.0": "lan"}
# A panic reads as an ordinary reset on a chip.
_CAUSES = {"panic": "reset"}


class Board:
    """``desk_options``: the options of boards/desk/start.py."""

    product_name = "bulb"
    model = "cct"
    board_name = "desk"

    def __init__(self):
        self.listen = (desk_options.host, desk_options.port, desk_options.tls_port)
        self.names_port = desk_options.port  # UDP's, which is free where TCP's is ours
        self.reset_cause = _CAUSES.get(desk_options.cause, desk_options.cause)
        self.restart = desk_options.reset
        self.hurry = desk_options.hurry
        self.store = FileStore("/flash/state", Outside("/flash/outside"))
        self.ledger_tokens = LEDGER_TOKENS
        self.clock = DeskClock(start_unset=desk_options.clock == "unset")
        self.radio = self._wifi() if desk_options.air else DeskRadio(desk_options.uplink, desk_options.host)
        self.note = Note(desk_options.note)
        self.button = None
        if desk_options.button:
            from latchkey.device.button import Button

            self.button = Button(ButtonFile(desk_options.button))
        sensor = desk_options.product == "sensor"
        if sensor:
            self.product_name, self.model = "sensor", "th"
        self.sleep_s = max(300 // self.hurry, 1) if desk_options.battery else None
        self.measure_every_s = max((300 if desk_options.battery else 30) // self.hurry, 1) if sensor else None
        self._file = None
        if desk_options.product_file:
            self._take(_imported(desk_options.product_file))

    def product(self):
        """The thing itself, with its adapters."""
        if self._file:
            return self._file.product(self)
        return self._sensor() if self.product_name == "sensor" else self._bulb()

    def factory_keys(self):
        """Bytes of the key set written at the factory, or None. Outside the file system, as NVS is on a chip."""
        return _read(desk_options.nvs) or None

    def keep_factory_keys(self, data):
        """Write the factory's key set; over the serial cable only."""
        _write(desk_options.nvs, data)

    def carrier(self):
        """Where a new release goes: the other folder. None: what runs is not in a folder."""
        from latchkey.update import folders

        return folders.running()

    def now_unix_s(self):
        """Unix seconds, or None while nobody has set the clock."""
        now = self.clock.unix_s()
        return now if self.clock.host_trusted or now > YEAR_2020_S else None

    def watchdog(self):
        """The console, which is looked at as often; the process is looked after by whoever started it."""
        return desk_options.console

    def wake(self):
        """Why a deep sleep ended: "button", "timer", or None if there was none."""
        return desk_options.wake

    def sleep(self, ms):
        """Deep sleep: the process ends, and its owner starts it again when the time or the button says so."""
        _write(desk_options.sleep, str(ms).encode())
        self.restart()

    def heap(self):
        return memory.heap()

    def say(self, text):
        """A line on the console."""
        print(text)

    def _take(self, file):
        """``file``: a module with the names that a chip's Board has for its product, and ``product(board)``."""
        self._file = file
        self.product_name, self.model = file.product_name, file.model
        every_s = getattr(file, "measure_every_s", None)
        self.measure_every_s = every_s and max(every_s // self.hurry, 1)

    def _wifi(self):
        from network import _air

        from latchkey.hw.wifi import Wifi

        class DeskWifi(Wifi):
            """Nobody calls over a network that is down, and nobody on this machine's own networks is on our air."""

            def addresses(self):
                return ["127.0.0.1", "localhost"] + Wifi.addresses(self)

            def channel(self, peer):
                came = Wifi.channel(self, peer)
                if came == "ap" and _air.moving():
                    return None
                return came if came == _CAME.get(peer.rsplit(".", 1)[0], "loopback") else None

        return DeskWifi(self.clock, self.hurry)

    def _bulb(self):
        from latchkey.products import bulb

        light = DeskLight(self.say)
        return bulb.Product(PinsLight(light) if desk_options.pins else light, self.model)

    def _sensor(self):
        from latchkey.products import sensor

        return sensor.Product(DeskSensor(self.say), self.now_unix_s)


class PinsLight:
    """A light that says what it shows and drives pins besides, as the bulb of two white strings does."""

    def __init__(self, light):
        from machine import PWM, Pin

        from latchkey.hw.light_pwm import PwmLight

        self._light = light
        self._strings = PwmLight(*[PWM(Pin(pin), freq=PWM_HZ, duty_u16=0) for pin in (WARM_PIN, COLD_PIN)])

    def show(self, state, transition_ms=0):
        self._light.show(state, transition_ms)
        self._strings.show(state, transition_ms)

    def blink(self):
        self._light.blink()
        self._strings.blink()


class ButtonFile:
    """A button's pin: low while the file at ``path`` says ``down``."""

    def __init__(self, path):
        self._path = path

    def value(self):
        return int(_read(self._path) != b"down")


class Note:
    """A chip's RTC memory: the file at ``path``, which a power cut takes away; None: it keeps nothing."""

    def __init__(self, path):
        self._path = path

    def __call__(self, data=None):
        if data is None:
            return _read(self._path)
        if self._path:
            _write(self._path, data)


def _imported(path):
    """The module at ``path`` of the host, which finds the modules beside it."""
    folder, _, name = path.rpartition("/")
    sys.path.append(folder)
    return __import__(name[: -len(".py")])


def _read(path):
    try:
        with open(path or "", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _write(path, data):
    with open(path, "wb") as file:
        file.write(data)
