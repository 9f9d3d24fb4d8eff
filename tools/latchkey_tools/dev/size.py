"""How large the firmware is: bytes per module and chip as .mpy, RAM after import; against boards/budgets.json.

    python -m latchkey_tools.dev.size            (`make size`) exit status 1 beyond a ratchet

A ratchet is what must not be exceeded today; a goal is what is wanted. RAM is measured on MicroPython with 32-bit
words, as a chip has them: with the modules as .mpy files, and in a ROMFS, where their code stays in place. What a chip
brings itself is not counted: asyncio, and stand-ins for what this interpreter lacks. It runs no viper: the
kernel of SHA-512 is not counted.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from latchkey_tools.boards import build, catalog, deploy, mpyparts, umqtt
from latchkey_tools.cli import show
from latchkey_tools.dev import wasm

BUDGETS = catalog.FOLDER / "budgets.json"
# What each chip's bulb is.
BULBS = {"xtensawin": "esp32-bulb", "rv32imc": "esp32c3-bulb-rgb"}
# Bytecode is the same for every chip; the stand-ins are for what this chip's bulb imports.
RAM_ARCH = "xtensawin"

_CHIP = """
import sys
class Standin:
    def __getattr__(self, _name):
        return Standin
for name in ("_thread", "esp32", "machine", "neopixel", "network", "socket", "ssl", "tls", "usocket", %r):
    sys.modules[name] = Standin()
import asyncio, binascii, errno, gc, hashlib, io, json, os, random, select, struct, time
sys.modules["ubinascii"], sys.modules["ustruct"] = binascii, struct
asyncio.StreamReader = Standin
sys.path[:] = [%r, ".frozen"]
names = %r
"""
# The self-test is for whoever asks for it; the numbers of limits are literals in what imports them.
_NOT_LOADED = ("selftest.mpy", "latchkey/limits.mpy")
_KERNEL = "latchkey.sha512_plain"
_RAM = ("gc.collect()", "before = gc.mem_alloc()", "for name in names: __import__(name)", "gc.collect()")
_SAY = "print(gc.mem_alloc() - before)"


def verifier():
    """Names on the device of the mip package, which is the verifier alone; limits are literals in what boards get."""
    urls = json.loads((build.FIRMWARE / "package.json").read_text())["urls"]
    return [target.replace(".py", ".mpy") for target, _ in urls if target != "latchkey/limits.py"]


def bulb_parts(arch):
    """Bytes of the bulb's names, constants and code for ``arch``; names stand in every file that uses them."""
    files = deploy.release(catalog.board(BULBS[arch]), arch)
    found = [mpyparts.parts(path.read_bytes()) for name, path in files.items() if name not in _NOT_LOADED]
    return [sum(column) for column in zip(*found, strict=True)]


def measure(arch):
    """(module to bytes of the bulb's release, bytes of the whole, bytes of the verifier) for ``arch``."""
    board = catalog.board(BULBS[arch])
    files = deploy.release(board, arch)
    sizes = {name: path.stat().st_size for name, path in files.items() if name not in _NOT_LOADED}
    compiled = build.compile_for_board([umqtt.fetch() / "umqtt" / "simple.py"], arch)
    return sizes, sum(sizes.values()), sum((compiled / name).stat().st_size for name in verifier())


def ram(files, modules):
    """Bytes of heap that ``modules`` hold after their import, by where their ``files`` are: {"mpy": n, "romfs": n}."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, image = Path(scratch) / "lib", Path(scratch) / "image"
        for name, path in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / name)
        command = [sys.executable, "-m", "mpremote", "romfs", "-o", image, "build", folder]
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
        return {
            "mpy": _ram(modules, folder, folders=[folder]),
            "romfs": _ram(modules, "/rom", romfs=image),
        }


def _ram(modules, place, **where):
    done = wasm.run(_CHIP % (_KERNEL, str(place), modules), *_RAM, _SAY, **where)
    if done.returncode:
        raise build.BuildError(f"the 32-bit interpreter did not import {modules}: {done.stderr.strip()[-300:]}")
    return int(done.stdout)


def measure_ram():
    """Heap of the verifier alone, and of all that a bulb imports."""
    compiled = build.compile_for_board([umqtt.fetch() / "umqtt" / "simple.py"], RAM_ARCH)
    alone = {name: compiled / name for name in verifier()}
    bulb = deploy.release(catalog.board(BULBS[RAM_ARCH]), RAM_ARCH)
    return {
        "verifier": ram(alone, ["latchkey.simple", "latchkey.jwk"]),
        "bulb": ram(bulb, ["main"]),
    }


def all_sizes():
    """What the budgets are about: "mpy_bytes" by what and chip, "ram_bytes" by what and place; and all modules."""
    modules, found = {}, {"bulb": {}, "verifier": {}}
    for arch in BULBS:
        modules[arch], found["bulb"][arch], found["verifier"][arch] = measure(arch)
    return {"mpy_bytes": found, "ram_bytes": measure_ram()}, modules


def beyond(sizes, budgets):
    """A line for every size that is over its ratchet."""
    for what, by_arch in sizes["mpy_bytes"].items():
        limit = budgets["mpy_bytes"][what]["ratchet"]
        yield from (f"{what}, {arch}: {n} bytes of .mpy, {limit} allowed" for arch, n in by_arch.items() if n > limit)
    for what, by_place in sizes["ram_bytes"].items():
        limits = budgets["ram_bytes"][what]["ratchet"]
        for place, n in by_place.items():
            if n > limits[place]:
                yield f"{what}, {place}: {n} bytes of RAM, {limits[place]} allowed"


def main():
    sizes, modules = all_sizes()
    budgets = json.loads(BUDGETS.read_text())
    _print_modules(modules)
    _print_totals(sizes, budgets)
    over = list(beyond(sizes, budgets))
    for line in over:
        show.say(f"over budget: {line}")
    return 1 if over else 0


def _print_modules(modules):
    table = show.table("module", *(f"{arch} ({board})" for arch, board in BULBS.items()))
    for name in sorted({name for sizes in modules.values() for name in sizes}):
        table.add_row(Path(name).with_suffix("").as_posix(), *(str(modules[arch].get(name, "")) for arch in BULBS))
    show.console().print(table)


def _print_totals(sizes, budgets):
    table = show.table("whole", "bytes", "ratchet", "goal")
    for what, by_arch in sizes["mpy_bytes"].items():
        budget = budgets["mpy_bytes"][what]
        for arch, size in by_arch.items():
            table.add_row(f"{what}, .mpy, {arch}", str(size), str(budget["ratchet"]), _goal(size, budget["goal"]))
    for what, size in zip(("names", "constants", "code"), bulb_parts("xtensawin"), strict=True):
        table.add_row(f"bulb, .mpy, xtensawin: {what}", str(size), "", "")
    for what, by_place in sizes["ram_bytes"].items():
        for place, size in by_place.items():
            table.add_row(f"{what}, RAM, {place}", str(size), str(budgets["ram_bytes"][what]["ratchet"][place]), "")
    show.console().print(table)


def _goal(size, goal):
    return f"{goal} {'met' if size <= goal else 'not met'}"


if __name__ == "__main__":
    sys.exit(main())
