"""Every device process that dies fails its test at once; children take Ctrl-C also where it was ignored for us."""

import signal
import subprocess
import sys
import time

import pytest

import deaths
from latchkey_tools.boards import build
from latchkey_tools.desk import children

WAITS = [build.micropython(), "-c", "import time; time.sleep(60)"]


@pytest.mark.parametrize("reaped_by_its_owner", [True, False])
@pytest.mark.parametrize("end, word", [(signal.SIGSEGV, "SIGSEGV"), (None, "status 3")])
def test_a_device_that_dies_ends_the_wait_and_names_the_signal(end, word, reaped_by_its_owner):
    process = children.spawn(WAITS if end else [build.micropython(), "-c", "import sys; sys.exit(3)"])
    began = time.monotonic()
    with pytest.raises(pytest.fail.Exception, match=f"a device's process ended: {word}: .*micropython"):
        if end:
            process.send_signal(end)
        if reaped_by_its_owner:
            process.wait(60)
            deaths.check()
        time.sleep(60)
    assert time.monotonic() - began < 30
    process.wait()


def test_power_cuts_ends_in_order_and_resets_are_no_deaths():
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = children.spawn(WAITS)
        process.send_signal(number)
        process.wait(60)
    children.spawn([build.micropython(), "-c", ""]).wait(60)
    deaths.check()


IGNORED = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
from latchkey_tools.desk import children
with children.spawn([sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT))"]) as process:
    pass
"""


def test_a_child_takes_ctrl_c_where_its_parent_ignores_it():
    done = subprocess.run([sys.executable, "-c", IGNORED], capture_output=True, text=True)
    assert "default_int_handler" in done.stdout, done.stderr


def test_the_tests_take_ctrl_c_however_they_were_started():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
