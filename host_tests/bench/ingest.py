"""Runs on the unix port: a record of a token list made from its text, beside json.loads of that text, taking turns.

argv: turns. Prints "records_us loads_us", the least of all turns.
"""

import io
import json
import sys
import time

import lists

from latchkey.stores.tokenlist import parse_records

COUNT = 20


def main():
    member = lists.record(3, token=lists.token_text(3, lists.BASE, 150))
    text = json.dumps(member).encode()
    assert 1150 <= len(text) <= 1250, len(text)
    whole = b"[" + b",".join([text] * COUNT) + b"]"
    best = [1 << 29, 1 << 29]
    for _ in range(int(sys.argv[1])):
        start = time.ticks_us()
        found = list(parse_records(io.BytesIO(whole), lists.SYSTEM16))
        middle = time.ticks_us()
        for _ in range(COUNT):
            json.loads(text)
        end = time.ticks_us()
        assert len(found) == COUNT and len(found[0]) > 16
        best = [min(best[0], time.ticks_diff(middle, start)), min(best[1], time.ticks_diff(end, middle))]
    print(best[0], best[1])


main()
