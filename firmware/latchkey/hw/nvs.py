"""What lies in the chip's NVS partition, outside the file system: factory keys, and what the ledger keeps outside.

The namespace is ``latchkey``: a blob ``keys``, the JSON of a key set that is read in one piece, and a blob ``ledger``.
A file system that was lost still leaves the device its cloud, and the knowledge that it had a ledger.
"""

import esp32

from .. import limits
from ..errors import StoreError

_OUTSIDE_BYTES = 64


def read():
    """Bytes of the key set, or None where none was written or it cannot be read."""
    buffer = bytearray(limits.FACTORY_KEYS_BYTES)
    try:
        length = esp32.NVS("latchkey").get_blob("keys", buffer)
    except OSError:
        return None
    return bytes(memoryview(buffer)[:length])


def write(data):
    """Replace the key set; ValueError if it is longer than ``read`` can take."""
    if len(data) > limits.FACTORY_KEYS_BYTES:
        raise ValueError("too_large")
    area = esp32.NVS("latchkey")
    area.set_blob("keys", data)
    area.commit()


class Outside:
    """A few bytes that no fault of the file system reaches."""

    def read(self):
        """What was written last, empty if nothing was."""
        buffer = bytearray(_OUTSIDE_BYTES)
        try:
            length = esp32.NVS("latchkey").get_blob("ledger", buffer)
        except OSError:
            length = 0
        return bytes(buffer[:length])

    def write(self, data):
        """Durable when this returns; StoreError if not."""
        try:
            area = esp32.NVS("latchkey")
            area.set_blob("ledger", data)
            area.commit()
        except OSError as exc:
            raise StoreError("store_failed", "errno %s" % exc.errno)
