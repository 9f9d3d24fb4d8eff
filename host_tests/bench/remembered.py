"""Runs on the unix port: the cost of a new token and of a remembered one, beside a ledger that is full.

argv: folder for the store. Prints one line of JSON: medians in microseconds, and the number of tokens in the ledger.
"""

import io
import json
import sys
import time

import lists
from deskclock import DeskClock

from latchkey import jwk
from latchkey.hw.flash import FileStore
from latchkey.keystore import KeyStore
from latchkey.ledger import LEDGER_TOKENS, Ledger
from latchkey.policy import Policy
from latchkey.stores.timefloor import TimeFloor
from latchkey.verifier import Verifier

with open("vectors/verifier.json") as file:
    table = json.load(file)
token = table["rows"][0][1].encode()
store = FileStore(sys.argv[1])
keys = jwk.parse_key_set(json.dumps(table["jwks"]).encode())
floor = TimeFloor(store, DeskClock(start_unset=True))
floor.set_over_cable(table["now_unix_s"])
ledger = Ledger(store, lists.SYSTEM16)
# Before the token was issued, so that it is a token made while the device was away.
lists.ingest(ledger, io.BytesIO(lists.text([lists.record(n) for n in range(LEDGER_TOKENS)])), False, lists.BASE)
keystore = KeyStore(store, keys)
policy = Policy(table["system_uuid"], issuer=table["issuer"])


def timed(verifier):
    start = time.ticks_us()
    verifier.verify(token)
    return time.ticks_diff(time.ticks_us(), start)


def median(values):
    return sorted(values)[len(values) // 2]


new, remembered = [], []
for _ in range(int(sys.argv[2])):
    verifier = Verifier(keystore, ledger, floor, policy)
    new.append(timed(verifier))
    remembered.append(timed(verifier))
print(json.dumps({"new_us": median(new), "remembered_us": median(remembered), "tokens": ledger.status()["tokens"]}))
