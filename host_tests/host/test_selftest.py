"""The self-test of a board, on the desk board: the firmware as .mpy on LittleFS, a small heap, the real mpremote."""

import contextlib
import json
import os
import socket
import ssl
import struct
import sys
import threading
import types

import machine
import pytest
import walk as on_device
from test_image import any_board  # noqa: F401
from typer.testing import CliRunner

from latchkey_tools.boards import mpremote, selftest
from latchkey_tools.cli.main import app as cli
from latchkey_tools.desk import unix_board
from latchkey_tools.image import recipe
from latchkey_tools.image.container import Download
from latchkey_tools.image.tables import Reader, Tables
from latchkey_tools.sim import pki


@pytest.fixture
def board(tmp_path):
    with unix_board.Desk(tmp_path / "board") as board:
        yield board.power_on()


def test_every_row_comes_out_right_on_the_desk_board_which_answers_again_after_it(board):
    rows = []
    found = selftest.run(board.serial, lambda *row: rows.append(row))
    assert found == {"rows": 284, "differ": [], "power": "pow", "sha512": "viper"}
    assert len(rows) > 20 and rows == sorted(rows) and rows[-1] == (284, 284)
    assert board.wait_ready()["product"]
    assert "selftest.json" not in board.mpremote("fs", "ls", ":/flash")


def test_a_board_that_is_not_there_is_an_error_with_words(tmp_path):
    with pytest.raises(mpremote.CableError, match="there is no .*`latchkey board list`"):
        selftest.run(str(tmp_path / "no-such-port"))


def test_a_board_that_says_nothing_is_given_up_soon():
    ours, theirs = os.openpty()
    try:
        with pytest.raises(mpremote.CableError, match="fell silent"):
            selftest.run(os.ttyname(theirs), quiet_s=0.7)
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_board_that_takes_twenty_seconds_to_start_is_waited_for(monkeypatch):
    ours, theirs = os.openpty()
    passed_s = iter(range(0, 1000, 5))

    def now_s():
        s = next(passed_s)
        if s == 20:
            os.write(ours, b"started: ready\n")
        return s

    monkeypatch.setattr(mpremote.SerialCable, "run", lambda *_: "")
    monkeypatch.setattr(mpremote.time, "monotonic", now_s)
    try:
        assert "started: ready" in mpremote.SerialCable(os.ttyname(theirs)).restart()
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_copy_that_broke_off_goes_before_the_next_one_comes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "selftest.json").write_bytes(b"half a table")
    exec(selftest._WRITE, {})
    assert os.listdir() == []


@pytest.mark.parametrize("printed", ["", '{"rows": 3, "differ": [], "power": "pow", "sha512": "viper"}'])
def test_a_table_that_was_not_walked_to_its_end_is_no_success(monkeypatch, printed):
    monkeypatch.setattr(mpremote.SerialCable, "stopped", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(mpremote.SerialCable, "run", lambda *_, **__: printed)
    with pytest.raises(selftest.SelftestError, match="did not walk all 284 rows"):
        selftest.run("P")


def test_a_report_has_the_chip_the_steps_of_a_start_and_the_powers(board, tmp_path):
    (tmp_path / "wifi.txt").write_text("secret words\n")
    with tls_server(tmp_path) as tls_port:
        options = ("--report", tmp_path / "report.json", "--tls", f"127.0.0.1:{tls_port}")
        options += ("--wifi-ssid", "cellar", "--wifi-passphrase-file", tmp_path / "wifi.txt")
        done = CliRunner().invoke(cli, ["board", "selftest", "--port", board.serial, *map(str, options)])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "report.json").read_text()
    assert "secret words" not in text and "cellar" not in text
    report = json.loads(text)
    assert report["chip"]["micropython"] == "1.29.0" and report["selftest"]["rows"] == 284
    assert set(report["power_us"]) == {"2048", "3072", "4096"} and min(report["power_us"].values()) > 0
    steps = {one["step"]: one for one in report["start"]}
    assert list(steps)[:2] == ["start", "WLAN made"] and all(one["gc_free"] > 0 for one in steps.values())
    assert "network" in steps["WLAN made"]["error"]  # the desk has no radio
    for name in ("modules imported", "thread", "while a thread runs", "TLS session", "while a TLS session is open"):
        assert "error" not in steps[name], steps[name]
    assert board.wait_ready()["product"]


@contextlib.contextmanager
def tls_server(folder):
    """Port of a TLS server of this machine that takes one connection."""
    made = pki.make(folder / "pki", "company-example", "792b6149-1daa-488f-b07a-f684503b0586")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.broker.cert_pem, made.broker.key_pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as stream:
                stream.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize(
    "options, words",
    [
        (("--tls", "h:1"), "--report"),
        (("--report", "r", "--wifi-ssid", "x"), "--wifi-passphrase-file"),
        (("--report", "r", "--tls", "h"), "HOST:PORT"),
    ],
)
def test_options_of_a_report_that_do_not_fit_are_refused_first(options, words):
    done = CliRunner().invoke(cli, ["board", "selftest", "--port", "/dev/nowhere", *options])
    assert done.exit_code == 2 and words in done.output + done.stderr


# ---- an image with the firmware frozen in


class Chip:
    """The memory of an ESP32 that runs an image: constants and code through its MMU, and the MMU's tables."""

    machine = "Generic ESP32 module with ESP32"
    tables = (0x3FF10000, 0x3FF12000)

    def __init__(self, app, monkeypatch):
        self.app = app
        self.pages = {table + 4 * n: 1 + n for table in self.tables for n in range(64)}  # program at 0x10000
        modules = {
            "uctypes": types.SimpleNamespace(bytearray_at=self._constants),
            "latchkey_image": types.SimpleNamespace(**self._description()),
        }
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(machine.mem32, "words", self)
        monkeypatch.setattr(sys.implementation, "_machine", self.machine, raising=False)

    def _description(self):
        """The content of the module latchkey_image, by executing nothing: its constants have distinct types."""
        tables = Tables(self.app)
        module = Reader(tables).module(tables.modules[tables.names.index(recipe.ITSELF.encode())])
        by_type = {type(value): value for value in module.objects.values()}
        return {"MADE_FROM": "x", "NAMES": by_type[tuple], "PARTS": by_type[bytes], "FLASH_FROM": 0x3F400000}

    def _constants(self, addr, size):
        assert addr < 0x40000000, "code in flash is read by words"
        return bytearray(self.app.read(addr, size))

    def __getitem__(self, addr):
        if addr in self.pages:
            return self.pages[addr]
        assert addr >= 0x40000000 and addr % 4 == 0
        return struct.unpack("<i", self.app.read(addr, 4))[0]  # signed, as machine.mem32 may give it


@pytest.fixture
def frozen(any_board, monkeypatch):  # noqa: F811
    """The chip of a board whose image has machine code among its modules, and constants of more than a page."""
    (any_board / "boards/small/main.py").write_text(f"X = {bytes(range(256)) * 250!r}\n")
    (any_board / "boards/small/viper.py").write_text(
        "@micropython.viper\ndef add(a: int, b: int) -> int:\n    return a + b\n"
    )
    manifest = any_board / "boards/small/manifest.py"
    manifest.write_text(manifest.read_text() + "module('viper.py')\n")
    out, report = recipe.make("small", any_board / "official.bin", unlisted=True)
    chip = Chip(Download(out).app, monkeypatch)
    chip.parts = {part.name: part for part in report.parts}
    return chip


def test_the_image_is_found_as_it_was_frozen(frozen):
    found = on_device.image()
    assert found["wrong"] == [] and found["parts"] == 4  # two modules, the tables, the machine code
    assert found["pages"] == [[0x3F400000, 1, [1, 1]], [0x3F410000, 2, [2, 2]]]
    assert list(selftest.image_faults({"image": found})) == []


def test_a_changed_byte_names_its_part(frozen):
    for name in ("main.py", "the machine code", "the tables of names and modules"):
        part = frozen.parts[name]
        segment = frozen.app.segment_at(part.addr)
        segment.data[part.addr - segment.addr + part.size // 2] ^= 1
        found = on_device.image()
        assert found["wrong"] == [name]
        assert list(selftest.image_faults({"image": found})) == [f"{name} is not in flash as it was frozen"]
        segment.data[part.addr - segment.addr + part.size // 2] ^= 1


@pytest.mark.parametrize("table", Chip.tables)
def test_an_added_page_that_is_not_mapped_is_told(frozen, table):
    """As ESP-IDF leaves it where the end of the constants was not changed."""
    frozen.pages[table + 4] = 0x100
    (fault,) = selftest.image_faults({"image": on_device.image()})
    assert "0x3f410000" in fault and "0x100" in fault and "not to 0x2" in fault


def test_where_the_mmu_is_not_known_the_bytes_are_looked_at_alone(frozen, monkeypatch):
    monkeypatch.setattr(sys.implementation, "_machine", "Generic ESP32C6 module with ESP32C6")
    found = on_device.image()
    assert found["wrong"] == [] and found["pages"][0][2] == []
    assert list(selftest.image_faults({"image": found})) == []


def test_without_such_an_image_there_is_nothing_to_look_at():
    assert on_device.image() is None and list(selftest.image_faults({})) == []
