"""The commands of `latchkey vboard` on air: press, air, pins."""

import json
import os
import stat
import subprocess
import sys

from technician import Keyboard

from latchkey_tools.desk import Desk

LATCHKEY = [sys.executable, "-m", "latchkey_tools.cli"]
AIR = {"networks": [{"ssid": "home", "passphrase": "open sesame"}, {"ssid": "lobby", "rssi": -80, "fault": "no_route"}]}


def vboard(commands, *options, cwd=None):
    command = [*LATCHKEY, "vboard", *map(str, options)]
    return subprocess.run(command, input=commands, capture_output=True, text=True, timeout=60, env=os.environ, cwd=cwd)


def test_they_show_what_is_on_air_the_pins_and_the_button(tmp_path):
    (tmp_path / "air.json").write_text(json.dumps(AIR))
    done = vboard("air\npins\npress\npress soon\nquit\n", "--air", tmp_path / "air.json")
    assert done.returncode == 0 and done.stderr == ""
    assert "home: channel 6, -50 dBm\n" in done.stdout and "open sesame" not in done.stdout
    assert "lobby: channel 6, -80 dBm, open, fault no_route\n" in done.stdout
    assert "access point: -" in done.stdout and "GPIO 25: 0%, GPIO 26: 0%, button: none" in done.stdout
    assert "this desk has no button" in done.stdout and done.stdout.endswith("press: power is on\n")


def test_its_folder_may_be_named_from_where_one_is(tmp_path):
    done = vboard("quit\n", "--folder", "board", cwd=tmp_path)
    assert done.returncode == 0 and f"{tmp_path}/board/console.log" in done.stdout, done.stderr


def test_a_second_one_in_the_same_folder_is_refused_while_the_first_runs(tmp_path):
    command = [*LATCHKEY, "vboard", "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert "serial port" in first.stdout.readline()
        second = vboard("quit\n", "--folder", tmp_path)
        assert second.returncode == 1 and f"a vboard runs in {tmp_path} already" in second.stderr
        first.communicate("quit\n", timeout=30)
    assert vboard("quit\n", "--folder", tmp_path).returncode == 0


def test_a_sensor_has_a_button_to_press():
    done = vboard("press 0.1\npins\npress inf\npress nan\npress -1\nquit\n", "--product", "sensor")
    assert done.returncode == 0 and "press: power is on\nbutton: up\n" in done.stdout
    assert done.stderr == "" and done.stdout.count("a button is held for seconds") == 3


def test_what_it_cannot_be_is_refused_in_words(tmp_path):
    (tmp_path / "air.json").write_text("{}")
    for options, words in (
        (("--air", tmp_path / "air.json"), "not of the form"),
        (("--air", tmp_path / "none"), "No such file"),
        (("--product", "lock"), "is not one of 'bulb'"),
        (("--heapsize", "much"), "number of bytes"),
        (("--port", "70000"), "less than or equal to 65535"),
    ):
        done = Keyboard(tmp_path).run("vboard", *options)
        assert done.status == 2 and words in done.err


def test_a_folder_that_others_can_read_is_refused_and_what_is_kept_in_one_is_private(tmp_path):
    folder = tmp_path / "board"
    folder.mkdir()
    folder.chmod(0o755)
    done = vboard("quit\n", "--folder", folder)
    assert done.returncode == 3 and "chmod 700" in done.stderr and list(folder.iterdir()) == []
    folder.chmod(0o700)
    assert vboard("quit\n", "--folder", folder).returncode == 0
    assert [path.name for path in folder.iterdir() if path.stat().st_mode & 0o077] == []


def test_flash_is_private_from_the_first_and_even_if_it_was_not(tmp_path):
    (tmp_path / "tree").mkdir()
    image = tmp_path / "desk" / "flash.img"
    for mode in (0o644, 0o600):
        with Desk(tmp_path / "desk", tree=tmp_path / "tree"):
            assert stat.S_IMODE(image.stat().st_mode) == 0o600
        image.chmod(mode)
