"""A room sensor: temperature, humidity, battery, and when they were measured.

It can be read and made to show itself; nothing can be set.
"""

from latchkey.errors import ConfigError


class Product:
    """``sensor``: adapter with ``read()`` -> (temperature_c, humidity_pct, battery_pct), each a number or None,
    and ``blink()``. ``now_unix_s``: callable giving Unix seconds, or None while the clock is not set."""

    name = "sensor"
    model = "th"

    def __init__(self, sensor, now_unix_s):
        self._sensor = sensor
        self._now_unix_s = now_unix_s
        self.on_change = None
        self._state = {"temperature_c": None, "humidity_pct": None, "battery_pct": None, "measured_unix_s": None}

    def state(self):
        """A fresh dict of what GET /v1/state answers; null where nothing was measured yet."""
        return dict(self._state)

    def measure(self):
        """Read the adapter once; to be called as often as the battery allows. Tells listeners if a value moved."""
        temperature_c, humidity_pct, battery_pct = self._sensor.read()
        measured = {"temperature_c": temperature_c, "humidity_pct": humidity_pct, "battery_pct": battery_pct}
        moved = [name for name in measured if measured[name] != self._state[name]]
        measured["measured_unix_s"] = self._now_unix_s()
        self._state = measured
        if moved and self.on_change:
            self.on_change()

    def restore(self, state):
        """Take up what was measured before a sleep (a dict as ``state`` gives it)."""
        self._state = state

    def patch(self, fields):
        """Nothing of a sensor can be set: ConfigError for any field."""
        for field in fields:
            raise ConfigError("invalid_field", field)
        return self.state()

    def identify(self):
        """Make the thing show itself to the person in the room."""
        self._sensor.blink()
