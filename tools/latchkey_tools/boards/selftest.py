"""Run the self-test on a board: the table of attacks and vectors that the tests walk here, by the real mpremote.

The board must carry the firmware. Its program is stopped meanwhile and restarted at the end, however that comes.
"""

from latchkey_tools.boards import build, mpremote

TABLE = build.ROOT / "host_tests" / "vectors" / "selftest.json"
# Nothing is heard while the table travels, 26 s at 115200 baud.
QUIET_S = 2 * mpremote.QUIET_S
_WALK = """
import gc, os, sys
for name in list(sys.modules):
    if name != "sys":
        del sys.modules[name]
gc.collect()
import json, selftest
from latchkey import bignum, sha512
class Told:
    def __init__(self, file):
        self.file, self.done = file, 0
    def readinto(self, buffer):
        n = self.file.readinto(buffer)
        self.done += n
        print("READ", self.done)
        return n
try:
    with open("selftest.json", "rb") as file:
        rows, wrong = selftest.walk(Told(file))
finally:
    os.remove("selftest.json")
print(json.dumps({"rows": rows, "differ": wrong, "power": bignum.kernel, "sha512": sha512.kernel}))
"""


class SelftestError(Exception):
    """The board did not walk the table to its end; the text says why."""


def run(port, on_row=None, quiet_s=QUIET_S):
    """Let the board at ``port`` walk the table; a dict of ``rows`` (count), ``differ`` (dicts of name and what the
    board ``got``), ``power`` and ``sha512`` (what computes them there). SelftestError, WireError.

    ``on_row(done, total)``: rows the board has read. ``quiet_s``: how long it may say nothing.
    """
    table = TABLE.read_bytes()
    total = _rows(table)
    told = on_row or (lambda done, total: None)

    def heard(line):
        word, _, count = line.partition(" ")
        if word == "READ" and count.isdigit():
            told(_rows(table[: int(count)]), total)

    told(0, total)
    wire = mpremote.Wire(port, quiet_s)
    with wire.stopped():
        steps = ["exec", mpremote.LONG_WATCHDOG, "+", "fs", "cp", TABLE, ":selftest.json", "+", "exec", _WALK]
        found = [one for one in mpremote.objects(wire.run(*steps, on_line=heard)) if "rows" in one]
    if not found or found[0]["rows"] != total:
        raise SelftestError(f"the board on {port} did not walk all {total} rows; run the same again")
    return found[0] | {"differ": [{"name": name, "got": got} for name, got in found[0]["differ"]]}


def _rows(text):
    """How many rows have begun in ``text``, where each begins a line."""
    return text.count(b"\n{")
