"""Runs on the unix port: one whole verification on a fresh heap of which only so much is left.

argv: file of one case of latchkey_tools.bench, free bytes, "verifier" or "jws". Prints the free bytes before.
"""

import gc
import json
import sys

import held

from latchkey import jws


def block(free):
    """Take the heap from its low end, a few words at a time, until ``free`` bytes are left at its high end."""
    taken = None
    while gc.mem_free() > free:
        taken = (taken, None)
    return taken


def main():
    with open(sys.argv[1]) as file:
        keys, verifier, token = held.load(json.load(file))
    free = int(sys.argv[2])
    call = verifier.verify if sys.argv[3] == "verifier" else lambda t: jws.verify_compact(memoryview(t)[6:], keys)
    gc.collect()
    taken = block(free)
    before = gc.mem_free()
    call(token)
    del taken
    print(before)


main()
