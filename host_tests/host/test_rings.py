"""Imports point inwards only: pure ring <- adapters <- composition."""

import ast
import re
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"

# What the pure ring may take from outside: arithmetic and encodings, nothing that touches the world.
PURE_STDLIB = {"array", "binascii", "collections", "errno", "gc", "hashlib", "io", "json", "micropython", "struct"}
# The address of the bignum's own buffer, for its kernel.
PURE_STDLIB.add("uctypes")
# The table of loaded modules, for latchkey.device.lazy.
PURE_STDLIB.add("sys")
# A text that `latchkey board image` freezes in.
PURE_STDLIB.add("latchkey_image")
ADAPTERS = re.compile(r"latchkey\.(hw|net|cloud\.(link|session|mqtt|inbox)|products\.fade)(\.|$)")
COMPOSITION = {"main", "boot", "cable", "selftest", "board_config", "desk_options"}


def ring(path):
    """0 pure, 1 adapter, 2 composition."""
    parts = path.parts
    if parts[0] != "latchkey":
        return 2
    return ring_of_module(".".join(path.with_suffix("").parts))


def imported(source, package=""):
    """Dotted names of every import in ``source``, also those inside functions; ``package``: where it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = ".".join(package.split(".")[: 1 - node.level or None]) if node.level else ""
            module = ".".join(part for part in (module, node.module) if part)
            yield module
            if module.split(".")[0] == "latchkey":
                yield from (f"{module}.{alias.name}" for alias in node.names)


def ring_of_module(name):
    if name in COMPOSITION:
        return 2
    return 1 if ADAPTERS.match(name) else 0


def outward_arrows(path, source):
    """Each import in ``source`` that its ring forbids, as text."""
    mine = ring(path)
    for name in imported(source, ".".join(path.parent.parts)):
        inside = name.split(".")[0] == "latchkey" or name in COMPOSITION
        if inside and ring_of_module(name) > mine:
            yield f"{path}: {name}"
        if inside and name in COMPOSITION and name not in ("board_config", "desk_options"):
            yield f"{path}: nobody imports {name}"
        if not inside and mine == 0 and name.split(".")[0] not in PURE_STDLIB:
            yield f"{path}: {name} reaches the world"


def firmware_files():
    return [p for p in FIRMWARE.rglob("*.py")]


def test_no_import_points_outwards():
    files = firmware_files()
    assert len(files) > 10
    found = [a for p in files for a in outward_arrows(p.relative_to(FIRMWARE), p.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "path, source",
    [
        ("latchkey/verifier.py", "import socket"),
        ("latchkey/verifier.py", "def f():\n    from latchkey.hw import clock"),
        ("latchkey/products/bulb.py", "import latchkey.hw.light_pwm"),
        ("latchkey/verifier.py", "import time"),
        ("latchkey/verifier.py", "from .hw import clock"),
        ("latchkey/products/bulb.py", "from ..hw.light_pwm import PwmLight"),
        ("latchkey/net/server.py", "import main"),
        ("latchkey/api/handlers.py", "import board_config"),
    ],
)
def test_the_walk_bites_on_an_arrow_that_points_outwards(path, source):
    assert list(outward_arrows(Path(path), source))


def test_the_pure_ring_imports_on_plain_cpython_without_shims():
    import subprocess
    import sys

    modules = [
        ".".join(p.relative_to(FIRMWARE).with_suffix("").parts)
        for p in firmware_files()
        if ring(p.relative_to(FIRMWARE)) == 0 and not p.stem.endswith("_viper") and p.stem != "__init__"
    ]
    code = f"import sys; sys.path.insert(0, {str(FIRMWARE)!r})\n" + "".join(f"import {m}\n" for m in modules)
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_clock_adapter_alone_knows_of_ticks_that_wrap():
    assert [p.name for p in firmware_files() if "ticks" in p.read_text()] == ["clock.py"]


def test_no_assert_judges_input():
    guilty = []
    for path in firmware_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assert):
                guilty.append(f"{path.name}:{node.lineno}")
    assert guilty == []
