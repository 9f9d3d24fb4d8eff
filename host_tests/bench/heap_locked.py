"""Runs on the unix port: both users of the viper kernel while the heap is locked and any allocation fails."""

import struct
from array import array
from binascii import hexlify

import micropython

from latchkey import sha512
from latchkey.sha512_viper import block

data = bytes(range(256)) * 4
state = array("I", struct.unpack(">16I", sha512._INITIAL[:64]))
work = array("I", bytes(192))
i = 0  # a new global may need room

micropython.heap_lock()
for i in range(8):
    block(state, sha512._CONSTANTS, work, data, i * 128)
micropython.heap_unlock()

hasher = sha512.sha512()
micropython.heap_lock()
hasher.update(data)
micropython.heap_unlock()
assert hasher._state == state

try:
    micropython.heap_lock()
    bytes(100)
    locked = False
except MemoryError:
    locked = True
micropython.heap_unlock()
assert locked
print(hexlify(bytes(state)).decode())
