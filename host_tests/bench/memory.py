"""Runs on the unix port: one whole verification on a fresh heap of which only so much is left.

In the place of the bignum's kernel is one that knows the result and, as the real one, needs no heap; the buffer of the
key is made before. argv: file of one case of latchkey_tools.dev.bench, free bytes, "verifier" or "jws"; with
"pieces" behind it half of the heap is free, in pieces of so many bytes. Prints what is free at the start.

Garbage is collected as it comes. Else it lies between what is alive, where the moment of the collection leaves it, and
6,400 bytes may fail where 5,000 suffice.
"""

import gc
import json
import sys

import montgomery_plain

sys.modules["latchkey.montgomery"] = sys.modules["uctypes"] = montgomery_plain

import heaps  # noqa: E402
import held  # noqa: E402  (imports the bignum)

from latchkey import bignum, jws  # noqa: E402


def know(key, signature):
    """From now on the kernel does nothing but put the result of this power where powers leave theirs."""
    result = key.power(signature)
    known = bytes(result)

    def turn(_t, _s, _k):
        result[:] = known

    bignum.product, bignum.turn = lambda _t, _a, _b, _p: None, turn


def main():
    with open(sys.argv[1]) as file:
        keys, verifier, token = held.load(json.load(file))
    assert bignum.kernel == "kernel"
    know(keys[0].public_key, jws.split(memoryview(token)[6:])[2])
    call = verifier.verify if sys.argv[3] == "verifier" else lambda t: jws.verify_compact(memoryview(t)[6:], keys)
    (heaps.break_up if sys.argv[4:] else heaps.fill)(int(sys.argv[2]))
    gc.threshold(64)
    before = gc.mem_free()
    call(token)
    heaps.give_back()
    print(before)


main()
