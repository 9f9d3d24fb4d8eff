"""Write manifests.json: manifests of releases, key sets and release keys, for the tests of updates.

    .venv/bin/python host_tests/vectors/make_manifests.py

Keys come from test_keys.json: the first is the release key, the second the recovery key, the third a stranger's.
"""

import hashlib
import json
from pathlib import Path

from make_selftest import HASHES, KEY, SECOND, STRANGER, N, b64, padding

FILE = Path(__file__).with_name("manifests.json")
PAYLOAD = bytes((i * 7 + i // 251) & 0xFF for i in range(10000))
RELEASE = {
    "product": "bulb",
    "boards": ["desk", "esp32-bulb"],
    "kind": "files",
    "version": "1.2.3",
    "counter": 5,
    "size": len(PAYLOAD),
    "sha256": hashlib.sha256(PAYLOAD).hexdigest(),
    "room": 16384,
}
OTHER = hashlib.sha256(b"other").hexdigest()
SET = {
    "slug": "company-example",
    "issuer": "https://company-example.api.drivr.cloud",
    "iat": 1800000000,
    "counter": 1,
    "size": 100,
    "sha256": OTHER,
}
TYPS = ("latchkey-release", "latchkey-keys", "latchkey-release-key")
# Member to values that a release may not have.
WRONG = {
    "product": (None, 7, "", "a b", "a\n"),
    "boards": (None, [], ["desk", 1], "desk", ["desk"] * 17),
    "kind": (None, "file", ["files"]),
    "version": ("", "1" * 33, "1 2", "1\u00fc"),
    "counter": (0, -1, 2**31, 1.0, True, "5", None),
    "size": (0, 2**31, 1.5, False),
    "sha256": ("", RELEASE["sha256"].upper(), RELEASE["sha256"][1:], "g" * 64),
    "room": (0, None),
}


def compact(members, typ="latchkey-release", key=KEY, alg="RS256", **header):
    header = {"alg": alg} | ({"typ": typ} if typ else {}) | header
    return compact_of(json.dumps(header).encode(), json.dumps(members).encode(), key, alg)


def compact_of(header, payload, key=KEY, alg="RS256"):
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(key.sign(signed.encode(), padding.PKCS1v15(), HASHES[alg]))}"


def modulus(key):
    return b64(key.public_key().public_numbers().n.to_bytes(256, "big"))


def jwk(key):
    return {"kty": "RSA", "n": modulus(key), "e": "AQAB"}


def new_key(counter, key, **more):
    return {"counter": counter, "n": modulus(key), "e": "AQAB"} | more


def good():
    release, key_set, release_key = TYPS
    return {
        "release": compact(RELEASE),
        "by RS512": compact(RELEASE, alg="RS512"),
        "with a kid and a member of later": compact(RELEASE | {"later": [1]}, kid="a"),
        "again": compact(RELEASE | {"version": "1.2.3+1"}),
        "same counter, other content": compact(RELEASE | {"sha256": OTHER}),
        "lower": compact(RELEASE | {"counter": 4}),
        "higher": compact(RELEASE | {"counter": 6, "version": "1.2.4"}),
        "highest": compact(RELEASE | {"counter": 2**31 - 1}),
        "of a sensor": compact(RELEASE | {"product": "sensor"}),
        "of another board": compact(RELEASE | {"boards": ["esp32c3-bulb-rgb"]}),
        "image": compact(RELEASE | {"kind": "image"}),
        "large": compact(RELEASE | {"room": 2**20 + 1}),
        "larger than its room": compact(RELEASE | {"size": 2**20 + 1}),
        "key set": compact(SET, key_set),
        "key set for any issuer": compact(SET | {"issuer": None}, key_set),
        "release key 1": compact(new_key(1, STRANGER), release_key, SECOND),
        "release key 2": compact(new_key(2, KEY), release_key, SECOND),
        "by the new key": compact(RELEASE, key=STRANGER),
    }


def missigned():
    release, key_set, release_key = TYPS
    return {
        "a stranger's": compact(RELEASE, key=STRANGER),
        "the recovery key's": compact(RELEASE, key=SECOND),
        "a release key by the release key": compact(new_key(1, STRANGER), release_key),
        "a key set by the recovery key": compact(SET, key_set, SECOND),
    }


def refused():
    """Rows that no key makes a manifest."""
    release, key_set, release_key = TYPS
    header, payload = json.dumps({"alg": "RS256", "typ": release}), json.dumps(RELEASE)
    found = {
        "no typ": compact(RELEASE, None),
        "typ JWT": compact(RELEASE, "JWT"),
        "another typ": compact(RELEASE, release + "s"),
        "a typ that is no text": compact(RELEASE, [release]),
        "a release as a key set": compact(RELEASE, key_set),
        "a release as a release key": compact(RELEASE, release_key, SECOND),
        "crit": compact(RELEASE, crit=["typ"]),
        "alg none": compact_of(json.dumps({"alg": "none", "typ": release}).encode(), payload.encode()),
        "alg HS256": compact_of(json.dumps({"alg": "HS256", "typ": release}).encode(), payload.encode()),
        "a header with typ twice": compact_of((header[:-1] + f', "typ": "{release}"}}').encode(), payload.encode()),
        "a member twice": compact_of(header.encode(), (payload[:-1] + ', "counter": 9}').encode()),
        "an array": compact_of(header.encode(), b"[]"),
        "no JSON": compact_of(header.encode(), b"{"),
        "an even modulus": compact(new_key(1, KEY, n=b64((N - 1).to_bytes(256, "big"))), release_key, SECOND),
        "a small exponent": compact(new_key(1, KEY, e="Aw"), release_key, SECOND),
        "too long": compact(RELEASE | {"later": "x" * 1300}),
    }
    for name, values in WRONG.items():
        found[f"without {name}"] = compact({k: v for k, v in RELEASE.items() if k != name})
        found |= {f"{name} {value!r}"[:60]: compact(RELEASE | {name: value}) for value in values}
    return found


def main():
    document = {"keys": [jwk(KEY), jwk(SECOND)], "good": good(), "missigned": missigned(), "refused": refused()}
    FILE.write_text(json.dumps(document, indent=0) + "\n")


if __name__ == "__main__":
    main()
