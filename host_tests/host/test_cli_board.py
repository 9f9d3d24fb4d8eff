"""`latchkey board` as a person runs it: a process, its words, its exit status; against the unix port as a board."""

import hashlib
import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time

import pytest

from latchkey_tools import boards, desk, flash, pki
from latchkey_tools.sim.signing import jwk, new_key

SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"
LATCHKEY = [sys.executable, "-m", "latchkey_tools.cli", "board"]
WIFI = "open sesame, cellar"


def latchkey(*arguments, cwd=None):
    command = [*LATCHKEY, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """Flashed, not yet deployed; the tests of this file go on with it in their order or from any point."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "tree").mkdir()
    with desk.Desk(folder / "desk", tree=folder / "tree") as board:
        yield board.power_on(wait=False)


@pytest.fixture(scope="module")
def deployed(board):
    done = latchkey("deploy", "--board", "desk", "--port", board.serial, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["changed"] and report["sent"] == report["files"]
    board.wait_ready()
    return board


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    certs = pki.make(folder / "pki", "company-example", SYSTEM)
    for name, path in (("ca", certs.ca.cert_pem), ("cert", certs.device.cert_pem), ("key", certs.device.key_pem)):
        shutil.copy(path, folder / f"{name}.pem")
    (folder / "jwks.json").write_text(json.dumps({"keys": [jwk(*new_key())]}))
    (folder / "wifi.txt").write_text(WIFI + "\n")
    config = {"system_uuid": SYSTEM, "slug": "company-example", "issuer": "https://test.api.drivr.cloud", "dev": True}
    (folder / "lamp.json").write_text(json.dumps(config | {"name": "lamp"}))
    return folder


def test_the_list_names_every_board():
    done = latchkey("list", "--json")
    found = json.loads(done.stdout)
    assert [one["name"] for one in found["boards"]] == boards.names() and found["boards"][1]["arch"] == "xtensawin"
    assert "esp32c3-bulb-rgb" in latchkey("list").stdout


def test_one_board_from_deploy_to_label_selftest_and_log(deployed, files):
    names = ("ca", "cert", "key")
    options = [part for name in names for part in (f"--{name}", files / f"{name}.pem")]
    options += ["--config", files / "lamp.json", "--factory-keys", files / "jwks.json", "--wifi-ssid", "cellar"]
    done = latchkey(
        "provision", "--port", deployed.serial, *options, "--wifi-passphrase-file", files / "wifi.txt", "--json"
    )
    assert done.returncode == 0, done.stderr
    label = json.loads(done.stdout)
    assert label["host"] == "latchkey-792b6149.local" and len(label["ap_passphrase"]) == 12
    assert deployed.wait_ready()["name"] == "lamp"
    key = (files / "key.pem").read_text().splitlines()[1]
    assert not any(secret in done.stdout + done.stderr + deployed.log_text() for secret in (WIFI, key))

    walked = latchkey("selftest", "--port", deployed.serial)
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert " 0 differ" in walked.stdout
    assert deployed.wait_ready()["name"] == "lamp"
    assert "selftest.json" not in deployed.mpremote("fs", "ls")
    deployed.restart()

    threading.Timer(1.5, deployed.restart).start()
    log = latchkey("logs", "--port", deployed.serial, "--seconds", "4")
    assert log.returncode == 0 and "started: ready" in log.stdout, log.stdout
    assert deployed.wait_ready()["name"] == "lamp"


def test_the_monitor_is_a_console_with_a_keyboard(deployed):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*LATCHKEY, "monitor", "--port", deployed.serial], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        heard = expect(ours, b"Use Ctrl-]")
        os.write(ours, b"\x03")
        heard = expect(ours, b">>> ", heard)
        os.write(ours, b"print(6 * 7)\r")
        expect(ours, b"42", heard)
        os.write(ours, b"\x1d")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    deployed.restart()


def test_ctrl_c_in_the_middle_is_told_and_leaves_the_board_running(deployed, files):
    paths = [part for name in ("ca", "cert", "key") for part in (f"--{name}", files / f"{name}.pem")]
    command = ["provision", "--port", deployed.serial, "--config", files / "lamp.json", *paths]
    before = len(deployed.log_text())
    process = subprocess.Popen(
        [*LATCHKEY, *map(str, command), "--replace"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while "raw REPL" not in deployed.log_text()[before:]:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 130 and "broken off" in words and "Traceback" not in words, words
    assert deployed.wait_ready()


def expect(terminal, words, heard=b"", within_s=10):
    """What the terminal shows until it shows ``words``."""
    deadline = time.monotonic() + within_s
    os.set_blocking(terminal, False)
    while words not in heard:
        assert time.monotonic() < deadline, heard
        try:
            heard += os.read(terminal, 4096)
        except BlockingIOError:
            time.sleep(0.02)
    return heard


def test_a_line_without_a_person_stops_after_a_round_and_goes_on_later(deployed, files, tmp_path):
    devices = [{"system_uuid": SYSTEM[:-1] + n, "config": str(files / "lamp.json")} for n in "12"]
    (files / "line.json").write_text(json.dumps(devices))
    shared = {name: f"{name}.pem" for name in ("ca", "cert", "key")}
    (files / "common.json").write_text(json.dumps(shared))
    command = ["provision", "--line", files / "line.json", "--common", files / "common.json", "--replace"]
    command += ["--port", deployed.serial]
    first = latchkey(*command, cwd=tmp_path)
    assert first.returncode == 1 and "1 not begun; the same command goes on" in first.stderr
    assert f"{SYSTEM[:-1]}1  done" in first.stderr
    second = latchkey(*command, "--json", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert [d["state"] for d in json.loads(second.stdout)["devices"].values()] == ["done", "done"]
    assert latchkey(*command, cwd=tmp_path).returncode == 0
    assert (tmp_path / "labels.csv").exists() and (tmp_path / "report.json").exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("deploy", "--board", "esp8266", "--port", "/dev/nowhere"), "there is no board 'esp8266'"),
        (("deploy", "--board", "desk", "--port", "/dev/nowhere"), "`latchkey board list`"),
        (("selftest", "--port", "/dev/nowhere"), "nowhere"),
        (("logs", "--port", "/dev/nowhere"), "cannot be opened"),
        (("monitor", "--port", "/dev/nowhere"), "no terminal"),
        (("provision", "--port", "/dev/nowhere"), "has no system_uuid"),
        (("provision", "--port", "/dev/nowhere", "--line", "/nowhere.csv"), "nowhere.csv"),
        (("flash", "--board", "desk", "--port", "P", "--image", "x.bin"), "no chip to flash"),
        (("flash", "--board", "esp32-bulb", "--port", "P", "--image", "/nowhere.bin"), "download MicroPython's image"),
    ],
)
def test_failures_are_one_line_that_says_what_to_do(arguments, words):
    done = latchkey(*arguments)
    assert done.returncode == 1 and words in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def image(chip_id, folder):
    """An application image as esptool defines it: header, extended header, one segment, checksum, SHA-256."""
    data = bytes(16)
    header = struct.pack("<BBBBI", 0xE9, 1, 2, 0x20, 0x40080000)
    extended = struct.pack("<BBBBHBHH4xB", 0xEE, 0, 0, 0, chip_id, 0, 0, 0xFFFF, 1)
    body = header + extended + struct.pack("<II", 0x40080000, len(data)) + data
    checksum = 0xEF
    for byte in data:
        checksum ^= byte
    body += bytes(15 - len(body) % 16) + bytes([checksum])
    path = folder / f"chip{chip_id}.bin"
    path.write_bytes(body + hashlib.sha256(body).digest())
    return path


def test_an_image_goes_only_onto_the_chip_it_is_for(tmp_path):
    for name, chip_id, mcu, offset in (
        ("esp32-bulb", 0, "esp32", "0x1000"),
        ("esp32c3-bulb-rgb", 5, "esp32c3", "0x0"),
        ("esp32s3-sensor", 9, "esp32s3", "0x0"),
    ):
        plan = flash.plan(name, "COM3", image(chip_id, tmp_path), erase=True)
        assert (plan.chip, plan.offset) == (mcu, offset)
        erase, write = flash.commands(plan)
        assert erase[-1] == "erase-flash" and write[-2:] == (offset, str(plan.image))
    with pytest.raises(flash.FlashError, match="is for esp32s3, but esp32-bulb is esp32"):
        flash.plan("esp32-bulb", "COM3", image(9, tmp_path), erase=False)
    with pytest.raises(flash.FlashError, match="there is no /dev/nowhere"):
        flash.plan("esp32-bulb", "/dev/nowhere", image(0, tmp_path), erase=False)
    (tmp_path / "text.bin").write_text("not an image")
    with pytest.raises(flash.FlashError, match="no image for an ESP32"):
        flash.plan("esp32-bulb", "COM3", tmp_path / "text.bin", erase=False)
