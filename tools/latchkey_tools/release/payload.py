"""The bytes that a device writes to its flash: the files of a release folder in one piece, or a program for a slot.

Of files: a line ``SHA256HEX SIZE NAME`` for each, an empty line, then the contents in the same order. Of an image: the
program as it lies in its partition.
"""

import hashlib
import re
import tempfile
from pathlib import Path

from latchkey_tools import reading
from latchkey_tools.boards import build
from latchkey_tools.boards.release import release
from latchkey_tools.image import need, partitions, recipe

# The bounds of a device (firmware/latchkey/update).
MOST_FILES = 200
_MOST_NAME_CHARS = 64
_MOST_DEEP = 4
_NAME = re.compile(r"[a-z0-9_.-]+(/[a-z0-9_.-]+)*\.(mpy|gz)")
_LINE = re.compile(rb"([0-9a-f]{64}) ([1-9][0-9]{0,7}) ([!-~]+)")
_BLOCK = 4096
# The module that holds the version in /v1/info.
_INIT = "latchkey/__init__.py"
_VERSION = re.compile(r'^__version__ = ".*"$', re.M)
# LittleFS keeps a folder in a pair of blocks (its DESIGN.md, "Metadata pairs").
_FOLDER_BYTES = 2 * _BLOCK


def of_board(board, version):
    """The payload of all files that ``board`` (catalog.Board) runs, which call themselves ``version``."""
    files = {name: path.read_bytes() for name, path in sorted(release(board, board.arch).items())}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "init.mpy"
        build.compile_file(_named(version, folder), target, board.arch, "__init__", lines=False)
        files[_INIT.replace(".py", ".mpy")] = target.read_bytes()
    for name, data in files.items():
        if not data:
            raise ValueError(f"{name} is empty, and a device takes no such file; leave it out of the board's manifest")
        need_name(name)
    if len(files) > MOST_FILES:
        raise ValueError(f"{board.name} has {len(files)} files, and a device takes {MOST_FILES}; leave features out")
    lines = [f"{hashlib.sha256(data).hexdigest()} {len(data)} {name}\n" for name, data in files.items()]
    return "".join([*lines, "\n"]).encode() + b"".join(files.values())


def of_image(board, version, image, own=None, **how):
    """The program in MicroPython's download ``image`` with the board's firmware frozen in, which calls itself
    ``version``; of an image that has the firmware already the program as it is. ``own`` and ``how``: of recipe.make."""
    if recipe.has_firmware(image):
        data = reading.content(image)
    else:
        with tempfile.TemporaryDirectory() as folder:
            own = {_INIT: _named(version, folder)} | (own or {})
            data, _report = recipe.make(board.name, image, own, version=version, **how)
    _before, table, start = partitions.split(data)
    need(table.slots > 1, "this image has one program slot, so such a device cannot be updated over the network")
    return data[start:]


def room(kind, payload):
    """Bytes that a payload takes on a device's flash."""
    if kind == "image":
        return _blocks(len(payload))
    files = listed(payload)
    folders = {str(parent) for name, *_ in files for parent in Path(name).parents}
    return sum(_blocks(size) for _name, size, _digest in files) + len(folders) * _FOLDER_BYTES


def listed(payload):
    """[(name, size, SHA-256 in hex)] of a payload of files, each compared with its content; ValueError."""
    head, end, content = payload.partition(b"\n\n")
    rows = [_LINE.fullmatch(line) for line in head.split(b"\n")]
    if not end or not all(rows) or len(rows) > MOST_FILES:
        raise ValueError("its list of files cannot be read")
    files, at = [], 0
    for digest, size, name in (row.groups() for row in rows):
        name, size, part = need_name(name.decode()), int(size), content[at : at + int(size)]
        if hashlib.sha256(part).hexdigest() != digest.decode() or len(part) != size:
            raise ValueError(f"{name} in it is damaged")
        files.append((name, size, digest.decode()))
        at += size
    if at != len(content):
        raise ValueError("it goes on after its last file")
    return files


def need_name(name):
    """``name`` if a file of a release may be called that; ValueError."""
    wrong = not _NAME.fullmatch(name) or any(part in (".", "..") for part in name.split("/"))
    if wrong or len(name) > _MOST_NAME_CHARS or name.count("/") >= _MOST_DEEP or name == "release":
        raise ValueError(f"a device takes no file called {name[:80]}: give it another name")
    return name


def _named(version, folder):
    """Path of a copy of the firmware's latchkey/__init__.py that says ``version``."""
    text, count = _VERSION.subn(f'__version__ = "{version}"', (build.FIRMWARE / _INIT).read_text())
    if count != 1:
        raise ValueError(f"{_INIT} has no line __version__ = ...; put it back")
    path = Path(folder) / "__init__.py"
    path.write_text(text)
    return path


def _blocks(size):
    return -(-size // _BLOCK) * _BLOCK
