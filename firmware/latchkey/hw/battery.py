"""How full a lithium cell is, from its voltage behind a divider on an ADC pin.

The curve is that of a common LiPo cell at rest and light load; a cell at its end falls fast. Good to ten percent.
"""

# (millivolts, percent), falling
_CURVE = ((4150, 100), (4000, 85), (3870, 65), (3790, 45), (3740, 25), (3680, 10), (3500, 3), (3300, 0))
_SAMPLES = 8


class Battery:
    """``adc``: a ``machine.ADC``. ``divider``: by how much the cell's voltage is divided before the pin."""

    def __init__(self, adc, divider):
        self._adc = adc
        self._divider = divider

    def percent(self):
        """0 to 100, of the mean of a few samples, which differ by some percent on these chips."""
        total_uv = 0
        for _ in range(_SAMPLES):
            total_uv += self._adc.read_uv()
        return percent_of(total_uv * self._divider // (_SAMPLES * 1000))


def percent_of(millivolts):
    """Percent for a voltage, along the curve."""
    above_mv, above_pct = _CURVE[0]
    if millivolts >= above_mv:
        return above_pct
    for mv, pct in _CURVE[1:]:
        if millivolts >= mv:
            return pct + (above_pct - pct) * (millivolts - mv) // (above_mv - mv)
        above_mv, above_pct = mv, pct
    return 0
