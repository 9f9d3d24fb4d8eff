"""Runs on the unix port: NIST's signatures. argv: file of JSON lines [hash, n, e, message, signature, accepted]."""

import json
import sys
from binascii import unhexlify

from latchkey import rsa
from latchkey.errors import TokenError

count = 0
with open(sys.argv[1]) as rows:
    for line in rows:
        name, n, e, message, signature, accepted = json.loads(line)
        try:
            rsa.verify_pkcs1v15(rsa.PublicKey(unhexlify(n), e), name, unhexlify(message), unhexlify(signature))
            got = True
        except TokenError:
            got = False
        if got != accepted:
            print("differs", line[:200])
            sys.exit(1)
        count += 1
print(count)
