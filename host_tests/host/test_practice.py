"""`latchkey practice` at a terminal, with the lines of docs/quickstart.md; the same lines in a shell."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pages
import pexpect
import pytest
from processes import processes_that_name
from technician import OTHER_SYSTEM, SYSTEM

from latchkey_tools.cli import practice_commands
from latchkey_tools.desk import practice
from latchkey_tools.desk.unix_board import DeskError
from latchkey_tools.sim.broker import free_port

PAGE = pages.ROOT / "docs" / "quickstart.md"
BLOCKS = list(pages.blocks(PAGE))
# (line, what it prints) of each step.
SHOWN = [block.text[2:].split("\n", 1) for block in BLOCKS if block.text.startswith("$ ")]
SHELL = [block.text for block in BLOCKS if block.language == "sh"]
LATCHKEY = Path(sys.executable).with_name("latchkey")


class Terminal:
    """A practice at a terminal; ``folder``: its home and all its files."""

    def __init__(self, folder, size=(50, 140)):
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.port = free_port()
        # COLUMNS would count for more than the terminal's own width.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LATCHKEY_", "COLUMNS"))}
        env = kept | {"HOME": str(folder), "TMPDIR": str(self.scratch), "TERM": "xterm", "NO_COLOR": "1"}
        words = ["practice", "--port", str(self.port)]
        self.screen = pexpect.spawn(str(LATCHKEY), words, 60, env=env, dimensions=size, encoding="utf-8")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.screen.close(force=True)

    def asks(self, *texts):
        """The text since the last line, up to the prompt; ``texts`` are in it."""
        self.screen.expect_exact(practice_commands.PROMPT)
        seen = plain(self.screen.before)
        for text in texts:
            assert text in seen, (text, seen)
        return seen

    def type(self, line=""):
        self.screen.sendline(line)

    def ends(self, status):
        self.screen.expect(pexpect.EOF)
        self.screen.close()
        assert (self.screen.exitstatus, self.screen.signalstatus) == (status, None)
        assert list(self.scratch.iterdir()) == [] and processes_that_name(str(self.scratch)) == []
        return plain(self.screen.before)


def plain(text):
    """``text`` as a screen shows it: the last state of a line that moves; no colours, no blanks at ends."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return "\n".join(line.split("\r")[-1].rstrip() for line in text.replace("\r\n", "\n").split("\n"))


def pattern(printed, port):
    """``printed`` of the page as a regular expression: passphrase, token and version may be other ones."""
    text = re.escape(printed.strip("\n").replace("8080", str(port)))
    text = re.sub(r"(?<=ap\\ passphrase\\ \\ )\w+", r"\\w+", text)
    text = text.replace(re.escape("0.1.0"), r"[\d.]+")
    return re.sub(r"160b9838(\S+)?", r"[0-9a-f-]+", text)


def test_the_page_has_the_lines_of_the_practice_and_its_files():
    lines = [step.line.format(port=8080, system=SYSTEM, token="160b9838") for step in practice.STEPS]
    assert [line for line, _printed in SHOWN] == lines
    titles = re.findall(r"^## \d\. (.*)", PAGE.read_text(), re.M)
    assert titles == [step.title for step in practice.STEPS]
    files = [json.loads((practice.EXAMPLES / name).read_text()) for name in ("lamp.json", "air.json")]
    assert [json.loads(block.text) for block in BLOCKS if block.language == "json"] == files


def test_the_practice_is_done_by_its_lines_and_looks_for_itself_whether_they_worked(tmp_path):
    with Terminal(tmp_path) as at:
        seen = at.asks("1 of 8", "Type the line, or press Enter")
        for number, (line, printed) in enumerate(SHOWN, 1):
            expected = line.replace("8080", str(at.port))
            if number != 7:
                assert f"\n  {expected}\n" in seen, (expected, seen)
            for wrong, words in WRONG.get(number, ()):
                at.type(wrong.replace("8080", str(at.port)))
                at.asks(words, f"\n  {expected}\n" if words.startswith("Not done") else words)
            at.type(expected if number in (2, 8) else "")
            if number == 3:
                at.screen.expect_exact("Number or name of the network: ")
                at.type("1")
                at.screen.expect_exact("Passphrase of Home (not shown): ")
                at.type("correcthorse")
                printed = printed.split("(not shown):\n")[1]
            if number == len(SHOWN):
                seen = at.ends(0)
            else:
                seen = at.asks(f"Done. {practice.STEPS[number - 1].proof}", f"{number + 1} of 8")
            assert re.search(pattern(printed, at.port), seen), f"the page has\n{printed}\nit printed\n{seen}"
    assert "What next" in seen
    assert [path.name for path in tmp_path.rglob("*")] == ["scratch"]


def test_a_line_too_long_for_the_terminal_is_shown_as_it_can_be_typed_and_enter_shows_it_again(tmp_path):
    with Terminal(tmp_path, size=(24, 80)) as at:
        seen = at.asks("1 of 8")
        shown = "  latchkey board provision --port lamp/serial --config lamp.json --ca ca.pem \\\n"
        shown += "    --cert lamp.pem --key lamp.key --key-set keys.json\n"
        assert f"\n{shown}" in seen
        first, second = shown.rstrip().split("\n")
        at.type(first.strip())
        at.screen.expect_exact("> ")
        at.type(second.strip())
        at.asks("Done. ", "2 of 8")
        at.type()
        seen = at.asks("Done. ", "3 of 8")
        assert seen.index(f"  latchkey token create {SYSTEM} --sim\n") < seen.index("is in the wallet")


# Lines that do not do a step, and the answers to them.
WRONG = {
    1: [
        ("token list", "A line begins with `latchkey`"),
        ("latchkey practice", "The practice is running"),
        ("again", "1 of 8"),
    ],
    2: [
        (f"latchkey token create {OTHER_SYSTEM} --sim --name other", "Not done. Your wallet has no token for the bulb.")
    ],
    4: [("latchkey device set 127.7.0.7:8080 off", "Not done. The light is off.")],
}


@pytest.mark.parametrize(
    "typed, words",
    [
        ("latchkey token show 'x", "quotation mark"),
        ("latchkey sim keys > keys.json", "not a shell: leave > out"),
        ("latchkey a && latchkey b | c", "leave && and | out"),
        ("ls", "begins with `latchkey`"),
        ("/tmp/.venv/bin/latchkey practice", "is running"),
    ],
)
def test_a_line_that_cannot_be_run_is_answered_in_words(typed, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        practice_commands._checked(typed)


def test_a_line_may_be_typed_as_in_any_shell():
    assert practice_commands._checked(".venv/bin/latchkey device set 'a b'") == ["device", "set", "a b"]


@pytest.mark.parametrize(
    "words, status, said",
    [
        (["device", "state", "127.7.0.7:8080"], 0, "Not done. This step needs another line."),
        (["dvice"], 2, "Not done. The command failed. This step needs another line."),
        (["device", "set", "127.7.0.7:8080", "on"], 1, "Not done. The command failed. The light is off."),
    ],
)
def test_a_line_without_the_effect_of_its_step_is_followed_by_what_is_missing(monkeypatch, capsys, words, status, said):
    class World:
        lamp, system = SimpleNamespace(port=8080), SYSTEM

    monkeypatch.setattr(practice_commands, "_run", lambda world, words: status)
    assert practice_commands._run_and_look(World, practice.STEPS[3], words) is False
    assert capsys.readouterr().out == f"{said}\n\n  {SHOWN[3][0]}\n\n"


def test_nothing_of_the_user_s_own_reaches_a_line(monkeypatch):
    class World:
        def environment(self, words):
            return {"LATCHKEY_WALLET": "its own"}

    for name in ("TOKEN", "HOST", "WALLET", "SLUG"):
        monkeypatch.setenv(f"LATCHKEY_{name}", "mine")
    env = practice_commands._environment(World(), [])
    assert {name: value for name, value in env.items() if name.startswith("LATCHKEY_")} == {
        "LATCHKEY_WALLET": "its own"
    }


def test_ctrl_c_at_a_command_s_question_ends_the_command_alone_and_at_the_prompt_the_practice(tmp_path):
    with Terminal(tmp_path) as at:
        at.asks("1 of 8")
        at.type("latchkey token create 792b6149-1daa-488f-b07a-f684503b0586 --slug company-example")
        at.screen.expect("not shown")
        at.screen.sendintr()
        at.asks("Not done. You stopped the command.")
        at.screen.sendintr()
        assert "its files are removed" in at.ends(130)


@pytest.mark.parametrize(
    "moment, number", [("start", signal.SIGINT), ("1 of 8", signal.SIGTERM), ("1 of 8", signal.SIGHUP)]
)
def test_a_signal_leaves_nothing(tmp_path, moment, number):
    with Terminal(tmp_path) as at:
        at.screen.expect_exact(moment)
        os.kill(at.screen.pid, number)
        at.ends(130)


BEFORE_A_WAIT = """
import signal, threading
from latchkey_tools.desk import children

children.stop_on_any_signal()
# In another thread it does not interrupt the wait, as one that comes a moment before it.
threading.Timer(0.3, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
input()
"""


def test_a_signal_just_before_a_wait_ends_it():
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", BEFORE_A_WAIT], **pipes) as waits:
        try:
            assert waits.wait(30) == -signal.SIGINT and b"KeyboardInterrupt" in waits.stderr.read()
        finally:
            waits.kill()


def test_ctrl_c_again_and_again_leaves_nothing(tmp_path):
    with Terminal(tmp_path) as at:
        at.asks("1 of 8")
        while at.screen.isalive():
            at.screen.sendintr()
            time.sleep(0.03)
        at.ends(130)


def test_of_two_practices_at_once_each_has_ports_of_its_own(tmp_path):
    """Both find the quickstart's ports free."""
    worlds = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        worlds.append(practice.World(tmp_path / name))
    try:
        ports = [port for world in worlds for port in (world.broker.port, world.lamp.port)]
        assert len(set(ports)) == 4, ports
    finally:
        for world in worlds:
            world.stop()


def test_a_port_that_somebody_else_has_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(DeskError, match="give another --port"):
        practice.World(tmp_path, server.getsockname()[1])


def test_quit_and_the_end_of_the_input_end_it(tmp_path):
    """On a narrow terminal, after a line that no step has, and one that is not run."""
    with Terminal(tmp_path, size=(24, 40)) as at:
        at.asks("1 of 8")
        at.type("latchkey")
        at.asks("[OPTIONS] COMMAND", "Not done.")
        at.type("ls")
        assert max(map(len, at.asks("A line begins with `latchkey`.").split("\n"))) <= 40
        at.type("quit")
        said = at.ends(0)
        assert "To begin again:" in said and "The practice has ended, and its files\nare removed.\n" in said


@contextlib.contextmanager
def in_the_background(line, folder, env, ready):
    """``line`` in a shell in ``folder``, once it has printed ``ready``; Ctrl-C at the end."""
    command = {"shell": True, "cwd": folder, "env": env, "start_new_session": True, "text": True}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(line, **command, **pipes) as process:
        try:
            words = ""
            while ready not in words:
                words = process.stdout.readline()
                assert words, line
            yield process
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=60)


def test_the_same_lines_work_in_a_shell(tmp_path):
    broker, api = str(free_port()), str(free_port())
    _setup, cloud, bulb, mine, joined = (text.replace("8883", broker).replace("8080", api) for text in SHELL)
    lines = [line.replace("8080", api) for line, _printed in SHOWN]
    for name in ("lamp.json", "air.json"):
        text = (practice.EXAMPLES / name).read_text()
        (tmp_path / name).write_text(text.replace("8883", broker))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LATCHKEY_")}
    env = kept | {"HOME": str(tmp_path), "PATH": f"{LATCHKEY.parent}:{os.environ['PATH']}"}
    env |= {"LATCHKEY_WIFI_PASSPHRASE": "correcthorse"}
    with in_the_background(cloud, tmp_path, env, "GraphQL"), in_the_background(bulb, tmp_path, env, "commands:"):
        typed = "\n".join([mine, *lines[:2], f"{lines[2]} --ssid Home", joined, lines[3]])
        done = subprocess.run(
            ["sh", "-e", "-c", typed], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0 and "brightness_pct  40" in done.stdout, done
