"""Runs a script of this folder on the unix port and returns the lines of JSON it prints. For host tests.

``compiled``: names of scripts here that are compiled first, since compiling on a small heap fills it.
"""

import json
import os
import subprocess
from pathlib import Path

from latchkey_tools.boards import build

HERE = Path(__file__).resolve().parent


def stories(code, heapsize="4M", timeout_s=200, compiled=()):
    path = [".frozen", str(build.compile_firmware()), str(build.BUILD / "mpy" / "scripts"), str(HERE)]
    for name in compiled:
        build.compile_file(HERE / f"{name}.py", build.BUILD / "mpy" / "scripts" / f"{name}.mpy", "x64", f"{name}.py")
    done = subprocess.run(
        [str(build.micropython()), "-X", f"heapsize={heapsize}", "-c", code],
        env={**os.environ, "MICROPYPATH": ":".join(path)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]
