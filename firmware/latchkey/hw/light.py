"""Lights: where a bulb's state becomes visible."""


class DeskLight:
    """A light for the desk: one line per change through ``say`` (a callable taking text), and the state kept."""

    def __init__(self, say=print):
        self._say = say
        self.shown = None
        self.blinks = 0

    def show(self, state, transition_ms=0):
        self.shown = state
        words = ["%s=%s" % (field, state[field]) for field in sorted(state)]
        self._say("light: %s over %d ms" % (" ".join(words), transition_ms))

    def blink(self):
        self.blinks += 1
        self._say("light: blinks")
