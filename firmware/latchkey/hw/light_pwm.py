"""A bulb of two white strings, warm and cold, each dimmed by PWM.

Together the two never get more than one alone would at full: drivers are built for that. The eye sees brightness by its
square; colour temperature mixes evenly in mireds (a million over kelvin).
"""

from latchkey.products.fade import Fade

FULL = 65535


class PwmLight(Fade):
    """``warm``, ``cold``: ``machine.PWM``. ``kelvin``: what the two strings have, warm first."""

    def __init__(self, warm, cold, kelvin=(2200, 6500)):
        self.strings = (warm, cold)
        self.mired = (1000000 // kelvin[0], 1000000 // kelvin[1])
        super().__init__((0, 0), (FULL // 2, FULL // 2))

    def levels(self, state):
        total = FULL * state["brightness_pct"] * state["brightness_pct"] // 10000
        warm_mired, cold_mired = self.mired
        wanted = min(warm_mired, max(cold_mired, 1000000 // state["color_temp_k"]))
        cold = total * (warm_mired - wanted) // (warm_mired - cold_mired)
        return (total - cold, cold)

    def put(self, levels):
        for i, string in enumerate(self.strings):
            string.duty_u16(levels[i])
