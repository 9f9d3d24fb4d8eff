"""Tests that need a program of the operating system: the one list of such programs, and the mark for a test.

    @needs("curl")                              on a test, or pytestmark = needs("curl") in a module
    pytest.param(kind, marks=needs("mosquitto"))

Without the program the test is not run, and the end of the run says so, one line a program. Where CI is set it fails.
"""

import collections
import os

import pytest

from latchkey_tools.sim import broker

# Program: Debian's package that brings it.
PACKAGES = {
    "curl": "curl",
    "openssl": "openssl",
    "mosquitto": "mosquitto",
    "tmux": "tmux",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "xtensa-lx106-elf-objdump": "binutils-xtensa-lx106",
    "riscv64-unknown-elf-objdump": "binutils-riscv64-unknown-elf",
}
_NOT_RUN = "not run: "


def needs(program):
    """A mark: run this test only where ``program``, a name in PACKAGES, is installed."""
    PACKAGES[program]
    return pytest.mark.needs(program)


def check(item):
    """Before a test: skip it if a program that it needs is missing, or fail it where CI is set."""
    for mark in item.iter_markers("needs"):
        program = mark.args[0]
        if not broker.find_program(program):
            refuse = pytest.fail if os.environ.get("CI") else pytest.skip
            refuse(f"{_NOT_RUN}{program} is not installed (Debian: apt install {PACKAGES[program]})")


def not_run(skipped):
    """One line for each reason why tests did not run; ``skipped``: reports of skipped tests."""
    reasons = collections.Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in sorted(reasons.items()):
        yield f"{_NOT_RUN}{count} test{'s' * (count > 1)}: {reason.removeprefix(_NOT_RUN)}"
