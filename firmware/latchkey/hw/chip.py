"""The parts that all ESP32 boards share: store, clock, Wi-Fi, factory keys, button, RTC memory, heap, restart, sleep.

A board's ``board_config.Board`` extends ``Chip`` with its product and its pins. Nothing is touched at import.
"""

import esp32
import machine

from latchkey.hw import memory, nvs
from latchkey.hw.clock import BoardClock, Watchdog
from latchkey.hw.flash import FileStore
from latchkey.hw.wifi import Wifi
from latchkey.ledger import LEDGER_TOKENS
from latchkey.limits import YEAR_2020_S, const

# A panic reads as "reset", as machine.reset() does; a brown-out as "power" (ports/esp32/modmachine.c).
_CAUSES = {
    machine.PWRON_RESET: "power",
    machine.HARD_RESET: "reset",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "sleep",
    machine.SOFT_RESET: "soft",
}

_WATCHDOG_MS = const(60000)  # longer than any wait of loop or link that reports no progress


class Chip:
    """Everything of a Board but ``board_name`` (its folder here), ``product_name``, ``model`` and ``product()``.

    ``ledger_tokens``: how many tokens the ledger holds at most, 65 bytes of RAM each while they are there (L7).
    ``button_pin``: number of the pin that a button pulls low, or None. ``button_wakes``: whether it also ends a deep
    sleep, which the ESP32-C3 allows on GPIO 0 to 5. ``sleep_s``: between a sleeping sensor's measurements. A board
    with a button includes the feature ``button`` in its manifest, one that sleeps ``sleep``.
    """

    ledger_tokens = LEDGER_TOKENS
    button_pin = None
    button_wakes = False
    sleep_s = None
    hurry = 1
    listen = ("0.0.0.0", 80, 443)
    names_port = 53
    measure_every_s = None
    # Bytes of the key set written at the factory, or None; the other one writes it, over the serial cable only.
    factory_keys = staticmethod(nvs.factory_keys)
    keep_factory_keys = staticmethod(nvs.keep_factory_keys)
    heap = staticmethod(memory.heap)
    say = staticmethod(print)

    def __init__(self):
        self.reset_cause = _CAUSES.get(machine.reset_cause(), "unknown")
        self.restart = machine.reset
        self.store = FileStore("state", nvs)
        self.clock = BoardClock(machine.RTC())
        # 2 KB that outlive resets, panics, the watchdog and deep sleep, never a power cut: then they may be noise.
        self.note = machine.RTC().memory
        self.button = None
        if self.button_pin is not None:
            from latchkey.device.button import Button

            self.button = Button(machine.Pin(self.button_pin, machine.Pin.IN, machine.Pin.PULL_UP))
        self._radio = None

    @property
    def radio(self):
        """Made when it is first asked for: a sensor that only measures never starts it."""
        if self._radio is None:
            self._radio = Wifi(self.clock, self.hurry)
        return self._radio

    def carrier(self):
        """Where a new release goes: the other folder, or the other program slot. None: this board has neither."""
        from latchkey.update import folders

        try:
            from latchkey.update import programs  # a feature
        except ImportError:
            return folders.running()
        return folders.running() or programs.running()

    def now_unix_s(self):
        """Unix seconds, or None while nobody has set the clock."""
        now = self.clock.unix_s()
        return now if now > YEAR_2020_S else None

    def watchdog(self):
        """Start the chip's watchdog, which cannot be stopped again, and return what feeds it."""
        return Watchdog(machine.WDT(timeout=_WATCHDOG_MS))

    def wake(self):
        """Why a deep sleep ended: "button", "timer", or None if there was none."""
        if self.reset_cause != "sleep":
            return None
        return "timer" if machine.wake_reason() == machine.TIMER_WAKE else "button"

    def sleep(self, ms):
        """Deep sleep: everything but flash and RTC memory is lost, and the board starts anew."""
        if self.button_wakes:
            esp32.wake_on_gpio((machine.Pin(self.button_pin),), esp32.WAKEUP_ALL_LOW)
        machine.deepsleep(ms)
