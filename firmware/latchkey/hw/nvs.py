"""Factory keys in the chip's NVS partition: outside the file system, so that a lost one still knows its cloud.

One blob ``keys`` in the namespace ``latchkey``: the JSON of a key set. Read in one piece.
"""

import esp32

from .. import limits


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
