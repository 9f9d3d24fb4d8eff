"""From the bytes of a token to a Grant, or a refusal with a stable code. Rules V1 to V9.

Cheap checks come before expensive ones, so that a stranger can order no work: size and shape, header, audience and
expiry as claimed, then the budget, then the signature, and only then whatever could tell a forger something.

Uses neither sockets nor flash. Not thread-safe: one loop owns it, which is what makes it one verification at a time.
"""

import hashlib

from latchkey import jws, uuids
from latchkey.budget import Budget
from latchkey.claims import Claims, check_times, parse
from latchkey.errors import TokenError
from latchkey.limits import const
from latchkey.stores.tokenlist import role_hash

_REMEMBERED = const(4)
_REMEMBERED_PER_SUB = const(2)


class Grant:
    """The rights that a verified token gives now. ``roles``: ((uuid text, name), ...) that counted; ``permissions``:
    names, lowest first; ``exp_unix_s``: when it ends at the latest, None for never; ``entry``: for ``judge``."""

    def __init__(self, entry, roles, permissions, exp_unix_s):
        self.entry, claims = entry, entry.claims
        self.jti = uuids.to_text(claims.jti16)
        self.sub = claims.sub
        self.name = claims.name
        self.typename = claims.typename
        self.roles = tuple([(uuids.to_text(uuid16), name) for uuid16, name in roles])
        self.permissions = permissions
        self.exp_unix_s = exp_unix_s


class Verifier:
    """Judges tokens by ``keystore`` (``.keys .generation``), ``ledger`` (``.standing .admits .generation``), ``clock``
    (``.now_unix_s(iat) .trusted .learn(unix_s) .now_ms()``) and ``policy`` (``policy.Policy``),
    which may be set at any time and counts from then on. ``.budget``: V9."""

    def __init__(self, keystore, ledger, clock, policy):
        self.policy = policy
        self._keystore = keystore
        self._ledger = ledger
        self._clock = clock
        self.budget = Budget(clock, ledger.admits)
        self._memory = []  # _Entry, latest used last
        self._last_key = None

    def verify(self, token: bytes, caller=None, policy=None) -> Grant:
        """``token``: bytes with their ``CLOUD-`` prefix. Returns a Grant or raises TokenError.

        ``caller``: whatever tells one peer from another; only its own bad signatures slow it. ``policy``: judge by this
        one instead of ``.policy``: what would the result be under it?
        """
        policy = policy or self.policy
        view = jws.of_token(token)  # V1
        digest = hashlib.sha256(token).digest()
        entry = self._recall(digest)  # V8
        if entry is None:
            entry = _Entry(digest, self._keystore.generation, self._authenticate(view, caller, policy))
        # Before V7: a token that is genuine and permits nothing must not be tried again and again.
        self._remember(entry)
        return self.judge(entry, policy)

    def _authenticate(self, view, caller, policy):
        """Claims of a token that the cloud has signed for this System."""
        header, signature, signing_input, unverified = _take_apart(view)  # V1, V2
        unverified.check_system(policy)  # V3
        check_times(None, unverified.exp, self._clock.now_unix_s(), policy.skew_s)
        self._check_signature(header, signing_input, signature, unverified.jti16, caller)  # V4, V5, V9
        claims = unverified
        claims.check(policy)  # V6
        if claims.iat is not None:
            self._clock.learn(claims.iat)
        return claims

    def judge(self, entry, policy):
        """The Grant now (V7). V6 again, since the policy may be another than when it was authenticated. TokenError:
        "verify_busy" where the keys have changed, which takes the whole token."""
        if entry.generation != self._keystore.generation:
            raise TokenError("verify_busy")
        entry.opened = False
        claims = entry.claims
        claims.check(policy)
        if not self._clock.trusted and policy.clock_unset == "refuse":
            raise TokenError("clock_unset")  # T3
        now = self._clock.now_unix_s(claims.iat)
        check_times(claims.nbf, claims.exp, now, policy.skew_s)
        roles, exp = claims.roles, claims.exp
        state, start, end, role_hashes = self._standing(entry, policy)
        if state == "listed":
            check_times(start, end, now, policy.skew_s)
            roles = [role for role in roles if role_hash(role[0]) in role_hashes]
            if exp is None or end is not None and end < exp:
                exp = end
        permissions = policy.permissions(roles)
        if not permissions:
            raise TokenError("no_permission")
        entry.opened = True
        return Grant(entry, roles, permissions, exp)

    def _check_signature(self, header, signing_input, signature, jti16, caller):
        """``jti16`` as claimed: it decides whether the token is tried now, never the answer."""
        keys = [key for key in jws.choose_keys(header, self._keystore.keys) if key.public_key.size == len(signature)]
        if not keys:
            raise TokenError("bad_signature" if self._keystore.keys else "no_keys")
        if self._last_key in keys:
            # The one that fitted last is the likeliest.
            keys.remove(self._last_key)
            keys.insert(0, self._last_key)
        kept_half = self.budget.reserve(len(keys), jti16, caller)
        try:
            key = jws.verify_signature(header["alg"], signing_input, signature, keys, self.budget.pay)
        except TokenError:
            self.budget.failed(caller, jti16 if kept_half else None)
            raise
        self.budget.passed(caller)
        self._last_key = key

    def _standing(self, entry, policy):
        """The ledger is read again only when it has changed."""
        if entry.ledger_generation != self._ledger.generation:
            entry.ledger_generation = self._ledger.generation
            entry.standing = self._ledger.standing(entry.claims.jti16, entry.claims.iat)
        state = entry.standing[0]
        if state in ("unknown", "full"):
            raise TokenError("ledger_" + state)
        if state == "revoked" or state == "unlisted" and policy.unlisted == "refuse":
            raise TokenError(state)
        return entry.standing

    def _recall(self, digest):
        """Takes the entry out, or gives None."""
        for entry in self._memory:
            if entry.digest == digest:
                self._memory.remove(entry)
                return entry if entry.generation == self._keystore.generation else None
        return None

    def _remember(self, entry):
        self._memory.append(entry)
        of_sub = [e for e in self._memory if e.claims.sub == entry.claims.sub]
        if len(of_sub) > _REMEMBERED_PER_SUB:
            self._memory.remove(of_sub[0])
        if len(self._memory) > _REMEMBERED:
            # An entry that permitted nothing last time goes first; the newest stays.
            idle = [e for e in self._memory[:-1] if not e.opened]
            self._memory.remove(idle[0] if idle else self._memory[0])


class _Entry:
    def __init__(self, digest, generation, claims):
        self.digest = digest
        self.generation = generation
        self.claims = claims
        self.ledger_generation = None
        self.standing = None
        self.opened = False


def _take_apart(view):
    """(header, signature, signing input, unverified Claims); the decoded texts are garbage once this returns."""
    header_b, payload_b, signature, signing_input = jws.split(view)
    return jws.parse_header(header_b), signature, signing_input, Claims(parse(payload_b))
