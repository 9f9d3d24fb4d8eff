"""In place of the application after three crashes in a row (A9): there is no state, and it says why."""

from latchkey.errors import LatchkeyError


class Product:
    on_change = None

    def state(self):
        raise LatchkeyError("safe_boot")

    def patch(self, _fields):
        raise LatchkeyError("safe_boot")

    def identify(self):
        raise LatchkeyError("safe_boot")
