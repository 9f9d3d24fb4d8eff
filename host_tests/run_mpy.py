"""Run dual tests on MicroPython, each file in a process of its own: on the unix port and with 32-bit words.

    python host_tests/run_mpy.py [--heapsize 2M] [test_file.py ...]      (default: every file in dual/)

The firmware is compiled to .mpy first, as a board gets it. Exit status 1 if any file fails or none was found.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from latchkey_tools.boards import build, umqtt
from latchkey_tools.dev import wasm

HERE = Path(__file__).resolve().parent
BOARDS = HERE.parent / "boards"
PLACES = (HERE / "mpy", HERE / "dual", HERE / "fakes", BOARDS / "desk" / "standins", BOARDS / "common" / "selftest")
INTERPRETERS = ("unix", "wasm")
# The 32-bit interpreter lacks these for files, or parts of files; they run on the other two.
NOT_ON_WASM = {
    "test_board_adapters": "asyncio.run",
    "test_interning": "a collection of garbage before the end of a run",
    "test_link_adapters": "socket",
    "test_link_long_runs": "socket",
}
_RUN = "import sys, unittest; m = __import__(%r); sys.exit(1 if unittest.run_module(m) else 0)"
# Its frozen modules of these names are slower and stricter than the built-in ones, which a chip has.
_LIKE_A_CHIP = """
import sys
sys.path[:] = []
for name in ("binascii", "collections", "time"):
    sys.modules[name] = __import__(name)
sys.path[:] = [".frozen"]
import os, random
os.urandom = lambda n: bytes(random.getrandbits(8) for _ in range(n))
"""


def run(test, interpreter="unix", heapsize="2M"):
    """Run one dual test file; returns the finished process with text output."""
    code = _RUN % test.stem
    folders = (build.compile_firmware(), umqtt.fetch(), *PLACES, HERE)
    if interpreter == "wasm":
        places = f"sys.path[:0] = {[*map(str, folders)]}\nos.chdir({str(HERE)!r})\n"
        return wasm.run(_LIKE_A_CHIP + places + code, folders=folders)
    return subprocess.run(
        [str(build.micropython()), "-X", f"heapsize={heapsize}", "-c", code],
        env={**os.environ, "MICROPYPATH": ":".join([".frozen", *map(str, folders)])},
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=300,
    )


def jobs(tests):
    """(test, interpreter) for all that run."""
    return [(t, i) for t in tests for i in INTERPRETERS if i == "unix" or t.stem not in NOT_ON_WASM]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heapsize", default="2M")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    tests = [HERE / "dual" / Path(f).name for f in args.files] or sorted((HERE / "dual").glob("test_*.py"))
    failed = 0 if tests else 1
    for test, interpreter in jobs(tests):
        done = run(test, interpreter, args.heapsize)
        verdict = "ok" if done.returncode == 0 else "FAILED"
        print(f"{test.name}, {interpreter}: {verdict}  {done.stdout.strip().splitlines()[-1:]}")
        if done.returncode != 0:
            failed += 1
            print(done.stdout, done.stderr, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
