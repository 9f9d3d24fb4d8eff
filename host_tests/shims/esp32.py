"""Parts of `esp32` for the firmware: blobs in NVS, which keeps nothing before commit, pins that end a sleep, and the
two slots for programs."""

import program_slots

WAKEUP_ALL_LOW = False
HEAP_DATA = 4

_flash = {}
# For tests: numbers of the pins that may wake the chip, and their level.
_wakes = {"pins": (), "level": None}


def idf_heap_info(_capabilities):
    """(size, free, largest block, least that was ever free) of each region: those of a bare ESP32 in its Wi-Fi."""
    return [(125000, 79000, 77000, 70000), (16000, 15000, 14000, 14000)]


def wake_on_gpio(pins, level):
    _wakes.update(pins=tuple(pin._id for pin in pins), level=level)


Partition = program_slots.Partition
Partition._chip = program_slots.Chip(first=program_slots.program(4096))
Partition._chip.start()


class NVS:
    def __init__(self, namespace):
        if len(namespace) > 15:
            raise OSError("ESP_ERR_NVS_INVALID_NAME")
        self._namespace, self._pending = namespace, {}

    def get_blob(self, key, buffer):
        value = _flash.get((self._namespace, key))
        if value is None or len(value) > len(buffer):
            raise OSError("ESP_ERR_NVS_NOT_FOUND" if value is None else "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(value)] = value
        return len(value)

    def set_blob(self, key, value):
        self._pending[(self._namespace, key)] = bytes(value)

    def commit(self):
        _flash.update(self._pending)
