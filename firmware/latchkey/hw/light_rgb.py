"""A bulb of addressable RGB pixels that all show one colour. The eye sees brightness by its square."""

from latchkey.products.fade import Fade


class RgbLight:
    """``pixels``: a ``neopixel.NeoPixel``."""

    def __init__(self, pixels):
        self._pixels = pixels
        self._fade = Fade(self._put, (0, 0, 0))

    def show(self, state, transition_ms=0):
        self._fade.to(self._levels(state), transition_ms)

    def blink(self):
        self._fade.blink((128, 128, 128))

    def _levels(self, state):
        if not state["on"]:
            return (0, 0, 0)
        share = state["brightness_pct"] * state["brightness_pct"]
        # Rounded up, so that the dimmest light that is on still shows.
        return tuple([(part * share + 9999) // 10000 for part in state["rgb"]])

    def _put(self, levels):
        self._pixels.fill(levels)
        self._pixels.write()
