"""Run the self-test on a board: the table of attacks and vectors that the tests walk here, by the real mpremote.

An image that `latchkey board image` made is looked at too, after a write to flash and a restart: ESP-IDF takes a page
that nobody reserved away while it starts. The board must carry the firmware. Its program is stopped meanwhile and
restarted at the end, however that comes.
"""

import datetime
import tempfile
from pathlib import Path

from latchkey_tools import __version__
from latchkey_tools.boards import build, mpremote
from latchkey_tools.sim.pki import write_private

TABLE = build.ROOT / "host_tests" / "vectors" / "selftest.json"
# The board is silent while the table travels: 26 s at 115200 baud, two minutes on an emulated ESP32.
QUIET_S = 5 * mpremote.QUIET_S
# Memory for the walk, which follows as text.
_FREE = """
import gc, sys
for name in list(sys.modules):
    if name != "sys":
        del sys.modules[name]
gc.collect()
"""
_WALK = """
import json, os
from latchkey import bignum
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
        rows, wrong = walk(Told(file))
finally:
    os.remove("selftest.json")
found = {"rows": rows, "differ": wrong, "power": bignum.kernel, "sha512": sha512.kernel}
made = image()
if made:
    found["image"] = made
print(json.dumps(found))
"""
# A frozen image is looked at after this and a restart. The remains of a copy that broke off would not go before
# its successor is whole, and a file system of 320 KB has no room for both.
_WRITE = """
import json, os
if "selftest.json" in os.listdir():
    os.remove("selftest.json")
with open("selftest.bin", "wb") as file:
    for _ in range(16):
        file.write(b"\\x5a" * 512)
os.remove("selftest.bin")
try:
    import latchkey_image
    print(json.dumps({"frozen": True}))
except ImportError:
    pass
"""
_WALKER = build.BOARDS / "common" / "selftest" / "walk.py"
_MEASURE = Path(__file__).with_name("measure.py")


class SelftestError(Exception):
    """The board did not walk the table to its end; the text says why."""


def run(port, on_row=None, quiet_s=QUIET_S):
    """Let the board at ``port`` walk the table; a dict of ``rows`` (count), ``differ`` (dicts of name and what the
    board ``got``), ``power`` and ``sha512`` (what computes them there). SelftestError, CableError.

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
    cable = mpremote.SerialCable(port, quiet_s)
    with cable.stopped():
        if mpremote.objects(cable.run("exec", mpremote.LONG_WATCHDOG + _WRITE)):
            cable.restart()
        walk = _FREE + _WALKER.read_text() + _WALK
        steps = ["exec", mpremote.LONG_WATCHDOG, "+", "fs", "cp", TABLE, ":selftest.json", "+", "exec", walk]
        found = [one for one in mpremote.objects(cable.run(*steps, on_line=heard)) if "rows" in one]
    if not found or found[0]["rows"] != total:
        raise SelftestError(f"the board on {port} did not walk all {total} rows; run the same again")
    return found[0] | {"differ": [{"name": name, "got": got} for name, got in found[0]["differ"]]}


def image_faults(found):
    """Faults of the image in the result of ``run``: texts, for a person."""
    image = found.get("image") or {"wrong": [], "pages": []}
    yield from (f"{name} is not in flash as it was frozen" for name in image["wrong"])
    for addr, page, entries in image["pages"]:
        if any(entry != page for entry in entries):
            shown = ", ".join(map(hex, entries))
            yield f"the MMU maps the added page at {addr:#x} to {shown}, not to {page:#x} (docs/image.md)"


def measure(port, ssid="", passphrase="", tls=("", 0), quiet_s=QUIET_S):
    """For a report: chip, memory at each step of a start, Wi-Fi's verdicts, a TLS session if ``tls`` names a server,
    times of powers. Nothing of it is secret but the network's name, which is not in it."""
    cable = mpremote.SerialCable(port, quiet_s)
    with cable.stopped(), tempfile.TemporaryDirectory() as folder:
        # Others see a command line, and this holds a passphrase.
        script = Path(folder) / "measure.py"
        call = f"\nmain{(ssid, passphrase, *tls)!r}\n"
        write_private(script, (mpremote.LONG_WATCHDOG + _MEASURE.read_text() + call).encode())
        said = mpremote.objects(cable.run("run", script))
    chip = next((one for one in said if "machine" in one), {})
    powers = {str(one["power_bits"]): one["us"] for one in said if "power_bits" in one}
    if not powers:
        raise SelftestError(f"the board on {port} did not measure to the end; run the same again")
    made = {"tool": __version__, "date": datetime.date.today().isoformat()}
    return made | {"chip": chip, "start": [one for one in said if "step" in one], "power_us": powers}


def _rows(text):
    """How many rows have begun in ``text``, where each begins a line."""
    return text.count(b"\n{")
