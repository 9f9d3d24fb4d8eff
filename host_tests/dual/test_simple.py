"""latchkey.simple against the verifier's whole table of tokens."""

import json
import unittest

from tables import load

from latchkey import jwk, simple
from latchkey.errors import TokenError

TABLE = load("verifier.json")
ROWS = {row[0]: (row[1], row[2]) for row in TABLE["rows"]}
KEYS = jwk.parse_key_set(json.dumps(TABLE["jwks"]).encode())
GOOD = ROWS["as on the page, RS512"][0]
NOW = TABLE["now_unix_s"]
ROLES = {"Domain Owner": "configure", "System Maintainer": "configure"}


def check(token, audience=TABLE["system_uuid"], now=NOW, issuer=TABLE["issuer"], roles=ROLES):
    return simple.check(token, KEYS, audience, now, issuer, roles)


def code(*args, **words):
    try:
        check(*args, **words)
    except TokenError as exc:
        return exc.code
    return ""


class TestSimple(unittest.TestCase):
    def test_answers_every_row_of_the_table_as_the_verifier_does(self):
        self.assertGreater(len(ROWS), 150)
        for name in ROWS:
            token, want = ROWS[name]
            got = code(token)
            # The verifier asks System and end before the signature, to save the power; here the signature comes first.
            if got == "bad_signature" and want in ("wrong_system", "expired"):
                continue
            self.assertEqual(got, want, name)

    def test_gives_the_claims_as_they_are_in_the_token(self):
        claims = check(GOOD, roles=None)
        self.assertEqual(claims["jti"], "530886ea-da07-4927-ade0-b49c05d655f4")
        self.assertEqual((claims["aud"], claims["iat"]), (TABLE["system_uuid"], NOW - 60))
        self.assertEqual(claims["roles"][0]["name"], "Domain Owner")
        self.assertNotIn("permission", claims)
        self.assertEqual(check(GOOD.encode(), roles=None), claims)

    def test_gives_the_highest_permission_of_a_role_table(self):
        self.assertEqual(check(GOOD)["permission"], "configure")
        uuid = "8D86661D-985D-4878-A8F5-69723ACFA364"
        self.assertEqual(check(GOOD, roles={uuid: "control", "Domain Owner": "read"})["permission"], "control")
        self.assertEqual(code(GOOD, roles={}), "no_permission")
        self.assertEqual(code(ROWS["no roles"][0], roles=None), "")

    def test_refuses_what_is_expired_not_yet_valid_or_for_others(self):
        self.assertEqual(code(GOOD, now=NOW + 86400 + 60), "expired")
        self.assertEqual(code(GOOD, now=NOW + 86400 + 59), "")
        self.assertEqual(code(GOOD, now=NOW - 86400 * 400), "not_yet_valid")
        self.assertEqual(code(GOOD, audience="11111111-2222-4333-8444-555555555555"), "wrong_system")
        self.assertEqual(code(GOOD, issuer="https://elsewhere.example"), "wrong_issuer")
        self.assertEqual(code(GOOD, issuer=None), "")
        self.assertEqual(code(GOOD[6:]), "token_malformed")

    def test_a_token_without_an_end_is_good_at_any_time(self):
        self.assertEqual(code(ROWS["permanent, exp absent"][0], now=NOW + (1 << 40)), "")

    def test_a_clock_that_is_not_set_lets_no_expired_token_in(self):
        expired = ROWS["expired, unsigned"][0], ROWS["expired"][0], GOOD
        for now in (0, 60, 946684800, NOW - 946684800, NOW - 946684800.5, 1577836799):
            for token in expired:
                self.assertEqual(code(token, now=now), "clock_unset")
        self.assertEqual(code(GOOD, now=1577836800), "not_yet_valid")

    def test_a_wrong_call_is_a_value_error(self):
        self.assertRaises(ValueError, check, GOOD, "not a UUID")
        self.assertRaises(ValueError, check, GOOD, roles={"Domain Owner": "everything"})


if __name__ == "__main__":
    unittest.main()
