"""The small bignum, on the kernel's specification, against CPython's pow: random cases and boundaries, in numbers that
counts.py sets."""

import json
import os
import random

import on_kernel
import on_port

import counts

EXPONENTS = (3, 5, 17, 257, 65537, 65537, 65537, 65539, 2**31 + 1, 2**32 - 1)
# Sizes about the kernel's 8 limbs of 32 bits, and the 16-, 30- and 32-bit digits of the interpreters' integers.
EDGES = (9, 15, 16, 17, 30, 31, 32, 33, 63, 64, 65, 224, 225, 255, 256, 257, 512, 513, 1023, 1024, 1025, 2048, 2049)
LARGE = (2050, 2064, 2559, 2560, 2561, 3071, 3072, 3073, 3584, 4080, 4095, 4096)


def modulus(rng, bits):
    """An odd number of exactly ``bits`` bits: random, or with long runs of zeros and ones."""
    kind = rng.randrange(4)
    low, high = 1 << bits - 1, (1 << bits) - 1
    if kind == 0:
        return low | 1 << rng.randrange(bits) | 1
    if kind == 1:
        return (high - (1 << rng.randrange(bits - 1))) | 1
    return low | rng.getrandbits(bits) | 1


def base(rng, n, bits):
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice((0, 1, 2, n - 1, n - 2, n >> 1, (n >> 1) + 1, (1 << bits - 1) % n))
    if kind == 1:
        return (1 << rng.randrange(bits)) % n
    return rng.randrange(n)


def cases(count, seed):
    rng = random.Random(seed)
    for i in range(count):
        bits = rng.choice(LARGE) if i % 8 == 0 else rng.choice(EDGES) if i % 2 else rng.randrange(9, 1200)
        n = modulus(rng, bits)
        yield n, base(rng, n, bits), rng.choice(EXPONENTS)


def seed():
    """Another one each day in the soak; always the same in `make test`, so that a failure can be had again."""
    return int(os.environ.get("LATCHKEY_SEED", "1"))


def test_agrees_with_pow_on_cpython():
    count = 0
    bignum, _ = on_kernel.load()
    assert bignum.kernel == "kernel"
    for n, s, e in cases(counts.get("bignum_cpython"), seed()):
        size = (n.bit_length() + 7) // 8
        got = bignum.Modulus(n.to_bytes(size, "big"), e).power(s.to_bytes(size, "big"))
        assert int.from_bytes(got, "big") == pow(s, e, n), (n, s, e)
        count += 1
    assert count >= 20000


def test_agrees_with_cpythons_pow_on_the_unix_port(tmp_path):
    rows = tmp_path / "rows"
    count = counts.get("bignum_micropython")
    with rows.open("w") as file:
        for n, s, e in cases(count, seed() + 1):
            file.write(json.dumps([f"{x:x}" for x in (n, s, e, pow(s, e, n))]) + "\n")
    assert count >= 2000
    assert on_port.run("bignum_cases.py", rows) == f"{count}\n"
