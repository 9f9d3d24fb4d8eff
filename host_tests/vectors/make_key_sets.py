"""Write key_sets.json: key sets that the maker has signed, for the tests of PUT /v1/keys.

    .venv/bin/python host_tests/vectors/make_key_sets.py

The first of test_keys.json is the release key, the second the recovery key, the third the cloud's new key.
"""

import hashlib
import json
from pathlib import Path

from make_manifests import KEY, SECOND, STRANGER, compact, jwk
from make_verifier import claims, token

FILE = Path(__file__).with_name("key_sets.json")
HEARD = 1800000000  # when the device had its last key set
DAY = 86400
MADE = HEARD + 300 * DAY
CLOUD = {"slug": "company-example", "issuer": "https://company-example.api.drivr.cloud"}
SETS = {
    "new": {"keys": [jwk(STRANGER) | {"kid": "new"}]},
    "two": {"keys": [jwk(STRANGER) | {"kid": "new"}, jwk(SECOND) | {"kid": "second"}]},
    "of the simulator": {"keys": [jwk(STRANGER) | {"kid": "SIM-a"}]},
    "empty": {"keys": []},
    "no set": [],
}


def signed(of="new", key=KEY, typ="latchkey-keys", **changes):
    payload = json.dumps(SETS[of]).encode()
    facts = {"iat": MADE, "counter": 3, "size": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
    return [compact(CLOUD | facts | changes, typ, key), of]


def files():
    return {
        "good": signed(),
        "two keys": signed("two", counter=4, iat=MADE + 1),
        "lower counter": signed(counter=2, iat=MADE + 1),
        "a second later than heard": signed(iat=HEARD + 1),
        "as old as heard": signed(iat=HEARD),
        "another slug": signed(slug="other"),
        "another issuer": signed(issuer=CLOUD["issuer"] + "/"),
        "any issuer": signed(issuer=None),
        "by the recovery key": signed(key=SECOND),
        "by the cloud": signed(key=STRANGER),
        "of another set": signed(sha256=hashlib.sha256(b"other").hexdigest()),
        "of the simulator": signed("of the simulator"),
        "empty": signed("empty"),
        "no set": signed("no set"),
        "a token": [compact(CLOUD, "JWT"), "new"],
    }


def main():
    now = MADE + DAY
    new = token(claims(iat=now, nbf=now, exp=now + 30 * DAY), key=STRANGER)
    sets = {name: json.dumps(one) for name, one in SETS.items()}
    keys = [jwk(KEY), jwk(SECOND)]
    document = {"keys": keys, "heard_unix_s": HEARD, "sets": sets, "files": files(), "token": new}
    FILE.write_text(json.dumps(document, indent=0) + "\n")


if __name__ == "__main__":
    main()
