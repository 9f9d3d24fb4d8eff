"""A bulb of addressable RGB pixels that all show one colour. The eye sees brightness by its square."""

from latchkey.products.fade import Fade


class RgbLight(Fade):
    """``pixels``: a ``neopixel.NeoPixel``."""

    def __init__(self, pixels):
        self.pixels = pixels
        super().__init__((0, 0, 0), (128, 128, 128))

    def levels(self, state):
        share = state["brightness_pct"] * state["brightness_pct"]
        # Rounded up, so that the dimmest light that is on still shows.
        return tuple([(part * share + 9999) // 10000 for part in state["rgb"]])

    def put(self, levels):
        self.pixels.fill(levels)
        self.pixels.write()
