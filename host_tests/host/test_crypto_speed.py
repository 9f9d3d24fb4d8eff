"""The modular power against the built-in one on the unix port, both in one run that lets them take turns."""

import on_port
import pytest

# On a chip's 16-bit digits the ratio is 0.8 by count of instructions; the desk must not be far off.
MOST = {2048: 1.25, 4096: 1.4}
TURNS = 60


@pytest.fixture(scope="module")
def times():
    lines = on_port.run("speed.py", TURNS, *MOST).splitlines()
    return {int(bits): (int(ours), int(builtin)) for bits, ours, builtin in map(str.split, lines)}


@pytest.mark.parametrize("bits", MOST)
def test_a_power_takes_little_longer_than_the_built_in_one(bits, times):
    ours, builtin = times[bits]
    assert ours <= MOST[bits] * builtin, times
