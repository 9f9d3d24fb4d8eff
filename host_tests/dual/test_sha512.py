"""SHA-512 and SHA-384: the interface of hashlib, on every kernel that this interpreter can run."""

import unittest

from latchkey import sha512, sha512_plain

ABC = {
    384: "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    512: "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
    "454d4423643ce80e2a9ac94fa54ca49f",
}


def plain(bits):
    return lambda data=b"": sha512.Hash(sha512_plain.block, bits, data)


PUBLIC = {384: sha512.sha384, 512: sha512.sha512}


class TestSha512(unittest.TestCase):
    def test_abc_on_both_kernels(self):
        for bits in ABC:
            for new in (PUBLIC[bits], plain(bits)):
                self.assertEqual(new(b"abc").hexdigest(), ABC[bits])

    def test_kernels_agree_at_every_length_around_a_block(self):
        data = bytes([i * 7 & 255 for i in range(520)])
        for size in list(range(0, 140)) + [239, 240, 241, 255, 256, 257, 383, 384, 385, 511, 512, 513]:
            for bits in ABC:
                self.assertEqual(plain(bits)(data[:size]).digest(), PUBLIC[bits](data[:size]).digest(), size)

    def test_pieces_of_any_size_give_the_same_digest(self):
        data = bytes([i * 11 & 255 for i in range(700)])
        for new in (sha512.sha512, plain(512)):
            whole = new(data).digest()
            for step in (1, 63, 64, 127, 128, 129, 256, 300):
                hasher = new()
                for at in range(0, len(data), step):
                    hasher.update(memoryview(data)[at : at + step])
                self.assertEqual(hasher.digest(), whole, step)

    def test_a_digest_may_be_asked_again_and_the_work_go_on(self):
        for new in (sha512.sha512, plain(512)):
            hasher = new(b"a")
            self.assertEqual(hasher.digest(), hasher.digest())
            hasher.update(b"bc")
            self.assertEqual(hasher.hexdigest(), ABC[512])

    def test_a_copy_goes_its_own_way(self):
        for new in (sha512.sha384, plain(384)):
            first = new(b"x" * 130 + b"a")
            second = first.copy()
            second.update(b"bc")
            self.assertEqual(first.digest(), new(b"x" * 130 + b"a").digest())
            self.assertEqual(second.digest(), new(b"x" * 130 + b"abc").digest())

    def test_has_the_attributes_of_hashlib(self):
        for bits in ABC:
            for new in (PUBLIC[bits], plain(bits)):
                hasher = new()
                self.assertEqual((hasher.digest_size, hasher.block_size), (bits // 8, 128))
                self.assertEqual(len(hasher.digest()), bits // 8)
                self.assertEqual(len(hasher.hexdigest()), bits // 4)
        self.assertEqual(plain(384)().name, "sha384")

    def test_takes_every_kind_of_bytes(self):
        for new in (sha512.sha512, plain(512)):
            for kind in (bytes, bytearray, memoryview):
                self.assertEqual(new(kind(b"abc" * 100)).digest(), new(b"abc" * 100).digest())


def words_of_roots(count, degree):
    """Big-endian: the first 64 fractional bits of the roots of the first primes (FIPS 180-4, 4.2.3, 5.3.4, 5.3.5)."""
    primes = []
    n = 2
    words = b""
    while len(primes) < count:
        if all(n % p for p in primes):
            primes.append(n)
            x = 0
            y = 1 << 67
            while x == 0 or y < x:  # Newton's step, downwards to the floor of the root
                x = y
                y = ((degree - 1) * x + (n << 64 * degree) // x ** (degree - 1)) // degree
            words += (x & (1 << 64) - 1).to_bytes(8, "big")
        n += 1
    return words


class TestConstants(unittest.TestCase):
    def test_the_constants_are_the_roots_of_primes(self):
        self.assertEqual(sha512._CONSTANTS, words_of_roots(80, 3))
        self.assertEqual(sha512._INITIAL, words_of_roots(16, 2))
