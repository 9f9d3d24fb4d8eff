"""SHA-512 and SHA-384 (FIPS 180-4) with hashlib's interface, for interpreters whose hashlib has neither.

``sha512(data=b"")`` and ``sha384`` make objects with ``update digest hexdigest copy block_size digest_size
name``; they stream, and ``digest`` may be asked again. ``kernel`` says what does the work: "hashlib"
(CPython), "viper" (machine code) or "plain" (a chip without it: a hundred times slower).
"""

import binascii
import hashlib
import struct
from array import array

from latchkey.limits import const

_BLOCK = const(128)
_WORD = const(0xFFFFFFFF)


class Hash:
    """One computation by ``block(state, constants, work, data, at, mask)``, a kernel; see ``sha512_plain``."""

    block_size = _BLOCK

    def __init__(self, block, bits, data=b""):
        self._block = block
        self.name = "sha%d" % bits
        self.digest_size = bits >> 3
        self._state = array("I", _INITIAL[16:] if bits == 384 else _INITIAL[:16])
        self._work = array("I", bytes(_BLOCK))
        self._tail = bytearray(_BLOCK)
        self._size = 0
        self.update(data)

    def update(self, data):
        """Take in bytes-like ``data``. Allocates two views at most, nothing per block."""
        at = 0
        size = len(data)
        held = self._size % _BLOCK
        self._size += size
        if held and held + size >= _BLOCK:
            at = _BLOCK - held
            self._tail[held:] = memoryview(data)[:at]
            self._run(self._tail, 0)
            held = 0
        while not held and size - at >= _BLOCK:
            self._run(data, at)
            at += _BLOCK
        if at < size:
            self._tail[held : held + size - at] = memoryview(data)[at:]

    def _run(self, data, at):
        self._block(self._state, _CONSTANTS, self._work, data, at, _WORD)

    def copy(self):
        """Another computation that goes on from here."""
        other = Hash(self._block, self.digest_size << 3)
        other._state[:] = self._state
        other._tail[:] = self._tail
        other._size = self._size
        return other

    def digest(self):
        last = self.copy()
        last.update(b"\x80" + bytes((111 - self._size) % _BLOCK) + (self._size << 3).to_bytes(16, "big"))
        return struct.pack(">16I", *last._state)[: self.digest_size]

    def hexdigest(self):
        return binascii.hexlify(self.digest()).decode()


def _primes(count):
    found = []
    n = 2
    while len(found) < count:
        for p in found:
            if n % p == 0:
                break
        else:
            found.append(n)
        n += 1
    return found


def _root_words(primes, degree):
    """High and low words of the first 64 fractional bits of each prime's root (FIPS 180-4, 4.2.3, 5.3.4, 5.3.5)."""
    words = array("I")
    for p in primes:
        x = 0
        y = 1 << 67
        while x == 0 or y < x:  # Newton's step, downwards to the floor of the root
            x = y
            y = ((degree - 1) * x + (p << 64 * degree) // x ** (degree - 1)) // degree
        words.append(x >> 32 & _WORD)
        words.append(x & _WORD)
    return words


_CONSTANTS = _root_words(_primes(80), 3)
_INITIAL = _root_words(_primes(16), 2)

if hasattr(hashlib, "algorithms_guaranteed"):  # CPython's; MicroPython's objects have no copy and no hexdigest
    kernel = "hashlib"
    sha512 = hashlib.sha512  # pyright: ignore[reportAttributeAccessIssue]
    sha384 = hashlib.sha384  # pyright: ignore[reportAttributeAccessIssue]
else:
    try:
        from latchkey.sha512_viper import block

        kernel = "viper"
    except (ImportError, SyntaxError, ValueError):  # no native code here: SyntaxError for .py, ValueError for .mpy
        from latchkey.sha512_plain import block

        kernel = "plain"

    def sha512(data=b""):
        return Hash(block, 512, data)

    def sha384(data=b""):
        return Hash(block, 384, data)
