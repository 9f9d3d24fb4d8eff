"""A room sensor on ESP32-S3, on mains: SHT3x on I2C (SDA GPIO 8, SCL GPIO 9), lamp on GPIO 2, button on GPIO 0."""

from machine import I2C, Pin

from latchkey.hw.chip import Chip
from latchkey.hw.room import RoomSensor
from latchkey.hw.sht3x import Sht3x
from latchkey.products import sensor

SDA_PIN = 8
SCL_PIN = 9
LAMP_PIN = 2
I2C_HZ = 100000


class Board(Chip):
    board_name = "esp32s3-sensor"
    product_name = "sensor"
    model = "th"
    measure_every_s = 30
    # Held while the power comes on it starts the chip's loader instead, as on every module.
    button_pin = 0

    def product(self):
        """The thing itself, with its adapters."""
        i2c = I2C(0, scl=Pin(SCL_PIN), sda=Pin(SDA_PIN), freq=I2C_HZ)
        lamp = Pin(LAMP_PIN, Pin.OUT, value=0)
        climate = Sht3x(i2c, self.clock.sleep_ms)
        return sensor.Product(RoomSensor(climate, lamp), self.now_unix_s)
