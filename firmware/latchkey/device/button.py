"""What a hand says with one button: here I am, open the access point, forget everything (A3, A5, A7)."""

from latchkey import limits


class Button:
    """``look(down, now_ms)`` at every turn of the loop."""

    def __init__(self):
        self._since_ms = None
        self._said = 0
        self._was_up = False  # one that is down from the start on is stuck, or is what woke us

    def look(self, down, now_ms):
        """"press" once let go, "long" and "reset" as soon as it was held for so long, else None."""
        if not down:
            self._was_up = True
            return self._released(now_ms)
        if not self._was_up:
            return None
        if self._since_ms is None:
            self._since_ms, self._said = now_ms, 0
        held_ms = now_ms - self._since_ms
        stage = (held_ms >= limits.PRESS_LONG_MS) + (held_ms >= limits.PRESS_RESET_MS)
        if stage <= self._said:
            return None
        self._said = stage
        return "reset" if stage == 2 else "long"

    def _released(self, now_ms):
        since_ms, self._since_ms = self._since_ms, None
        if since_ms is None or self._said or now_ms - since_ms < limits.PRESS_LEAST_MS:
            return None
        return "press"
