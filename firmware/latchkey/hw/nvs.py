"""What lies in the chip's NVS partition, outside the file system: factory keys, and how far its stores had come.

The namespace is ``latchkey``: a blob ``keys``, the JSON of a key set that is read in one piece, and a blob ``o_NAME``
for each store that is watched. A file system that was lost still leaves the device its cloud, and the knowledge of it.
"""

import esp32

from latchkey import limits
from latchkey.errors import StoreError

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

    def read(self, name):
        """What was written last, empty if nothing was."""
        buffer = bytearray(_OUTSIDE_BYTES)
        try:
            length = esp32.NVS("latchkey").get_blob("o_" + name, buffer)
        except OSError:
            length = 0
        return bytes(buffer[:length])

    def write(self, name, data):
        """Durable when this returns; StoreError if not."""
        try:
            area = esp32.NVS("latchkey")
            area.set_blob("o_" + name, data)
            area.commit()
        except OSError as exc:
            raise StoreError("store_failed", "errno %s" % exc.errno)
