"""The boards there are: a folder each under boards/, and what their board.json says."""

import json
import re
from dataclasses import dataclass

from latchkey_tools import kernel
from latchkey_tools.boards import build, manifest, page

FOLDER = build.BOARDS
COMMON = FOLDER / "common"
# The two files of a flash that choose the release to run.
STARTER = COMMON / "start"
# Versions of MicroPython that the firmware was run on: an emulated ESP32's, and the desk's.
TRIED = "1.26.1 and 1.29.0"
# Chip (board.json's mcu) to the architecture of mpy-cross.
ARCHITECTURES = {"esp32": "xtensawin", "esp32s3": "xtensawin", "esp32c3": "rv32imc", "unix": "x64"}
# (member of board.json, whether its value is good, what it has to be)
_FACTS = (
    ("mcu", lambda value: isinstance(value, str) and value in ARCHITECTURES, f"one of {', '.join(ARCHITECTURES)}"),
    ("takes", lambda value: value in ("image", "mpy"), "image or mpy"),
    ("micropython", lambda value: isinstance(value, str), "a version, such as 1.26.1"),
    ("product", lambda value: isinstance(value, str), "a text"),
    ("deploy_options", lambda value: isinstance(value, dict), "an object, which may be empty"),
    ("heap_kb", lambda value: value is None or type(value) is int, "a whole number, or left out"),
)


class BoardError(Exception):
    """A board is not there, or not what was expected; the text says what to do."""


@dataclass(frozen=True)
class Board:
    """``takes``: how firmware gets onto it, an "image" with the modules frozen in, or "mpy" files on its flash;
    ``micropython``: the oldest version that it runs on; ``heap_kb``: MicroPython's first heap in an image, or None."""

    name: str
    mcu: str
    product: str
    flash_offset: str | None
    takes: str
    micropython: str
    heap_kb: int | None

    @property
    def arch(self):
        """The architecture for mpy-cross."""
        return ARCHITECTURES[self.mcu]


def names():
    """Of every board, sorted."""
    return sorted(path.parent.name for path in FOLDER.glob("*/board.json"))


def folder(name):
    return FOLDER / name


def board(name):
    """The Board called ``name``; BoardError with the names there are."""
    if name not in names():
        raise BoardError(f"there is no board {name!r}; there are: {', '.join(names())}")
    facts = _facts(folder(name) / "board.json")
    offset = facts["deploy_options"].get("flash_offset")
    way = facts["takes"], facts["micropython"], facts.get("heap_kb")
    return Board(name, facts["mcu"], facts["product"], offset, *way)


def _facts(path):
    """The content of a board.json; BoardError for a mistake of its maker's."""
    try:
        facts = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as problem:
        raise BoardError(f"{path} is not JSON: {problem}; correct it") from None
    for name, is_good, form in _FACTS:
        if not isinstance(facts, dict) or not is_good(facts.get(name)):
            raise BoardError(f"{path}: {name} has to be {form}; boards/esp32-bulb/board.json is an example")
    return facts


def refusal(board, version):
    """Why ``version`` of MicroPython is too old for a Board; None if it is not."""
    if _numbers(version) >= _numbers(board.micropython):
        return None
    return (
        f"MicroPython {version} is too old: {board.name} needs {board.micropython} or later (boards/README.md says "
        f"why; the firmware was run on {TRIED})"
    )


def _numbers(version):
    return tuple(int(n) for n in re.findall(r"\d+", version)[:3])


def frozen(name):
    """The manifest.Manifest of what an image of the board ``name`` holds; the kernel that it may name is made first."""
    arch = board(name).arch
    if arch in kernel.SOURCES:
        kernel.write(arch)
    page.make()
    return manifest.read(folder(name) / "manifest.py")
