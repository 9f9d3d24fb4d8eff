"""The adapter of a room sensor: a chip that measures, perhaps a battery, and a lamp that makes itself seen."""

import asyncio

_BLINK_MS = 250
_BLINKS = 3


class RoomSensor:
    """``climate``: ``read()`` -> (temperature_c, humidity_pct). ``lamp``: a ``machine.Pin``, lit by ``lit``.
    ``battery``: ``percent()``, or None for a device on mains."""

    def __init__(self, climate, lamp, battery=None, lit=1):
        self._climate = climate
        self._lamp = lamp
        self._battery = battery
        self._lit = lit
        self._task = None

    def read(self):
        temperature_c, humidity_pct = self._climate.read()
        return (temperature_c, humidity_pct, self._battery.percent() if self._battery else None)

    def blink(self):
        """Returns at once; one blinking at a time."""
        task = asyncio.create_task(self._blink())  # first: memory may not suffice
        if self._task:
            self._task.cancel()
        self._task = task

    async def _blink(self):
        for _ in range(_BLINKS):
            for value in (self._lit, 1 - self._lit):
                self._lamp.value(value)
                await asyncio.sleep(_BLINK_MS / 1000)
