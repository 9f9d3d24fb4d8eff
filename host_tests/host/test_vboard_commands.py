"""The commands of `latchkey vboard` on air: press, air, pins."""

import json
import os
import socket
import stat
import subprocess
import sys

from technician import Keyboard

from latchkey_tools.desk.unix_board import Desk

LATCHKEY = [sys.executable, "-m", "latchkey_tools.cli.main"]
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
    assert "this board has no button: start it with --button" in done.stdout
    assert done.stdout.endswith("press: power is on\n")


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
    done = vboard("press 0.1\npins\npress inf\npress nan\npress -1\npress x\nquit\n", "--product", "sensor")
    assert done.returncode == 0 and "press: power is on\nbutton: up\n" in done.stdout
    assert done.stderr == "" and done.stdout.count("a button is held for a number of seconds") == 4


def test_what_it_does_not_know_is_answered_in_its_own_words():
    done = vboard("cutt\n\nhelp\nair\npress x\npress 1 2\ncut now\npins x\nquit\n")
    assert done.returncode == 0 and done.stderr == ""
    told = done.stdout.splitlines()[4:]
    assert told[:4] == [told[0]] * 4 and told[0].startswith("commands: cut, on, ")
    assert "this board has no Wi-Fi: start it with --air FILE" in told
    assert "a button is held for a number of seconds: write `press 3`" in told
    for words in ("press 3", "cut", "pins"):
        assert f"write `{words}`, and nothing after it" in told
    assert "cut: power is on" in told


def test_what_is_on_air_may_be_broken_while_it_runs(tmp_path):
    air = tmp_path / "air.json"
    air.write_text(json.dumps(AIR))
    with subprocess.Popen(
        [*LATCHKEY, "vboard", "--air", str(air)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        while "commands" not in process.stdout.readline():
            pass
        for change, words in ((lambda: air.write_text("{"), "is not of the form"), (air.unlink, "No such file")):
            change()
            process.stdin.write("air\n")
            process.stdin.flush()
            assert words in process.stdout.readline() and "power is on" in process.stdout.readline()
        assert process.communicate("quit\n", timeout=30) and process.returncode == 0


def test_its_folder_has_a_link_to_the_serial_port_while_it_runs_and_keeps_the_api_s_port(tmp_path):
    link, ports = tmp_path / "serial", []
    link.symlink_to("/dev/null")  # as one that was killed leaves it
    for _ in range(2):
        with subprocess.Popen(
            [*LATCHKEY, "vboard", "--folder", str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == f"serial port: {link}\n"
            ports.append(process.stdout.readline())
            assert os.path.realpath(link).startswith("/dev/pts/")
            done = Keyboard(tmp_path).run("board", "restart", "--port", os.path.relpath(link))
            assert done.status == 0 and "its program runs" in done.out, done
            process.communicate("quit\n", timeout=30)
        assert not os.path.lexists(link)
        assert "is of a vboard that has ended" in Keyboard(tmp_path).run("board", "restart", "--port", link).err
    assert ports[0] == ports[1] and ports[0].startswith("local API:")


def test_the_link_of_one_that_was_killed_leads_nowhere(tmp_path):
    process = subprocess.Popen(
        [*LATCHKEY, "vboard", "--folder", str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.kill()
    process.communicate()
    (tmp_path / "serial").unlink()
    ours, theirs = os.openpty()  # whose number another terminal has got
    (tmp_path / "serial").symlink_to(os.ttyname(theirs))
    try:
        for command in ("restart", "logs", "selftest"):
            done = Keyboard(tmp_path).run("board", command, "--port", tmp_path / "serial")
            assert done.status == 1 and f"has ended; start it again: `latchkey vboard --folder {tmp_path}`" in done.err
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_port_that_somebody_else_has_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "port").write_text(f"{port}\n")
        for options in ([], ["--port", port]):
            done = vboard("quit\n", "--folder", tmp_path, *options)
            assert done.returncode == 1 and f"port {port} is in use by another program: end that" in done.stderr


def test_what_it_cannot_be_is_refused_in_words(tmp_path):
    (tmp_path / "air.json").write_text("{}")
    for options, words in (
        (("--air", tmp_path / "air.json"), "not of the form"),
        (("--air", tmp_path / "none"), "No such file"),
        (("--product", "lock"), "write bulb or sensor"),
        (("--heapsize", "much"), "number of bytes"),
        (("--port", "70000"), "write a whole number from 0 to 65535"),
        (("--product", "bulb", "--battery"), "--battery is for a sensor"),
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
