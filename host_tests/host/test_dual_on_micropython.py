"""Every dual test file also passes on the MicroPython unix port, from precompiled .mpy files."""

from pathlib import Path

import pytest

import run_mpy

DUAL = sorted((Path(__file__).resolve().parent.parent / "dual").glob("test_*.py"))


def test_there_are_dual_tests_to_run():
    assert DUAL


@pytest.mark.parametrize("test", DUAL, ids=lambda p: p.stem)
def test_passes_on_the_unix_port(test):
    done = run_mpy.run(test)
    assert done.returncode == 0, done.stdout + done.stderr
