"""Strict base64url against an encoder of a dozen lines; more rows are in vectors/selftest.json."""

import unittest

from latchkey import b64url

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def encode(data):
    bits = 0
    count = 0
    out = []
    for byte in data:
        bits = (bits << 8 | byte) & 0xFFFF
        count += 8
        while count >= 6:
            count -= 6
            out.append(ALPHABET[bits >> count & 63])
    if count:
        out.append(ALPHABET[bits << 6 - count & 63])
    return "".join(out)


def refused(text):
    try:
        b64url.decode(text)
    except ValueError:
        return True
    return False


class TestBase64Url(unittest.TestCase):
    def test_decodes_every_length_around_its_step(self):
        for size in list(range(20)) + list(range(186, 200)) + [383, 384, 385, 512, 1500]:
            data = bytes([(i * 167 + size) & 255 for i in range(size)])
            self.assertEqual(b64url.decode(encode(data).encode()), data)

    def test_every_byte_outside_the_alphabet_is_refused_wherever_it_stands(self):
        for byte in range(256):
            if chr(byte) in ALPHABET and byte < 128:
                continue
            for at in (0, 1, 2, 3, 255, 256, 259):
                text = bytearray(b"A" * 260)
                text[at] = byte
                self.assertTrue(refused(bytes(text)), (byte, at))

    def test_only_one_text_stands_for_a_byte(self):
        accepted = [a + b for a in ALPHABET for b in ALPHABET if not refused(a + b)]
        self.assertEqual(len(accepted), 256)
        self.assertEqual(sorted([b64url.decode(t)[0] for t in accepted]), list(range(256)))

    def test_takes_views_and_text(self):
        for given in (b"AAEC", bytearray(b"AAEC"), memoryview(b"xAAECx")[1:5], "AAEC"):
            self.assertEqual(b64url.decode(given), b"\0\1\2")
            self.assertIsInstance(b64url.decode(given), bytes)
