"""Runs on the unix port: powers whose values CPython gave. argv: file of JSON lines [n, s, e, value], hexadecimal."""

import json
import sys

from latchkey.bignum import Modulus

count = 0
with open(sys.argv[1]) as rows:
    for line in rows:
        n, s, e, value = [int(text, 16) for text in json.loads(line)]
        if Modulus(n).power(s, e) != value:
            print("differs", line)
            sys.exit(1)
        count += 1
print(count)
