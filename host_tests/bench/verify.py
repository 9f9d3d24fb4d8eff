"""Runs on CPython and on the unix port: how long the verifier takes. argv: file of cases, turns. Prints JSON."""

import gc
import json
import sys
import time

import held

from latchkey import bignum, jws, rsa, sha512, sha512_plain
from latchkey.verifier import Verifier

if hasattr(time, "ticks_us"):
    now_us = time.ticks_us
    passed_us = time.ticks_diff
else:

    def now_us():
        return time.perf_counter_ns() / 1000

    def passed_us(later, earlier):
        return later - earlier


def least(turns, *calls):
    """Microseconds of each call, the least of all turns; the calls take turns."""
    best = [1 << 29] * len(calls)
    gc.collect()
    for _ in range(turns):
        for i, call in enumerate(calls):
            start = now_us()
            call()
            best[i] = min(best[i], passed_us(now_us(), start))
    return best


def powers(key, signature):
    n, e = int.from_bytes(key.n_be, "big"), key.e
    s = int.from_bytes(signature, "big")
    return lambda: key.power(signature), lambda: pow(s, e, n)


def rsa_package(case, key, signing_input, signature):
    """The pure-Python package `rsa`, where it is installed (CPython)."""
    try:
        import rsa as package
    except ImportError:
        return None
    public = package.PublicKey(int.from_bytes(key.n_be, "big"), key.e)
    return lambda: package.verify(bytes(signing_input), bytes(signature), public)


def fresh(verifier, case):
    """A verification that remembers nothing, budget and all."""

    def call():
        Verifier(verifier._keystore, verifier._ledger, verifier._clock, verifier.policy).verify(case["token"].encode())

    return call


def rows_of(case, turns):
    keys, verifier, token = held.load(case)
    key = keys[0].public_key
    _, _, signature, signing_input = jws.split(token[6:])
    name = case["alg"] + " " + str(case["bits"])
    rows = []

    def measure(what, *calls):
        for i, us in enumerate(least(turns, *calls)):
            rows.append((name + ": " + what[i], us, "us"))

    measure(("power, ours: " + bignum.kernel, "power, built-in pow"), *powers(key, signature))
    measure(("key set-up",), lambda: rsa.PublicKey(key.n_be, key.e))
    measure(("jws.verify_compact",), lambda: jws.verify_compact(token[6:], keys))
    package = rsa_package(case, key, signing_input, signature)
    if package:
        measure(
            ("signature by the package rsa", "signature, ours"),
            package,
            lambda: ours(case, key, signing_input, signature),
        )
    verifier.verify(token)
    measure(("token new", "token remembered"), fresh(verifier, case), lambda: verifier.verify(token))
    return rows


def ours(case, key, signing_input, signature):
    rsa.verify_pkcs1v15(key, "sha256" if case["alg"] == "RS256" else "sha512", signing_input, signature)


def kernels(turns):
    data = bytes(128 * 20)
    found = [("plain", sha512_plain.block)]
    if sha512.kernel == "viper":
        from latchkey.sha512_viper import block

        found.append(("viper", block))
    rows = []
    for name, block in found:
        hasher = sha512.Hash(block, 512)
        us = least(turns, lambda: hasher.update(data))[0]  # noqa: B023
        rows.append(("SHA-512 per block of 128 bytes: " + name, us / 20, "us"))
    us = least(turns, lambda: sha512.sha512(data))[0]
    rows.append(("SHA-512 per block of 128 bytes: in use, " + sha512.kernel, us / 20, "us"))
    return rows


def main():
    with open(sys.argv[1]) as file:
        cases = json.load(file)
    turns = int(sys.argv[2])
    rows = kernels(turns)
    for case in cases:
        rows += rows_of(case, turns)
    print(json.dumps(rows))


main()
