"""Key sets as bytes and as streams; single keys are in vectors/selftest.json."""

import json
import unittest

from streams import Bytes

from latchkey import jwk
from latchkey.errors import KeySetError
from latchkey.limits import KEYS_HELD


def modulus(i):
    """Some odd number of 2,048 bits: nothing is verified here."""
    return "_" + "3" * 332 + "ABCDEFGHIJ"[i % 10] * 8 + "Q"


def member(i, **more):
    jwk_ = {"kty": "RSA", "e": "AQAB", "n": modulus(i), "kid": "k%d" % i}
    jwk_.update(more)
    return jwk_


def document(members):
    return json.dumps({"keys": members}).encode()


def code_of(data):
    try:
        jwk.parse_key_set(data)
    except KeySetError as exc:
        return exc.code
    return ""


def kids(keys):
    return [key.kid for key in keys]


class TestKeySet(unittest.TestCase):
    def test_gives_keys_with_their_parts(self):
        keys = jwk.parse_key_set(document([member(1, alg="RS512", use="sig", x5t="ignored")]))
        self.assertEqual(len(keys), 1)
        self.assertEqual((keys[0].kid, keys[0].alg, keys[0].public_key.e), ("k1", "RS512", 65537))
        self.assertEqual(keys[0].public_key.bits, 2048)
        self.assertEqual(keys.refused, 0)

    def test_bytes_and_streams_of_any_step_give_the_same(self):
        data = document([member(1), {"kty": "EC"}, member(2)])
        for source in (
            data,
            bytearray(data),
            memoryview(data),
            Bytes(data),
            Bytes(data, 1),
            Bytes(data, 7),
            Bytes(data, 100),
        ):
            keys = jwk.parse_key_set(source)
            self.assertEqual((kids(keys), keys.refused), (["k1", "k2"], 1))

    def test_the_first_eight_usable_keys_count(self):
        members = [{"kty": "EC"}] + [member(i) for i in range(KEYS_HELD + 3)]
        keys = jwk.parse_key_set(document(members))
        self.assertEqual(kids(keys), ["k%d" % i for i in range(KEYS_HELD)])
        self.assertEqual(keys.refused, 4)

    def test_a_kid_that_comes_again_behind_the_eighth_is_still_not_believed(self):
        members = [member(i) for i in range(KEYS_HELD)] + [member(9, kid="k0")]
        keys = jwk.parse_key_set(document(members))
        self.assertEqual(kids(keys), ["k%d" % i for i in range(1, KEYS_HELD)])
        self.assertEqual(keys.refused, 2)

    def test_a_key_over_4_KB_is_skipped(self):
        keys = jwk.parse_key_set(document([member(1, x5c=["A" * 5000]), member(2)]))
        self.assertEqual((kids(keys), keys.refused), (["k2"], 1))

    def test_a_set_of_keys_over_4_KB_alone_says_so(self):
        self.assertEqual(code_of(document([member(1, x5c=["A" * 5000]), {"kty": "EC"}])), "key_too_large")
        self.assertEqual(code_of(document([{"kty": "EC"}])), "no_usable_key")

    def test_keys_of_the_simulator_take_no_place_where_they_do_not_count(self):
        data = document([member(i, kid="SIM-%d" % i) for i in range(KEYS_HELD)] + [member(9)])
        self.assertEqual(kids(jwk.parse_key_set(data, False)), ["k9"])
        self.assertEqual(jwk.parse_key_set(data, False).refused, KEYS_HELD)
        self.assertEqual(len(jwk.parse_key_set(data, True)), KEYS_HELD)

    def test_a_set_over_32_KB_is_refused(self):
        self.assertEqual(code_of(document([member(i, x5c=["A" * 3000]) for i in range(11)])), "too_large")
        self.assertEqual(code_of(document([member(i, x5c=["A" * 3000]) for i in range(9)])), "")

    def test_a_stream_that_fails_tells_so_itself(self):
        self.assertRaises(OSError, jwk.parse_key_set, Bytes(document([member(1)]), 50, error_at=100))

    def test_every_cut_of_a_set_is_refused(self):
        data = document([member(1)])
        for end in range(0, len(data), 3):
            self.assertIn(code_of(data[:end]), ("json_refused", "truncated"), end)

    def test_one_bad_key_in_each_way_leaves_the_good_one(self):
        for bad in ({}, [], 1, None, "x", member(1, kty="oct"), member(1, n="A"), member(1, d="AQAB"), member(1, e=3)):
            keys = jwk.parse_key_set(document([bad, member(2)]))
            self.assertEqual((kids(keys), keys.refused), (["k2"], 1), bad)
