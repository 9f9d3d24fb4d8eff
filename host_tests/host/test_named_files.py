"""Files that the user names: what is absent, a folder or too large is refused in words that name it, and nothing is
replaced that is not a file."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from releases import pems, small
from technician import SYSTEM, Keyboard

from latchkey_tools import reading
from latchkey_tools.boards import build

# FILE is the one in question, GOOD a private key, PAYLOAD a payload with its facts.
COMMANDS = {
    "release sign, payload": "release sign FILE --counter 1 --key GOOD -o out",
    "release sign, key": "release sign PAYLOAD --counter 1 --key FILE -o out",
    "release sign, public": "release sign PAYLOAD --counter 1 --key GOOD --public FILE -o out",
    "release keys": "release keys FILE --slug a --counter 1 --key GOOD -o out",
    "release new-key": "release new-key FILE --counter 1 --key GOOD -o out",
    "release show": "release show FILE",
    "device update": "device update 127.0.0.1:1 FILE",
    "device keys": "device keys 127.0.0.1:1 FILE",
    "device certificate": "device certificate 127.0.0.1:1 --cert FILE --key GOOD",
    "device --ca": "device info https://127.0.0.1:1 --ca FILE",
    "token import": "token import FILE",
    "token inspect": "token inspect GOOD --keys FILE",
    "label import": "label import FILE",
    "trip": "trip --site FILE",
    "board image": "board image --board esp32-bulb --image FILE --out out",
    "board flash": "board flash --board esp32-bulb --port PORT --image FILE",
    "board provision": "board provision --port PORT --config FILE --ca GOOD --cert GOOD --key GOOD",
    "board provision --line": "board provision --port PORT --line FILE",
    "vboard --air": "vboard --air FILE",
    "vboard --product-file": "vboard --product-file FILE",
}


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def tech(tmp_path, key):
    keyboard = Keyboard(tmp_path)
    keyboard.named = {"GOOD": pems(tmp_path, "good", key)[0], "PAYLOAD": small(tmp_path)}
    return keyboard


def run(tech, command, file):
    named = tech.named | {"FILE": file, "PORT": tech.folder / "port", "out": tech.folder / "out"}
    return tech.run(*(str(named.get(word, word)) for word in command.split()))


def refused(tech, command, file):
    """The words of a refusal in which ``file`` is named, with what to do about it."""
    done = run(tech, command, file)
    assert done.status in (1, 2) and file.name in done.err and not done.out, done
    assert not (tech.folder / "out").exists()
    return done.err


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_file_without_an_end_is_not_read_to_it(tech, tmp_path, command):
    file = tmp_path / "endless.py"
    file.touch()
    os.truncate(file, reading.MOST_BYTES + 1)
    # esptool looks at an image first.
    words = "is not an image for an ESP32" if "flash" in command else "it is larger than"
    assert words in refused(tech, command, file)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_file_that_is_not_there_is_named(tech, tmp_path, command):
    refused(tech, command, tmp_path / "nowhere.py")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_folder_in_place_of_a_file_is_named(tech, tmp_path, command):
    (tmp_path / "folder.py").mkdir()
    refused(tech, command, tmp_path / "folder.py")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_empty_file_is_named(tech, tmp_path, command):
    (tmp_path / "empty.py").touch()
    refused(tech, command, tmp_path / "empty.py")


def test_every_file_that_provisioning_lacks_is_named_with_its_option(tech):
    done = tech.run(*"board provision --port x --config c.json --ca ca.pem --cert d.pem --key d.key".split())
    assert done.status == 1 and "ca.pem (--ca), d.pem (--cert), d.key (--key), c.json (--config)" in done.err


def test_what_is_not_a_file_is_not_replaced(tech, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = run(tech, f"release sign PAYLOAD --counter 1 --key GOOD -o {pipe}", pipe)
    assert done.status == 1 and f"{pipe} is not a file" in done.err and stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_to_a_file_stays_a_link(tech, tmp_path):
    (tmp_path / "newest").symlink_to(tmp_path / "1.latchkey")
    assert not run(tech, f"release sign PAYLOAD --counter 1 --key GOOD -o {tmp_path / 'newest'}", tmp_path).status
    assert (tmp_path / "newest").is_symlink() and (tmp_path / "1.latchkey").stat().st_size


@pytest.mark.parametrize("version", ["one", "", ".1", "-1", "v1.2", "1 2", "1/2", "\u0661.2", "1." + "0" * 31])
def test_what_is_not_a_version_is_refused_with_the_bounds(tech, tmp_path, version):
    done = tech.run("release", "build", "--board", "desk", f"--version={version}", "-o", tmp_path / "x.payload")
    assert done.status == 1 and "is not a version; write a number" in done.err and "32 characters" in done.err


def test_a_missing_argument_is_explained(tech):
    assert "NAME=VALUE: on, off, brightness_pct=40" in tech.run("device", "set", "127.0.0.1").err
    assert "BOARD: Name of the board" in tech.run("release", "build").err
    assert "SYSTEM: " in tech.run("label", "show").err and SYSTEM


def test_a_picture_in_place_of_a_text_is_refused_without_python_s_words(tech, tmp_path):
    (tmp_path / "picture.py").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    for command in COMMANDS.values():
        words = refused(tech, command, tmp_path / "picture.py")
        assert "codec" not in words and "0x89" not in words, command


def test_a_public_key_is_not_taken_for_a_private_one(tech, tmp_path):
    public = tmp_path / "good.pub.pem"
    assert public.exists() and "in PEM, only a public one; check" in refused(
        tech, COMMANDS["release sign, key"], public
    )


def test_a_port_that_is_not_there_leads_to_the_list(tech):
    words = refused(tech, "board deploy --board desk --port FILE", tech.folder / "ttyUSB7")
    assert "`latchkey board list` shows the ports" in words


def test_an_image_that_cannot_be_used_is_named(tech, tmp_path):
    (tmp_path / "some.bin").write_bytes(bytes(5000))
    words = refused(tech, "board image --board esp32-bulb --image FILE --out out --unlisted", tmp_path / "some.bin")
    assert "some.bin: this is not a whole .bin" in words and "give MicroPython's official .bin" in words


def test_a_place_that_cannot_be_written_to_is_not_left_to_the_compiler_to_report(tmp_path):
    (tmp_path / "a.py").touch()
    with pytest.raises(OSError, match="No such file") as refusal:
        build.compile_file(tmp_path / "a.py", Path("/proc/self/a.mpy"), "x64", "a")
    assert refusal.value.filename == f"/proc/self/a.{os.getpid()}.part"
