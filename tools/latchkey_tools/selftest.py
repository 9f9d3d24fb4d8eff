"""Run the self-test on a board: the table of attacks and vectors that the tests walk here, by the real mpremote.

    python -m latchkey_tools.selftest PORT         (`make selftest PORT=...`)

The board must carry the firmware. Its program is stopped meanwhile and runs again after a reset. Exit status 1 if a
row differs or the table could not be walked.
"""

import sys

from latchkey_tools import build, wirecall

TABLE = build.ROOT / "host_tests" / "vectors" / "selftest.json"
# The unix port has its flash at /flash and the host's files at /; a chip has its flash at /.
FIND_FLASH = "import os; print('/flash' if 'flash' in os.listdir('/') else '')"
WALK = """
import gc, sys
for name in list(sys.modules):
    if name != 'sys':
        del sys.modules[name]
gc.collect()
import selftest
print('DIFFER', selftest.run('{0}'))
"""


class SelftestError(Exception):
    """The board did not walk the table to its end; the text says why."""


def run(port, report=print, timeout_s=600):
    """How many rows differ on the board at ``port``; ``report`` gets each line that the board prints."""
    folder = _mpremote(port, timeout_s, "exec", FIND_FLASH).strip().splitlines()[-1:] or [""]
    path = f"{folder[0]}/selftest.json"
    _mpremote(port, timeout_s, "fs", "cp", TABLE, f":{path}")
    try:
        lines = _mpremote(port, timeout_s, "exec", WALK.format(path)).strip().splitlines()
    finally:
        _mpremote(port, timeout_s, "fs", "rm", f":{path}")
    for line in lines[:-1]:
        report(line)
    if not lines or not lines[-1].startswith("DIFFER "):
        raise SelftestError(" | ".join(lines[-3:]) or "the board said nothing")
    return int(lines[-1].split()[1])


def _mpremote(port, timeout_s, *arguments):
    return wirecall.mpremote(port, arguments, timeout_s, SelftestError)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        sys.exit(1 if run(sys.argv[1]) else 0)
    except SelftestError as error:
        sys.exit(f"self-test: {error}")


if __name__ == "__main__":
    main()
