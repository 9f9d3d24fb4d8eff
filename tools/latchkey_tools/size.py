"""How large the firmware is: bytes per module and chip as .mpy, RAM after import; against boards/budgets.json.

    python -m latchkey_tools.size            (`make size`) exit status 1 beyond a ratchet

A ratchet is what must not be exceeded today; a goal is what is wanted. RAM is measured on the unix port, whose words
are twice as wide: a 32-bit chip takes about 0.78 of it (1.55 times the .mpy against twice).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from latchkey_tools import boards, build, deploy, mpyparts, show, umqtt

BUDGETS = boards.FOLDER / "budgets.json"
# What each chip's bulb is; the desk shows what the unix port loads.
BULBS = {"xtensawin": "esp32-bulb", "rv32imc": "esp32c3-bulb-rgb", "x64": "desk"}
CHIP_SHARE = 0.78

_RAM = """
import gc, sys
gc.threshold(16 * 1024)
class desk_options:
    image = uplink = nvs = blocks = None
    host, port, tls_port, clock, cause = "127.0.0.1", 0, 0, "host", "power"
    threads = run_main = True
    reset = None
sys.modules["desk_options"] = desk_options
gc.collect()
before = gc.mem_alloc()
for name in %(modules)r:
    __import__(name)
gc.collect()
print(gc.mem_alloc() - before)
"""


def verifier():
    """Names on the device of the mip package, which is the verifier alone; limits are literals in what boards get."""
    urls = json.loads((build.FIRMWARE / "package.json").read_text())["urls"]
    return [target.replace(".py", ".mpy") for target, _ in urls if target != "latchkey/limits.py"]


def bulb_parts(arch):
    """Bytes of the bulb's names, constants and code for ``arch``; names stand in every file that uses them."""
    files = deploy.release(boards.board(BULBS[arch]), arch)
    found = [mpyparts.parts(path.read_bytes()) for name, path in files.items() if name != "selftest.mpy"]
    return [sum(column) for column in zip(*found, strict=True)]


def measure(arch):
    """(module to bytes of the bulb's release, bytes of the whole, bytes of the verifier) for ``arch``."""
    board = boards.board(BULBS[arch])
    files = deploy.release(board, arch)
    sizes = {name: path.stat().st_size for name, path in files.items() if name != "selftest.mpy"}
    compiled = build.compile_for_board([umqtt.fetch() / "umqtt" / "simple.py"], arch)
    return sizes, sum(sizes.values()), sum((compiled / name).stat().st_size for name in verifier())


def ram(modules, folders):
    """Bytes of heap that ``modules`` hold after their import on the unix port, ``folders`` being its path."""
    environment = {**os.environ, "MICROPYPATH": ":".join([".frozen", *map(str, folders)])}
    command = [build.micropython(), "-X", "heapsize=1M", "-c", _RAM % {"modules": modules}]
    done = subprocess.run([str(c) for c in command], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise build.BuildError(f"the unix port did not import {modules}: {done.stderr.strip()[-200:]}")
    return int(done.stdout)


def measure_ram():
    """Heap of the verifier alone, and of all that the desk's bulb imports."""
    compiled = build.compile_for_board([umqtt.fetch() / "umqtt" / "simple.py"], "x64")
    deploy.release(boards.board("desk"), "x64")
    own = build.BUILD / "board" / "x64-desk"
    names = ["latchkey.verifier", "latchkey.jwk", "latchkey.policy"]
    return {"verifier": ram(names, [compiled]), "bulb": ram(["main"], [compiled, own])}


def all_sizes():
    """What the budgets are about: "mpy_bytes" by what and architecture, "ram_bytes_unix" by what; and all modules."""
    modules, found = {}, {"bulb": {}, "verifier": {}}
    for arch in BULBS:
        modules[arch], found["bulb"][arch], found["verifier"][arch] = measure(arch)
    return {"mpy_bytes": found, "ram_bytes_unix": measure_ram()}, modules


def beyond(sizes, budgets):
    """A line for every size that is over its ratchet."""
    for what, by_arch in sizes["mpy_bytes"].items():
        limit = budgets["mpy_bytes"][what]["ratchet"]
        yield from (f"{what}, {arch}: {n} bytes of .mpy, {limit} allowed" for arch, n in by_arch.items() if n > limit)
    for what, n in sizes["ram_bytes_unix"].items():
        limit = budgets["ram_bytes_unix"][what]["ratchet"]
        if n > limit:
            yield f"{what}: {n} bytes of RAM on the unix port, {limit} allowed"


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
    for what, size in sizes["ram_bytes_unix"].items():
        budget = budgets["ram_bytes_unix"][what]
        table.add_row(f"{what}, RAM, unix port", str(size), str(budget["ratchet"]), "")
        table.add_row(f"{what}, RAM, a chip (estimate)", str(int(size * CHIP_SHARE)), "", "")
    show.console().print(table)


def _goal(size, goal):
    return f"{goal} {'met' if size <= goal else 'not met'}"


if __name__ == "__main__":
    sys.exit(main())
