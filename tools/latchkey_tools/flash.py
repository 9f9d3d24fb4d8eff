"""Serial ports, and esptool: which chip an image is for, and writing it."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import serial
from serial.tools import list_ports

from latchkey_tools import boards
from latchkey_tools.overwire import WireError


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


def plan(board_name, port, image, erase):
    """What is to be written where; FlashError if the image is not MicroPython's for the board's chip."""
    board = boards.board(board_name)
    if board.flash_offset is None:
        raise FlashError(f"{board.name} has no chip to flash; `latchkey vboard` runs it")
    if not Path(image).is_file():
        raise FlashError(
            f"there is no {image}: download MicroPython's image for {board.mcu} (a .bin) and give its path"
        )
    chip = image_chip(image)
    if chip != board.mcu:
        raise FlashError(f"{image} is for {chip}, but {board.name} is {board.mcu}: take that chip's image")
    if port.startswith("/") and not os.path.exists(port):
        raise FlashError(f"there is no {port}; `latchkey board list` shows the ports there are")
    return Plan(board.name, port, Path(image), chip, board.flash_offset, erase)


def image_chip(image):
    """The chip that esptool finds in ``image``, as board.json names it."""
    done = _esptool("image-info", str(image))
    found = re.search(r"Detected image type: (\S+)", done.stdout) or re.search(r"Chip ID: \d+ \((\S+)\)", done.stdout)
    if done.returncode or not found:
        raise FlashError(f"{image} is no image for an ESP32: download MicroPython's .bin for the chip")
    return found[1].replace("-", "").lower()


def commands(plan):
    """Argument lists for esptool, in order."""
    where = ("--chip", plan.chip, "--port", plan.port)
    erase = [(*where, "erase-flash")] if plan.erase else []
    return [*erase, (*where, "--baud", "460800", "write-flash", plan.offset, str(plan.image))]


def write(plan):
    """Run them; esptool shows its own progress."""
    for command in commands(plan):
        if subprocess.run([sys.executable, "-m", "esptool", *command]).returncode:
            raise FlashError(
                f"esptool failed on {plan.port}: hold BOOT, press and let go RESET, let go BOOT, and run the same again"
            )


def _esptool(*arguments):
    return subprocess.run([sys.executable, "-m", "esptool", *arguments], capture_output=True, text=True)


def serial_ports():
    """Ports of this machine that may be boards: dicts of port and description."""
    found = [p for p in list_ports.comports() if p.vid is not None]
    return [{"port": p.device, "description": p.description} for p in sorted(found)]


def console_lines(port, end):
    """Lines of text from the console at ``port`` until the monotonic time ``end`` (None: for ever).

    Neither line that a board may take for reset or boot is raised.
    """
    line = serial.Serial(baudrate=115200, timeout=0.1)
    line.port, line.dtr, line.rts = port, False, False
    try:
        line.open()
    except (OSError, serial.SerialException):
        raise WireError("gone", f"{port} cannot be opened; `latchkey board list` shows the ports there are") from None
    with line:
        yield from _lines(line, end, port)


def _lines(line, end, port):
    text = b""
    while end is None or time.monotonic() < end:
        try:
            text += line.read(line.in_waiting or 1)
        except (OSError, serial.SerialException):
            raise WireError("gone", f"{port} went away; plug the board in and run the same again") from None
        *whole, text = text.split(b"\n")
        yield from (part.decode(errors="replace").rstrip() for part in whole)
