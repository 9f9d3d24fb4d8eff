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
import time
from pathlib import Path

import pexpect
import pytest

from latchkey_tools.boards import catalog, flash, mpremote
from latchkey_tools.desk import unix_board
from latchkey_tools.sim import pki
from latchkey_tools.sim.signing import jwk, new_key

SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"
LATCHKEY = [sys.executable, "-m", "latchkey_tools.cli.main", "board"]
WIFI = "open sesame, cellar"


def latchkey(*arguments, cwd=None):
    command = [*LATCHKEY, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """Flashed, not yet deployed; the tests of this file go on with it in their order or from any point."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "tree").mkdir()
    with unix_board.Desk(folder / "desk", tree=folder / "tree") as board:
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


def in_use(port):
    try:
        with mpremote.sole_use(port):
            return False
    except mpremote.CableError:
        return True


def test_the_list_names_every_board():
    done = latchkey("list", "--json")
    found = json.loads(done.stdout)
    assert [one["name"] for one in found["boards"]] == catalog.names()
    assert {"desk x64", "esp32-bulb xtensawin"} <= {f"{one['name']} {one['arch']}" for one in found["boards"]}
    assert "esp32c3-bulb-rgb" in latchkey("list").stdout


def test_one_board_from_deploy_to_label_selftest_and_log(deployed, files):
    names = ("ca", "cert", "key")
    options = [part for name in names for part in (f"--{name}", files / f"{name}.pem")]
    options += ["--config", files / "lamp.json", "--factory-keys", files / "jwks.json", "--wifi-ssid", "cellar"]
    done = latchkey(
        "provision", "--port", deployed.serial, *options, "--wifi-passphrase-file", files / "wifi.txt", "--json",
        "--label", files / "label",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    label = json.loads(done.stdout)
    assert label["host"] == "latchkey-792b6149.local" and len(label["ap_passphrase"]) == 12
    assert (files / "label.png").exists() and label["ap_passphrase"] in (files / "label.svg").read_text()
    assert deployed.wait_ready()["name"] == "lamp"
    key = (files / "key.pem").read_text().splitlines()[1]
    assert not any(secret in done.stdout + done.stderr + deployed.log_text() for secret in (WIFI, key))

    walked = latchkey("selftest", "--port", deployed.serial)
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert walked.stdout == "self-test: 284 rows, 0 differ, power pow, sha512 viper\n"
    assert deployed.wait_ready()["name"] == "lamp"

    command = [*LATCHKEY, "logs", "--port", deployed.serial, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as log:
        while not in_use(deployed.serial):
            time.sleep(0.05)
        time.sleep(0.5)
        deployed.restart()
        assert any(json.loads(line)["text"].startswith("started: ready") for line in log.stdout)
        log.send_signal(signal.SIGINT)
        assert log.wait(20) == 130
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
        heard = expect(ours, b"42", heard)
        os.write(ours, b"import os\rfor n in (1, 2)")  # not entered
        os.write(ours, b"\x1d")
        heard = expect(ours, b"\r\nthe board is at its prompt, so its program does not run: restarting it", heard)
        expect(ours, b"has restarted, and its program runs", heard, within_s=30)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert deployed.wait_ready()


def test_a_monitor_that_stopped_nothing_restarts_nothing(deployed):
    deployed.wait_ready()
    starts = deployed.starts
    with pexpect.spawn(LATCHKEY[0], [*LATCHKEY[1:], "monitor", "--port", deployed.serial], 20) as monitor:
        monitor.expect("Use Ctrl-]")
        monitor.send("\x1d")
        monitor.expect(pexpect.EOF)
        assert b"prompt" not in monitor.before
    assert deployed.starts == starts and deployed.wait_ready()


def test_a_board_is_restarted_and_its_program_said_to_run_or_not(deployed, tmp_path):
    starts = deployed.starts
    done = latchkey("restart", "--port", deployed.serial)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"the board on {deployed.serial} has restarted, and its program runs\n"
    assert deployed.starts > starts and deployed.wait_ready()
    deployed.mpremote("exec", "print(6 * 7)")  # which leaves it stopped
    assert json.loads(latchkey("restart", "--port", deployed.serial, "--json").stdout)["started"] is True
    assert deployed.wait_ready()
    for code, status, words in (("", 0, "has no program: copy one"), ("import nothing", 1, "named 'nothing'\n")):
        (tmp_path / f"tree{status}").mkdir()
        (tmp_path / f"tree{status}" / "main.py").write_text(code)
        with unix_board.Desk(tmp_path / f"desk{status}", tree=tmp_path / f"tree{status}") as board:
            board.power_on(wait=False)
            done = latchkey("restart", "--port", board.serial)
            assert done.returncode == status and words in done.stdout + done.stderr, done


@pytest.mark.parametrize("command", ["provision", "deploy", "selftest"])
def test_ctrl_c_in_the_middle_is_told_and_leaves_the_board_running(deployed, files, command):
    paths = [part for name in ("ca", "cert", "key") for part in (f"--{name}", files / f"{name}.pem")]
    options = {
        "provision": ["--config", files / "lamp.json", *paths, "--replace"],
        "deploy": ["--board", "desk"],
        "selftest": [],
    }
    before = len(deployed.log_text())
    process = subprocess.Popen(
        [*LATCHKEY, *map(str, [command, "--port", deployed.serial, *options[command]])],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while "raw REPL" not in deployed.log_text()[before:]:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in words, words
    assert ("stopped" in words and "run the same command again" in words) or command == "selftest", words
    assert deployed.wait_ready()


def expect(terminal, words, heard=b"", within_s=30):
    """The output of the terminal up to ``words``."""
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
    devices = [{"system_uuid": n + SYSTEM[1:], "config": str(files / "lamp.json")} for n in "12"]
    (files / "line.json").write_text(json.dumps(devices))
    shared = {name: f"{name}.pem" for name in ("ca", "cert", "key")}
    (files / "common.json").write_text(json.dumps(shared))
    command = ["provision", "--line", files / "line.json", "--common", files / "common.json", "--replace"]
    command += ["--port", deployed.serial]
    first = latchkey(*command, cwd=tmp_path)
    assert first.returncode == 1 and "1 not begun; the same command continues" in first.stderr
    assert f"1{SYSTEM[1:]}  done" in first.stderr
    second = latchkey(*command, "--json", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert [d["state"] for d in json.loads(second.stdout)["devices"].values()] == ["done", "done"]
    assert latchkey(*command, cwd=tmp_path).returncode == 0
    assert (tmp_path / "labels.csv").exists() and (tmp_path / "report.json").exists()
    assert (tmp_path / "labels.png").exists() and (tmp_path / "labels.svg").exists()


def test_ctrl_c_in_a_line_loses_no_label_and_leaves_no_board_stopped(deployed, files, tmp_path):
    systems = [n + SYSTEM[1:] for n in "34"]
    devices = [{"system_uuid": system, "config": str(files / "lamp.json")} for system in systems]
    shared = {name: f"{name}.pem" for name in ("ca", "cert", "key")}
    (files / "common.json").write_text(json.dumps(shared))
    (files / "line.json").write_text(json.dumps(devices))
    command = ["provision", "--line", files / "line.json", "--common", files / "common.json", "--replace"]
    before = len(deployed.log_text())
    process = subprocess.Popen(
        [*LATCHKEY, *map(str, command), "--port", deployed.serial],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while "raw REPL" not in deployed.log_text()[before:]:
        assert process.poll() is None
        time.sleep(0.02)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in words, words
    assert f"{systems[0]}  done" in words and "stopped, 1 not begun; the same command continues here" in words
    assert deployed.wait_ready()["system_uuid"] == systems[0]
    report = json.loads((tmp_path / "report.json").read_text())["devices"]
    assert {system: result["state"] for system, result in report.items()} == {systems[0]: "done"}
    assert systems[0] in (tmp_path / "labels.csv").read_text()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("deploy", "--board", "esp8266", "--port", "/dev/nowhere"), "there is no board 'esp8266'"),
        (("deploy", "--board", "desk", "--port", "/dev/nowhere"), "`latchkey board list`"),
        (("deploy", "--board", "desk", "--port", ""), "no port was named; `latchkey board list`"),
        (("selftest", "--port", "/dev/nowhere"), "there is no /dev/nowhere; `latchkey board list`"),
        (("logs", "--port", "/dev/nowhere"), "there is no /dev/nowhere; `latchkey board list`"),
        (("monitor", "--port", "/dev/nowhere"), "a terminal to type at"),
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


def whole_image(chip_id, offset, folder):
    """As MicroPython's makeimg.py puts one together, from flash ``offset`` on: bootloader, partition table, program."""
    part = image(chip_id, folder)
    one = part.read_bytes()
    rows = struct.pack("<2sBBII16sI", b"\xaa\x50", 1, 2, 0x9000, 0x6000, b"nvs", 0)
    rows += struct.pack("<2sBBII16sI", b"\xaa\x50", 0, 0, 0x10000, 0x1F0000, b"factory", 0)
    table = rows + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(rows).digest()
    data = one.ljust(0x8000 - offset, b"\xff") + table.ljust(0x8000, b"\xff") + one
    part.write_bytes(data)
    return part


def test_an_image_goes_only_onto_the_chip_it_is_for(tmp_path):
    port = str(tmp_path / "port")
    Path(port).touch()
    for name, chip_id, mcu, offset in (
        ("esp32-bulb", 0, "esp32", "0x1000"),
        ("esp32c3-bulb-rgb", 5, "esp32c3", "0x0"),
        ("esp32s3-sensor", 9, "esp32s3", "0x0"),
    ):
        plan = flash.plan(name, port, whole_image(chip_id, int(offset, 16), tmp_path), erase=True)
        assert (plan.chip, plan.offset) == (mcu, offset)
        erase, write = flash.commands(plan)
        assert erase[-1] == "erase-flash" and write[-2:] == (offset, str(plan.image))
    with pytest.raises(flash.FlashError, match="is for esp32s3, but esp32-bulb is esp32"):
        flash.plan("esp32-bulb", port, image(9, tmp_path), erase=False)
    with pytest.raises(flash.FlashError, match="a program without bootloader.*not its .app-bin"):
        flash.plan("esp32-bulb", port, image(0, tmp_path), erase=False)
    good = whole_image(0, 0x1000, tmp_path)
    with pytest.raises(mpremote.CableError, match="there is no /dev/nowhere"):
        flash.plan("esp32-bulb", "/dev/nowhere", good, erase=False)
    with pytest.raises(flash.FlashError, match="there is no COM99; `latchkey board list`"):
        flash.plan("esp32-bulb", "COM99", good, erase=False)
    (tmp_path / "text.bin").write_text("not an image")
    with pytest.raises(flash.FlashError, match="not an image for an ESP32"):
        flash.plan("esp32-bulb", port, tmp_path / "text.bin", erase=False)


def test_a_damaged_image_is_refused_before_anything_is_asked_or_erased(tmp_path):
    whole = whole_image(0, 0x1000, tmp_path).read_bytes()
    damaged = tmp_path / "damaged.bin"
    for at in (40, 0x7008, 0xF000 + 40):  # bootloader, partition table, program
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(flash.FlashError, match="is damaged"):
            flash.plan("esp32-bulb", "rfc2217://nowhere", damaged, erase=True)
    damaged.write_bytes(whole[:-20])
    with pytest.raises(flash.FlashError, match="is damaged"):
        flash.plan("esp32-bulb", "rfc2217://nowhere", damaged, erase=True)


@pytest.mark.parametrize("length", [1, 2, 5, 31])
def test_a_download_that_broke_off_in_the_partition_table_is_damaged(tmp_path, length):
    whole = whole_image(0, 0x1000, tmp_path).read_bytes()
    (tmp_path / "part.bin").write_bytes(whole[: 0x7000 + 32 + length])
    with pytest.raises(flash.FlashError, match="is damaged"):
        flash.plan("esp32-bulb", "rfc2217://nowhere", tmp_path / "part.bin", erase=True)


def test_a_log_of_no_seconds_has_an_end():
    ours, theirs = os.openpty()
    try:
        assert latchkey("logs", "--port", os.ttyname(theirs), "--seconds", "0").returncode == 0
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("options", [[], ["--erase"]])
def test_nothing_is_flashed_without_a_yes(tmp_path, options):
    path = whole_image(0, 0x1000, tmp_path)
    done = latchkey("flash", "--board", "esp32-bulb", "--port", "rfc2217://nowhere", "--image", path, *options)
    assert done.returncode == 2 and "give --yes" in done.stderr
