"""Run a script of host_tests/bench/ on the MicroPython unix port, with the firmware as .mpy, as a board has it."""

import os
import subprocess
from pathlib import Path

from latchkey_tools.boards import build

HERE = Path(__file__).resolve().parent.parent


def run(script, *args, heapsize="4M", timeout_s=240):
    """The output of the script; AssertionError with its words if it failed."""
    firmware = build.compile_firmware()
    path = ":".join([".frozen", str(firmware), str(HERE / "fakes"), str(HERE / "bench")])
    command = [build.micropython(), "-X", f"heapsize={heapsize}", HERE / "bench" / script, *args]
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "MICROPYPATH": path},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
