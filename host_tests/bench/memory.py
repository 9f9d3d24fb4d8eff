"""Runs on the unix port: one whole verification on a fresh heap of which only so much is left.

In the place of the bignum's kernel is one that knows the result and, as the real one, needs no heap; the buffer of the
key is made before. argv: file of one case of latchkey_tools.dev.bench, free bytes, "verifier" or "jws". Prints what is
free at the start.
"""

import gc
import json
import sys

import montgomery_plain

sys.modules["latchkey.montgomery"] = sys.modules["uctypes"] = montgomery_plain

import held  # noqa: E402  (imports the bignum)

from latchkey import bignum, jws  # noqa: E402


def block(free):
    """Take the heap from its low end, a few words at a time, until ``free`` bytes are left at its high end."""
    taken = None
    while gc.mem_free() > free:
        taken = (taken, None)
    return taken


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
    free = int(sys.argv[2])
    call = verifier.verify if sys.argv[3] == "verifier" else lambda t: jws.verify_compact(memoryview(t)[6:], keys)
    gc.collect()
    taken = block(free)
    before = gc.mem_free()
    call(token)
    del taken
    print(before)


main()
