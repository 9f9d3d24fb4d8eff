"""The small bignum against the built-in pow, at the sizes and edges that matter: with pow, and with the kernel's
specification in the kernel's place. The kernel's own bytes: host/test_kernel.py."""

import unittest

import montgomery_plain
import on_kernel

from latchkey import bignum

try:
    import micropython
except ImportError:
    micropython = None

SIZES = (9, 255, 256, 257, 511, 512, 513, 1024, 2048, 2049, 2050, 2111, 2560, 3071, 3072, 3073, 4095, 4096)
KERNEL, RSA = on_kernel.load()


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


def be(number, size):
    return number.to_bytes(size, "big")


def size_of(n):
    size = 1
    while n >> 8 * size:
        size += 1
    return size


class Wrong:
    """A kernel that is there and wrong, slightly."""

    turn = staticmethod(montgomery_plain.turn)

    @staticmethod
    def product(t, a, b, p):
        montgomery_plain.product(t, a, b, p)
        montgomery_plain._write(t, 1, montgomery_plain._read(t, 1) ^ 1)


class Failing:
    """A kernel whose loading fails."""

    def __init__(self, error):
        self._error = error

    def __getattr__(self, name):
        raise self._error


class TestBignum(unittest.TestCase):
    def check(self, n, s, e):
        size = size_of(n)
        want = pow(s, e, n)
        for module in (bignum, KERNEL):
            got = module.Modulus(be(n, size), e).power(be(s, size))
            self.assertEqual(int.from_bytes(bytes(got), "big"), want, (module.kernel, n, s, e))
            self.assertEqual(len(got), size)

    def test_the_two_ways_are_pow_and_the_kernel(self):
        self.assertEqual((bignum.kernel, KERNEL.kernel), ("pow", "kernel"))

    def test_agrees_with_pow_at_every_size(self):
        source = numbers(1)
        for bits in SIZES:
            n = next(source) >> 4096 - bits | 1 | 1 << bits - 1
            for e in (3, 17, 65537):
                self.check(n, next(source) % n, e)

    def test_agrees_with_pow_at_the_edges(self):
        for bits in (256, 2048, 2049, 4096):
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

    def test_takes_every_kind_of_bytes_and_gives_bytes(self):
        for module in (bignum, KERNEL):
            modulus = module.Modulus(be(1001, 2), 3)
            for kind in (bytes, bytearray):
                self.assertTrue(modulus.power(kind(be(10, 2))) == be(1000, 2))

    def test_other_lengths_and_numbers_beyond_n_are_refused_before_any_product(self):
        calls = []
        keep, KERNEL.product = KERNEL.product, lambda *_: calls.append(1)
        try:
            for module in (bignum, KERNEL):
                modulus = module.Modulus(be(1001, 2), 3)
                for s in (b"", b"\1", be(1001, 2), be(1002, 2), b"\xff\xff", be(10, 3)):
                    self.assertIsNone(modulus.power(s))
        finally:
            KERNEL.product = keep
        self.assertEqual(calls, [])

    def test_keys_of_all_sizes_share_the_buffer_in_turns(self):
        anew, _ = on_kernel.load()
        source = numbers(4)
        keys = []
        for bits in (300, 2048, 1000, 4096, 2049):
            n = next(source) >> 4096 - bits | 1 | 1 << bits - 1
            keys.append((n, anew.Modulus(be(n, size_of(n)), 65537)))
        for s in (2, 1 << 200):
            for n, modulus in keys + keys[::-1]:
                for i in range(len(modulus._buffer)):
                    modulus._buffer[i] = 0xFF  # what others leave behind is nobody's business
                self.assertEqual(int.from_bytes(modulus.power(be(s, size_of(n))), "big"), pow(s, 65537, n))
        self.assertTrue(keys[3][1]._buffer is keys[4][1]._buffer)

    def test_without_a_kernel_that_is_right_it_is_pow(self):
        for kernel in [Wrong] + [Failing(e("x")) for e in (ImportError, ValueError, MemoryError)]:
            anew, _ = on_kernel.load(kernel)
            self.assertEqual(anew.kernel, "pow")
            self.assertEqual(anew.Modulus(be(1001, 2), 3).power(be(10, 2)), be(1000, 2))

    def test_a_power_allocates_nothing(self):
        if not micropython:
            return
        anew, _ = on_kernel.load()
        n = next(numbers(5)) | 1 | 1 << 4095
        for size, e in ((512, 65537), (260, 65537), (512, (1 << 32) - 1)):
            modulus = anew.Modulus(be(n & (1 << 8 * size - 4) - 1 | 1 << 8 * size - 5, size), e)
            s_be = bytearray(b"\1" * size)
            anew.product = anew.turn = lambda t, a, b, p=None: None
            self.assertEqual(_locked(modulus.power, s_be), True)


def _locked(call, argument):
    """Whether ``call`` gets by without a heap."""
    micropython.heap_lock()
    try:
        call(argument)
        done = True
    except MemoryError:
        done = False
    micropython.heap_unlock()
    return done
