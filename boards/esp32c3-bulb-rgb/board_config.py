"""A bulb on ESP32-C3: WS2812 pixels on GPIO 8, one on most development boards."""

from machine import Pin
from neopixel import NeoPixel

from latchkey.hw.chip import Chip
from latchkey.hw.light_rgb import RgbLight
from latchkey.products import bulb

PIXEL_PIN = 8
PIXELS = 1


class Board(Chip):
    board_name = "esp32c3-bulb-rgb"
    product_name = "bulb"
    model = "rgb"

    def product(self):
        """The thing itself, with its adapters."""
        return bulb.Product(RgbLight(NeoPixel(Pin(PIXEL_PIN), PIXELS)), self.model)
