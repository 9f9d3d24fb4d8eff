"""A test that needs a program which is not installed is named at the end of a run; in CI it fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize(
    "ci, status, said",
    [
        ("", 0, "not run: 4 tests: curl is not installed (Debian: apt install curl)\n"),
        ("true", 1, "Failed: not run: curl is not installed"),
    ],
)
def test_a_program_that_is_missing_is_named_and_fails_in_ci(tmp_path, ci, status, said):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "in_its_other_ways", HERE / "test_clients.py"],
        env={**os.environ, "PATH": str(tmp_path), "CI": ci},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, said in done.stdout) == (status, True), done.stdout + done.stderr
