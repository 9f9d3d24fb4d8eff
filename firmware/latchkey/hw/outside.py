"""A few bytes in a folder of their own, for boards without NVS.

LittleFS drops what follows a damaged entry of a directory: in the folder that they are to watch over they would be lost
together with what they tell of.
"""

from latchkey.errors import StoreError
from latchkey.hw.flash import FileStore
from latchkey.stores.slots import Slots

_MOST_BYTES = 64


class Outside:
    """Kept in the folder ``path``, which is made if it is not there."""

    def __init__(self, path):
        self._store = FileStore(path)

    def read(self, name):
        """What was written last; empty if nothing was, or it cannot be read."""
        try:
            return bytes(Slots(self._store, name, b"o").read(_MOST_BYTES) or b"")
        except StoreError:
            return b""

    def write(self, name, data):
        """Durable when this returns; StoreError if not."""
        Slots(self._store, name, b"o").write(data)
