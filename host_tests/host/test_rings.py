"""Imports point inwards only: pure ring <- adapters <- composition. Each package has a label."""

import ast
from pathlib import Path

import imports
import pytest

from latchkey_tools.boards import build

FIRMWARE = build.FIRMWARE
PURE, ADAPTER, COMPOSITION = range(3)
# A module without a row has the label of its package.
LABELS = {
    "latchkey": PURE,
    "latchkey.hw": ADAPTER,
    "latchkey.net": ADAPTER,
    "latchkey.cloud.link": ADAPTER,  # owns the thread
    "latchkey.cloud.mqtt": ADAPTER,  # umqtt
    "latchkey.cloud.session": ADAPTER,  # sockets
    "latchkey.products.fade": ADAPTER,  # asyncio
    "latchkey.update.folders": ADAPTER,  # files
    "latchkey.update.programs": ADAPTER,  # flash
    "desk": ADAPTER,
    "deskclock": ADAPTER,
    "board_config": COMPOSITION,
    "boot": COMPOSITION,
    "cable": COMPOSITION,
    "desk_options": COMPOSITION,
    "main": COMPOSITION,
    "program": COMPOSITION,
}
# Modules that the pure ring may use: arithmetic and encodings, nothing that touches the world.
PURE_STDLIB = {"array", "binascii", "collections", "errno", "gc", "hashlib", "io", "json", "micropython", "struct"}
# The address of the bignum's own buffer, for its kernel.
PURE_STDLIB.add("uctypes")
# The table of loaded modules, for latchkey.device.lazy.
PURE_STDLIB.add("sys")
# A text that `latchkey board image` freezes in.
PURE_STDLIB.add("latchkey_image")


def label(module):
    """Of ``module`` or of the package that it is in; None for what is not ours."""
    while module and module not in LABELS:
        module = module.rpartition(".")[0]
    return LABELS.get(module)


def label_of(path):
    return label(imports.dotted(path.as_posix()))


def outward_arrows(path, source):
    """Each import in ``source`` that the label of ``path`` forbids, as text."""
    mine = label_of(path)
    for name, _ in imports.imported(source, imports.package_of(path.as_posix())):
        its = label(name)
        if its is not None and its > mine:
            yield f"{path}: {name}"
        if its == COMPOSITION and name.split(".")[0] not in ("board_config", "desk_options", "program"):
            yield f"{path}: nobody imports {name}"
        if its is None and mine == PURE and name.split(".")[0] not in PURE_STDLIB:
            yield f"{path}: {name} reaches the world"


def test_every_label_is_of_something_that_is_there():
    # The modules of a desk's start, and those that each board has.
    elsewhere = {"desk_options", "board_config", "desk", "deskclock"}
    there = [FIRMWARE / name.replace(".", "/") for name in LABELS.keys() - elsewhere]
    assert [path for path in there if not path.is_dir() and not path.with_suffix(".py").is_file()] == []


def firmware_files():
    return [path for path, _ in build.sources()]


def test_no_import_points_outwards():
    assert len(firmware_files()) > 10
    sources = build.sources() + build.desk_sources()
    found = [arrow for path, name in sources for arrow in outward_arrows(name, path.read_text())]
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
        if label_of(p.relative_to(FIRMWARE)) == PURE and not p.stem.endswith("_viper") and p.stem != "__init__"
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
