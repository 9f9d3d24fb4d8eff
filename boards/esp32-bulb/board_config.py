"""A bulb on ESP32: two white strings, warm on GPIO 25 and cold on GPIO 26, each behind a MOSFET or an LED driver."""

from machine import PWM, Pin

from latchkey.hw.chip import Chip
from latchkey.hw.light_pwm import PwmLight
from latchkey.products import bulb

WARM_PIN = 25
COLD_PIN = 26
# Above what cameras and eyes see, and a whole number of steps of the 80 MHz clock.
PWM_HZ = 5000


class Board(Chip):
    board_name = "esp32-bulb"
    product_name = "bulb"
    model = "cct"

    def product(self):
        """The thing itself, with its adapters."""
        warm, cold = [PWM(Pin(pin), freq=PWM_HZ, duty_u16=0) for pin in (WARM_PIN, COLD_PIN)]
        return bulb.Product(PwmLight(warm, cold, bulb.KELVIN), self.model)
