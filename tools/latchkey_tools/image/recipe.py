"""The modules that a board freezes, the images that were tried, and `latchkey board image`."""

import hashlib
import re
import struct
import tempfile
from pathlib import Path

from latchkey_tools import __version__, reading
from latchkey_tools.boards import build, catalog
from latchkey_tools.image import Refused, need
from latchkey_tools.image.container import MADE_BY, Download
from latchkey_tools.image.freezing import CODE, TABLES, Part, freeze
from latchkey_tools.image.tables import Tables

# Official images that were read and written by this tool, by SHA-256; docs/image.md says what was run of each.
# Compare with the download page of MicroPython before you trust one.
TRIED = {
    "6b5272b6edd15fc4d1627ec559a27a5d5a7b86e5ea7f8013941eb10c877edd4e": "ESP32_GENERIC 1.26.1",
    "d6c48687f684cc7c002a0a4acd258f881c4b391f3ef121726a3b7cd285dcdbbc": "ESP32_GENERIC_S3 1.26.1",
    "41388c500efaed40ca912e4917421f3fc44a99b708dcb4f68f0892df0425ecf4": "ESP32_GENERIC_C3 1.27.0",
    "648e655fdaa8c31ece4e8f2a5c7815b015a7bca1c8db56246287799164ad9bff": "ESP32_GENERIC 1.24.0",
}
# The module that says what the image was made from.
ITSELF = "latchkey_image.py"
# In the table of frozen modules.
_FROZEN = b"latchkey/__init__.py\0"
_VERSION = re.compile(rb"MicroPython (v[0-9][0-9A-Za-z.-]*) on \d{4}-\d\d-\d\d")


def make(board_name, image, own=None, heap_kb=None, unlisted=False, version=__version__):
    """``(bytes, Report)`` of an image for a board; Refused, BoardError or BuildError with words for the user.

    ``image``: path of MicroPython's download; ``own``: sources (path as frozen -> path) in addition to the board's, or
    instead of them; ``heap_kb``: of the first heap, by default as the board says; ``unlisted``: also an image that was
    never tried; ``version``: what the image calls itself.
    """
    board = catalog.board(board_name)
    raw = reading.content(image)
    digest = hashlib.sha256(raw).hexdigest()
    tried = ", ".join(sorted(TRIED.values()))
    need(digest in TRIED or unlisted, f"{image} was never tried (SHA-256 {digest}). Tried were {tried}. Compare the "
         "SHA-256 with the official download, and give --unlisted")  # fmt: skip
    app = _download(image, raw).app
    need(app.chip.name == board.mcu, f"the image is for {app.chip.name}, but {board.name} is {board.mcu}")
    micropython = _version(app)
    too_old = catalog.refusal(board, micropython)
    need(unlisted or not too_old, f"{too_old}. Take a newer image, or give --unlisted")
    mpys = _compile(_sources(board, app) | (own or {}), board.arch)
    made_from = f"{MADE_BY}{version} on {micropython}"
    heap = (heap_kb or board.heap_kb or 0) * 1024

    def described(parts):
        facts = {"MADE_FROM": made_from, "FLASH_FROM": app.drom.addr - app.drom.at, **_packed(parts)}
        new = mpys | _compile({ITSELF: _source(facts)}, board.arch)
        return freeze(raw, new, made_from, heap)

    # The description holds the hashes of all other parts, which are known once they are written. So the image is made
    # twice: a description of the same size moves nothing.
    _, first = described([Part(name, 0, 0, bytes(32)) for name in [*mpys, TABLES, CODE]])
    out, report = described(_others(first))
    need(_others(report) == _others(first), "the image's description has changed what it describes")
    return out, report


def _others(report):
    return [part for part in report.parts if part.name != ITSELF]


def _source(values):
    return "".join(f"{name} = {value!r}\n" for name, value in values.items()).encode()


def _packed(parts):
    packed = b"".join(struct.pack("<II", part.addr, part.size) + part.sha256 for part in parts)
    return {"NAMES": tuple(part.name for part in parts), "PARTS": packed}


def _download(image, raw):
    try:
        return Download(raw)
    except Refused as problem:
        raise Refused(f"{image}: {problem}; give MicroPython's official .bin for the chip") from None


def has_firmware(image):
    """Whether Latchkey is frozen into the image at the path ``image``, by this tool or by a build of its own."""
    return _FROZEN in reading.content(image)


def _sources(board, app):
    """Path as frozen -> source or .mpy. The image must have the library packages that the manifest requires."""
    found = catalog.frozen(board.name)
    there = {name.decode() for name in Tables(app).names}
    for name in sorted(found.required):
        path = name.replace(".", "/")
        is_there = not there.isdisjoint((path + ".py", path + "/__init__.py"))
        need(is_there, f"the image lacks the module {name}, which {board.name} needs")
    return found.files


def _compile(sources, arch):
    """Path as frozen -> .mpy, of sources (paths, or text as bytes) and what is one already."""
    with tempfile.TemporaryDirectory() as folder:
        target, found = Path(folder) / "module.mpy", {}
        for name, source in sorted(sources.items()):
            if isinstance(source, bytes):
                (Path(folder) / "module.py").write_bytes(source)
                source = Path(folder) / "module.py"
            if str(source).endswith(".mpy"):
                found[name.replace(".mpy", ".py")] = Path(source).read_bytes()
                continue
            build.compile_file(source, target, arch, name)
            found[name] = target.read_bytes()
    return found


def _version(app):
    found = set(_VERSION.findall(bytes(app.drom.data)))
    need(len(found) == 1, "the image does not say its version of MicroPython once")
    return found.pop().decode()
