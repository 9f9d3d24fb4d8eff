"""Serial ports, and esptool: which chip an image is for, what a device holds, and writing an image.

A whole .bin reaches from the bootloader to the program, over the place of NVS in between. So a device that has the
image's layout already gets it in pieces, which leave its NVS and its files alone.
"""

import errno
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import serial
from serial.tools import list_ports

from latchkey_tools import reading
from latchkey_tools.boards import catalog
from latchkey_tools.boards.mpremote import CableError, busy, check_port, sole_use
from latchkey_tools.image import Refused, partitions
from latchkey_tools.image.partitions import TABLE_AT, TABLE_BYTES

# The sector of flash with the partition table ends here.
_TABLE_END = 0x9000
# How each of its rows begins.
_ROW = b"\xaa\x50"


class FlashError(Exception):
    """The image is not one for this board, or esptool failed; the text says what to do."""


@dataclass(frozen=True)
class Plan:
    board: str
    port: str
    image: Path
    chip: str
    offset: str
    erase: bool


@dataclass(frozen=True)
class Device:
    """``has_psram``: whether the chip says that PSRAM is in its package; ``table``: bytes of its partition table."""

    has_psram: bool
    table: bytes

    @property
    def is_blank(self):
        return not self.table.strip(b"\xff")

    def has_layout_of(self, plan):
        data = reading.content(plan.image)
        return self.table.rstrip(b"\xff") == data[TABLE_AT - int(plan.offset, 16) :][:TABLE_BYTES].rstrip(b"\xff")


def plan(board_name, port, image, erase):
    """The Plan of what to write where; FlashError if the image is not MicroPython's for the board's chip."""
    board = catalog.board(board_name)
    if board.flash_offset is None:
        raise FlashError(f"{board.name} has no chip to flash; `latchkey vboard` runs it")
    if not Path(image).is_file():
        raise FlashError(
            f"there is no {image}: download MicroPython's image for {board.mcu} (a .bin) and give its path"
        )
    chip = image_chip(image)
    if chip != board.mcu:
        raise FlashError(f"{image} is for {chip}, but {board.name} is {board.mcu}: take that chip's image")
    _check_program(image, int(board.flash_offset, 16))
    _check_port(port)
    return Plan(board.name, port, Path(image), chip, board.flash_offset, erase)


def image_chip(image):
    """The chip that esptool finds in ``image``, as board.json names it; FlashError if its checksums do not fit."""
    done = _esptool("image-info", str(image))
    found = re.search(r"Detected image type: (\S+)", done.stdout) or re.search(r"Chip ID: \d+ \((\S+)\)", done.stdout)
    if done.returncode or not found:
        raise FlashError(f"{image} is not an image for an ESP32: download MicroPython's .bin for the chip")
    if "(invalid" in done.stdout:
        raise _damaged(image)
    return found[1].replace("-", "").lower()


def _check_program(image, offset):
    """FlashError unless ``image``, to be written at ``offset``, has behind its bootloader a partition table and a whole
    program where that says."""
    data = reading.content(image)
    if not data[TABLE_AT - offset :].startswith(_ROW):
        raise FlashError(
            f"{image} is a program without bootloader and partition table: download the chip's .bin, not its .app-bin"
        )
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program.bin"
        try:
            program.write_bytes(data[partitions.split(data)[2] :])
            image_chip(program)
        except (FlashError, Refused):
            raise _damaged(image) from None


def _damaged(image):
    return FlashError(f"{image} is damaged (its checksums do not fit): download it again")


def _check_port(port):
    """FlashError or CableError unless it is there; esptool takes addresses as well."""
    check_port(port)
    if os.sep not in port and "://" not in port and port not in {p.device for p in list_ports.comports()}:
        raise FlashError(f"there is no {port}; `latchkey board list` shows the ports there are")


def look(plan):
    """The Device at the plan's port."""
    with sole_use(plan.port), tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "table.bin"
        read = ("read-flash", hex(TABLE_AT), hex(TABLE_BYTES), str(out))
        done = _esptool("--chip", plan.chip, "--port", plan.port, *read)
        if done.returncode:
            said = re.search(r"error occurred: *(.*?)[.]?$", done.stdout + done.stderr, re.M)
            raise _failed(plan.port, f" ({said[1]})" if said else "")
        features = re.search(r"^Features:(.*)", done.stdout, re.M)
        words = features[1] if features else ""
        return Device("PSRAM" in words and "No Embedded PSRAM" not in words, out.read_bytes())


def commands(plan, pieces=None):
    """Argument lists for esptool, in order. ``pieces``: (offset as text, path) of what is written; by default the
    image whole."""
    where = ("--chip", plan.chip, "--port", plan.port)
    erase = [(*where, "erase-flash")] if plan.erase else []
    written = [str(part) for piece in pieces or [(plan.offset, plan.image)] for part in piece]
    return [*erase, (*where, "--baud", "460800", "write-flash", *written)]


def write(plan, keep=False):
    """Write the image; esptool shows its own progress. ``keep``: NVS and files, on a device of the image's layout."""
    with sole_use(plan.port), tempfile.TemporaryDirectory() as folder:
        for command in commands(plan, _pieces(plan, Path(folder)) if keep else None):
            if _esptool(*command, shown=True).returncode:
                raise _failed(plan.port)


def _pieces(plan, folder):
    """Bootloader and table, an empty otadata, so that the first program starts, and that program."""
    data, offset = reading.content(plan.image), int(plan.offset, 16)
    before, table, start = partitions.split(data)
    parts = {offset: before[: _TABLE_END - offset], start + offset: data[start:]}
    parts |= {row.offset: b"\xff" * row.size for row in table.rows if row.is_otadata}
    for at, content in parts.items():
        (folder / hex(at)).write_bytes(content)
    return [(hex(at), folder / hex(at)) for at in sorted(parts)]


def _failed(port, said=""):
    todo = "hold BOOT, press and release RESET, release BOOT, and run the same again"
    return FlashError(f"esptool failed on {port}{said}: {todo}")


def _esptool(*arguments, shown=False):
    return subprocess.run([sys.executable, "-m", "esptool", *arguments], capture_output=not shown, text=True)


def serial_ports():
    """Ports of this machine that may be boards: dicts of port and description."""
    found = [p for p in list_ports.comports() if p.vid is not None]
    return [{"port": p.device, "description": p.description} for p in sorted(found)]


def console_lines(port, end):
    """Lines of text from the console at ``port`` until the monotonic time ``end`` (None: for ever).

    The port is locked as mpremote locks it, since two readers would take each other's bytes. Neither line that a board
    may take for reset or boot is raised.
    """
    check_port(port)
    with sole_use(port), _open_quietly(port) as line:
        yield from _lines(line, end, port)


def _open_quietly(port):
    line = serial.Serial(baudrate=115200, timeout=0.1, exclusive=True)
    line.port, line.dtr, line.rts = port, False, False
    try:
        line.open()
    except (OSError, serial.SerialException) as e:
        if e.errno in (errno.EAGAIN, errno.EBUSY):
            raise busy(port) from None
        raise CableError("gone", f"{port} cannot be opened; `latchkey board list` shows the ports there are") from None
    return line


def _lines(line, end, port):
    text = b""
    while end is None or time.monotonic() < end:
        try:
            text += line.read(line.in_waiting or 1)
        except (OSError, serial.SerialException):
            raise CableError("gone", f"{port} went away; plug the board in and run the same again") from None
        *whole, text = text.split(b"\n")
        yield from (part.decode(errors="replace").rstrip() for part in whole)
