"""RAM that a bulb's modules hold after import where they are frozen into MicroPython: its unix port with 32-bit words.

    python -m latchkey_tools.dev.frozen path/to/micropython [folder]

The path is a checkout with its submodules; it needs gcc and 32-bit libraries (Debian: gcc-multilib). The build goes
into ``folder`` (without it build/frozen). Stand-ins are those of latchkey_tools.dev.size.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from latchkey_tools.boards import build, catalog, umqtt
from latchkey_tools.dev import held, size

_WITHOUT = "MICROPY_PY_FFI", "MICROPY_PY_SSL", "MICROPY_PY_BTREE"
_MACHINE_CODE = {"latchkey/montgomery.mpy", "latchkey/sha512_viper.mpy"}


def lay_out(folder):
    """Put the sources of the bulb and the manifest that freezes them into ``folder``; returns the manifest."""
    sources = {name.with_suffix(".mpy").as_posix(): path for path, name in build.sources()}
    sources["umqtt/simple.mpy"] = umqtt.fetch() / "umqtt" / "simple.py"
    sources["board_config.mpy"] = catalog.FOLDER / size.BULBS[size.RAM_ARCH] / "board_config.py"
    shutil.rmtree(folder, ignore_errors=True)
    for name in size.bulb(size.RAM_ARCH).keys() - _MACHINE_CODE:
        target = (folder / name).with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sources[name], target)
    manifest = folder.with_suffix(".manifest.py")
    manifest.write_text(f'include("$(MPY_DIR)/extmod/asyncio")\nfreeze({str(folder)!r})\n')
    return manifest


def measure(micropython, folder):
    """Bytes after import; raises subprocess.CalledProcessError if the port cannot be built or run."""
    manifest = lay_out(folder / "bulb")
    port = folder / "port"
    options = ["CFLAGS_EXTRA=-m32", "LDFLAGS_EXTRA=-m32", f"FROZEN_MANIFEST={manifest}", f"BUILD={port}"]
    options += [f"{name}=0" for name in _WITHOUT]
    subprocess.run(["make", "-C", micropython / "mpy-cross"], check=True, stdout=sys.stderr)
    subprocess.run(["make", "-C", micropython / "ports" / "unix", *options], check=True, stdout=sys.stderr)
    script = folder / "imports.py"
    script.write_text("\n".join((size.chip(".frozen", held.MODULES), *size.IMPORTS, size.SAY)))
    done = subprocess.run([port / "micropython", script], check=True, capture_output=True, text=True)
    return int(done.stdout)


def main():
    micropython = Path(sys.argv[1]).resolve()
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else build.BUILD / "frozen").resolve()
    print(f"{measure(micropython, folder)} bytes after import")


if __name__ == "__main__":
    main()
