"""Runs on the unix port: NIST's SHA-2 messages and Monte Carlo chains. argv: kernel, file of JSON lines."""

import json
import sys
from binascii import hexlify, unhexlify

from latchkey import sha512

kernel = sys.argv[1]
if kernel == "viper":
    assert sha512.kernel == "viper", sha512.kernel
    from latchkey.sha512_viper import block
else:
    from latchkey.sha512_plain import block


def digest(bits, data):
    return sha512.Hash(block, bits, data).digest()


def message(bits, data, want):
    return hexlify(digest(bits, unhexlify(data))).decode() == want


def chain(bits, seed, wants):
    """SHAVS section 6.4: each link hashes the last three digests, a thousand times."""
    seed = unhexlify(seed)
    for want in wants:
        a = b = c = seed
        for _ in range(1000):
            a, b, c = b, c, digest(bits, a + b + c)
        seed = c
        if hexlify(seed).decode() != want:
            return False
    return True


count = 0
with open(sys.argv[2]) as rows:
    for line in rows:
        kind, bits, data, want = json.loads(line)
        if not (message if kind == "message" else chain)(bits, data, want):
            print("differs", kind, bits, data[:40])
            sys.exit(1)
        count += 1
print(count)
