"""A wheel of the tools, which also holds firmware/ and boards/.

python -m latchkey_tools.dev.wheel FOLDER     (`make wheel`: dist) make it there, and print its path
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from latchkey_tools.boards.build import ROOT, BuildError

SOURCES = ("tools", "firmware", "boards", "host_tests/vectors/selftest.json")
FILES = ("pyproject.toml", "setup.py", "constraints.txt", "README.md", "LICENSE")


def make(folder):
    """Path of the wheel, made in ``folder``; BuildError."""
    with tempfile.TemporaryDirectory() as scratch:
        # Setuptools builds in the folder of the sources, where the development install has its own files.
        for name in SOURCES + FILES:
            _copy(ROOT / name, Path(scratch) / name)
        options = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, scratch]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"pip made no wheel: {done.stderr.strip()[-500:]}")
    return max(Path(folder).glob("latchkey_tools-*.whl"), key=lambda path: path.stat().st_mtime)


def _copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "node_modules"))
    else:
        shutil.copy(source, target)


if __name__ == "__main__":
    print(make(sys.argv[1]))
