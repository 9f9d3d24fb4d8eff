"""A room sensor on ESP32-C3 with a lithium cell: SHT3x on I2C (SDA GPIO 6, SCL GPIO 7), the cell halved on GPIO 3.

GPIO 3 is on ADC1; ADC2 cannot be used beside Wi-Fi. The lamp on GPIO 10 is lit low. The button on GPIO 5 wakes the
chip, which sleeps between measurements; only GPIO 0 to 5 can.
"""

from machine import ADC, I2C, Pin

from latchkey.hw.battery import Battery
from latchkey.hw.chip import Chip
from latchkey.hw.room import RoomSensor
from latchkey.hw.sht3x import Sht3x
from latchkey.products import sensor

SDA_PIN = 6
SCL_PIN = 7
LAMP_PIN = 10
CELL_PIN = 3
CELL_DIVIDER = 2
I2C_HZ = 100000


class Board(Chip):
    board_name = "esp32c3-battery-sensor"
    product_name = "sensor"
    model = "th"
    measure_every_s = 300
    sleep_s = 300
    button_pin = 5
    button_wakes = True

    def product(self):
        """The thing itself, with its adapters."""
        i2c = I2C(0, scl=Pin(SCL_PIN), sda=Pin(SDA_PIN), freq=I2C_HZ)
        lamp = Pin(LAMP_PIN, Pin.OUT, value=1)
        cell = Battery(ADC(Pin(CELL_PIN), atten=ADC.ATTN_11DB), CELL_DIVIDER)
        climate = Sht3x(i2c, self.clock.sleep_ms)
        return sensor.Product(RoomSensor(climate, lamp, cell, lit=0), self.now_unix_s)
