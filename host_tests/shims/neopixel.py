"""A strip of pixels: what was filled shows after write()."""


class NeoPixel:
    def __init__(self, pin, n, bpp=3, timing=1):
        self._pin, self._wanted, self._shown = pin, [(0,) * bpp] * n, None

    def fill(self, pixel):
        if any(type(part) is not int or not 0 <= part <= 255 for part in pixel):
            raise ValueError("a byte per colour")
        self._wanted = [tuple(pixel)] * len(self._wanted)

    def write(self):
        self._shown = list(self._wanted)
