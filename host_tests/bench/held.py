"""The RAM of a device before a token comes: keys, a policy, and an empty ledger. For measurements."""

import json

from latchkey import jwk
from latchkey.policy import Policy
from latchkey.verifier import Verifier


class Keys:
    generation = 1

    def __init__(self, keys):
        self.keys = keys


class Ledger:
    generation = 1

    def standing(self, _jti16, _iat_unix_s):
        return "unlisted", None, None, ()

    def admits(self, _jti16):
        return False


class Clock:
    trusted = True

    def __init__(self, unix_s):
        self.unix_s = unix_s
        self.ms = 0

    def now_unix_s(self, _iat_unix_s=None):
        return self.unix_s

    def learn(self, _unix_s):
        pass

    def now_ms(self):
        return self.ms


def load(case):
    """(keys, verifier, token) of one case of latchkey_tools.dev.bench."""
    keys = jwk.parse_key_set(json.dumps(case["jwks"]).encode())
    verifier = Verifier(Keys(keys), Ledger(), Clock(case["now_unix_s"]), Policy(case["system_uuid"]))
    return keys, verifier, case["token"].encode()
