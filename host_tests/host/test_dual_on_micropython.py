"""Every dual test file also passes on MicroPython from precompiled .mpy: on the unix port and with 32-bit words."""

import pytest

import run_mpy

DUAL = sorted((run_mpy.HERE / "dual").glob("test_*.py"))


def test_there_are_dual_tests_to_run_and_exceptions_name_some_of_them():
    assert DUAL and {test.stem for test in DUAL} > run_mpy.NOT_ON_WASM.keys()


@pytest.mark.parametrize("test, interpreter", run_mpy.jobs(DUAL), ids=lambda p: getattr(p, "stem", p))
def test_passes(test, interpreter):
    done = run_mpy.run(test, interpreter)
    assert done.returncode == 0, done.stdout + done.stderr
