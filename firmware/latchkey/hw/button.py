"""A button that pulls its pin low. What a press means is latchkey.device.button's."""


class Button:
    """``pin``: a ``machine.Pin``, an input with its pull-up on."""

    def __init__(self, pin):
        self._pin = pin

    def down(self):
        """Whether it is pressed now."""
        return self._pin.value() == 0
