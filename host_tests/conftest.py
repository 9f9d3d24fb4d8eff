"""Paths for the CPython run: the firmware, the fakes, the shims for modules CPython lacks, the desk's stand-ins.

Also what holds for every test: programs that are missing (needs.py), devices that die (deaths.py), and Ctrl-C.
"""

import signal
import sys
from pathlib import Path

import pytest

from latchkey_tools.boards import umqtt

HERE = Path(__file__).resolve().parent
BOARDS = HERE.parent / "boards"
DESK = BOARDS / "desk"
STANDINS = (HERE / "shims", HERE / "fakes", DESK / "standins", DESK / "adapters", BOARDS / "common" / "selftest")
OURS = (HERE, *STANDINS, HERE.parent / "firmware")
for folder in (*OURS, umqtt.fetch()):
    sys.path.insert(0, str(folder))

import counts  # noqa: E402  (found through the paths above)
import deaths  # noqa: E402
import needs  # noqa: E402

# A script's `make test &` starts us with SIGINT ignored, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
deaths.watch()

# Files of a minute and more: a file runs in one process, and these begin first, so that none of them ends last.
LONG = {
    f"test_{name}.py"
    for name in (
        "cli_board", "cli_pair", "cli_pair_day", "commissioning", "deploy", "dual_on_micropython", "hostile_broker",
        "line", "little_memory", "page", "page_update", "practice", "server_strangers", "sleep", "update_ends",
    )
}  # fmt: skip


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(program): runs only where this program is installed; see needs.py")
    config.addinivalue_line("markers", "soak: long by nature; runs in `make soak` alone")
    config.addinivalue_line("markers", "device_dies: the test kills a device's process on purpose; see deaths.py")


def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if counts.SOAK or not item.get_closest_marker("soak")]
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    needs.check(item)
    return (yield from _mortal(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    return (yield from _mortal(item))


def _mortal(item):
    deaths.arm(item)
    try:
        result = yield
        deaths.check()
    finally:
        deaths.arm(None)
    return result


def pytest_terminal_summary(terminalreporter):
    for line in needs.not_run(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(line)
