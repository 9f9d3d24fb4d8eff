"""Modular powers against the built-in pow, at the sizes and edges that matter."""

import unittest

from latchkey.bignum import Modulus

SIZES = (9, 511, 512, 513, 1024, 2048, 2049, 2050, 2111, 2560, 3071, 3072, 3073, 4095, 4096)


def numbers(seed):
    """Endless numbers below 2**4096 that look random (splitmix64 in blocks)."""
    while True:
        value = 0
        for _ in range(64):
            seed = seed + 0x9E3779B97F4A7C15 & (1 << 64) - 1
            z = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
            z = (z ^ z >> 27) * 0x94D049BB133111EB & (1 << 64) - 1
            value = value << 64 | z ^ z >> 31
        yield value


class TestBignum(unittest.TestCase):
    def check(self, n, s, e):
        self.assertEqual(Modulus(n).power(s, e), pow(s, e, n), (n, s, e))

    def test_agrees_with_pow_at_every_size(self):
        source = numbers(1)
        for bits in SIZES:
            n = next(source) >> 4096 - bits | 1 | 1 << bits - 1
            for e in (3, 17, 65537):
                self.check(n, next(source) % n, e)

    def test_agrees_with_pow_at_the_edges(self):
        for bits in (512, 2048, 2049, 4096):
            for n in ((1 << bits) - 1, (1 << bits - 1) + 1, (1 << bits) - (1 << bits // 2) - 1):
                for s in (0, 1, 2, n - 1, n - 2, n >> 1, 1 << bits - 2):
                    self.check(n, s, 65537)

    def test_takes_any_odd_exponent(self):
        n = next(numbers(2)) | 1 | 1 << 4095
        s = next(numbers(3)) % n
        for e in (3, 5, 7, 11, 65535, 65537, 65539, (1 << 31) + 1, (1 << 32) - 1):
            self.check(n, s, e)

    def test_takes_small_moduli_too(self):
        for n in (3, 5, 255, 257, 65537, (1 << 61) - 1):
            for s in (0, 1, 2, n - 1):
                self.check(n, s, 65537)

    def test_one_modulus_serves_many_powers(self):
        n = next(numbers(4)) | 1
        modulus = Modulus(n)
        for s in (2, 3, n - 3):
            self.assertEqual(modulus.power(s, 65537), pow(s, 65537, n))
