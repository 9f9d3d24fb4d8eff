"""Memory that a verification takes of a small heap, on the unix port, where an object is twice the size of a chip's."""

import json

import on_port
import pytest

from latchkey import sha512, sha512_plain
from latchkey_tools.dev import bench

# Free heap is not monotonic: the bound holds on a heap of just that size and of somewhat larger ones.
ABOVE = (0, 256, 512, 1024, 2048)
KB = 1024


@pytest.fixture(scope="module")
def cases():
    return {(bits, alg): bench.make_case(bits, alg, 2000) for bits in (2048, 4096) for alg in ("RS256", "RS512")}


def free_before(case, free, how, folder):
    path = folder / "case.json"
    path.write_text(json.dumps(case))
    for _ in range(4):
        try:
            return int(on_port.run("memory.py", path, free, how, heapsize="192K"))
        except AssertionError:
            # The collector takes a number on the stack for an address now and then; the next run has other addresses.
            pass
    return int(on_port.run("memory.py", path, free, how, heapsize="192K"))


@pytest.mark.parametrize("alg", ["RS256", "RS512"])
@pytest.mark.parametrize("bits,limit", [(4096, 6 * KB), (2048, 6 * KB)])
def test_a_token_of_2000_bytes_is_verified_in_a_small_heap(bits, limit, alg, cases, tmp_path):
    case = cases[bits, alg]
    assert 2000 <= len(case["token"]) <= 2004
    for above in ABOVE:
        assert limit + above - 64 < free_before(case, limit + above, "jws", tmp_path) <= limit + above


@pytest.mark.parametrize("alg", ["RS256", "RS512"])
def test_claims_and_roles_of_such_a_token_fit_beside_4096_bits(alg, cases, tmp_path):
    """From 8.8 KB most heaps are enough, from 9.4 all: what is free lies in pieces, and their sizes follow from the
    lengths of the paths on the heap. The same allocations are two thirds of this in words of 32 bits, so about 6 KB
    (docs/measurements.md).
    """
    for above in ABOVE:
        assert free_before(cases[4096, alg], 10 * KB + above, "verifier", tmp_path) > 10 * KB + above - 64


def test_a_heap_too_small_for_the_numbers_fails_cleanly(cases, tmp_path):
    with pytest.raises(AssertionError, match="MemoryError"):
        free_before(cases[4096, "RS512"], 3 * KB, "jws", tmp_path)


def test_a_block_of_sha512_allocates_nothing():
    hasher = sha512.Hash(sha512_plain.block, 512, bytes(range(256)) * 4)
    assert on_port.run("heap_locked.py") == bytes(hasher._state).hex() + "\n"
