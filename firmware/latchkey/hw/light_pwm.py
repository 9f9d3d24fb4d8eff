"""A bulb of two white strings, warm and cold, each dimmed by PWM.

Together the two never get more than one alone would at full: drivers are built for that. The eye sees brightness by its
square; colour temperature mixes evenly in mireds (a million over kelvin).
"""

from latchkey.products.fade import Fade

_FULL = 65535


class PwmLight:
    """``warm``, ``cold``: ``machine.PWM``. ``kelvin``: what the two strings have, warm first."""

    def __init__(self, warm, cold, kelvin=(2200, 6500)):
        self._strings = (warm, cold)
        self._mired = (1000000 // kelvin[0], 1000000 // kelvin[1])
        self._fade = Fade(self._put, (0, 0))

    def show(self, state, transition_ms=0):
        self._fade.to(self._levels(state), transition_ms)

    def blink(self):
        self._fade.blink((_FULL // 2, _FULL // 2))

    def _levels(self, state):
        if not state["on"]:
            return (0, 0)
        total = _FULL * state["brightness_pct"] * state["brightness_pct"] // 10000
        warm_mired, cold_mired = self._mired
        wanted = min(warm_mired, max(cold_mired, 1000000 // state["color_temp_k"]))
        cold = total * (warm_mired - wanted) // (warm_mired - cold_mired)
        return (total - cold, cold)

    def _put(self, levels):
        for i, string in enumerate(self._strings):
            string.duty_u16(levels[i])
