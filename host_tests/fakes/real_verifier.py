"""The real verifier over a key set and a list of jti from a JSON file, with the port's own clock: for load tests.

The file: {"jwks", "system_uuid", "now_unix_s", "listed": [jti, ...]}. Other tokens are unlisted and accepted.
"""

import json

from deskclock import DeskClock

from latchkey import jwk, uuids
from latchkey.policy import Policy
from latchkey.verifier import Verifier


class _Keys:
    def __init__(self, document):
        self.keys = jwk.parse_key_set(json.dumps(document["jwks"]).encode())
        self.generation = 1


class _EveryRole:
    def __contains__(self, _role_hash):
        return True


class _Ledger:
    generation = 1

    def __init__(self, document):
        self._listed = [uuids.to_bytes(jti) for jti in document["listed"]]

    def admits(self, jti16):
        return jti16 in self._listed

    def standing(self, jti16, _iat_unix_s):
        return "listed" if self.admits(jti16) else "unlisted", None, None, _EveryRole()


class _Clock:
    trusted = True

    def __init__(self, unix_s):
        self._unix_s = unix_s
        self.now_ms = DeskClock().now_ms

    def now_unix_s(self, _iat_unix_s=None):
        return self._unix_s

    def learn(self, _unix_s):
        pass


def make(path):
    """A Verifier for the document in the file ``path``."""
    with open(path) as file:
        document = json.load(file)
    clock = _Clock(document["now_unix_s"])
    return Verifier(_Keys(document), _Ledger(document), clock, Policy(document["system_uuid"]))
