"""The desk board with small programs of our own on its flash: power, resets, serial port, the real mpremote."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import terminals
from processes import processes_that_name

from latchkey_tools.boards import build
from latchkey_tools.desk import serialport, unix_board

MAIN = """
import asyncio, json, sys
import desk_options

async def answer(reader, writer):
    try:
        await reader.read(200)
        body = json.dumps({"cause": desk_options.cause, "clock": desk_options.clock})
        writer.write(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + body.encode())
        await writer.drain()
    finally:
        writer.close()
        await writer.wait_closed()

async def serve():
    await asyncio.start_server(answer, desk_options.host, desk_options.port)
    print("serving, path", sys.path)
    while True:
        await asyncio.sleep_ms(20)
        desk_options.console.look()

def run():
    asyncio.run(serve())
"""
CABLE = """
import json, os

def provision(path):
    with open(path) as file:
        document = json.load(file)
    os.remove(path)
    with open("/flash/kept", "w") as file:
        file.write(document["config"]["name"])
    print(json.dumps({"ok": document["config"]["name"] != "bad", "code": "invalid_field", "field": "name"}))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    (folder / "lib").mkdir()
    (folder / "main.py").write_text(MAIN)
    (folder / "cable.py").write_text(CABLE)
    return folder


@pytest.fixture
def board(tree, tmp_path):
    with unix_board.Desk(tmp_path / "desk", tree=tree) as board:
        yield board.power_on()


def wait_until(condition, within_s=30):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.03)


def has_ended(pid):
    """Gone, or a zombie that whoever adopted it has not reaped yet."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2].startswith("Z")
    except FileNotFoundError:
        return True


def answers(board, cause):
    try:
        return board.info()["cause"] == cause
    except unix_board.httpx.HTTPError:
        return False


def test_it_runs_main_from_flash_and_answers_on_its_url(board):
    assert board.info() == {"cause": "power", "clock": "host"}
    assert "'.frozen', '/flash/lib', '/flash'" in board.log_text()


def test_options_reach_the_firmware(tree, tmp_path):
    with unix_board.Desk(tmp_path / "d", clock="unset", tree=tree) as board:
        assert board.power_on().info() == {"cause": "power", "clock": "unset"}


def test_flash_survives_a_power_cut_and_the_address_stays(board):
    board.mpremote("exec", "f = open('/flash/note', 'w'); f.write('kept'); f.close()")
    url, serial = board.url, board.serial
    board.power_cut()
    assert not board.running and board.pid is None
    board.power_on()
    assert (board.url, board.serial) == (url, serial)
    assert board.mpremote("exec", "print(open('/flash/note').read())").strip() == "kept"


def test_mpremote_interrupts_main_works_and_reset_runs_main_again(board):
    assert board.mpremote("exec", "print(6 * 7)").strip() == "42"
    assert "cable.py" in board.mpremote("fs", "ls", ":/flash")
    with pytest.raises(unix_board.httpx.HTTPError):
        board.info()
    board.mpremote("reset")
    wait_until(lambda: answers(board, "reset"))


def test_files_of_any_bytes_go_to_flash_and_back_whole(board, tmp_path):
    (tmp_path / "there").write_bytes(bytes(range(256)) * 40 + b"\r\r\n\x01\x02\x03\x04")
    board.mpremote("fs", "cp", tmp_path / "there", ":/flash/blob", "+", "fs", "cp", ":/flash/blob", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "there").read_bytes()


def test_ctrl_c_gives_the_prompt_and_ctrl_d_a_soft_reset_that_runs_main(board):
    port = os.open(board.serial, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(port, b"\x03")
        wait_until(lambda: board.log_text().endswith(">>> "))
        os.write(port, b"\x04")
        wait_until(lambda: answers(board, "soft"))
        assert "MPY: soft reboot" in board.log_text()
    finally:
        os.close(port)


def test_ctrl_c_while_it_starts_gives_the_prompt_and_ends_no_process(tree, tmp_path):
    with unix_board.Desk(tmp_path / "d", tree=tree) as board:
        for number, after_s in enumerate((0, 0.01, 0.02, 0.04, 0.06, 0.08), 1):
            seen = board.log_path.stat().st_size
            board.power_on(wait=False)
            time.sleep(after_s)
            port = os.open(board.serial, os.O_RDWR | os.O_NOCTTY)
            os.write(port, b"\r\x03")
            wait_until(lambda seen=seen: board.log_path.read_bytes()[seen:].endswith(b">>> "))
            os.close(port)
            assert board.starts == number, board.last_words()
            board.power_cut()


def test_who_reads_late_misses_nothing(board):
    said = b"x" * 50000 + b"end\r\n>>> "
    port = os.open(board.serial, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(port, b"\x03")
        wait_until(lambda: board.log_text().endswith(">>> "))
        os.write(port, b"print('x' * 50000 + 'end')\r")
        wait_until(lambda: board.log_text().endswith("xend\n>>> "))
        heard = b""
        while not heard.endswith(b"end\r\n>>> "):
            heard += os.read(port, 4096)
        assert heard.endswith(said)
    finally:
        os.close(port)


@pytest.mark.device_dies
def test_a_hardware_reset_and_a_crash_start_it_again_with_their_cause(board):
    before = board.starts
    os.kill(board.pid, signal.SIGSEGV)
    wait_until(lambda: answers(board, "panic"))
    os.kill(board.pid, signal.SIGKILL)
    wait_until(lambda: answers(board, "reset"))
    assert board.starts == before + 2


def test_provisioning_commits_deletes_the_document_and_restarts(board):
    report = board.provision({"config": {"name": "lamp"}, "wifi": {"passphrase": "open sesame"}})
    assert report["ok"] is True and board.info()["cause"] == "power"
    listing = board.mpremote("fs", "ls", ":/flash")
    assert "kept" in listing and "provision.json" not in listing
    assert "open sesame" not in board.log_text()


def test_a_refused_document_is_an_error_with_its_code_and_field(board):
    with pytest.raises(unix_board.DeskError, match="invalid_field name"):
        board.provision({"config": {"name": "bad"}})


def test_nothing_secret_stands_in_an_argument_list_while_provisioning(board):
    secret = "the-secret-of-the-cellar" * 200
    seen = []
    done = threading.Event()

    def watch():
        while not done.is_set():
            seen.extend(processes_that_name(""))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        board.provision({"config": {"name": "lamp"}, "wifi": {"passphrase": secret}})
    finally:
        done.set()
        watcher.join()
    assert any("mpremote" in text for text in seen)
    assert not any("the-secret" in text for text in seen)
    assert not list(board.folder.rglob("provision.json"))


def test_the_uplink_file_follows_the_switch(board):
    assert not board.uplink.exists()
    board.cut_uplink()
    assert board.uplink.read_text() == "down"
    board.restore_uplink()
    assert not board.uplink.exists()


def test_a_device_that_never_answers_is_an_error_with_its_last_words(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "main.py").write_text("def run():\n    print('no server today')\n")
    with unix_board.Desk(tmp_path / "d", tree=tmp_path / "tree") as board:
        board.power_on(wait=False)
        with pytest.raises(unix_board.DeskError, match="no server today"):
            board.wait_ready(within_s=0.5)


def test_block_device_calls_allocate_nothing(tmp_path):
    image = tmp_path / "image"
    image.write_bytes(b"\xff" * 8192)
    code = textwrap.dedent(f"""
        import sys
        sys.path.append({str(unix_board.BOARD)!r})
        import fileblocks, micropython
        blocks = fileblocks.FileBlocks({str(image)!r})
        buffer = bytearray(64)
        micropython.heap_lock()
        blocks.readblocks(1, buffer)
        blocks.readblocks(1, buffer, 32)
        blocks.writeblocks(1, buffer)
        blocks.writeblocks(0, buffer, 4000)
        sizes = blocks.ioctl(4, 0) + blocks.ioctl(5, 0) + blocks.ioctl(6, 1) + blocks.ioctl(3, 0)
        micropython.heap_unlock()
        print(sizes)
    """)
    done = subprocess.run([build.micropython(), "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == str(2 + 4096), done.stderr


def test_closing_leaves_no_process_and_no_serial_port(tree, tmp_path):
    board = unix_board.Desk(tmp_path / "d", tree=tree).power_on()
    pid, serial = board.pid, board.serial
    assert serial in terminals.held()
    board.close()
    board.close()
    assert not os.path.exists(f"/proc/{pid}") and serial not in terminals.held()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_device_dies_with_its_owner(tree, tmp_path, number):
    command = [sys.executable, "-c", OWNER, str(tmp_path / "d"), str(tree)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    pid = int(owner.stdout.readline())
    owner.send_signal(number)
    owner.wait(10)
    owner.stdout.close()
    wait_until(lambda: has_ended(pid))


OWNER = textwrap.dedent("""
    import sys, time
    from latchkey_tools.desk import unix_board
    print(unix_board.Desk(sys.argv[1], tree=sys.argv[2]).power_on().pid, flush=True)
    time.sleep(60)
""")


def test_a_flash_image_holds_the_firmware_umqtt_and_this_board_s_configuration(tmp_path):
    tree = unix_board.firmware_tree(tmp_path / "tree")
    names = {str(p.relative_to(tree)) for p in tree.rglob("*.mpy")}
    wanted = ("main.mpy", "cable.mpy", "board_config.mpy", "umqtt/simple.mpy", "latchkey/verifier.mpy")
    assert {"a/" + name for name in wanted} <= names
    assert not [n for n in names if re.search("features|package", n)]
    with unix_board.Desk(tmp_path / "d", tree=tree) as board:
        board.power_on(wait=False)
        assert "verifier.mpy" in board.mpremote("fs", "ls", ":/flash/a/latchkey")


def test_an_interpreter_that_cannot_start_is_told_to_who_pressed_the_switch(tree, tmp_path, monkeypatch):
    with unix_board.Desk(tmp_path / "d", tree=tree) as board:
        monkeypatch.setattr(board._bridge, "_command", lambda cause, run_main: ["/nowhere/micropython"])
        with pytest.raises(OSError):
            board.power_on()
        assert not board.running


ON_INTERRUPT = """
import os, time
inner = run
def run():
    try:
        inner()
    except KeyboardInterrupt:
        os.system('kill -STOP $PPID')
"""


def test_a_program_that_does_not_end_at_ctrl_c_loses_its_process_to_the_prompt(board, monkeypatch):
    monkeypatch.setattr(serialport, "_LOOKS_WITHIN_S", 1.0)
    board.mpremote("exec", f"open('/flash/main.py', 'a').write({ON_INTERRUPT!r})")
    board.restart()
    assert board.mpremote("exec", "print(6 * 7)", timeout_s=20).strip() == "42"


def test_code_over_the_cable_that_is_cut_off_leaves_memory_whole_for_the_next(board):
    """The port's own handler of Ctrl-C cuts off a collection, which then keeps the heap locked."""
    code = "import gc\nprint('col' + 'lects')\nwhile True: gc.collect()"
    for times in range(1, 4):
        command = [sys.executable, "-m", "mpremote", "connect", board.serial, "exec", code]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as cut_off:
            wait_until(lambda times=times: board.log_text().count("collects") == times)
            cut_off.kill()
        assert board.mpremote("exec", "print(len(bytearray(1000)))").strip() == "1000"


COLLECTS = """
import gc
from board_config import Board

def run():
    held = [bytearray(16) for _ in range(2000)]
    watchdog = Board().watchdog()
    print("collecting")
    try:
        while True:
            gc.collect()
            if watchdog:
                watchdog.look(None)
    finally:
        print("room for", len(bytearray(1000)))
"""


def test_ctrl_c_leaves_the_heap_unlocked_wherever_it_comes(tmp_path):
    """B13: the port's own handler cuts off a collection, which then keeps the heap locked."""
    made = unix_board.firmware_tree(tmp_path / "tree")
    (made / "main.py").unlink()
    (made / "main.py").write_text(COLLECTS)
    with unix_board.Desk(tmp_path / "desk", tree=made, heapsize="1M") as board:
        board.power_on(wait=False)
        for times in range(1, 4):
            wait_until(lambda times=times: board.log_text().count("collecting") == times)
            assert board.mpremote("exec", "print(len(bytearray(2000)))").strip() == "2000"
            assert board.log_text().count("room for 1000") == times, board.last_words()
            board.restart(wait=False)
        assert "heap is locked" not in board.log_text() and "FATAL" not in board.log_text()
