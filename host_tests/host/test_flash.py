"""`latchkey board flash` against a chip of flash memory and esptool's words: what is asked, written, and left alone."""

import sys
from subprocess import CompletedProcess

import pytest
import synthetic_image
from test_image import any_board  # noqa: F401
from typer.testing import CliRunner

from latchkey_tools.boards import build, flash
from latchkey_tools.cli import ask
from latchkey_tools.cli.main import app as cli
from latchkey_tools.image import partitions
from latchkey_tools.image.container import Download
from latchkey_tools.image.tables import Tables

BLANK = b"\xff" * 0x400000
NVS, FILES = 0x9100, 0x3B0100  # in the layout with two program slots


class Chip:
    """4 MB of flash behind esptool's commands."""

    def __init__(self):
        self.flash = bytearray(BLANK)
        self.features = "Wi-Fi, BT, Dual Core, 240MHz"
        self.fails = False
        self.said = []

    def esptool(self, *arguments, shown=False):
        if arguments[0] == "image-info":
            return flash_esptool(*arguments)
        self.said.append(" ".join(arguments))
        verb = next(word for word in arguments if word.endswith("-flash"))
        getattr(self, "_" + verb.removesuffix("-flash"))(*arguments[arguments.index(verb) + 1 :])
        if self.fails:
            said = "Connecting...\nA fatal error occurred: No serial data received.\nSee\n"
            return CompletedProcess(arguments, 2, said, "")
        return CompletedProcess(arguments, 0, f"Chip type: X\nFeatures:           {self.features}\n", "")

    def _read(self, at, size, path):
        with open(path, "wb") as file:
            file.write(self.flash[int(at, 16) :][: int(size, 16)])

    def _erase(self):
        self.flash = bytearray(BLANK)

    def _write(self, *pieces):
        for at, path in zip(pieces[::2], pieces[1::2], strict=True):
            data = open(path, "rb").read()
            self.flash[int(at, 16) : int(at, 16) + len(data)] = data

    def use(self):
        """As a device in use has it: something in NVS and in its files."""
        self.flash[NVS] = self.flash[FILES] = self.flash[0xD000] = 1

    @property
    def app(self):
        return Download(bytes(self.flash[0x1000 : 0x10000 + self.app_bytes])).app

    app_bytes = 0


flash_esptool = flash._esptool


@pytest.fixture
def chip(any_board, monkeypatch):  # noqa: F811
    """An any_board with a chip on a port, and a person at the terminal who says yes."""
    one = Chip()
    one.questions = []
    monkeypatch.setattr(flash, "_esptool", one.esptool)
    monkeypatch.setattr(build, "BUILD", any_board / "build")
    monkeypatch.setattr(ask, "require_yes", lambda question, yes: one.questions.append(question))
    (any_board / "port").touch()
    one.folder = any_board
    return one


def run(chip, *options, image="official.bin"):
    where = ("--board", "small", "--port", chip.folder / "port", "--image", chip.folder / image, "--unlisted")
    done = CliRunner().invoke(cli, ["board", "flash", *map(str, where + options)])
    made = chip.folder / "build/image/small.bin"
    chip.app_bytes = len(made.read_bytes()) - 0xF000 if made.exists() else 0
    return done


def test_one_command_freezes_and_writes_where_there_is_no_psram_and_says_so(chip):
    done = run(chip)
    assert done.exit_code == 0, done.exception
    assert "has no PSRAM, so the firmware goes into the image" in done.stderr and "ota_1" in done.stderr
    assert Tables(chip.app).names[0] == b"main.py" and chip.app.is_made_here
    assert chip.questions == ["Write it?"]
    assert "write-flash 0x1000" in chip.said[-1] and "erase" not in " ".join(chip.said)


def test_a_device_in_use_with_the_same_layout_keeps_its_nvs_and_files(chip):
    run(chip)
    chip.use()
    (chip.folder / "boards/small/main.py").write_text("print('newer')\n")
    done = run(chip)
    assert done.exit_code == 0, done.exception
    assert chip.flash[NVS] == chip.flash[FILES] == 1
    assert chip.flash[0xD000:0xF000] == b"\xff" * 0x2000  # the first program starts
    assert chip.app.to_bytes() == (chip.folder / "build/image/small.bin").read_bytes()[0xF000:]


@pytest.mark.parametrize("options", [(), ("--erase",)])
def test_a_device_in_use_with_another_layout_is_erased_after_a_question(chip, options):
    old = synthetic_image.partition_table()
    chip.flash[0x8000 : 0x8000 + len(old)] = old
    chip.use()
    done = run(chip, *options)
    assert done.exit_code == 0, done.exception
    assert chip.flash[NVS] == chip.flash[FILES] == 0xFF and chip.app.is_made_here
    assert "lost" in chip.questions[-1] and len(chip.questions) == (1 if options else 2)


def test_without_a_person_such_a_device_is_only_erased_with_the_option(chip):
    chip.flash[0x8000:0x8010] = b"something else.."
    before = bytes(chip.flash)
    done = run(chip, "--yes")
    assert isinstance(done.exception, flash.FlashError) and "give --erase too" in str(done.exception)
    assert chip.flash == before
    assert run(chip, "--yes", "--erase").exit_code == 0 and chip.app.is_made_here


def test_a_chip_with_psram_gets_the_image_as_it_is_where_its_board_runs_mpy_files(chip):
    facts = chip.folder / "boards/small/board.json"
    facts.write_text(facts.read_text().replace('"takes": "image"', '"takes": "mpy"'))
    official = (chip.folder / "official.bin").read_bytes()
    chip.features += ", Embedded PSRAM 8MB (AP_3v3)"
    assert run(chip).exit_code == 0
    assert chip.flash[0x1000 : 0x1000 + len(official)] == official
    chip.features = "Wi-Fi, No Embedded PSRAM"
    assert run(chip, "--erase").exit_code == 0 and chip.app.is_made_here


def test_an_image_that_has_the_firmware_is_written_as_it_is(chip):
    facts = chip.folder / "boards/small/manifest.py"
    (chip.folder / "boards/small/latchkey").mkdir()
    (chip.folder / "boards/small/latchkey/__init__.py").write_text("")
    facts.write_text(facts.read_text() + "package('latchkey')\n")
    run(chip)
    made = chip.folder / "build/image/small.bin"
    (chip.folder / "mine.bin").write_bytes(made.read_bytes())
    made.unlink()
    chip.flash = bytearray(BLANK)
    assert run(chip, image="mine.bin").exit_code == 0
    data = (chip.folder / "mine.bin").read_bytes()
    assert chip.flash[0x1000 : 0x1000 + len(data)] == data and not made.exists()


def test_a_chip_that_does_not_answer_and_an_image_that_is_refused_change_nothing(chip):
    chip.fails = True
    words = str(run(chip).exception)
    assert "(No serial data received): hold BOOT" in words and chip.flash == BLANK
    chip.fails = False
    (chip.folder / "boards/small/manifest.py").write_text("require('neopixel')\nmodule('main.py')\n")
    assert "lacks the module neopixel" in str(run(chip, "--erase").exception)
    assert chip.flash == BLANK and not any("write" in words or "erase" in words for words in chip.said)


def test_esptool_has_the_commands_that_are_used_here():
    for verb in ("read-flash", "write-flash", "erase-flash"):
        assert flash_esptool(verb, "--help").returncode == 0, sys.executable


def test_only_the_row_that_says_which_program_starts_is_otadata():
    assert [row.name for row in partitions.TWO_SLOTS if row.is_otadata] == ["otadata"]
