"""Runs on the unix port: powers by the kernel's specification, whose values CPython gave. argv: file of JSON lines
[n, s, e, value], hexadecimal."""

import json
import sys

import on_kernel

bignum, _ = on_kernel.load()
assert bignum.kernel == "kernel"
count = 0
with open(sys.argv[1]) as rows:
    for line in rows:
        n, s, e, value = [int(text, 16) for text in json.loads(line)]
        size = len(line.split('"')[1]) + 1 >> 1
        got = bignum.Modulus(n.to_bytes(size, "big"), e).power(s.to_bytes(size, "big"))
        if int.from_bytes(bytes(got), "big") != value:
            print("differs", line)
            sys.exit(1)
        count += 1
print(count)
