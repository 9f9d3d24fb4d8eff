"""Sensors: where a measurement comes from."""


class DeskSensor:
    """A sensor for the desk: the values it was given last. ``say``: callable taking text."""

    def __init__(self, say=print, temperature_c=21.5, humidity_pct=45, battery_pct=90):
        self._say = say
        self.values = (temperature_c, humidity_pct, battery_pct)

    def read(self):
        return self.values

    def blink(self):
        self._say("sensor: blinks")
