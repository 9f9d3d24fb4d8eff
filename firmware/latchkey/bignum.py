"""Modular powers with an odd modulus, for RSA verification. Nothing here is secret: time depends on all values.

Representation: built-in non-negative integers. For n of k chunks of 512 bits, R = 2**(512*k) and the
Montgomery form of x is x*R mod n. Chunks of 512 bits were the fastest on the ESP32: 8.6 M instructions
for s**65537 at 2,048 bits against 10.7 M of the built-in pow (official 1.26.1 firmware, emulated).

Contract
    Modulus(n)       n MUST be odd and > 1. Keeps n and 64 bytes; costs 8 products of 512 bits.
    .power(s, e)     MUST have 0 <= s < n and odd e >= 3; returns s**e mod n. e = 65537 costs
                     16 squarings and one product, which also leaves Montgomery form.
                     Allocates; what is alive at once stays under five times the size of n.
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
        x = (s << self._chunks * _CHUNK_BITS) % self.n
        y = x
        bit = 1
        while bit << 1 <= e:
            bit <<= 1
        bit >>= 1
        while bit > 1:
            y = self._reduce(y * y)
            if e & bit:
                y = self._reduce(y * x)
            bit >>= 1
        y = self._reduce(y * y)
        return self._reduce(y * s)

    def _reduce(self, t):
        """t / R mod n for t < n * R: each step adds the multiple of n that clears the lowest chunk."""
        n = self.n
        inverse = self._inverse
        for _ in range(self._chunks):
            t = t + ((t & _MASK) * inverse & _MASK) * n >> _CHUNK_BITS
        return t - n if t >= n else t


def _negative_inverse(low):
    """x with low * x = -1 mod 2**512, by Newton's step, which doubles the correct bits: 3, 6, 12 ... 768."""
    x = 8 - (low & 7)
    for _ in range(8):
        x = x * (low * x + 2) & _MASK
    return x
