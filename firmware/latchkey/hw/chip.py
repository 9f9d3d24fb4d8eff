"""What all ESP32 boards share: store, clock, Wi-Fi, factory keys, heap, restart, sleep.

A board's ``board_config.Board`` extends ``Chip`` with its product and its pins. Nothing is touched at import.
"""

import gc

import machine
import network

from .. import limits
from . import nvs
from .clock import BoardClock
from .flash import FileStore
from .wifi import Wifi

# A panic reads as "reset", as machine.reset() does; a brown-out as "power" (ports/esp32/modmachine.c).
_CAUSES = {
    machine.PWRON_RESET: "power",
    machine.HARD_RESET: "reset",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "sleep",
    machine.SOFT_RESET: "soft",
}


class Chip:
    """Everything of a Board but ``product_name``, ``model`` and ``product()``."""

    threads = True
    listen = ("0.0.0.0", 80, 443)
    measure_every_s = None

    def __init__(self):
        self.reset_cause = _CAUSES.get(machine.reset_cause(), "unknown")
        self.restart = machine.reset
        self.store = FileStore("state")
        self.clock = BoardClock(machine.RTC())
        self.radio = Wifi(self.clock)

    def factory_keys(self):
        """Bytes of the key set written at the factory, or None."""
        return nvs.read()

    def keep_factory_keys(self, data):
        """Write the factory's key set; over the wire only."""
        nvs.write(data)

    def addresses(self):
        """By which the local API may be called, beside the device's own name."""
        both = (network.WLAN(network.STA_IF), network.WLAN(network.AP_IF))
        return [wlan.ifconfig()[0] for wlan in both if wlan.active()]

    def now_unix_s(self):
        """Unix seconds, or None while nobody has set the clock."""
        now = self.clock.unix_s()
        return now if now > limits.YEAR_2020_S else None

    def heap(self):
        gc.collect()
        return {"free_bytes": gc.mem_free(), "used_bytes": gc.mem_alloc()}

    def say(self, text):
        """A line on the console."""
        print(text)

    def watchdog(self):
        """Start the chip's watchdog, which cannot be stopped again, and return what feeds it."""
        from .watchdog import Watchdog

        return Watchdog(machine.WDT(timeout=limits.WATCHDOG_MS))

    def sleep(self, ms):
        """Deep sleep: everything but flash and RTC memory is lost, and the board starts anew."""
        machine.deepsleep(ms)
