"""The pieces of a compact JWS; whole tokens and attacks are in vectors/selftest.json."""

import unittest

from tables import load

from latchkey import jwk, jws
from latchkey.errors import TokenError
from latchkey.limits import KEYS_HELD

ROWS = {row["name"]: row for row in load("selftest.json")}
KEYS = {name: jwk.parse_key(ROWS[name]["jwk"]) for name in ("A", "B", "only512")}
GOOD = ROWS["good RS256"]["token"].encode()
GOOD512 = ROWS["good RS512"]["token"].encode()


class Charge:
    """Counts, and refuses from ``limit`` on."""

    def __init__(self, limit=100):
        self.limit = limit
        self.count = 0

    def __call__(self):
        if self.count == self.limit:
            raise TokenError("verify_busy")
        self.count += 1


def code_of(call, *args):
    try:
        call(*args)
    except TokenError as exc:
        return exc.code
    return ""


def verify(token, keys, charge=None):
    header_b, _, signature, signing_input = jws.split(token)
    return jws.verify_signature(jws.parse_header(header_b)["alg"], signing_input, signature, keys, charge)


class TestCompact(unittest.TestCase):
    def test_gives_header_payload_and_key(self):
        for token in (GOOD, bytearray(GOOD), memoryview(GOOD), memoryview(b"CLOUD-" + GOOD)[6:]):
            header, payload, key = jws.verify_compact(token, [KEYS["B"], KEYS["A"]])
            self.assertEqual(header, {"alg": "RS256", "typ": "JWT"})
            self.assertEqual(payload, b'{"hello":"world"}')
            self.assertIs(key, KEYS["A"])

    def test_without_keys_nothing_is_verified(self):
        self.assertEqual(code_of(jws.verify_compact, GOOD, []), "bad_signature")

    def test_every_cut_of_a_token_is_refused(self):
        for end in range(0, len(GOOD), 3):
            self.assertIn(code_of(jws.verify_compact, GOOD[:end], [KEYS["A"]]), ("token_malformed", "bad_signature"))

    def test_split_tells_what_is_signed(self):
        header_b, payload_b, signature, signing_input = jws.split(GOOD)
        self.assertEqual(header_b, b'{"alg":"RS256","typ":"JWT"}')
        self.assertEqual(payload_b, b'{"hello":"world"}')
        self.assertEqual(len(signature), 256)
        self.assertEqual(bytes(signing_input), GOOD[: GOOD.rfind(b".")])

    def test_split_finds_dots_wherever_they_stand(self):
        for size in list(range(0, 70)) + [127, 128, 129, 500, 680]:
            head = b"A" * size
            if size % 4 == 1:
                self.assertEqual(code_of(jws.split, head + b"..AA"), "token_malformed")
                continue
            got = jws.split(head + b"..AA")
            self.assertEqual((len(got[0]), got[1], got[2], len(got[3])), (size * 3 // 4, b"", b"\0", size + 1))


class TestKeys(unittest.TestCase):
    def setUp(self):
        self.keys = [KEYS["A"], KEYS["B"], KEYS["only512"]]

    def test_a_kid_that_is_held_chooses_one_key(self):
        self.assertEqual(jws.choose_keys({"alg": "RS256", "kid": "B"}, self.keys), [KEYS["B"]])

    def test_otherwise_every_key_that_agrees_in_the_given_order(self):
        self.assertEqual(jws.choose_keys({"alg": "RS512"}, self.keys), self.keys)
        self.assertEqual(jws.choose_keys({"alg": "RS256"}, self.keys), self.keys[:2])
        self.assertEqual(jws.choose_keys({"alg": "RS256", "kid": "C"}, self.keys[::-1]), [KEYS["B"], KEYS["A"]])

    def test_at_most_eight(self):
        self.assertEqual(len(jws.choose_keys({"alg": "RS512"}, [KEYS["A"]] * 20)), KEYS_HELD)

    def test_each_key_tried_is_charged_before_it_is_tried(self):
        charge = Charge()
        self.assertIs(verify(GOOD, [KEYS["B"], KEYS["A"], KEYS["B"]], charge), KEYS["A"])
        self.assertEqual(charge.count, 2)
        charge = Charge(1)
        self.assertEqual(code_of(verify, GOOD, [KEYS["B"], KEYS["A"]], charge), "verify_busy")
        self.assertEqual(code_of(verify, GOOD, [KEYS["A"]], Charge(0)), "verify_busy")

    def test_keys_that_cannot_fit_are_not_charged(self):
        charge = Charge()
        self.assertEqual(code_of(verify, GOOD, [KEYS["only512"]], charge), "bad_signature")
        short = GOOD[: GOOD.rfind(b".") + 1] + b"AAAA"
        self.assertEqual(code_of(verify, short, [KEYS["A"]], charge), "bad_signature")
        self.assertEqual(charge.count, 0)

    def test_a_key_for_one_algorithm_serves_that_one(self):
        self.assertIs(verify(GOOD512, [KEYS["only512"]]), KEYS["only512"])
