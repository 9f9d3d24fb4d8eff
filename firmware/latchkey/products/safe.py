"""In place of the application after three crashes in a row (A9): there is no state, and it says why."""

from latchkey.errors import LatchkeyError


class Product:
    on_change = None

    def state(self, *_fields):
        raise LatchkeyError("safe_boot")

    patch = identify = state
