"""Runs on the unix port: our modular power against the built-in one, taking turns. argv: turns, then bits.

Prints for each size "bits ours_us builtin_us", the least of all turns.
"""

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


def main():
    for bits in [int(text) for text in sys.argv[2:]]:
        n, s = number(bits), number(bits - 8)
        modulus = Modulus(n)
        ours, builtin = least((lambda: modulus.power(s, 65537), lambda: pow(s, 65537, n)), int(sys.argv[1]))  # noqa: B023
        print(bits, ours, builtin)


main()
