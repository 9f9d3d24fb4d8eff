"""The verifier against the whole table of tokens, and what it remembers (rules V1 to V9)."""

import json
import unittest

from tables import load

from latchkey import b64url, jwk, strictjson
from latchkey.budget import Budget
from latchkey.errors import TokenError
from latchkey.policy import Policy
from latchkey.stores.tokenlist import role_hash
from latchkey.verifier import Verifier

BUDGET_UNITS = 16
TABLE = load("verifier.json")
ROWS = {row[0]: (row[1].encode(), row[2]) for row in TABLE["rows"]}
GOOD = ROWS["as on the page, RS512"][0]
FORGED = ROWS["last bit flipped"][0]
OWNER = b"\x8d\x86\x66\x1d\x98\x5d\x48\x78\xa8\xf5\x69\x72\x3a\xcf\xa3\x64"


class Keys:
    def __init__(self):
        self.keys = jwk.parse_key_set(json.dumps(TABLE["jwks"]).encode())
        self.generation = 1


class Ledger:
    """Gives every token the answer that the test set."""

    def __init__(self):
        self.generation = 0
        self.say("unlisted")
        self.asked = self.admits_asked = 0

    def say(self, state, start=None, end=None, roles=()):
        self.says = state, start, end, tuple([role_hash(uuid16) for uuid16 in roles])
        self.generation += 1

    def standing(self, jti16, iat_unix_s):
        self.asked += 1
        return self.says

    def admits(self, jti16):
        self.admits_asked += 1
        return self.says[0] == "listed"


class Clock:
    def __init__(self):
        self.trusted = True
        self.unix_s = TABLE["now_unix_s"]
        self.ms = 0
        self.learned = []

    def now_unix_s(self, iat_unix_s=None):
        return self.unix_s if self.trusted or iat_unix_s is None else max(self.unix_s, iat_unix_s)

    def learn(self, unix_s):
        self.learned.append(unix_s)

    def now_ms(self):
        return self.ms


class Case(unittest.TestCase):
    def setUp(self):
        self.keys, self.ledger, self.clock = Keys(), Ledger(), Clock()
        self.make()

    def make(self, **settings):
        self.policy = Policy(TABLE["system_uuid"], issuer=TABLE["issuer"], **settings)
        self.verifier = Verifier(self.keys, self.ledger, self.clock, self.policy)
        return self.verifier

    def code(self, token, caller=None):
        try:
            self.verifier.verify(token, caller)
        except TokenError as exc:
            return exc.code
        return ""

    def settle(self):
        self.clock.ms += 100000


class EveryRowOfTheTable(Case):
    def test_is_answered_with_its_code(self):
        self.assertGreater(len(TABLE["rows"]), 150)
        for name, (token, expected) in ROWS.items():
            self.settle()
            self.assertEqual(self.code(token), expected, name)

    def test_gets_the_same_answer_the_second_time(self):
        for name in ("as on the page, RS512", "expired", "no roles", "last bit flipped"):
            for _ in range(3):
                self.settle()
                self.assertEqual(self.code(ROWS[name][0]), ROWS[name][1], name)

    def test_a_refused_claim_is_named_and_nothing_of_it_is_quoted(self):
        named = set()
        for name, (token, expected) in ROWS.items():
            if expected == "claims_refused":
                self.settle()
                with self.assertRaises(TokenError) as caught:
                    self.verifier.verify(token)
                claim = caught.exception.message
                named.add(claim)
                self.assertEqual(str(caught.exception), "claims_refused: " + claim)
                # Rows begin with the claim; a lone surrogate and a number of 31 digits are not JSON here.
                if name in ("a lone surrogate", "exp 10**30"):
                    self.assertEqual(claim, "payload")
                else:
                    self.assertEqual(claim, "roles" if name.startswith("a role") else name.split(" ")[0], name)
        self.assertEqual(sorted(named), ["aud", "exp", "iat", "jti", "name", "nbf", "payload", "roles", "sub"])

    def test_before_the_signature_no_token_reaches_the_ledger_for_its_answer(self):
        self.ledger.say("revoked")
        self.assertEqual(self.code(FORGED), "bad_signature")
        self.settle()
        self.assertEqual(self.code(GOOD), "revoked")


class AGrant(Case):
    def test_tells_who_and_what(self):
        grant = self.verifier.verify(GOOD)
        self.assertEqual(grant.jti, "530886ea-da07-4927-ade0-b49c05d655f4")
        self.assertEqual(grant.sub, "1ad6fb1a-c38e-4d68-ad44-248b88d5fd13")
        self.assertEqual((grant.name, grant.typename), ("Marie Curie", "USER"))
        self.assertEqual(grant.roles, (("8d86661d-985d-4878-a8f5-69723acfa364", "Domain Owner"),))
        self.assertEqual(grant.permissions, ("read", "control", "configure"))
        self.assertEqual(grant.exp_unix_s, TABLE["now_unix_s"] + 86400)

    def test_of_a_permanent_token_never_ends(self):
        self.assertIsNone(self.verifier.verify(ROWS["permanent, exp null"][0]).exp_unix_s)

    def test_follows_the_role_table_by_name_and_by_uuid(self):
        for role in ("Domain Owner", "8d86661d-985d-4878-a8f5-69723acfa364", "8D86661D-985D-4878-A8F5-69723ACFA364"):
            self.make(roles={role: "control"})
            self.assertEqual(self.verifier.verify(GOOD).permissions, ("read", "control"), role)
        self.make(roles={})
        self.assertEqual(self.code(GOOD), "no_permission")

    def test_teaches_the_clock_its_iat_only_if_the_signature_is_good(self):
        self.code(FORGED)
        self.assertEqual(self.clock.learned, [])
        self.settle()
        self.code(GOOD)
        self.assertEqual(self.clock.learned, [TABLE["now_unix_s"] - 60])


class TheLedger(Case):
    def test_refuses_what_it_withdraws(self):
        self.ledger.say("revoked")
        self.assertEqual(self.code(GOOD), "revoked")

    def test_that_cannot_be_read_refuses_what_it_does_not_hold(self):
        self.ledger.say("unknown")
        self.assertEqual(self.code(GOOD), "ledger_unknown")

    def test_that_is_full_refuses_what_it_does_not_hold_whatever_the_policy(self):
        self.ledger.say("full")
        self.assertEqual(self.code(GOOD), "ledger_full")

    def test_leaves_unlisted_tokens_to_the_policy(self):
        self.assertEqual(self.code(GOOD), "")
        self.make(unlisted="refuse")
        self.assertEqual(self.code(GOOD), "unlisted")

    def test_narrows_roles_to_those_in_both(self):
        self.ledger.say("listed", None, None, ())
        self.assertEqual(self.code(GOOD), "no_permission")
        self.ledger.say("listed", None, None, (OWNER,))
        self.assertEqual(self.code(GOOD), "")

    def test_narrows_times(self):
        now = self.clock.unix_s
        self.ledger.say("listed", now + 61, None, (OWNER,))
        self.assertEqual(self.code(GOOD), "not_yet_valid")
        self.ledger.say("listed", None, now - 60, (OWNER,))
        self.assertEqual(self.code(GOOD), "expired")
        self.ledger.say("listed", now, now + 5, (OWNER,))
        self.assertEqual(self.verifier.verify(GOOD).exp_unix_s, now + 5)

    def test_is_asked_again_for_a_remembered_token_only_when_it_has_changed(self):
        self.code(GOOD)
        asked = self.ledger.asked
        self.code(GOOD)
        self.assertEqual(self.ledger.asked, asked)
        self.ledger.say("revoked")
        self.assertEqual(self.code(GOOD), "revoked")


class TheClock(Case):
    def test_untrusted_counts_from_the_floor_or_the_tokens_own_iat(self):
        self.clock.trusted = False
        self.clock.unix_s = TABLE["now_unix_s"] - 90 * 86400
        self.assertEqual(self.code(GOOD), "")
        self.assertEqual(self.code(ROWS["not yet valid"][0]), "not_yet_valid")

    def test_untrusted_may_be_refused_by_policy(self):
        self.make(clock_unset="refuse")
        self.assertEqual(self.code(GOOD), "")
        self.clock.trusted = False
        self.assertEqual(self.code(GOOD), "clock_unset")

    def test_is_asked_at_every_use_of_a_remembered_token(self):
        self.assertEqual(self.code(GOOD), "")
        self.clock.unix_s += 86400 + 60
        self.assertEqual(self.code(GOOD), "expired")


class WhatIsRemembered(Case):
    def test_is_dropped_when_the_keys_change(self):
        self.code(GOOD)
        self.keys.keys, self.keys.generation = [self.keys.keys[1]], 2
        self.assertEqual(self.code(GOOD), "bad_signature")

    def test_is_dropped_when_the_system_or_issuer_changes(self):
        self.code(GOOD)
        self.verifier.policy = Policy(TABLE["system_uuid"], issuer="https://elsewhere.example")
        self.assertEqual(self.code(GOOD), "wrong_issuer")

    def test_survives_a_change_of_roles_which_counts_at_once(self):
        self.code(GOOD)
        self.verifier.policy = Policy(TABLE["system_uuid"], issuer=TABLE["issuer"], roles={"Domain Owner": "read"})
        self.assertEqual(self.verifier.verify(GOOD).permissions, ("read",))

    def test_never_waits_for_the_budget(self):
        self.code(GOOD)
        for i in range(BUDGET_UNITS):
            self.code(FORGED, i)
        self.assertEqual(self.code(FORGED, "another"), "verify_busy")
        self.assertEqual(self.code(GOOD), "")

    def test_is_bounded_and_two_at_most_for_one_subject(self):
        names = ("as on the page, RS512", "RS256", "no typ", "the second key, no kid", "aud in a list")
        for name in names:
            self.settle()
            self.assertEqual(self.code(ROWS[name][0]), "")
        self.assertLessEqual(len(self.verifier._memory), 2)


class Once(Case):
    """Each segment of a new token is decoded once, header and payload are parsed once; of a remembered one, nothing."""

    def counted(self, module, name):
        real = getattr(module, name)

        def call(*args):
            self.calls.append(name)
            return real(*args)

        setattr(module, name, call)
        return lambda: setattr(module, name, real)

    def test_a_token_is_decoded_and_parsed_once(self):
        self.calls = []
        undo = [self.counted(b64url, "decode_into"), self.counted(strictjson, "parse")]
        try:
            self.assertEqual(self.code(GOOD), "")
            self.assertEqual(self.code(GOOD), "")
        finally:
            for one in undo:
                one()
        self.assertEqual(sorted(self.calls), ["decode_into"] * 3 + ["parse"] * 2)


class AnotherPolicy(Case):
    """The question what the result of a token would be under another policy."""

    def test_judges_once_and_changes_nothing(self):
        self.code(GOOD)
        for settings, code in (
            ({"issuer": "https://elsewhere.example"}, "wrong_issuer"),
            ({"issuer": None, "roles": {}}, "no_permission"),
            ({"unlisted": "refuse"}, "unlisted"),
        ):
            with self.assertRaises(TokenError) as caught:
                self.verifier.verify(GOOD, None, Policy(TABLE["system_uuid"], **settings))
            self.assertEqual(caught.exception.code, code)
            self.assertEqual(self.code(GOOD), "")
        other = Policy("11111111-2222-4333-8444-555555555555")
        self.assertRaises(TokenError, self.verifier.verify, GOOD, None, other)
        self.assertEqual(self.verifier.verify(GOOD).permissions, ("read", "control", "configure"))
        self.assertIs(self.verifier.policy, self.policy)

    def test_costs_no_signature_for_a_remembered_token(self):
        self.code(GOOD)
        for i in range(BUDGET_UNITS):
            self.code(FORGED, i)
        self.assertEqual(self.code(ROWS["RS256"][0], "another"), "verify_busy")
        grant = self.verifier.verify(GOOD, "another", Policy(TABLE["system_uuid"], roles={"Domain Owner": "read"}))
        self.assertEqual(grant.permissions, ("read",))


class TheBudget(Case):
    def test_slows_only_the_caller_of_a_bad_signature_and_says_how_long(self):
        self.assertEqual(self.code(FORGED, "10.0.0.9"), "bad_signature")
        with self.assertRaises(TokenError) as caught:
            self.verifier.verify(GOOD, "10.0.0.9")
        self.assertEqual((caught.exception.code, caught.exception.retry_after_s), ("verify_busy", 1))
        self.assertEqual(self.code(GOOD, "10.0.0.7"), "")
        self.clock.ms += 1000
        self.assertEqual(self.code(ROWS["RS256"][0], "10.0.0.9"), "")

    def test_lets_a_first_token_in_though_the_clock_moves_on_meanwhile(self):
        def now_ms():
            self.clock.ms += 1
            return self.clock.ms

        self.clock.now_ms = now_ms
        for caller in (None, "10.0.0.9"):
            self.make()
            self.assertEqual(self.code(GOOD, caller), "")

    def test_makes_each_further_bad_signature_dearer(self):
        waits = []
        for _ in range(6):
            self.assertEqual(self.code(FORGED, "x"), "bad_signature")
            with self.assertRaises(TokenError) as caught:
                self.verifier.verify(GOOD, "x")
            waits.append(caught.exception.retry_after_s)
            self.clock.ms += waits[-1] * 1000
        self.assertEqual(waits, [1, 2, 4, 8, 16, 16])

    def test_keeps_half_for_tokens_the_ledger_lists(self):
        for i in range(BUDGET_UNITS):
            self.code(FORGED, i)
        self.assertEqual(self.code(GOOD, "owner"), "verify_busy")
        self.ledger.say("listed", None, None, (OWNER,))
        self.assertEqual(self.code(GOOD, "the owner elsewhere"), "")

    def test_looks_at_nothing_from_who_was_told_to_wait(self):
        for i in range(BUDGET_UNITS):
            self.code(FORGED, i)
        asked = self.ledger.admits_asked
        for _ in range(20):
            self.assertEqual(self.code(GOOD, "hasty"), "verify_busy")
        self.assertEqual(self.ledger.admits_asked, asked + 1)

    def test_a_true_token_that_opens_nothing_is_tried_once(self):
        self.ledger.say("listed", None, None, ())
        for i in range(5 * BUDGET_UNITS):
            self.assertEqual(self.code(GOOD, i), "no_permission")

    def test_a_forgery_in_a_listed_tokens_name_spends_the_kept_half_once(self):
        self.ledger.say("listed", None, None, (OWNER,))
        for i in range(5 * BUDGET_UNITS):
            self.code(FORGED, i)
        other = ROWS["another token"][0]
        self.assertEqual(self.code(other, "owner"), "")

    def test_tries_all_keys_of_a_token_or_none(self):
        self.keys.keys = list(self.keys.keys) * 3
        self.keys.keys.append(self.keys.keys.pop(0))
        for i in range(BUDGET_UNITS):
            self.code(FORGED, i)
        with self.assertRaises(TokenError) as caught:
            self.verifier.verify(GOOD, "owner")
        self.clock.ms += caught.exception.retry_after_s * 1000
        self.assertEqual(self.code(GOOD, "owner"), "")

    def test_refills_with_time_even_across_a_turn_of_the_tick_counter(self):
        budget = Budget(self.clock, lambda jti16: True)
        for jump in (100000, 0x3FFFFFFF, 0x20000001):
            self.assertTrue(budget.reserve(BUDGET_UNITS, OWNER, None))
            for _ in range(BUDGET_UNITS):
                budget.pay()
            with self.assertRaises(TokenError):
                budget.reserve(1, OWNER, None)
            self.clock.ms += jump
            for _ in range(5):
                budget.failed("y", None)
        budget.reserve(1, OWNER, None)


if __name__ == "__main__":
    unittest.main()
