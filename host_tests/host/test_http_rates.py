"""The API reaches at least 0.8 of the rate of microdot with its token auth, on the same interpreter in the same run."""

import sys
from pathlib import Path

import pytest

import counts

sys.path.append(str(Path(__file__).resolve().parent.parent / "bench"))
import api_rates  # noqa: E402


@pytest.fixture(scope="module")
def rates():
    return api_rates.compare(counts.get("api_rate_requests"))


@pytest.mark.parametrize("case", ["info", "state", "control"])
def test_requests_per_second_beside_microdot(rates, case):
    ours, theirs = rates[case]
    assert ours >= 0.8 * theirs
