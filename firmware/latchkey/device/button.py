"""One button and what its presses mean: "this is the device", open the access point, factory reset (A3, A5, A7)."""

from latchkey.limits import const

_LEAST_MS = const(50)
_LONG_MS = const(3000)
_RESET_MS = const(10000)


class Button:
    """``pin``: a ``machine.Pin`` that the button pulls low, an input with its pull-up on. ``look(now_ms)`` at every
    turn of the loop."""

    def __init__(self, pin):
        self._pin = pin
        self._since_ms = None
        self._said = 0
        self._was_up = False  # one that is down from the start on is stuck, or is what woke us

    def down(self):
        """Whether it is pressed now."""
        return self._pin.value() == 0

    def look(self, now_ms):
        """Gives "press" once released, "long" and "reset" as soon as it was held for so long, else None."""
        if not self.down():
            self._was_up = True
            since_ms, self._since_ms = self._since_ms, None
            pressed = since_ms is not None and not self._said and now_ms - since_ms >= _LEAST_MS
            return "press" if pressed else None
        if not self._was_up:
            return None
        if self._since_ms is None:
            self._since_ms, self._said = now_ms, 0
        held_ms = now_ms - self._since_ms
        stage = 2 if held_ms >= _RESET_MS else 1 if held_ms >= _LONG_MS else 0
        if stage <= self._said:
            return None
        self._said = stage
        return "reset" if stage == 2 else "long"
