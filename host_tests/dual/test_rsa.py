"""PKCS1-v1_5 verification and its keys, with pow and with the kernel's specification in the kernel's place.

Most rows are in vectors/selftest.json and NIST's file (host/test_nist.py).
"""

import hashlib
import json
import os
import unittest
from binascii import unhexlify

import on_kernel

from latchkey import rsa, sha512
from latchkey.errors import KeySetError, TokenError


def rows():
    here = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
    for folder in (here + "/../vectors/", "vectors/"):
        try:
            os.stat(folder + "selftest.json")
        except OSError:
            continue
        with open(folder + "selftest.json") as f:
            return [row for row in json.load(f) if row["op"] == "rsa" and not row["want"]]
    raise OSError("selftest.json")


ROWS = rows()
N_BE = unhexlify(ROWS[0]["n"])
MESSAGE = unhexlify(ROWS[0]["message"])
SIGNATURE = unhexlify(ROWS[0]["signature"])
KERNEL, ON_KERNEL = on_kernel.load()


def code_of(call, *args):
    try:
        call(*args)
    except (TokenError, KeySetError) as exc:
        return exc.code
    return ""


class TestVerify(unittest.TestCase):
    def setUp(self):
        self.keys = [(module, module.PublicKey(N_BE, 65537)) for module in (rsa, ON_KERNEL)]

    def check(self, *args):
        """The code of the refusal, or "", of both ways, which must agree."""
        codes = [code_of(module.verify_pkcs1v15, key, *args) for module, key in self.keys]
        self.assertEqual(codes[0], codes[1])
        return codes[0]

    def test_the_other_way_is_the_kernel(self):
        self.assertEqual(KERNEL.kernel, "kernel")

    def test_accepts_each_hash_and_returns_nothing(self):
        self.assertEqual(len(ROWS), 3)
        for row in ROWS:
            signature = unhexlify(row["signature"])
            for module, key in self.keys:
                self.assertIsNone(module.verify_pkcs1v15(key, row["hash"], MESSAGE, signature))

    def test_a_message_may_come_in_chunks(self):
        for module, key in self.keys:
            for message in ([MESSAGE], [MESSAGE[:2], b"", memoryview(MESSAGE)[2:]], (bytes([b]) for b in MESSAGE)):
                self.assertIsNone(module.verify_pkcs1v15(key, "sha256", message, SIGNATURE))
        self.assertEqual(self.check("sha256", [MESSAGE, b"x"], SIGNATURE), "bad_signature")
        self.assertEqual(self.check("sha256", [], SIGNATURE), "bad_signature")

    def test_takes_views(self):
        for kind in (bytearray, memoryview):
            self.assertEqual(self.check("sha256", kind(MESSAGE), kind(SIGNATURE)), "")

    def test_refuses_another_hash_even_an_unknown_one(self):
        for name in ("sha384", "sha512", "sha1", "SHA256", "", None):
            self.assertEqual(self.check(name, MESSAGE, SIGNATURE), "bad_signature")

    def test_refuses_what_is_no_bytes(self):
        for signature in (None, 0, int.from_bytes(SIGNATURE, "big"), "x" * 256, list(SIGNATURE)):
            self.assertEqual(self.check("sha256", MESSAGE, signature), "bad_signature")

    def test_refuses_every_single_flipped_byte(self):
        for at in range(0, 256, 5):
            changed = bytearray(SIGNATURE)
            changed[at] ^= 0x40
            self.assertEqual(self.check("sha256", MESSAGE, changed), "bad_signature")

    def test_wrong_lengths_and_numbers_beyond_n_cost_no_power(self):
        calls = []
        keep = KERNEL.product
        KERNEL.product = lambda t, a, b, p: (calls.append(1), keep(t, a, b, p))
        try:
            key = ON_KERNEL.PublicKey(N_BE, 65537)
            info = rsa.digest_info("sha256", MESSAGE)
            for signature in (b"", SIGNATURE[1:], b"\0" + SIGNATURE, N_BE, b"\xff" * 256):
                self.assertFalse(ON_KERNEL.fits(key, signature, info))
            self.assertEqual(len(calls), 0)
            self.assertTrue(ON_KERNEL.fits(key, SIGNATURE, info))
            self.assertEqual(len(calls), 18)
        finally:
            KERNEL.product = keep

    def test_digest_info_is_the_der_of_rfc_8017(self):
        for name, new, head in (
            ("sha256", hashlib.sha256, b"3031300d060960864801650304020105000420"),
            ("sha384", sha512.sha384, b"3041300d060960864801650304020205000430"),
            ("sha512", sha512.sha512, b"3051300d060960864801650304020305000440"),
        ):
            self.assertEqual(rsa.digest_info(name, b"abc"), unhexlify(head) + new(b"abc").digest())


class TestPublicKey(unittest.TestCase):
    def test_keeps_what_it_was_made_from(self):
        for size, top, bits in (
            (256, 0x80, 2048),
            (257, 1, 2049),
            (257, 0xFF, 2056),
            (320, 0x10, 2557),
            (512, 0xFF, 4096),
        ):
            n_be = bytes([top]) + b"\x55" * (size - 2) + b"\x01"
            key = rsa.PublicKey(n_be, 3)
            self.assertEqual((key.bits, key.size, key.e), (bits, size, 3))
            self.assertEqual(key.n_be, n_be)
            self.assertEqual(rsa.PublicKey(b"\0" + n_be, 3).n_be, n_be)

    def test_refuses_moduli_of_other_sizes(self):
        for n_be in (b"", b"\0", b"\1", b"\xff" * 128, b"\x7f" + b"\xff" * 255, b"\x01" + b"\xff" * 512, bytes(256)):
            self.assertEqual(code_of(rsa.PublicKey, n_be, 65537), "key_refused", n_be)

    def test_refuses_moduli_that_are_no_bytes(self):
        for n_be in ("x" * 256, None, -1, 256, int.from_bytes(N_BE, "big"), list(N_BE), [256] * 256):
            self.assertEqual(code_of(rsa.PublicKey, n_be, 65537), "key_refused")

    def test_refuses_even_moduli_and_odd_exponents_out_of_bounds(self):
        self.assertEqual(code_of(rsa.PublicKey, b"\xff" * 255 + b"\xfe", 65537), "key_refused")
        for e in (-1, 0, 1, 2, 4, 65536, 1 << 32, (1 << 32) + 1, 1 << 64 | 1, True, None, 3.0, "3", b"\3"):
            self.assertEqual(code_of(rsa.PublicKey, N_BE, e), "key_refused", e)
        for e in (3, 65537, (1 << 32) - 1):
            self.assertEqual(rsa.PublicKey(N_BE, e).e, e)
