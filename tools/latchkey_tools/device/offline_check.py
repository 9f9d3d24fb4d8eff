"""Explain a token, and check it and a provisioning as a device would, offline, with the firmware's own modules.

The verdict comes from ``firmware/latchkey`` itself, so that it is exactly the device's. The device's ledger and
clock are not here: revocation is not seen, and the time is this machine's; settings are those of a new device.
"""

import sys
import time
import uuid

from latchkey_tools.boards import build
from latchkey_tools.device.wallet import PREFIX, WalletError, claims_of

_OF_THE_SIMULATOR = (
    "these keys are the simulator's, which devices take only for development: "
    'set "dev": true in the configuration, or give the key set of your Domain'
)


class Verdict:
    """``claims``: dict, or None for another text; ``header``: dict or None; ``problems``: codes, as a device would
    answer them; ``signature``: "good", "unchecked" or "bad" by the given key sets, which may be another Domain's;
    ``key``: (key set's name, kid) of the key that made it."""

    def __init__(self, claims):
        self.claims = claims
        self.header = None
        self.problems = []
        self.signature = "unchecked"
        self.key = None


def judge(token, key_sets, now_unix_s=None):
    """Verdict on a token's text. ``key_sets``: {name: JWKS dict}; none of them leaves the signature unchecked."""
    firmware = _firmware()
    verdict = Verdict(claims_of(token))
    try:
        payload = _judge_form(firmware, verdict, token)
        _judge_signature(firmware, verdict, token, key_sets)
        _judge_claims(firmware, verdict, payload, time.time() if now_unix_s is None else now_unix_s)
    except firmware.errors.TokenError as refusal:
        verdict.problems.append(refusal.code)
    return verdict


def usable_keys(key_set_bytes, dev=True):
    """How many keys of a JWKS (bytes) may verify; WalletError if none. ``dev``: whether the simulator's do (A10)."""
    firmware = _firmware()
    try:
        return len(firmware.jwk.parse_key_set(key_set_bytes, dev))
    except firmware.errors.KeySetError as refusal:
        if not dev and usable_keys(key_set_bytes):
            raise WalletError(_OF_THE_SIMULATOR) from None
        raise WalletError(f"this is not a key set with a usable RSA key ({refusal.code})") from None


def check_factory_keys(key_set_bytes, dev):
    """WalletError unless a device takes this JWKS (bytes) for the keys that it keeps outside its file system."""
    most = _firmware().limits.FACTORY_KEYS_BYTES
    if len(key_set_bytes) > most:
        raise WalletError(f"{len(key_set_bytes)} bytes of factory keys, and a device takes {most}")
    usable_keys(key_set_bytes, dev)


def check_document(document_bytes):
    """WalletError unless a device takes this document of provisioning (bytes); the text names the field, no value."""
    firmware = _firmware()
    most = firmware.device.provision.PROVISION_BYTES
    if len(document_bytes) > most:
        raise WalletError(f"{len(document_bytes)} bytes in all, and a device takes {most} for its provisioning")
    try:
        firmware.device.provision.read(document_bytes)
    except firmware.errors.LatchkeyError as refusal:
        words = (refusal.code, getattr(refusal, "field", ""), f"({refusal.message})" if refusal.message else "")
        raise WalletError(f"the firmware would refuse this: {' '.join(filter(None, words))}") from None


def _firmware():
    if not (build.FIRMWARE / "latchkey").is_dir():
        raise WalletError("checking this needs a checkout: the firmware's own lines do it")
    if str(build.FIRMWARE) not in sys.path:
        sys.path.append(str(build.FIRMWARE))
    import latchkey.claims
    import latchkey.device.provision
    import latchkey.errors
    import latchkey.jwk
    import latchkey.jws
    import latchkey.limits
    import latchkey.policy

    return latchkey


def _judge_form(firmware, verdict, token):
    if not token.startswith(PREFIX) or not token.isascii():
        raise firmware.errors.TokenError("token_malformed")
    if len(token) > firmware.limits.TOKEN_BYTES:
        raise firmware.errors.TokenError("token_malformed")
    header_b, payload_b, *_ = firmware.jws.split(_jws(token))
    verdict.header = firmware.jws.parse_header(header_b)
    return payload_b


def _judge_signature(firmware, verdict, token, key_sets):
    for name, key_set in key_sets.items():
        try:
            keys = firmware.jwk.parse_key_set(_json_bytes(key_set))
            key = firmware.jws.verify_compact(_jws(token), keys)[2]
        except firmware.errors.KeySetError:
            continue
        except firmware.errors.TokenError:
            verdict.signature = "bad"
            continue
        verdict.signature, verdict.key = "good", (name, key.kid)
        return


def _judge_claims(firmware, verdict, payload, now_unix_s):
    members = firmware.claims.parse(payload)
    policy = firmware.policy.Policy(_some_system(firmware, members or {}))
    claims = firmware.claims.Claims(members)
    claims.check(policy)
    if claims.exp is not None and now_unix_s >= claims.exp + policy.skew_s:
        verdict.problems.append("expired")
    elif claims.nbf is not None and now_unix_s + policy.skew_s < claims.nbf:
        verdict.problems.append("not_yet_valid")
    if not claims.roles:
        verdict.problems.append("no_permission")


def _some_system(firmware, members):
    """A System that ``aud`` names as devices read it, or one that it does not name."""
    aud = members.get("aud")
    for one in aud if isinstance(aud, list) else [aud]:
        try:
            firmware.uuids.to_bytes(one)
            return one
        except ValueError:
            continue
    return str(uuid.UUID(int=0))


def _jws(token):
    return token[len(PREFIX) :].encode()


def _json_bytes(value):
    import json

    return json.dumps(value).encode()
