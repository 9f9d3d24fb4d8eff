"""Manifests: only what the right key signed, of the right kind, is read; and no token passes as one."""

import unittest

from tables import load
from updating import KEYS, SIGNED

from latchkey import jws
from latchkey.errors import LatchkeyError, TokenError
from latchkey.update import manifest

ROWS = {row["name"]: row for row in load("selftest.json")}
ALL = (manifest.RELEASE, manifest.KEY_SET, manifest.RELEASE_KEY)
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


def code_of(line, typs=ALL, keys=KEYS, charge=None):
    try:
        manifest.read(line.encode() if isinstance(line, str) else line, typs, keys, charge)
    except LatchkeyError as exc:
        return exc.code
    return ""


class TestManifest(unittest.TestCase):
    def test_what_was_signed_is_read(self):
        found = manifest.read(memoryview(SIGNED["good"]["release"].encode()), (manifest.RELEASE,), KEYS)
        self.assertEqual((found["version"], found["counter"], found["size"]), ("1.2.3", 5, 10000))
        self.assertEqual((found["boards"], found["typ"]), (["desk", "esp32-bulb"], manifest.RELEASE))
        for name in ("by RS512", "with a kid and a member of later", "highest"):
            self.assertEqual(code_of(SIGNED["good"][name], (manifest.RELEASE,)), "", name)
        found = manifest.read(SIGNED["good"]["key set"].encode(), (manifest.KEY_SET,), KEYS)
        self.assertEqual((found["slug"], found["iat"]), ("company-example", 1800000000))
        found = manifest.read(SIGNED["good"]["release key 2"].encode(), (manifest.RELEASE_KEY,), KEYS)
        self.assertEqual((found["counter"], found["key"].public_key.n_be), (2, KEYS[0].public_key.n_be))

    def test_each_typ_is_taken_only_where_it_is_asked_for(self):
        for name, own in (("release", ALL[0]), ("key set", ALL[1]), ("release key 1", ALL[2])):
            for typ in ALL:
                self.assertEqual(code_of(SIGNED["good"][name], (typ,)), "" if typ == own else "manifest_refused")

    def test_what_another_key_signed_is_refused(self):
        for name, line in SIGNED["missigned"].items():
            self.assertEqual(code_of(line), "manifest_signature", name)
        self.assertEqual(code_of(SIGNED["good"]["by the new key"]), "manifest_signature")

    def test_what_is_no_manifest_is_refused_whoever_signed_it(self):
        for name, line in SIGNED["refused"].items():
            self.assertEqual(code_of(line), "manifest_refused", name)
        for line in (b"", b"a", b"..", b"a.b.c", b"\xff" * 2048, b"." * 3000):
            self.assertEqual(code_of(line), "manifest_refused")

    def test_without_its_key_nothing_is_taken(self):
        self.assertEqual(code_of(SIGNED["good"]["release"], keys=[]), "no_update_key")
        self.assertEqual(code_of(SIGNED["good"]["release key 1"], keys=KEYS[:1]), "no_update_key")

    def test_no_token_passes_as_a_manifest_nor_a_manifest_as_a_token(self):
        token = ROWS["good RS256"]["token"]
        self.assertEqual(code_of(token), "manifest_refused")
        for line in SIGNED["good"].values():
            with self.assertRaises(TokenError) as caught:
                jws.verify_compact(line.encode(), KEYS)
            self.assertEqual(caught.exception.code, "header_refused")

    def test_a_charge_that_refuses_is_passed_on(self):
        def charge():
            raise TokenError("verify_busy")

        self.assertEqual(code_of(SIGNED["good"]["release"], charge=charge), "verify_busy")

    def test_no_changed_byte_is_taken(self):
        """One bit of every byte; where that leaves base64url's alphabet, also another character of it."""
        good = SIGNED["good"]["release"].encode()
        for at in range(len(good)):
            for byte in (good[at] ^ 1 << at % 7, BASE64[(BASE64.find(good[at : at + 1]) + 1 + at % 64) % 65]):
                if byte != good[at]:
                    line = bytearray(good)
                    line[at] = byte
                    self.assertTrue(code_of(line) in ("manifest_refused", "manifest_signature"), (at, byte))
