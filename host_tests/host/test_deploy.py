"""Deploying with the real mpremote onto the unix port as a board: whole, cut off, refused, and again."""

import contextlib
import hashlib
import os
import shutil

import pytest
import serial
import terminals
from pages import table_rows

import counts
from latchkey_tools.boards import catalog, deploy, flash, mpremote
from latchkey_tools.boards.mpremote import CableError, SerialCable
from latchkey_tools.desk import unix_board

STOCK_BOOT = deploy.STOCK_BOOT


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
    for name, path in deploy.release(catalog.board("desk"), "x64").items():
        files[name] = folder / name
        files[name].parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, files[name])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deploy, "release", lambda board, arch, lines=False: dict(files))
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
    with unix_board.Desk(tmp_path / "desk") as board:
        yield board.power_on()


@contextlib.contextmanager
def board_with(folder, files, **options):
    tree = folder / "tree"
    tree.mkdir()
    for name, text in files.items():
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with unix_board.Desk(folder / "desk", tree=tree, **options) as board:
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
    empty.mpremote("exec", "import cable; print(cable.status())")
    again = deploy.deploy("desk", empty.serial)
    assert (again.folder, again.number, again.changed, again.sent) == ("a", 1, False, 0)
    assert empty.wait_ready()["product"] == "bulb"
    with pytest.raises(deploy.DeployError, match="wrong --board"):
        deploy.deploy("esp32-bulb", empty.serial)
    assert empty.wait_ready()["product"] == "bulb"


def test_a_new_release_goes_into_the_idle_folder_and_only_what_changed_travels(deployed, monkeypatch, tmp_path):
    real = deploy.release

    def newer(board, arch, lines):
        files = real(board, arch, lines)
        extra, uuids = tmp_path / "extra.mpy", tmp_path / "uuids.mpy"
        for path in (extra, uuids):
            path.write_bytes(files["latchkey/uuids.mpy"].read_bytes() + path.stem.encode())
        del files["latchkey/cloud/backoff.mpy"]
        return files | {"latchkey/extra.mpy": extra, "latchkey/uuids.mpy": uuids}

    monkeypatch.setattr(deploy, "release", newer)
    report = deploy.deploy("desk", deployed.serial)
    assert (report.folder, report.number) == ("b", 2)
    assert report.sent == 2 and report.reused == report.files - 2
    listing = deployed.mpremote("fs", "ls", ":b/latchkey")
    assert "extra.mpy" in listing and "backoff.mpy" not in listing
    monkeypatch.setattr(deploy, "release", real)
    # Release 2 was not proven, so the only good one stays and what it replaced comes again.
    back = deploy.deploy("desk", deployed.serial)
    assert (back.folder, back.number, back.sent) == ("b", 3, 0)
    assert running(deployed) == "/flash/b"


# Files after whose name the power goes: one in the middle, or many all over.
CUTS = [2 + 56 * (n + 1) // (counts.get("deploy_cuts") + 1) for n in range(counts.get("deploy_cuts"))]


@pytest.mark.parametrize("at", [*CUTS, "verifying"])
def test_power_lost_in_the_middle_leaves_the_old_release_and_a_second_deploy_puts_it_right(deployed, monkeypatch, at):
    monkeypatch.setattr(deploy, "release", with_one_more_file(deploy.release, deployed.folder))
    monkeypatch.setattr(deploy.Plan, "_sort_files", everything_travels)
    with pytest.raises(CableError) as caught:
        deploy.deploy("desk", deployed.serial, quiet_s=6, on_step=cut_at(deployed, at))
    assert caught.value.kind in ("silent", "gone", "failed")
    deployed.power_on()
    assert running(deployed) == "/flash/a"
    report = deploy.deploy("desk", deployed.serial)
    assert (report.folder, report.number) == ("b", 2)
    there = report.files - 1 if at == "verifying" else at - 4
    assert report.sent + report.reused == report.files and report.sent <= report.files - there
    assert running(deployed) == "/flash/b"


def everything_travels(plan, _kept):
    idle = plan._there(plan._idle)
    plan._copy, plan._remove = [], []
    plan._send = [name for name, digest in plan._hashes().items() if idle.get(name) != digest]


def with_one_more_file(real, folder):
    def more(board, arch, lines):
        extra = folder / "more.mpy"
        files = real(board, arch, lines)
        extra.write_bytes(files["latchkey/uuids.mpy"].read_bytes())
        return files | {"latchkey/more.mpy": extra}

    return more


def cut_at(board, at):
    def step(done, _total, words):
        if at in (done, words):
            board.power_cut()

    return step


@pytest.mark.parametrize("name", ["boot.py", "main.py", "a/cable.mpy", "a/release"])
def test_a_file_that_did_not_arrive_whole_is_told(name):
    """Every one is read back, the starter and the release's number too."""

    class Read:
        def __init__(self, there):
            self._there = there

        def json_lines(self, _script):
            return [{"file": name, "sha256": digest} for name, digest in self._there.items()]

    facts = {"a": None, "b": None, "files": {}}
    plan = deploy.Plan(catalog.board("desk"), facts, deploy.release(catalog.board("desk"), "x64"))
    whole = {"a/" + n: digest for n, digest in plan._hashes().items()} | plan._starter
    plan._verify(Read(whole))
    step = plan._commit if name == "a/release" else plan._verify
    with pytest.raises(CableError, match=f"{name} .*whole.*run the same again") as caught:
        step(Read(whole | {name: "damaged"}))
    assert caught.value.kind == "differs"


def test_power_lost_in_the_very_first_deploy_leaves_words_and_a_second_puts_it_right(empty):
    with pytest.raises(CableError):
        deploy.deploy("desk", empty.serial, quiet_s=8, on_step=cut_at(empty, "verifying"))
    assert not empty.running
    empty.power_on(wait=False)
    assert "no whole release" in empty.mpremote("exec", "exec(open('main.py').read())")
    report = deploy.deploy("desk", empty.serial)
    assert report.number == 1 and report.sent < 5
    assert running(empty) == "/flash/a"


def test_a_board_of_another_architecture_is_refused_untouched(empty):
    with pytest.raises(deploy.DeployError, match="(?s)x64.*esp32-bulb is esp32 .xtensawin.*wrong --board"):
        deploy.deploy("esp32-bulb", empty.serial)
    with pytest.raises(catalog.BoardError, match="there are: desk, esp32-bulb"):
        deploy.deploy("esp8266-bulb", empty.serial)
    assert empty.mpremote("fs", "ls").split() == ["ls", ":", str(len(STOCK_BOOT)), "boot.py"]


@pytest.mark.parametrize(
    "facts, words",
    [
        ({"machine": "Generic ESP32S3 module with ESP32S3"}, "esp32-bulb is for esp32"),
        ({"version": "1.26.0"}, "1.26.0 is too old: esp32-bulb needs 1.26.1 .*was run on 1.26.1 and 1.29.0"),
        ({"mpy": 10 << 10 | 0x207, "version": "2.0.0"}, "reads other .mpy"),
        ({"frozen": True}, "frozen"),
        ({"files": {"main.py": "x"}}, "not Latchkey's: main.py. .*mpremote connect P fs cp :main.py"),
        ({"files": {"a": "x"}}, "not Latchkey's: a. "),
        ({"files": dict.fromkeys(["main.py", "boot.py", "b/1", "b/2"], "x")}, "b/1, b/2, boot.py and 1 more"),
    ],
)
def test_a_board_that_does_not_fit_is_refused_in_clear_words(facts, words):
    good = {"mpy": 10 << 10 | 0x306, "machine": "Generic ESP32 module with ESP32", "version": "1.29.0", "frozen": False}
    good |= {"a": None, "b": None, "files": {"boot.py": sha256(STOCK_BOOT)}}
    board = catalog.board("esp32-bulb")
    assert deploy.check(board, "P", good, False) == "xtensawin"
    with pytest.raises(deploy.DeployError, match=words):
        deploy.check(board, "P", good | facts, False)


@pytest.mark.parametrize("ram, fits", [(163456, False), (240 * 1024, False), (2 << 20, True)])
def test_a_chip_without_the_memory_for_mpy_files_is_refused_and_the_way_is_named(ram, fits):
    """The first is a bare ESP32 right after its start, as measured."""
    facts = {"a": None, "b": None, "files": {}, "ram": ram}
    plan = deploy.Plan(catalog.board("esp32-bulb"), facts, deploy.release(catalog.board("desk"), "x64"))
    if fits:
        return plan.check_memory("P")
    with pytest.raises(deploy.DeployError, match="KB of free memory.*board flash --board esp32-bulb --port P --image"):
        plan.check_memory("P")


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "mark, name, words",
    [
        ("1\n", "latchkey/old.mpy", ""),
        ("0\n", "latchkey/old.mpy", ""),
        ("", "latchkey/old.mpy", ""),
        ("7 new\n", "latchkey/old.mpy", ""),
        ("0 crashed\n", "list", ""),
        ("1\n", "notes.txt", "notes.txt"),
        ("1\n", "latchkey/uuids.py", "uuids.py"),
        (None, "blink.mpy", "blink.mpy"),
        ("v1", "blink.mpy", "blink.mpy"),
    ],
)
def test_what_lies_in_a_folder_is_latchkey_s_only_beside_a_release_and_compiled(mark, name, words):
    facts = {"a": None, "b": mark, "files": {"b/" + name: "x"}}
    assert deploy.foreign(facts) == (["b/" + name] if words else [])


PROOF = "latchkey/update/proof.mpy"


@pytest.mark.parametrize(
    "a, b, proves, wanted",
    [
        (None, None, True, ("a", "1\n")),
        ("0\n", None, True, ("a", "1\n")),
        ("1\n", None, True, ("b", "2 new\n")),
        ("1\n", "0 crashed\n", True, ("b", "2 new\n")),
        ("3\n", "2\n", True, ("b", "4 new\n")),
        ("1\n", "2\n", False, ("a", "3\n")),
        # The running release is unproven: the good one, which does not run, stays.
        ("1\n", "2 1\n", True, ("b", "3 new\n")),
        ("5 new\n", "4\n", True, ("a", "6 new\n")),
        ("5 0\n", "0 crashed\n", True, ("b", "6\n")),
    ],
)
def test_a_release_is_unproven_beside_a_good_one_which_it_never_replaces(a, b, proves, wanted):
    files = dict(deploy.release(catalog.board("desk"), "x64"))
    files.pop(PROOF, None)
    if proves:
        files[PROOF] = files["main.mpy"]
    plan = deploy.Plan(catalog.board("desk"), {"a": a, "b": b, "files": {}}, files)
    assert (plan._idle, plan._mark) == wanted


def test_only_a_boot_py_that_nobody_touched_is_replaced():
    starter = (deploy.STARTER / "boot.py").read_text()
    mine = STOCK_BOOT + "x()", starter + "x()", "x()"
    for text in (STOCK_BOOT, "", starter, *mine):
        facts = {"a": None, "b": None, "files": {"boot.py": sha256(text)}}
        assert deploy.foreign(facts) == (["boot.py"] if text in mine else []), text
    # A change of a starter adds its digest and leaves the old ones: boards hold them.
    assert {deploy._sha256(path) for path in deploy.STARTER.glob("*.py")} <= set(deploy._STARTERS)


def test_somebody_else_s_files_stay_and_what_is_in_the_way_goes_only_when_told(tmp_path):
    files = {"boot.py": STOCK_BOOT + "print('mine')\n", "main.py": b"print('\xff')\n", "diary.txt": "dear diary"}
    with board_with(tmp_path, files | {"a/song.txt": "la", "b": "a file"}) as board:
        with pytest.raises(deploy.DeployError, match="a/song.txt, b, boot.py and 1 more.*--replace"):
            deploy.deploy("desk", board.serial)
        assert board.mpremote("fs", "cat", ":boot.py").strip().endswith("print('mine')")
        assert board.mpremote("fs", "cat", ":a/song.txt").strip() == "la"
        deploy.deploy("desk", board.serial, replace=True)
        assert running(board) == "/flash/a"
        assert board.mpremote("fs", "cat", ":diary.txt").strip() == "dear diary"
        assert "song" not in board.mpremote("fs", "ls", ":a")


def test_the_desk_s_own_image_takes_one_release_after_another(tmp_path, monkeypatch):
    with unix_board.Desk(tmp_path) as board:
        board.power_on()
        assert deploy.deploy("desk", board.serial).number == 1
        monkeypatch.setattr(deploy, "release", with_one_more_file(deploy.release, tmp_path))
        assert deploy.deploy("desk", board.serial).number == 2


def test_a_full_file_system_is_told_before_anything_is_touched_and_when_it_happens(tmp_path, monkeypatch):
    with board_with(tmp_path, {"boot.py": STOCK_BOOT, "huge": "x" * 1_950_000}) as board:
        with pytest.raises(deploy.DeployError, match="too full: [0-9]+ KB are needed"):
            deploy.deploy("desk", board.serial)
        assert "main.py" not in board.mpremote("fs", "ls")
        monkeypatch.setattr(deploy.Plan, "check_space", lambda self: None)
        with pytest.raises(CableError, match="full") as caught:
            deploy.deploy("desk", board.serial)
        assert caught.value.kind == "full"
        board.mpremote("fs", "rm", ":huge")
        assert deploy.deploy("desk", board.serial).number == 1
        assert running(board) == "/flash/a"


def test_a_port_that_vanishes_or_never_was_is_told(empty):
    with pytest.raises(CableError, match="there is no /dev/nowhere"):
        deploy.deploy("desk", "/dev/nowhere")
    with pytest.raises(CableError, match="no port was named; .*board list"):
        deploy.deploy("desk", "")
    serial = empty.serial

    def unplug(done, _total, _words):
        if done == 20:
            empty.close()

    with pytest.raises(CableError) as caught:
        deploy.deploy("desk", serial, quiet_s=3, on_step=unplug)
    assert caught.value.kind in ("gone", "silent", "failed") and serial not in terminals.held()


@pytest.mark.parametrize("end", [CableError("full", "x"), deploy.DeployError("x"), KeyboardInterrupt(), MemoryError()])
def test_a_stopped_board_is_restarted_whatever_ends_it(tmp_path, monkeypatch, end):
    restarts = []

    def restart(cable):
        restarts.append(cable._quiet_s)
        raise CableError("silent", "hides no other failure")

    monkeypatch.setattr(SerialCable, "restart", restart)
    (tmp_path / "port").touch()
    with pytest.raises(type(end), match=None if isinstance(end, KeyboardInterrupt | MemoryError) else "^x$"):
        with SerialCable(str(tmp_path / "port")).stopped(deploy.DeployError):
            raise end
    answers = isinstance(end, deploy.DeployError | KeyboardInterrupt)
    assert restarts == [mpremote.QUIET_S if answers else 5]


def test_docs_name_each_board_s_way_and_the_oldest_micropython_that_it_runs_on():
    rows = table_rows((catalog.FOLDER / "README.md").read_text(), "| board | takes | oldest MicroPython |")
    found = [(name, board.takes, board.micropython) for name in catalog.names() if (board := catalog.board(name))]
    assert [tuple(row[:3]) for row in rows] == found


def test_who_looks_at_the_console_and_who_deploys_keep_each_other_out():
    ours, theirs = os.openpty()
    try:
        port = os.ttyname(theirs)
        with mpremote.sole_use(port):
            with pytest.raises(CableError, match="in use by another program") as caught:
                list(flash.console_lines(port, 0))
            assert caught.value.kind == "busy"
            with pytest.raises(CableError, match="in use"):
                deploy.deploy("desk", port)
        with serial.Serial(port, exclusive=True):  # as mpremote has it
            with pytest.raises(CableError, match="in use"):
                list(flash.console_lines(port, 0))
        assert list(flash.console_lines(port, 0)) == []
    finally:
        os.close(ours)
        os.close(theirs)
