"""Deploying with the real mpremote onto the unix port as a board: whole, cut off, refused, and again."""

import contextlib
import os
import shutil

import pytest

import counts
from latchkey_tools import boards, deploy, desk
from latchkey_tools.overwire import WireError

STOCK_BOOT = "# This file is executed on every boot (including wake-boot from deepsleep)\n"


@pytest.fixture
def empty(tmp_path):
    """A board as flashed with an official image: its file system holds what MicroPython itself put there."""
    with board_with(tmp_path, {"boot.py": STOCK_BOOT}) as board:
        yield board


@pytest.fixture(scope="module", autouse=True)
def one_release(tmp_path_factory):
    """The release as it was at the start: sources may be edited while these tests run."""
    folder = tmp_path_factory.mktemp("release")
    files = {}
    for name, path in deploy.release(boards.board("desk"), "x64").items():
        files[name] = folder / name
        files[name].parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, files[name])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deploy, "release", lambda board, arch: dict(files))
        yield


@pytest.fixture(scope="module")
def image(tmp_path_factory, one_release):
    """A flash with one release on it."""
    folder = tmp_path_factory.mktemp("image")
    with board_with(folder, {"boot.py": STOCK_BOOT}) as board:
        deploy.deploy("desk", board.serial)
    return board.image


@pytest.fixture
def deployed(image, tmp_path):
    (tmp_path / "desk").mkdir()
    shutil.copy(image, tmp_path / "desk" / "flash.img")
    with desk.Desk(tmp_path / "desk") as board:
        yield board.power_on()


@contextlib.contextmanager
def board_with(folder, files, **options):
    tree = folder / "tree"
    tree.mkdir()
    for name, text in files.items():
        (tree / name).write_text(text)
    with desk.Desk(folder / "desk", tree=tree, **options) as board:
        yield board.power_on(wait=False)


def running(board):
    """Folder of the release that a device that answers runs."""
    assert board.wait_ready()["state"] == "unprovisioned"
    return board.mpremote("exec", "import sys; print(sys.path[0])").strip()


def test_a_deployed_board_runs_the_release_and_a_second_deploy_does_nothing(empty):
    steps = []
    report = deploy.deploy("desk", empty.serial, on_step=lambda *step: steps.append(step))
    assert (report.folder, report.number, report.changed) == ("a", 1, True)
    assert report.sent == report.files > 40 and steps[-2][:2] == (report.files + 3, report.files + 3)
    assert empty.wait_ready()["product"] == "bulb"
    assert running(empty) == "/flash/a"
    empty.mpremote("exec", "import wire; print(wire.status())")
    again = deploy.deploy("desk", empty.serial)
    assert (again.folder, again.number, again.changed, again.sent) == ("a", 1, False, 0)
    assert empty.wait_ready()["product"] == "bulb"
    with pytest.raises(deploy.DeployError, match="wrong --board"):
        deploy.deploy("esp32-bulb", empty.serial)
    assert empty.wait_ready()["product"] == "bulb"


def test_a_new_release_goes_into_the_idle_folder_and_only_what_changed_travels(deployed, monkeypatch, tmp_path):
    real = deploy.release

    def newer(board, arch):
        files = real(board, arch)
        extra, uuids = tmp_path / "extra.mpy", tmp_path / "uuids.mpy"
        for path in (extra, uuids):
            path.write_bytes(files["latchkey/uuids.mpy"].read_bytes() + path.stem.encode())
        del files["latchkey/backoff.mpy"]
        return files | {"latchkey/extra.mpy": extra, "latchkey/uuids.mpy": uuids}

    monkeypatch.setattr(deploy, "release", newer)
    report = deploy.deploy("desk", deployed.serial)
    assert (report.folder, report.number) == ("b", 2)
    assert report.sent == 2 and report.reused == report.files - 2
    listing = deployed.mpremote("fs", "ls", ":b/latchkey")
    assert "extra.mpy" in listing and "backoff.mpy" not in listing
    monkeypatch.setattr(deploy, "release", real)
    back = deploy.deploy("desk", deployed.serial)
    assert (back.folder, back.number, back.sent) == ("a", 3, 0)
    assert running(deployed) == "/flash/a"


# Files after whose name the power goes: one in the middle, or many all over.
CUTS = [2 + 56 * (n + 1) // (counts.get("deploy_cuts") + 1) for n in range(counts.get("deploy_cuts"))]


@pytest.mark.parametrize("at", [*CUTS, "verifying"])
def test_power_lost_in_the_middle_leaves_the_old_release_and_a_second_deploy_puts_it_right(deployed, monkeypatch, at):
    monkeypatch.setattr(deploy, "release", with_one_more_file(deploy.release, deployed.folder))
    monkeypatch.setattr(deploy.Plan, "_sort_files", everything_travels)
    with pytest.raises(WireError) as caught:
        deploy.deploy("desk", deployed.serial, quiet_s=2, on_step=cut_at(deployed, at))
    assert caught.value.kind in ("silent", "gone", "failed")
    deployed.power_on()
    assert running(deployed) == "/flash/a"
    report = deploy.deploy("desk", deployed.serial)
    assert (report.folder, report.number) == ("b", 2)
    there = report.files - 1 if at == "verifying" else at - 4
    assert report.sent + report.reused == report.files and report.sent <= report.files - there
    assert running(deployed) == "/flash/b"


def everything_travels(plan, _running):
    idle = plan._there(plan._idle)
    plan._copy, plan._remove = [], []
    plan._send = [name for name, digest in plan._hashes().items() if idle.get(name) != digest]


def with_one_more_file(real, folder):
    def more(board, arch):
        extra = folder / "more.mpy"
        files = real(board, arch)
        extra.write_bytes(files["latchkey/uuids.mpy"].read_bytes())
        return files | {"latchkey/more.mpy": extra}

    return more


def cut_at(board, at):
    def step(done, _total, words):
        if at in (done, words):
            board.power_cut()

    return step


def test_power_lost_in_the_very_first_deploy_leaves_words_and_a_second_puts_it_right(empty):
    with pytest.raises(WireError):
        deploy.deploy("desk", empty.serial, quiet_s=2, on_step=cut_at(empty, "verifying"))
    empty.power_on(wait=False)
    assert "no whole release" in empty.mpremote("exec", "exec(open('main.py').read())")
    report = deploy.deploy("desk", empty.serial)
    assert report.number == 1 and report.sent < 5
    assert running(empty) == "/flash/a"


def test_a_board_of_another_architecture_is_refused_untouched(empty):
    with pytest.raises(deploy.DeployError, match="(?s)x64.*esp32-bulb is esp32 .xtensawin.*wrong --board"):
        deploy.deploy("esp32-bulb", empty.serial)
    with pytest.raises(boards.BoardError, match="there are: desk, esp32-bulb"):
        deploy.deploy("esp8266-bulb", empty.serial)
    assert empty.mpremote("fs", "ls").split() == ["ls", ":", str(len(STOCK_BOOT)), "boot.py"]


@pytest.mark.parametrize(
    "facts, words",
    [
        ({"machine": "Generic ESP32S3 module with ESP32S3"}, "esp32-bulb is for esp32"),
        ({"mpy": 10 << 10 | 0x206, "version": "1.22.0"}, "1.23 or later"),
        ({"frozen": True}, "frozen"),
        ({"main": "import blink"}, "main.py that is not Latchkey's"),
        ({"main": "x", "boot": "y"}, "a boot.py and a main.py"),
    ],
)
def test_a_board_that_does_not_fit_is_refused_in_clear_words(facts, words):
    good = {"mpy": 10 << 10 | 0x306, "machine": "Generic ESP32 module with ESP32", "version": "1.29.0", "frozen": False}
    good |= {"boot": STOCK_BOOT, "main": None}
    board = boards.board("esp32-bulb")
    assert deploy.check(board, "P", good, False) == "xtensawin"
    with pytest.raises(deploy.DeployError, match=words):
        deploy.check(board, "P", good | facts, False)


def test_somebody_else_s_files_stay_and_their_main_goes_only_when_told(tmp_path):
    files = {"main.py": "print('mine')\n", "diary.txt": "dear diary"}
    with board_with(tmp_path, files) as board:
        with pytest.raises(deploy.DeployError, match="--replace"):
            deploy.deploy("desk", board.serial)
        assert board.mpremote("fs", "cat", ":main.py").strip() == "print('mine')"
        deploy.deploy("desk", board.serial, replace=True)
        assert running(board) == "/flash/a"
        assert board.mpremote("fs", "cat", ":diary.txt").strip() == "dear diary"


def test_the_desk_s_own_image_takes_a_release_too(tmp_path):
    with desk.Desk(tmp_path) as board:
        board.power_on()
        assert deploy.deploy("desk", board.serial).number == 1
        assert running(board) == "/flash/a"


def test_a_full_file_system_is_told_before_anything_is_touched_and_when_it_happens(tmp_path, monkeypatch):
    with board_with(tmp_path, {"boot.py": STOCK_BOOT, "huge": "x" * 900_000}) as board:
        with pytest.raises(deploy.DeployError, match="too full: [0-9]+ KB are needed"):
            deploy.deploy("desk", board.serial)
        assert "main.py" not in board.mpremote("fs", "ls")
        monkeypatch.setattr(deploy.Plan, "check_space", lambda self: None)
        with pytest.raises(WireError, match="full") as caught:
            deploy.deploy("desk", board.serial)
        assert caught.value.kind == "full"
        board.mpremote("fs", "rm", ":huge")
        assert deploy.deploy("desk", board.serial).number == 1
        assert running(board) == "/flash/a"


def test_a_port_that_vanishes_or_never_was_is_told(empty):
    with pytest.raises(WireError, match="there is no /dev/nowhere"):
        deploy.deploy("desk", "/dev/nowhere")
    serial = empty.serial

    def unplug(done, _total, _words):
        if done == 20:
            empty.close()

    with pytest.raises(WireError) as caught:
        deploy.deploy("desk", serial, quiet_s=3, on_step=unplug)
    assert caught.value.kind in ("gone", "silent", "failed") and not os.path.exists(serial)
