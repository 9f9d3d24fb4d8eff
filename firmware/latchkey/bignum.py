"""Modular powers with an odd modulus, for RSA verification. Nothing here is secret: time depends on all values.

Representation: built-in non-negative integers. For n of k chunks of 512 bits, R = 2**(512*k) and the
Montgomery form of x is x*R mod n. Why: s**65537 at 2,048 bits costs an ESP32 (official 1.26.1 firmware,
emulated) 10.7 M instructions with the built-in pow, 8.6 M when reduced in 512-bit chunks, 9.4 M in 256-bit
ones. Chunks of the product and of the reduction take turns here, so that no number is longer than n by
more than 66 bytes: 4,096-bit products of 1 KB do not find room in a small heap that is in pieces.

Contract
    Modulus(n)       n MUST be odd and > 1. Keeps n and 64 bytes; costs 16 products of 512 bits.
    .power(s, e)     MUST have 0 <= s < n and odd e >= 3; returns s**e mod n. e = 65537 costs 16 squarings
                     and one product, which also leaves Montgomery form. Allocates; what is alive at once,
                     s and n apart, stays under five times the size of n.
"""

from latchkey.limits import const

_CHUNK_BITS = const(512)
_MASK = (1 << 512) - 1


class Modulus:
    def __init__(self, n):
        self.n = n
        self._chunks = 0
        while n:
            n >>= _CHUNK_BITS
            self._chunks += 1
        self._inverse = _negative_inverse(self.n & _MASK)

    def power(self, s, e):
        y = s
        for _ in range(self._chunks):
            y = (y << _CHUNK_BITS) % self.n
        x = y if (e - 1) & (e - 2) else None  # not needed where only the first and last bit of e are set
        bit = 1
        while bit << 1 <= e:
            bit <<= 1
        while bit > 1:
            bit >>= 1
            y = self._product(y, y)
            if e & bit:
                y = self._product(y, x if bit > 1 else s)
        return y

    def _product(self, a, b):
        """a * b / R mod n for a, b < n. Each step adds the multiple of n that clears the lowest chunk."""
        n = self.n
        inverse = self._inverse
        t = 0
        for at in range(0, self._chunks * _CHUNK_BITS, _CHUNK_BITS):
            t += (b >> at & _MASK) * a
            t += ((t & _MASK) * inverse & _MASK) * n
            t >>= _CHUNK_BITS
        return t - n if t >= n else t


def _negative_inverse(low):
    """x with low * x = -1 mod 2**512, by Newton's step, which doubles the correct bits: 3, 6, 12 ... 768."""
    x = 8 - (low & 7)
    for _ in range(8):
        x = x * (low * x + 2) & _MASK
    return x
