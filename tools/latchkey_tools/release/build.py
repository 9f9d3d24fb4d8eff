"""`latchkey release build`: a payload, and beside it what the manifest says of it, before anybody has signed."""

import ast
import json
import re
from pathlib import Path

from latchkey_tools import reading
from latchkey_tools.boards import build, catalog
from latchkey_tools.release import manifest, payload

# A device takes 32 characters (firmware/latchkey/update/manifest.py).
_VERSION = re.compile(r"(?=.{1,32}$)\d+(\.\d+)*([.+_-][0-9A-Za-z.+_-]*)?", re.A)
_VERSION_FORM = "write a number, such as 1.2.0; letters and . + _ - may follow, 32 characters in all"


def make(board_name, version, out, image=None, product=None, **how):
    """Write the payload to ``out``, and beside it a JSON file; returns (its path, the members of a manifest that are
    known). ``image``: MicroPython's download for a release that is an image; ``how``: as payload.of_image takes it."""
    if not _VERSION.fullmatch(version):
        raise ValueError(f"--version {version[:40]} is not a version; {_VERSION_FORM}")
    facts = facts_path(out)
    if facts == Path(out):
        raise ValueError(
            f"--out {out}: the facts go to this file; name the payload {Path(out).with_suffix('.payload')}"
        )
    board = catalog.board(board_name)
    if board.takes == "image" and not image:
        raise ValueError(f"{board.name} runs an image: give MicroPython's official one for {board.mcu} with --image")
    product = manifest.text("--product", product or product_of(board))
    data = payload.of_image(board, version, image, **how) if image else payload.of_board(board, version)
    kind = "image" if image else "files"
    members = {"product": product, "boards": [board.name], "kind": kind, "version": version}
    members |= {**manifest.described(data), "room": payload.room(kind, data)}
    build.write(Path(out), data, image, facts)
    build.write(facts, (json.dumps(members, indent=2) + "\n").encode())
    return facts, members


def facts_path(payload_path):
    if not Path(payload_path).name:
        raise ValueError("--out names no file; write one, such as sensor.payload")
    return Path(payload_path).with_suffix(".json")


def built(path):
    """(members, payload) of what ``make`` wrote to ``path``; ValueError if both do not belong together."""
    data, facts = reading.content(path), facts_path(path)
    try:
        members = json.loads(reading.content(facts))
    except (ValueError, RecursionError, FileNotFoundError):
        members = None
    if not isinstance(members, dict) or not manifest.described(data).items() <= members.items():
        raise ValueError(f"{facts} does not describe {path}: give a payload; `latchkey release build` makes both files")
    return members, data


def product_of(board):
    """The product's name as its board_config.py has it; ValueError where it is not a text of the class."""
    path = catalog.folder(board.name) / "board_config.py"
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except SyntaxError as problem:
        raise ValueError(f"{path} is not Python: {problem}; correct it") from None
    for node in ast.walk(tree):
        names = [target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)]
        if names == ["product_name"] and isinstance(node.value, ast.Constant):
            return node.value.value
    raise ValueError(f"the board_config.py of {board.name} does not say which product it is; give --product")
