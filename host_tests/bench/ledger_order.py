"""Runs on the unix port: what a list of 128 costs in order and shuffled, and what a question costs of 128 and of one.

Prints one line of JSON, in microseconds: the least of several turns, which other programs lengthen least.
"""

import io
import json
import random
import time

import lists
from ram_store import RamStore

from latchkey.ledger import LEDGER_TOKENS, Ledger

TURNS = 9
ASKED = 200


def _records(order):
    return lists.text([lists.record(n) for n in order])


def _ingest_us(data):
    ledger = Ledger(RamStore(watched=True), lists.SYSTEM16)
    start = time.ticks_us()
    lists.ingest(ledger, io.BytesIO(data), False, lists.BASE)
    return time.ticks_diff(time.ticks_us(), start)


def _ask_us(call, *arguments):
    start = time.ticks_us()
    for _ in range(ASKED):
        call(*arguments)
    return time.ticks_diff(time.ticks_us(), start) / ASKED


order = sorted(range(LEDGER_TOKENS), key=lists.jti16)
shuffled = order[:]
for i in range(len(shuffled) - 1, 0, -1):
    j = random.randrange(i + 1)
    shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
texts = {"sorted_us": _records(order), "turned_us": _records(reversed(order)), "shuffled_us": _records(shuffled)}
one, many = [Ledger(RamStore(watched=True), lists.SYSTEM16) for _ in range(2)]
lists.ingest(one, io.BytesIO(_records(order[:1])), False, lists.BASE)
lists.ingest(many, io.BytesIO(texts["shuffled_us"]), False, lists.BASE)
jtis = [lists.jti16(order[0]), lists.jti16(5000)]
facts = {}
for _ in range(TURNS):
    taken = {name: _ingest_us(data) for name, data in texts.items()}
    for name, ledger in (("one", one), ("many", many)):
        for word, jti in (("listed", jtis[0]), ("strange", jtis[1])):
            taken[name + "_" + word + "_us"] = _ask_us(ledger.standing, jti, lists.BASE)
        taken[name + "_admits_us"] = _ask_us(ledger.admits, jtis[1])
    facts = {name: min(us, facts.get(name, us)) for name, us in taken.items()}
print(json.dumps(facts))
