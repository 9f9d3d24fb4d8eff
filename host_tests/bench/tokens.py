"""Runs on the unix port: the result of each token. argv: file of lines: the keys, then [token, code].

A token is text of which each character is one byte; the code is "" for accepted.
"""

import json
import sys

from latchkey import jwk, jws
from latchkey.errors import TokenError

count = 0
with open(sys.argv[1]) as rows:
    keys = jwk.parse_key_set(rows.readline().encode())
    for line in rows:
        text, want = json.loads(line)
        try:
            jws.verify_compact(bytes([ord(c) for c in text]), keys)
            got = ""
        except TokenError as exc:
            got = exc.code
        if got != want:
            print("differs", got, line)
            sys.exit(1)
        count += 1
print(count)
