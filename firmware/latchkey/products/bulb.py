"""A bulb: on or off, brightness, and by model a white temperature or a colour.

Fields are checked whole before any takes effect. The light adapter gets the finished state and
a transition time; how it fades is its own.
"""

from latchkey.errors import ConfigError

# model: the fields it has besides on and brightness_pct
MODELS = {"white": (), "cct": ("color_temp_k",), "rgb": ("rgb",)}
KELVIN = (2200, 6500)
TRANSITION_MS = 60000


def whole(value, low, high, field):
    """``value`` as int if it is a whole number in low..high (50.0 counts, as in JSON Schema), else ConfigError."""
    if type(value) not in (int, float) or not low <= value <= high or value != int(value):
        raise ConfigError("invalid_field", field)
    return int(value)


def truth(value, field):
    """``value`` if it is true or false, else ConfigError naming ``field``."""
    if value is not True and value is not False:
        raise ConfigError("invalid_field", field)
    return value


class Product:
    """``light``: adapter with ``show(state, transition_ms)`` and ``blink()``. ``model``: a key of MODELS."""

    name = "bulb"
    # Fields that may be set, for a program that draws them: those that the state has.
    fields = (
        '{"on": {}, "brightness_pct": {"min": 1, "max": 100}, '
        '"color_temp_k": {"min": 2200, "max": 6500, "step": 50}, "rgb": {}}'
    )

    def __init__(self, light, model="white"):
        self._light = light
        self.model = model
        self.on_change = None
        self._state = {"on": False, "brightness_pct": 100}
        for field in MODELS[model]:
            self._state[field] = [255, 255, 255] if field == "rgb" else 2700

    def state(self):
        """A fresh dict of what GET /v1/state answers."""
        return dict(self._state)

    def patch(self, fields):
        """Take ``fields`` (dict of a JSON body) whole or raise ConfigError with the field; returns the new state."""
        wanted = dict(self._state)
        transition_ms = 0
        for field, value in fields.items():
            if field == "transition_ms":
                transition_ms = whole(value, 0, TRANSITION_MS, field)
            elif field in wanted:
                wanted[field] = self._checked(field, value)
            else:
                raise ConfigError("invalid_field", field)
        answer = dict(wanted)  # made first: once the light shows the change, nothing may fail (A12)
        if wanted != self._state:
            self._light.show(wanted, transition_ms)
            self._state = wanted
            if self.on_change:
                self.on_change()
        return answer

    def identify(self):
        """Make the thing show itself to the person in the room."""
        self._light.blink()

    def _checked(self, field, value):
        if field == "on":
            return truth(value, field)
        if field == "brightness_pct":
            return whole(value, 1, 100, field)
        if field == "color_temp_k":
            return whole(value, KELVIN[0], KELVIN[1], field)
        if not isinstance(value, list) or len(value) != 3:
            raise ConfigError("invalid_field", field)
        return [whole(part, 0, 255, field) for part in value]
