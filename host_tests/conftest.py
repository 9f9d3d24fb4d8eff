"""Paths for the CPython run: the firmware, the fakes, the shims for modules CPython lacks, the desk's stand-ins.

Also which tests were not run, and why; see needs.py.
"""

import sys
from pathlib import Path

from latchkey_tools import umqtt

HERE = Path(__file__).resolve().parent
STANDINS = HERE.parent / "boards" / "desk" / "standins"
for folder in (HERE, HERE / "shims", HERE / "fakes", STANDINS, HERE.parent / "firmware", umqtt.fetch()):
    sys.path.insert(0, str(folder))

import needs  # noqa: E402  (found through the paths above)


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(program): runs only where this program is installed; see needs.py")


def pytest_runtest_setup(item):
    needs.check(item)


def pytest_terminal_summary(terminalreporter):
    for line in needs.not_run(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(line)
