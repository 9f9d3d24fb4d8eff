"""From the bytes of a token to a Grant, or a refusal with a stable code. Rules V1 to V9.

Cheap checks come before dear ones, so that a stranger can order no work: size and
shape, header, audience and expiry as claimed, then the budget, the signature, and
only then everything that could tell a forger something.

Knows nothing of sockets or flash. Not thread-safe: one loop owns it, which is what
makes it one verification at a time.
"""

import hashlib

from latchkey import claims as claims_
from latchkey import jws, uuids
from latchkey.budget import Budget
from latchkey.errors import TokenError
from latchkey.limits import REMEMBERED, REMEMBERED_PER_SUB, TOKEN_BYTES, TOKEN_PREFIX


class Grant:
    """What a verified token opens, now. ``roles``: ((uuid text, name), ...) that counted; ``permissions``: names,
    lowest first; ``exp_unix_s``: when it ends at the latest, None for never."""

    def __init__(self, claims, roles, permissions, exp_unix_s):
        self.jti = uuids.to_text(claims.jti16)
        self.sub = claims.sub
        self.name = claims.name
        self.typename = claims.typename
        self.roles = tuple([(uuids.to_text(uuid16), name) for uuid16, name in roles])
        self.permissions = permissions
        self.exp_unix_s = exp_unix_s


class Verifier:
    """Judges tokens by ``keystore`` (``.keys .generation``), ``ledger`` (``.standing .admits .generation``), ``clock``
    (``.now_unix_s(iat) .trusted .learn(unix_s) .ticks_ms() .ticks_diff_ms()``) and ``policy`` (``policy.Policy``)."""

    def __init__(self, keystore, ledger, clock, policy):
        self._keystore = keystore
        self._ledger = ledger
        self._clock = clock
        self._policy = policy
        self._policies = 0
        self._budget = Budget(clock)
        self._memory = []  # _Entry, latest used last
        self._last_key = None

    @property
    def generation(self):
        """Rises when the keys, the System UUID or the issuer change: older results no longer count."""
        return self._keystore.generation + self._policies

    @property
    def policy(self):
        return self._policy

    @policy.setter
    def policy(self, policy):
        old = self._policy
        if (old.system_uuid16, old.issuer) != (policy.system_uuid16, policy.issuer):
            self._policies += 1
        self._policy = policy

    def verify(self, token, caller=None):
        """``token``: bytes with their ``CLOUD-`` prefix. Returns a Grant or raises TokenError.

        ``caller``: whatever tells one peer from another; only its own bad signatures slow it.
        """
        if len(token) > TOKEN_BYTES:
            raise TokenError("token_malformed")
        digest = hashlib.sha256(token).digest()
        entry = self._recall(digest)
        if entry is not None:
            return self._judge(entry)
        generation = self.generation
        entry = _Entry(digest, generation, self._authenticate(token, caller))
        if self.generation == generation:
            # Before it is judged: the holder of a true token that opens nothing must not have it tried for ever.
            self._remember(entry)
        return self._judge(entry)

    # V1 to V6: is this token the cloud's, and for us?

    def _authenticate(self, token, caller):
        if bytes(token[: len(TOKEN_PREFIX)]) != TOKEN_PREFIX:
            raise TokenError("token_malformed")
        header, jti16, signature, signing_input = self._take_apart(memoryview(token)[len(TOKEN_PREFIX) :])
        self._check_signature(header, signing_input, signature, jti16, caller)
        claims = claims_.read(claims_.parse_unverified(jws.payload_of(signing_input)), self._policy)
        if claims.iat is not None:
            self._clock.learn(claims.iat)
        return claims

    def _take_apart(self, view):
        """V1 to V3: (header, claimed jti or None, signature, signing input).

        What was read of the payload goes when this returns and is read again later: the power needs the room.
        """
        header_b, payload_b, signature, signing_input = jws.split(view)
        header = jws.parse_header(header_b)
        members = claims_.parse_unverified(payload_b)
        if members is None:
            return header, None, signature, signing_input
        if claims_.unverified_wrong_aud(members, self._policy.system_uuid16):
            raise TokenError("wrong_system")
        self._check_end(claims_.unverified_exp(members), self._clock.now_unix_s())
        return header, claims_.unverified_jti(members), signature, signing_input

    def _check_signature(self, header, signing_input, signature, jti16, caller):
        """V4, V5, V9. ``jti16`` as claimed: it decides whether the token is tried now, never the answer."""
        keys = [key for key in self._keys_for(header) if key.public_key.size == len(signature)]
        if not keys:
            raise TokenError("bad_signature" if self._keystore.keys else "no_keys")
        claim = _Claim(jti16, self._ledger, self._budget)
        self._budget.admit(caller)
        self._budget.reserve(len(keys), claim.listed, caller)
        try:
            key = jws.verify_signature(header["alg"], signing_input, signature, keys, self._budget.pay)
        except TokenError:
            self._budget.failed(caller, jti16 if claim.counted else None)
            raise
        self._budget.passed(caller)
        self._last_key = key

    def _keys_for(self, header):
        """V4; the key that fitted last time is the likeliest."""
        keys = list(jws.choose_keys(header, self._keystore.keys))
        if self._last_key in keys:
            keys.remove(self._last_key)
            keys.insert(0, self._last_key)
        return keys

    # V7: does it open anything now?

    def _judge(self, entry):
        entry.opened = False
        claims = entry.claims
        now = self._now(claims)
        self._check_times(claims.nbf, claims.exp, now)
        roles, exp = claims.roles, claims.exp
        standing = self._standing(entry)
        if standing.state == "listed":
            self._check_times(standing.start_unix_s, standing.end_unix_s, now)
            roles = [role for role in roles if standing.counts_role(role[0])]
            exp = _earlier(exp, standing.end_unix_s)
        permissions = self._policy.permissions(roles)
        if not permissions:
            raise TokenError("no_permission")
        entry.opened = True
        return Grant(claims, roles, permissions, exp)

    def _now(self, claims):
        if not self._clock.trusted and self._policy.clock_unset == "refuse":
            raise TokenError("clock_unset")
        return self._clock.now_unix_s(claims.iat)

    def _check_times(self, start_unix_s, end_unix_s, now):
        if start_unix_s is not None and now + self._policy.skew_s < start_unix_s:
            raise TokenError("not_yet_valid")
        self._check_end(end_unix_s, now)

    def _check_end(self, end_unix_s, now):
        if end_unix_s is not None and now >= end_unix_s + self._policy.skew_s:
            raise TokenError("expired")

    def _standing(self, entry):
        """L1 to L4; the ledger is read again only when it has changed."""
        if entry.ledger_generation != self._ledger.generation:
            entry.ledger_generation = self._ledger.generation
            entry.standing = self._ledger.standing(entry.claims.jti16, entry.claims.iat)
        state = entry.standing.state
        if state == "revoked":
            raise TokenError("revoked")
        if state == "unknown":
            raise TokenError("ledger_unknown")
        if state == "full":
            raise TokenError("ledger_full")
        if state == "unlisted" and self._policy.unlisted == "refuse":
            raise TokenError("unlisted")
        return entry.standing

    # V8: what is remembered

    def _recall(self, digest):
        for entry in self._memory:
            if entry.digest == digest:
                self._memory.remove(entry)
                if entry.generation != self.generation:
                    return None
                self._memory.append(entry)
                return entry
        return None

    def _remember(self, entry):
        self._memory.append(entry)
        of_sub = [e for e in self._memory if e.claims.sub == entry.claims.sub]
        if len(of_sub) > REMEMBERED_PER_SUB:
            self._memory.remove(of_sub[0])
        if len(self._memory) > REMEMBERED:
            # What opened nothing last time goes first; the newest stays.
            idle = [e for e in self._memory[:-1] if not e.opened]
            self._memory.remove(idle[0] if idle else self._memory[0])


class _Claim:
    """What an unverified ``jti`` is worth to the budget; looked up once at most."""

    def __init__(self, jti16, ledger, budget):
        self._jti16 = jti16
        self._ledger = ledger
        self._budget = budget
        self.counted = False

    def listed(self):
        known = self._jti16 is not None and not self._budget.burnt(self._jti16)
        self.counted = known and self._ledger.admits(self._jti16)
        return self.counted


class _Entry:
    def __init__(self, digest, generation, claims):
        self.digest = digest
        self.generation = generation
        self.claims = claims
        self.ledger_generation = None
        self.standing = None
        self.opened = False


def _earlier(a, b):
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)
