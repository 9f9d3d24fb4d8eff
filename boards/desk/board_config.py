"""The desk: the unix port as a board. Its flash is a LittleFS image, its network the host's, its light a line of text.

What a board gives is written once, here: every other board has the same names.
"""

import gc

import desk_options

from latchkey.hw.clock import DeskClock
from latchkey.hw.flash import FileStore
from latchkey.hw.light import DeskLight
from latchkey.hw.radio import DeskRadio
from latchkey.products import bulb


class Board:
    """``desk_options``: what boards/desk/start.py was told."""

    product_name = "bulb"
    model = "cct"
    measure_every_s = None

    def __init__(self):
        self.threads = desk_options.threads
        self.listen = (desk_options.host, desk_options.port, desk_options.tls_port)
        self.reset_cause = desk_options.cause
        self.restart = desk_options.reset
        self.store = FileStore("/flash/state")
        self.clock = DeskClock(start_unset=desk_options.clock == "unset")
        self.radio = DeskRadio(desk_options.uplink)

    def product(self):
        """The thing itself, with its adapters."""
        return bulb.Product(DeskLight(self.say), self.model)

    def factory_keys(self):
        """Bytes of the key set written at the factory, or None. Outside the file system, as NVS is on a chip."""
        if desk_options.nvs is None:
            return None
        try:
            with open(desk_options.nvs, "rb") as file:
                return file.read()
        except OSError:
            return None

    def keep_factory_keys(self, data):
        """Write the factory's key set; over the wire only."""
        with open(desk_options.nvs, "wb") as file:
            file.write(data)

    def addresses(self):
        """By which the local API may be called, beside the device's own name."""
        return (desk_options.host, "localhost")

    def watchdog(self):
        """None: a desk's process is looked after by whoever started it."""
        return None

    def heap(self):
        gc.collect()
        return {"free_bytes": gc.mem_free(), "used_bytes": gc.mem_alloc()}

    def say(self, text):
        """A line on the console."""
        print(text)
