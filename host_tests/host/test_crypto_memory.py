"""Memory that a verification takes of a small heap, on the unix port, where an object is twice the size of a chip's."""

import json

import on_port
import pytest

from latchkey import sha512, sha512_plain
from latchkey_tools.dev import bench

ABOVE = (0, 1024)
KB = 1024


@pytest.fixture(scope="module")
def cases():
    return {(bits, alg): bench.make_case(bits, alg, 2000) for bits in (2048, 4096) for alg in ("RS256", "RS512")}


def free_before(case, free, *how, folder):
    path = folder / "case.json"
    path.write_text(json.dumps(case))
    for _ in range(4):
        try:
            return int(on_port.run("memory.py", path, free, *how, heapsize="1M"))
        except AssertionError:
            # The collector takes a number on the stack for an address now and then; the next run has other addresses.
            pass
    return int(on_port.run("memory.py", path, free, *how, heapsize="1M"))


@pytest.mark.parametrize("alg", ["RS256", "RS512"])
@pytest.mark.parametrize("bits,limit", [(4096, 6 * KB), (2048, 6 * KB)])
def test_a_token_of_2000_bytes_is_verified_in_a_small_heap(bits, limit, alg, cases, tmp_path):
    case = cases[bits, alg]
    assert 2000 <= len(case["token"]) <= 2004
    for above in ABOVE:
        assert limit + above - 64 < free_before(case, limit + above - 63, "jws", folder=tmp_path) <= limit + above


@pytest.mark.parametrize("alg", ["RS256", "RS512"])
@pytest.mark.parametrize("bits", [4096, 2048])
def test_claims_and_roles_of_such_a_token_fit_too(bits, alg, cases, tmp_path):
    """7.6 KB are enough beside a key of 4,096 bits, 8.7 beside one of 2,048, whose token has more claims. The same
    allocations are two thirds of this in words of 32 bits, so about 6 KB (docs/measurements.md).
    """
    for above in ABOVE:
        free = 10 * KB + above
        assert free - 64 < free_before(cases[bits, alg], free - 63, "verifier", folder=tmp_path) <= free


@pytest.mark.parametrize("alg", ["RS256", "RS512"])
def test_no_piece_of_more_than_1280_bytes_is_needed(alg, cases, tmp_path):
    for bits in (2048, 4096):
        assert free_before(cases[bits, alg], 1280, "verifier", "pieces", folder=tmp_path) > 10 * KB


def test_a_heap_too_small_for_the_numbers_fails_cleanly(cases, tmp_path):
    with pytest.raises(AssertionError, match="MemoryError"):
        free_before(cases[4096, "RS512"], 3 * KB, "jws", folder=tmp_path)


def test_a_block_of_sha512_allocates_nothing():
    hasher = sha512.Hash(sha512_plain.block, 512, bytes(range(256)) * 4)
    assert on_port.run("heap_locked.py") == bytes(hasher._state).hex() + "\n"
