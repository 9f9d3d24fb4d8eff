"""Ctrl-C at any moment of the demo leaves no process, no port and no file behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import processes_that_name


def wait_for(come, log, process, within_s=60):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and process.poll() is None:
        if come():
            return
        time.sleep(0.02)
    pytest.fail(f"it never came: {log.read_text()[-2000:]}")


# Here the signal is sent again and again until the demo has ended.
IMPATIENT = "2. Provisioned"


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="not run: needs /proc to look for processes")
@pytest.mark.parametrize(
    "moment, number",
    [
        ("", signal.SIGINT),
        ("1. Unboxed", signal.SIGINT),
        (IMPATIENT, signal.SIGINT),
        ("5. Offline", signal.SIGINT),
        ("the keys in flash", signal.SIGTERM),
    ],
)
def test_stopping_the_demo_leaves_nothing(tmp_path, moment, number):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    log = tmp_path / "out"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "latchkey_tools.cli.main", "demo", "-v"],
            env={**os.environ, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        # Before it says anything it has made its first file.
        wait_for(lambda: moment in log.read_text() if moment else any(scratch.glob("*/*")), log, process)
        # A terminal's Ctrl-C goes to the whole foreground group.
        os.killpg(process.pid, number)
        while process.poll() is None and moment == IMPATIENT:
            os.killpg(process.pid, number)
            time.sleep(0.03)
        process.wait(20)
        assert process.returncode == 130, log.read_text()
        assert "Traceback" not in log.read_text()
        assert list(scratch.iterdir()) == []
        assert processes_that_name(str(scratch)) == []
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
