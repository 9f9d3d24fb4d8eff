"""Run dual tests on the MicroPython unix port, each file in a process of its own.

    python host_tests/run_mpy.py [--heapsize 2M] [test_file.py ...]      (default: every file in dual/)

The firmware is compiled to .mpy first, as a board gets it. Exit status 1 if any file fails or none was found.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from latchkey_tools import build, umqtt

HERE = Path(__file__).resolve().parent


def command(interpreter, test, heapsize):
    runner = "import sys, unittest; m = __import__(%r); sys.exit(1 if unittest.run_module(m) else 0)"
    return [str(interpreter), "-X", f"heapsize={heapsize}", "-c", runner % test.stem]


def run(test, heapsize="2M", timeout_s=300):
    """Run one dual test file; returns the finished process with text output."""
    firmware = build.compile_firmware()
    standins = build.ROOT / "boards" / "desk" / "standins"
    folders = (firmware, umqtt.fetch(), HERE / "mpy", HERE / "dual", HERE / "fakes", standins, HERE)
    path = ":".join([".frozen", *map(str, folders)])
    return subprocess.run(
        command(build.micropython(), test, heapsize),
        env={**os.environ, "MICROPYPATH": path},
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heapsize", default="2M")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    tests = [HERE / "dual" / Path(f).name for f in args.files] or sorted((HERE / "dual").glob("test_*.py"))
    failed = 0 if tests else 1
    for test in tests:
        done = run(test, args.heapsize)
        print(f"{test.name}: {'ok' if done.returncode == 0 else 'FAILED'}  {done.stdout.strip().splitlines()[-1:]}")
        if done.returncode != 0:
            failed += 1
            print(done.stdout, done.stderr, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
