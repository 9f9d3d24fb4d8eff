"""Sensirion SHT30, SHT31, SHT35 on I2C: temperature and humidity, one measurement at a time.

Datasheet SHT3x-DIS: 4.3 (single shot, high repeatability, no clock stretching), 4.12 (CRC-8, 0x31, from 0xFF),
4.13 (conversion), 2.2 (a measurement takes 15.5 ms at most). The loop waits that long.
"""

_MEASURE = b"\x24\x00"
_WAIT_MS = 16


class Sht3x:
    """``i2c``: a ``machine.I2C``. ``sleep_ms``: callable that waits. ``address``: 0x44, or 0x45 with ADDR high."""

    def __init__(self, i2c, sleep_ms, address=0x44):
        self._i2c = i2c
        self._sleep_ms = sleep_ms
        self._address = address
        self._buffer = bytearray(6)

    def read(self):
        """(temperature_c, humidity_pct), each rounded to a tenth; OSError if there is no whole answer."""
        self._i2c.writeto(self._address, _MEASURE)
        self._sleep_ms(_WAIT_MS)
        answer = self._buffer  # two words, each with its CRC
        self._i2c.readfrom_into(self._address, answer)
        if crc8(answer[:2]) != answer[2] or crc8(answer[3:5]) != answer[5]:
            raise OSError("crc")
        temperature = (answer[0] << 8) | answer[1]
        humidity = (answer[3] << 8) | answer[4]
        return (round(-45 + 175 * temperature / 65535, 1), round(100 * humidity / 65535, 1))


def crc8(data):
    """Sensirion's checksum of ``data``."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 0x31) & 0xFF if crc & 0x80 else crc << 1
    return crc
