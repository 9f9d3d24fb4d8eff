"""Two things in the chip's NVS partition, outside the file system: the factory's keys, and how far the stores had come.

The namespace is ``latchkey``: a blob ``keys``, the JSON of a key set, and a blob ``o_NAME`` for each store that is
watched. A device that lost its file system still knows its cloud, and that it has lost something.
"""

import esp32

from latchkey.hw.flash import tried
from latchkey.limits import FACTORY_KEYS_BYTES, const

_OUTSIDE_BYTES = const(64)


def read(name):
    """The bytes that were written last for a store, empty if none were. No fault of the file system reaches them."""
    return _get("o_" + name, _OUTSIDE_BYTES)


def write(name, data):
    """Durable when this returns; StoreError if not."""
    tried(_put, "o_" + name, data)


def factory_keys():
    """Bytes of the key set, or None where none was written or it cannot be read."""
    return _get("keys", FACTORY_KEYS_BYTES) or None


def keep_factory_keys(data):
    """Replace the key set; ValueError if it is longer than ``factory_keys`` can take."""
    if len(data) > FACTORY_KEYS_BYTES:
        raise ValueError("too_large")
    _put("keys", data)


def _get(name, most):
    buffer = bytearray(most)
    try:
        length = esp32.NVS("latchkey").get_blob(name, buffer)
    except OSError:
        length = 0
    return bytes(memoryview(buffer)[:length])


def _put(name, data):
    area = esp32.NVS("latchkey")
    area.set_blob(name, data)
    area.commit()
