"""The verdict about a token offline is the answer of a device."""

import json
import time

import pytest
import real_verifier
import technician
from technician import MAINTAINER, OTHER_SYSTEM, SYSTEM, key_set, make_token, signing, signing_key

from latchkey.errors import TokenError
from latchkey_tools.device import offline_check
from latchkey_tools.device.wallet import WalletError

NOW = int(time.time())
CLAIMS = {"jti": OTHER_SYSTEM, "sub": "s", "aud": SYSTEM, "iat": NOW - 100, "nbf": NOW - 160, "exp": NOW + 3600}
CLAIMS |= {"roles": [MAINTAINER]}
RAW = json.dumps(CLAIMS)


def with_member(text):
    return f"{RAW[:-1]}, {text}}}".encode()


PAYLOADS = {
    "good": CLAIMS,
    "two systems": CLAIMS | {"aud": [OTHER_SYSTEM, SYSTEM]},
    "upper case": CLAIMS | {"aud": SYSTEM.upper()},
    "ended within the skew": CLAIMS | {"exp": NOW - 30},
    "ended at the skew": CLAIMS | {"exp": NOW - 60},
    "begins within the skew": CLAIMS | {"nbf": NOW + 60},
    "begins after the skew": CLAIMS | {"nbf": NOW + 61},
    "float end": CLAIMS | {"exp": NOW + 0.5},
    "end beyond time": CLAIMS | {"exp": 10**13},
    "made after its end": CLAIMS | {"iat": NOW + 7200},
    "no subject": {name: one for name, one in CLAIMS.items() if name != "sub"},
    "no audience": {name: one for name, one in CLAIMS.items() if name != "aud"},
    "audience in braces": CLAIMS | {"aud": f"{{{SYSTEM}}}"},
    "audience of numbers": CLAIMS | {"aud": [5]},
    "jti as urn": CLAIMS | {"jti": f"urn:uuid:{SYSTEM}"},
    "no roles": CLAIMS | {"roles": []},
    "a role that is none": CLAIMS | {"roles": ["x"]},
    "long name": CLAIMS | {"name": "x" * 300},
    "too long": CLAIMS | {"name": "x" * 1600},
    "duplicate name": with_member(f'"aud": "{SYSTEM}"'),
    "NaN": with_member('"z": NaN'),
    "deep": with_member('"z": ' + "[" * 60 + "]" * 60),
    "lone surrogate": with_member('"z": "\\ud800"'),
    "byte order mark": b"\xef\xbb\xbf" + RAW.encode(),
    "more behind": RAW.encode() + b" x",
    "no object": b"[]",
}


def answered(token, monkeypatch, tmp_path):
    """The code of a device's own verifier, or None."""
    file = tmp_path / "verifier.json"
    file.write_text(json.dumps({"jwks": key_set(), "system_uuid": SYSTEM, "now_unix_s": NOW, "listed": []}))
    try:
        real_verifier.make(file).verify(token.encode())
    except TokenError as refusal:
        return refusal.code


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_verdict_is_the_device_s(name, monkeypatch, tmp_path):
    token = signing.token(PAYLOADS[name], signing_key()[1])
    code = answered(token, monkeypatch, tmp_path)
    assert offline_check.judge(token, {"home": key_set()}, NOW).problems == ([code] if code else [])


def test_the_simulator_s_keys_are_said_to_be_that(tmp_path):
    data = json.dumps(key_set()).encode()
    assert offline_check.usable_keys(data) == 1
    for check in (offline_check.usable_keys, offline_check.check_factory_keys):
        with pytest.raises(WalletError, match='the simulator\'s, .* set "dev": true in the configuration, or'):
            check(data, False)
    with pytest.raises(WalletError, match="not a key set with a usable RSA key"):
        offline_check.usable_keys(b'{"keys": []}', False)


def test_other_key_sets_cannot_tell_and_do_not_refuse(tmp_path):
    tech = technician.Keyboard(tmp_path)
    other = {"keys": [signing.jwk(*signing.new_key())]}
    verdict = offline_check.judge(make_token(), {"other": other})
    assert (verdict.signature, verdict.problems) == ("bad", [])
    tech.ok("token", "import", "-", given=json.dumps(other))
    done = tech.run("token", "inspect", "-", given=make_token())
    assert done.status == 1 and "No key set here verifies it" in done.out
    assert "refuses" not in done.out and "is against it" not in done.out
