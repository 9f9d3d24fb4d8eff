"""Put a release of the firmware onto a board with an official MicroPython image, so that a power cut harms nothing.

The board has two folders, a and b. A release never goes into the only one that is good; only what differs travels (what
the other folder already has is copied on the board); all is read back by SHA-256; and last of all one small file,
`release`, with a number makes that folder the newer one. boards/common/start/ holds the two files that choose. Where
the other folder has a good release, the new one is unproven first: it is taken back if it does not start.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from latchkey_tools.boards import catalog
from latchkey_tools.boards.catalog import STARTER
from latchkey_tools.boards.mpremote import LONG_WATCHDOG, CableError, SerialCable
from latchkey_tools.boards.release import release

# RAM of a module, once imported, for each 10 bytes of its .mpy (`make size`: 137 KB for 106 KB).
_RAM_PER_10 = 13
# RAM of the firmware beside its modules: Wi-Fi 44 KB, a TLS session 34, its thread 17, what it makes while it runs
# 31 (docs/measurements.md). A chip without PSRAM has less than 250 KB in all, one with it at least 2 MB.
_RAM_RUNNING = 128 * 1024
# The part of a release that marks it as good once it works. A board would go back from a release without it.
_PROOF = "latchkey/update/proof.mpy"
# SHA-256 of every starter there ever was: a board may hold any of them.
_STARTERS = (
    "f9f7ddf2ee45a706d58a9f5be51d6b892a17c1cbbff53aefd44624b418e18954",
    "f505d9c8308e6e7f31b951d27ea13e21aa100574c9a88a7e9324186f0d670507",
    "f259dead646c8858f59ea994c35e480506ef08ed3e7efa70e440ea1d77a39714",
    "4caa70d3b808d7abc3eeb283fa626ea9c00550a5f5f6f6f805e1970142fc77e4",
    "b4ca48d36daf42eca1f79bf5ec7359bb1f23a4868ea2a7af359bbfb1f7698146",
    "5c83ca8a4e8a668fd9c920a2f675b38a78c4b0ceb1ead71cb71002b420b70dcb",
    "d9890c39cc076112ea59285e75a9e727b47faebe36d8965842130d6e6a1dd5cd",
)
# The boot.py that MicroPython makes (ports/esp32/modules/inisetup.py): who writes below its comments owns it.
STOCK_BOOT = """# This file is executed on every boot (including wake-boot from deepsleep)
#import esp
#esp.osdebug(None)
#import webrepl
#webrepl.start()
"""
_KNOWN = (*_STARTERS, *(hashlib.sha256(text.encode()).hexdigest() for text in (STOCK_BOOT, "")))

# sys.implementation._mpy >> 10 counts these (docs: reference/mpyfiles).
_ARCHITECTURES = "none x86 x64 armv6 armv6m armv7m armv7em armv7emsp armv7emdp xtensa xtensawin rv32imc rv64imc".split()

_HASH = """
import os, json, hashlib, binascii
def digest(path):
    h, b = hashlib.sha256(), bytearray(512)
    with open(path, "rb") as f:
        while True:
            n = f.readinto(b)
            if not n:
                return binascii.hexlify(h.digest()).decode()
            h.update(memoryview(b)[:n])
def tell(path):
    try:
        print(json.dumps({"file": path, "sha256": digest(path)}))
    except OSError:
        pass
def walk(path):
    try:
        found = list(os.ilistdir(path))
    except OSError:
        return tell(path)
    for entry in found:
        if entry[1] == 0x4000:
            walk(path + "/" + entry[0])
        else:
            tell(path + "/" + entry[0])
"""

_FACTS = (
    LONG_WATCHDOG
    + _HASH
    + """
import sys
def text(path):
    try:
        with open(path) as f:
            return f.read(24)
    except (OSError, ValueError):
        return None
path = sys.path[:]
sys.path[:] = [".frozen"]
sys.modules.pop("latchkey", None)
try:
    __import__("latchkey")
    frozen = True
except ImportError:
    frozen = False
sys.path[:] = path
import gc
gc.collect()
space = os.statvfs(os.getcwd())
for path in ("a", "b", "boot.py", "main.py"):
    walk(path)
print(json.dumps({
    "mpy": getattr(sys.implementation, "_mpy", 0),
    "machine": getattr(sys.implementation, "_machine", ""),
    "version": ".".join(str(n) for n in sys.implementation[1][:3]),
    "frozen": frozen,
    "ram": gc.mem_free(),
    "block": space[0],
    "free": space[0] * space[3],
    "a": text("a/release"),
    "b": text("b/release"),
}))
"""
)

# A release that is not complete counts as 0 and marks its folder as Latchkey's. There may be a file of that name; a
# folder with files in it cannot be removed.
_PREPARE = """
import os
for act in (os.remove, os.mkdir):
    try:
        act(%(folder)r)
    except OSError:
        pass
with open(%(folder)r + "/release", "w") as f:
    f.write("0\\n")
for path in %(remove)r:
    try:
        os.remove(path)
    except OSError:
        pass
for path in %(folders)r:
    try:
        os.mkdir(path)
    except OSError:
        pass
b = bytearray(512)
for source, target in %(copy)r:
    with open(source, "rb") as f:
        with open(target, "wb") as g:
            while True:
                n = f.readinto(b)
                if not n:
                    break
                g.write(memoryview(b)[:n])
"""

_COMMIT = """
with open(%(path)r, "w") as f:
    f.write(%(text)r)
tell(%(path)r)
"""


class DeployError(Exception):
    """The board is not one that this can go onto; the text says what to do. Nothing was changed."""


@dataclass
class Report:
    """The result of a deploy: ``sent`` files travelled, ``reused`` were on the board already."""

    board: str
    port: str
    arch: str
    folder: str
    number: int
    files: int
    sent: int
    reused: int
    bytes: int
    changed: bool

    def as_dict(self):
        return asdict(self)


def deploy(board_name, port, replace=False, quiet_s=None, on_step=None, lines=False):
    """Bring ``board_name``'s firmware onto the board at ``port``; returns a Report.

    ``replace``: also overwrite files that are not Latchkey's. ``on_step(done, total, words)`` gets the progress.
    ``lines``: whether tracebacks on the console have line numbers, which take RAM.
    """
    step = on_step or (lambda done, total, words: None)
    board = catalog.board(board_name)
    cable = SerialCable(port, quiet_s)
    step(0, 1, "asking the board")
    with cable.stopped(DeployError):
        facts = read_facts(cable)
        arch = check(board, port, facts, replace)
        plan = Plan(board, facts, release(board, arch, lines))
        plan.check_memory(port)
        plan.check_space()
        if plan.changed:
            plan.carry_out(cable, step)
        step(1, 1, "restarting")
    return plan.report(port, arch)


def read_facts(cable):
    """A dict of facts about the board; ``files`` maps the files of the two folders and the starter to SHA-256."""
    found = cable.json_lines(_FACTS)
    facts = next((one for one in found if "mpy" in one), None)
    if facts is None:
        raise CableError("silent", f"the board on {cable.port} did not say what it is; run the same again")
    return facts | {"files": _digests(found)}


def _digests(found):
    return {one["file"]: one["sha256"] for one in found if "sha256" in one}


def check(board, port, facts, replace):
    """The architecture to compile for; DeployError if this firmware and this board do not belong together."""
    arch = _ARCHITECTURES[(facts["mpy"] >> 10) & 15] if (facts["mpy"] >> 10) & 15 < len(_ARCHITECTURES) else "unknown"
    here = f"{port} is {facts['machine'] or 'a board without a name'} ({arch})"
    if arch != board.arch:
        raise DeployError(f"{here}, but {board.name} is {board.mcu} ({board.arch}): wrong --board or wrong --port")
    chip = facts["machine"].rpartition(" with ")[2].replace("-", "").lower()
    if board.mcu != "unix" and chip != board.mcu:
        raise DeployError(f"{here}, but {board.name} is for {board.mcu}: wrong --board or wrong --port")
    if too_old := catalog.refusal(board, facts["version"]):
        raise DeployError(f"{port}: {too_old}. Flash a newer one")
    if facts["mpy"] & 0x3FF != 0x306:
        raise DeployError(f"{port} runs MicroPython {facts['version']}, which reads other .mpy: flash {catalog.TRIED}")
    if facts["frozen"]:
        raise DeployError(f"{port} has Latchkey frozen into its image, which would win: build and flash a new image")
    found = [] if replace else foreign(facts)
    if found:
        names = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        raise DeployError(
            f"{port} has files in the way that are not Latchkey's: {names}. Save what you need "
            f"(`mpremote connect {port} fs cp :{found[0]} .`), then run this again with --replace"
        )
    return arch


def foreign(facts):
    """Names of files that a deploy would overwrite or remove, now or next time, and that are not Latchkey's."""
    return [name for name, digest in sorted(facts["files"].items()) if not _may_go(name, digest, facts)]


def _may_go(name, digest, facts):
    """A starter as we wrote it, MicroPython's own boot.py, and a release's files in a folder that has our `release`."""
    if name in ("boot.py", "main.py"):
        return digest in _KNOWN
    folder, _, rest = name.partition("/")
    mark = facts[folder]
    ours = mark is not None and (not mark.strip() or mark.split()[0].isdigit())
    return ours and (rest in ("release", "list") or rest.endswith((".mpy", ".gz")))


class Plan:
    """The steps that make ``wanted`` (name to path here) the newest release on a board with ``facts``."""

    def __init__(self, board, facts, wanted):
        self._board = board
        self._facts = facts
        numbers = {name: _number(facts[name]) for name in "ab"}
        self._running = max("ab", key=numbers.get) if any(numbers.values()) else None
        good = [name for name in "ab" if numbers[name] and len(facts[name].split()) == 1]
        # Never over the only good one, which is not the one that runs while that is unproven.
        self._kept = max(good, key=numbers.get) if good else self._running
        self._idle = "b" if self._kept == "a" else "a"
        self._number = max(numbers.values()) + 1
        self._mark = f"{self._number} new\n" if good and _PROOF in wanted else f"{self._number}\n"
        self._wanted = {name: (path, _sha256(path)) for name, path in wanted.items()}
        starter = {path.name: _sha256(path) for path in sorted(STARTER.glob("*.py"))}
        self._starter = {name: digest for name, digest in starter.items() if facts["files"].get(name) != digest}
        self.changed = bool(self._starter) or self._there(self._running) != self._hashes()
        self._sort_files(self._there(self._kept))

    def _sort_files(self, kept):
        """Into what stays, what is copied on the board, what travels, and what goes."""
        idle = self._there(self._idle)
        hashes = self._hashes()
        missing = [name for name, digest in hashes.items() if idle.get(name) != digest]
        self._copy = [name for name in missing if kept.get(name) == hashes[name]]
        self._send = [name for name in missing if kept.get(name) != hashes[name]]
        self._remove = [name for name in idle if name not in hashes]

    def _there(self, folder):
        prefix = f"{folder}/"
        files = {name[2:]: digest for name, digest in self._facts["files"].items() if name.startswith(prefix)}
        files.pop("release", None)
        return files

    def _hashes(self):
        return {name: digest for name, (_path, digest) in self._wanted.items()}

    def check_memory(self, port):
        """DeployError if the chip cannot hold the modules and what they need to run."""
        total = sum(path.stat().st_size for path, _digest in self._wanted.values() if path.suffix == ".mpy")
        needed = total * _RAM_PER_10 // 10 + _RAM_RUNNING
        if self._board.mcu != "unix" and self._facts["ram"] < needed:
            have, flash = self._facts["ram"] // 1024, f"--board {self._board.name} --port {port} --image OFFICIAL.bin"
            raise DeployError(
                f"{port} has {have} KB of free memory, and {self._board.name} needs about {needed // 1024} KB as .mpy "
                f"files. Freeze the firmware into its image: `latchkey board flash {flash}` "
                "(`latchkey board image` only makes the file)"
            )

    def check_space(self):
        """DeployError unless what is new has room; what is replaced counts as gone only once it is."""
        if not self.changed:
            return
        block = self._facts["block"]
        sizes = [self._wanted[name][0].stat().st_size for name in self._copy + self._send]
        needed = sum(-(-size // block) * block for size in sizes) + 8 * block
        if needed > self._facts["free"]:
            have = f"{needed // 1024} KB are needed and {self._facts['free'] // 1024} KB free"
            raise DeployError(
                f"the board's file system is too full: {have}. The running release is untouched; "
                "remove files that are not Latchkey's (`mpremote fs ls`) and run this again"
            )

    def carry_out(self, cable, step):
        total = len(self._send) + 3
        step(1, total, "preparing")
        self._prepare(cable)
        sent = self._transfer(cable, step, total)
        step(sent + 2, total, "verifying")
        self._verify(cable)
        self._commit(cable)
        step(total, total, "switched")
        step(total, total, "done")

    def _prepare(self, cable):
        folders = {str(parent) for name in self._wanted for parent in Path(name).parents if str(parent) != "."}
        lists = {
            "folder": self._idle,
            "remove": [f"{self._idle}/{name}" for name in self._remove],
            "folders": [f"{self._idle}/{name}" for name in sorted(folders)],
            "copy": [(f"{self._kept}/{name}", f"{self._idle}/{name}") for name in self._copy],
        }
        cable.run("exec", LONG_WATCHDOG + _PREPARE % lists)

    def _transfer(self, cable, step, total):
        """One mpremote for all files; returns how many. The starter is harmless before there is a release."""
        arguments = []
        for folder in sorted({str(Path(name).parent) for name in self._send}):
            paths = [self._wanted[name][0] for name in self._send if str(Path(name).parent) == folder]
            target = f":{self._idle}/" if folder == "." else f":{self._idle}/{folder}/"
            arguments += ["fs", "cp", "-f", *paths, target, "+"]
        for name in self._starter:
            arguments += ["fs", "cp", "-f", STARTER / name, f":{name}", "+"]
        if not arguments:
            return 0
        done = 0

        def heard(line):
            nonlocal done
            if line.startswith("cp "):
                done += 1
                step(1 + min(done, len(self._send)), total, Path(line.split()[1]).stem)

        cable.run(*arguments[:-1], on_line=heard)
        return len(self._send)

    def _verify(self, cable):
        wanted = {f"{self._idle}/{name}": digest for name, digest in self._hashes().items()} | self._starter
        there = _digests(cable.json_lines(_HASH + f"for path in {[self._idle, *self._starter]!r}:\n    walk(path)\n"))
        there.pop(f"{self._idle}/release", None)
        wrong = sorted(set(there.items()) ^ set(wanted.items()))
        if wrong:
            raise CableError("differs", f"{wrong[0][0]} did not arrive whole, nothing was switched: run the same again")

    def _commit(self, cable):
        path = f"{self._idle}/release"
        there = _digests(cable.json_lines(_HASH + _COMMIT % {"path": path, "text": self._mark}))
        if there != {path: hashlib.sha256(self._mark.encode()).hexdigest()}:
            raise CableError("differs", f"{path} was not written whole: run the same again")

    def report(self, port, arch):
        folder, number = (self._idle, self._number) if self.changed else (self._running, self._number - 1)
        sizes = sum(self._wanted[name][0].stat().st_size for name in self._send)
        counts = (len(self._wanted), len(self._send), len(self._wanted) - len(self._send), sizes)
        if not self.changed:
            counts = (len(self._wanted), 0, len(self._wanted), 0)
        return Report(self._board.name, port, arch, folder, number, *counts, self.changed)


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _number(text):
    """As the starter reads it."""
    words = (text or "").split()
    return int(words[0]) if words and text.endswith("\n") and words[0].isdigit() else 0
