"""How large the firmware is, against boards/budgets.json: RAM in 32-bit words, bytes of .mpy, functions, lines.

    python -m latchkey_tools.dev.size            (`make size`) exit status 1 beyond a ratchet

A ratchet is today's limit; a goal is the limit that we want. RAM is measured on MicroPython with 32-bit
words, as a chip has them: with the modules as .mpy files, and in a ROMFS, where their code stays in place. Parts of
a chip's own MicroPython are not counted: asyncio, and stand-ins for what this interpreter lacks. It runs no viper: the
kernel of SHA-512 is not counted. The interpreter's table of names doubles when it is full: one name more or less may
show as several KB.
"""

import ast
import json
import shutil
import sys
import tempfile
from pathlib import Path

from latchkey_tools.boards import build, catalog, manifest, mpyparts, umqtt
from latchkey_tools.boards.release import release
from latchkey_tools.cli import show
from latchkey_tools.dev import held, wasm

BUDGETS = catalog.FOLDER / "budgets.json"
# The bulb of each chip.
BULBS = {"xtensawin": "esp32-bulb", "rv32imc": "esp32c3-bulb-rgb"}
# Features that came after these goals were set: rows of their own. Name to folders in firmware/features.
LATER = {"page": "page", "updates": "updates*", "uses": "uses", "tokens": "tokens"}
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
_KERNEL = "latchkey.sha512_plain"
IMPORTS = ("gc.collect()", "before = gc.mem_alloc()", "for name in names: __import__(name)", "gc.collect()")
SAY = "print(gc.mem_alloc() - before)"


def verifier():
    """Names on the device of the mip package, which is the verifier alone."""
    urls = json.loads((build.FIRMWARE / "package.json").read_text())["urls"]
    return [target.replace(".py", ".mpy") for target, _ in urls]


def bulb(arch):
    """Name on the device to path here of what a bulb of ``arch`` loads, but what has rows of its own."""
    files = release(catalog.board(BULBS[arch]), arch)
    apart = set().union(*map(files_of, LATER))
    return {name: path for name, path in files.items() if path.suffix == ".mpy" and name not in apart}


def files_of(feature):
    """Names on the device of the modules that this feature of LATER adds."""
    folders = (build.FIRMWARE / "features").glob(LATER[feature])
    listed = {Path(name) for folder in folders for name in manifest.read(folder).files}
    ours = {name for _, name in build.sources()}
    return {name.with_suffix(".mpy").as_posix() for name in listed & ours}


def bulb_parts(arch):
    """Bytes of the bulb's names, constants and code for ``arch``; every file has the names that it uses."""
    found = [mpyparts.parts(path.read_bytes()) for path in bulb(arch).values()]
    return [sum(column) for column in zip(*found, strict=True)]


def modules(arch):
    """Module to bytes of .mpy of the bulb for ``arch``."""
    return {name: path.stat().st_size for name, path in bulb(arch).items()}


def verifier_files(arch):
    compiled = build.compile_for_board([umqtt.fetch() / "umqtt" / "simple.py"], arch)
    return {name: compiled / name for name in verifier()}


def ram(files, modules):
    """Bytes of heap that ``modules`` hold after their import, by where their ``files`` are: {"mpy": n, "romfs": n}."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, image = Path(scratch) / "lib", Path(scratch) / "image"
        for name, path in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / name)
        wasm.make_romfs(folder, image)
        return {
            "mpy": _ram(modules, folder, folders=[folder]),
            "romfs": _ram(modules, "/rom", romfs=image),
        }


def chip(place, modules):
    """Text of Python that puts stand-ins in the place of a chip's modules and names the ``modules`` at ``place``."""
    return _CHIP % (_KERNEL, str(place), modules)


def _ram(modules, place, **where):
    done = wasm.run(chip(place, modules), *IMPORTS, SAY, **where)
    if done.returncode:
        raise build.BuildError(f"the 32-bit interpreter did not import {modules}: {done.stderr.strip()[-300:]}")
    return int(done.stdout)


def sources(feature=None):
    """Sources of the firmware: those of ``feature``, else all but those of LATER."""
    apart = files_of(feature) if feature else set().union(*map(files_of, LATER))
    every = [(path, name) for path, name in build.sources()]
    return [(path, name) for path, name in every if (name.with_suffix(".mpy").as_posix() in apart) == bool(feature)]


def functions(files):
    """Lines of every function and method of ``files``, by place. Viper, which has to unroll, is not counted."""
    found = {}
    for path, name in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not name.stem.endswith("_viper"):
                found[f"{name.as_posix()}:{node.lineno} {node.name}"] = node.end_lineno - node.lineno + 1
    return found


def all_sizes():
    """Name of each budget to what is measured."""
    alone = ram(verifier_files(RAM_ARCH), ["latchkey.simple", "latchkey.jwk"])
    whole = ram(bulb(RAM_ARCH), held.MODULES)
    sizes = {
        "bulb_ram_romfs": whole["romfs"],
        "bulb_ram_mpy": whole["mpy"],
        "bulb_held_beside_modules": held.measure(bulb(RAM_ARCH)),
        "bulb_mpy_bytes": max(sum(modules(arch).values()) for arch in BULBS),
        "verifier_ram_romfs": alone["romfs"],
        "verifier_ram_mpy": alone["mpy"],
        "verifier_mpy_bytes": max(sum(p.stat().st_size for p in verifier_files(arch).values()) for arch in BULBS),
        "functions": len(functions(sources())),
        "longest_function_lines": max(functions(build.sources()).values()),
        "firmware_lines": _lines(sources()),
    }
    for feature in LATER:
        sizes.update(_sizes_of(feature, whole["romfs"]))
    return sizes


def _sizes_of(feature, without):
    compiled = build.compile_for_board([umqtt.fetch() / "umqtt" / "simple.py"], RAM_ARCH)
    files = {name: compiled / name for name in files_of(feature)}
    added = bulb(RAM_ARCH) | files
    sizes = {
        "ram_romfs": ram(added, held.MODULES)["romfs"] - without,
        "mpy_bytes": sum(path.stat().st_size for path in files.values()),
        "functions": len(functions(sources(feature))),
        "lines": _lines(sources(feature)),
    }
    if feature == "updates":
        sizes["held_uploading"] = held.uploading(added, "image")
        sizes["held_uploading_files"] = held.uploading(added, "files")
    return {f"{feature}_{what}": size for what, size in sizes.items()}


def _lines(files):
    return sum(path.read_text().count("\n") for path, _ in files)


def beyond(sizes, budgets):
    """A line for every size that is over its ratchet."""
    limits = {name: budgets[name]["ratchet"] for name in sizes}
    return [f"{name}: {n}, {limits[name]} allowed" for name, n in sizes.items() if n > limits[name]]


def main():
    sizes, budgets = all_sizes(), json.loads(BUDGETS.read_text())
    _print_modules({arch: modules(arch) for arch in BULBS})
    _print_totals(sizes, budgets)
    over = beyond(sizes, budgets)
    for line in over:
        show.say(f"over budget: {line}")
    return 1 if over else 0


def _print_modules(found):
    table = show.table("module", *(f"{arch} ({board})" for arch, board in BULBS.items()))
    for name in sorted({name for sizes in found.values() for name in sizes}):
        table.add_row(Path(name).with_suffix("").as_posix(), *(str(found[arch].get(name, "")) for arch in BULBS))
    show.console().print(table)


def _print_totals(sizes, budgets):
    table = show.table("what", "now", "ratchet", "goal")
    for name, size in sizes.items():
        table.add_row(name, str(size), str(budgets[name]["ratchet"]), _goal(size, budgets[name].get("goal")))
    for what, size in zip(("names", "constants", "code"), bulb_parts("xtensawin"), strict=True):
        table.add_row(f"bulb_mpy_bytes, of {what}", str(size), "", "")
    show.console().print(table)


def _goal(size, goal):
    return f"{goal} {'met' if size <= goal else 'not met'}" if goal else ""


if __name__ == "__main__":
    sys.exit(main())
