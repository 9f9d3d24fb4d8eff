"""`machine.Pin` and `machine.PWM` without copper: the levels of outputs are in a JSON file, {"25": 65535, ...}.

A level is the last value of `duty_u16` or `value`.
"""

import json
import os


class _Bank:
    path = None
    levels = {}

    def put(self, number, level):
        if self.levels.get(number) != level:
            self.levels[number] = level
            self._write()

    def _write(self):
        # A reader finds the file complete.
        part = self.path + ".part"
        with open(part, "w") as file:
            json.dump({str(number): level for number, level in self.levels.items()}, file)
        os.rename(part, self.path)


bank = _Bank()


class Pin:
    OUT = 3

    def __init__(self, id, mode=-1, *, value=None):
        self.number = id
        if value is not None:
            self.value(value)

    def value(self, level):
        bank.put(self.number, level)


class PWM:
    def __init__(self, dest, *, freq, duty_u16):
        self._pin = dest
        self.duty_u16(duty_u16)

    def duty_u16(self, value):
        self._pin.value(value)
