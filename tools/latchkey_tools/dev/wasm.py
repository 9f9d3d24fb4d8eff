"""MicroPython with 32-bit words, as a chip has them: its WebAssembly port, run by the node that pip brings.

Version and checksum are in tools/node/package-lock.json.

    python -m latchkey_tools.dev.wasm             fetch into build/ (nothing is done if it is there)

It has no sockets, TLS, threads, LittleFS and no viper; of asyncio it has no ``run`` and no streams.
"""

import json
import subprocess
import sys
from pathlib import Path

from latchkey_tools.boards.build import BuildError
from latchkey_tools.dev import npm

NAME = "@micropython/micropython-webassembly-pyscript"


def fetch():
    """Path of the interpreter's module, fetched if it is not there yet."""
    return npm.package(NAME) / "micropython.mjs"


def run(*steps, folders=(), heapsize=2 * 1024 * 1024, romfs=None, timeout_s=300):
    """Run texts of Python; returns the finished process with text output, its status that of ``sys.exit``.

    Garbage is collected after a step that asked for it. ``folders`` are copied to the same paths on the
    interpreter's own file system. ``romfs``: path of an image, which is mounted at /rom.
    """
    settings = {"interpreter": str(fetch()), "steps": steps, "heapsize": heapsize, "romfs": romfs and str(romfs)}
    settings["folders"] = [*map(str, folders)]
    command = [npm.wheel() / "bin" / "node", Path(__file__).with_suffix(".mjs"), json.dumps(settings)]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout_s)


def make_romfs(folder, image):
    """Make the ROMFS ``image`` (a path) of the files in ``folder``."""
    command = [sys.executable, "-m", "mpremote", "romfs", "-o", image, "build", folder]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


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
