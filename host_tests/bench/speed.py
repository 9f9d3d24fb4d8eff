"""Runs on the unix port: our modular power against the built-in one, taking turns. argv: turns, then bits.

Prints for each size "bits ours_us builtin_us ours_us builtin_us", the least of all turns: with the heap as it is, and
with three quarters of it in use.
"""

import gc
import sys
import time

from latchkey.bignum import Modulus


def number(bits):
    return int.from_bytes(bytes([i * 37 + 11 & 255 for i in range(bits // 8)]), "big") | 1 | 1 << bits - 1


def least(calls, turns):
    best = [1 << 29] * len(calls)
    for _ in range(turns):
        for i, call in enumerate(calls):
            start = time.ticks_us()
            call()
            best[i] = min(best[i], time.ticks_diff(time.ticks_us(), start))
    return best


def pair(bits):
    n, s = number(bits), number(bits - 8)
    s_be = s.to_bytes(bits // 8, "big")
    modulus = Modulus(n.to_bytes(bits // 8, "big"), 65537)
    return lambda: modulus.power(s_be), lambda: pow(s, 65537, n)


def fill():
    """Small objects until three quarters of the heap are in use, so that a search passes many."""
    held = None
    while gc.mem_alloc() < 3 * gc.mem_free():
        for _ in range(100):
            held = [held]
    return held


def main():
    turns = int(sys.argv[1])
    rows = [(bits, pair(int(bits))) for bits in sys.argv[2:]]
    rows = [(bits, calls, least(calls, turns)) for bits, calls in rows]
    held = fill()
    for bits, calls, empty in rows:
        print(bits, *empty, *least(calls, turns))
    del held


main()
