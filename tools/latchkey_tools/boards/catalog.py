"""The boards there are: a folder each under boards/, and what their board.json says."""

import json
from dataclasses import dataclass

from latchkey_tools import kernel
from latchkey_tools.boards import build, manifest

FOLDER = build.ROOT / "boards"
COMMON = FOLDER / "common"
# Chip (board.json's mcu) to the architecture of mpy-cross.
ARCHITECTURES = {"esp32": "xtensawin", "esp32s3": "xtensawin", "esp32c3": "rv32imc", "unix": "x64"}


class BoardError(Exception):
    """A board is not there, or not what was expected; the text says what to do."""


@dataclass(frozen=True)
class Board:
    """``takes``: how firmware gets onto it, an "image" with the modules frozen in, or "mpy" files on its flash."""

    name: str
    mcu: str
    product: str
    flash_offset: str | None
    takes: str

    @property
    def arch(self):
        """What mpy-cross compiles for."""
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
    facts = json.loads((folder(name) / "board.json").read_text())
    return Board(name, facts["mcu"], facts["product"], facts["deploy_options"].get("flash_offset"), facts["takes"])


def frozen(name):
    """The manifest.Manifest of what an image of the board ``name`` holds; the kernel that it may name is made first."""
    arch = board(name).arch
    if arch in kernel.SOURCES:
        kernel.write(arch)
    return manifest.read(folder(name) / "manifest.py")
