"""Every command with a standard stream that is closed, on a full disk, or a broken pipe; and in ASCII."""

import json
import os
import pty
import select
import subprocess
import sys
import tty
from pathlib import Path

import pytest
import typer
from technician import DIAGNOSTICS, LATCHKEY, SYSTEM, Keyboard, Stub, device, key_set, make_token

from latchkey_tools import problems
from latchkey_tools.dev import clidocs
from latchkey_tools.device import wallet
from latchkey_tools.sim.cloud import Cloud

RIG = Path(__file__).parent / "streams_rig.py"
EVENT = f"event: state\ndata: {json.dumps({'on': True})}\n\n".encode()
CONFIG = {"config": {"name": "Cellar"}, "trust": {"changes": 0, "last": []}}
STATES = [(0, "closed"), (1, "closed"), (1, "full"), (2, "closed")]
FEW = [(1, "broken"), (2, "full"), (2, "broken")]


def commands():
    root = typer.main.get_command(clidocs.main.app)
    return [words[1:] for command, words in clidocs._commands(root, ["latchkey"]) if not hasattr(command, "commands")]


class Desk:
    """A wallet, a device and a cloud, and words with which each command has something to do."""

    def __init__(self, folder):
        self.tech = Keyboard(folder)
        self.tech.ok("token", "import", "-", "--name", "cellar", given=make_token())
        (folder / "token").write_text(make_token())
        (folder / "jwks.json").write_text(json.dumps(key_set()))
        (folder / "sim").mkdir()
        Cloud(folder / "sim" / "cloud.json", "company-example")
        answers = device(config=(200, CONFIG, {}), events=(200, EVENT, {}), diagnostics=(200, DIAGNOSTICS, {}))
        mutation = {"createLocalApiToken": {"jwt": make_token(), "uuid": SYSTEM}}
        self.stub = Stub(answers | {("POST", "/graphql"): (200, {"data": mutation}, {})})
        self.folder = folder

    def words(self, command):
        host, nowhere = self.stub.url, str(self.folder / "none")
        file = str(self.folder / "token")
        table = {
            "board flash": ["--board", "none", "--port", nowhere, "--image", nowhere],
            "board provision": ["--port", nowhere, "--config", nowhere],
            "board deploy": ["--board", "none", "--port", nowhere],
            "demo": ["--broker", "none"],
            "device certificate": [host, "--cert", nowhere, "--key", nowhere],
            "device config": [host],
            "device events": [host, "--count", "1"],
            "device find": ["--host", host],
            "device set": [host, "on"],
            "pair": [host, "--status"],
            "practice": ["--port", "none"],
            "sim create": [SYSTEM],
            "sim extend": [SYSTEM, "1D"],
            "sim list": [SYSTEM],
            "sim revoke": [SYSTEM],
            "sim run": ["--broker", "none"],
            "sim set": ["mixedZones=true"],
            "token create": [SYSTEM, "--endpoint", host + "/graphql"],
            "token import": [file, "--name", "spare"],
            "token inspect": ["-"],
            "token list": [],
            "token remove": ["spare", "--yes"],
            "token show": ["cellar"],
            "vboard": ["--folder", nowhere, "--product", "none"],
        }
        of_a_device = [host] if command.startswith("device ") or command == "doctor" else []
        of_a_board = ["--port", nowhere] if command.startswith("board ") and command != "board list" else []
        return command.split() + table.get(command, of_a_device or of_a_board)

    def run(self, cases, **env):
        """The results of all [(words, {stream: state})]."""
        env = self.tech.env | {"LATCHKEY_SIM": str(self.folder / "sim"), "LATCHKEY_CLOUD_KEY": "a-key"} | env
        cases = [{"words": words, "streams": states, "env": env} for words, states in cases]
        (self.folder / "cases.json").write_text(json.dumps(cases))
        rig = [sys.executable, RIG, self.folder / "cases.json", self.folder]
        done = subprocess.run(rig, env=env, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    made = Desk(tmp_path_factory.mktemp("desk"))
    yield made
    made.stub.close()


@pytest.fixture(scope="module")
def usual(desk):
    """The results of the commands while all streams are open."""
    words = [desk.words(" ".join(command)) for command in commands()]
    words += [["--help"], ["--version"], ["token"], ["doctor", "--help"]]
    found = desk.run([(one, {}) for one in words])
    assert sum(bool(one["out"]) for one in found) > 15
    return list(zip(words, found, strict=True))


@pytest.mark.parametrize("number, state", STATES + FEW)
def test_no_command_breaks_where_a_standard_stream_does(desk, usual, number, state):
    told = state != "broken"
    usual = usual[:: 4 if (number, state) in FEW else 1]
    for (words, before), now in zip(usual, desk.run([(words, {number: state}) for words, _ in usual]), strict=True):
        assert "Traceback" not in now["err"] and "Exception ignored" not in now["err"], (words, now)
        assert now["status"] in (0, 1, 2, 3), (words, now)
        if number == 1 and before["out"]:
            assert now["status"], (words, now)
            assert ("latchkey: standard output: " in now["err"]) is told or before["status"], (words, now)
        elif number != 0:
            assert now["status"] == before["status"] and (number == 1 or bool(now["out"]) == bool(before["out"])), words


def test_a_token_is_kept_though_nobody_can_be_told_of_it(desk):
    tech = desk.tech
    words = desk.words("token create")
    for states in ({1: "closed"}, {2: "closed"}, {0: "closed", 1: "closed", 2: "closed"}, {1: "full", 2: "full"}):
        tech.run("token", "remove", "smart-bulb", "--yes")
        assert desk.run([(words, states)])[0]["status"] == 0
        assert [e.name for e in wallet.Wallet(tech.wallet).entries()].count("smart-bulb") == 1


def test_a_letter_that_the_encoding_has_not_costs_that_letter_alone(desk):
    desk.tech.ok("token", "import", "-", "--name", "K\u00e4fer \U0001f98b 1", given=make_token())
    words = [["token", "list"], ["token", "show", "K\u00e4fer \U0001f98b 1"]]
    for one in desk.run([(one, {}) for one in words], PYTHONIOENCODING="ascii"):
        assert one["status"] == 0 and "K?fer ? 1" in one["out"], one


UNICODE = {
    "that names on the network cannot have": lambda: "a..b".encode("idna"),
    "is not a UTF-8 text": lambda: b"\xff".decode(),
    "bytes or letters that are not text here": lambda: "a\udcff".encode(),
}


@pytest.mark.parametrize("words", UNICODE)
def test_a_unicode_error_is_told_as_what_it_is(words):
    with pytest.raises(UnicodeError) as told:
        UNICODE[words]()
    assert words in problems.words(told.value)


CLOSED = {
    "board list >&-": "latchkey: standard output: it is closed; start the command with it open\n",
    "token list >/dev/full": "latchkey: standard output: No space left on device; make room\n",
    "token inspect - <&-": "latchkey: standard input: it is closed; start the command with it open\n",
    "token list 2>&-": "",
}


@pytest.mark.parametrize("line", CLOSED)
def test_the_installed_command_says_what_is_closed(desk, line):
    shell = ["sh", "-c", f'exec "$0" -m latchkey_tools.cli.main {line}', LATCHKEY[0]]
    done = subprocess.run(shell, env=desk.tech.env, capture_output=True, text=True, timeout=60)
    assert done.stderr == CLOSED[line] and done.returncode == bool(CLOSED[line])


def test_a_command_that_waits_for_lines_ends_with_its_reader(desk):
    """As `| head -1`, while the board is silent."""
    board, port = pty.openpty()
    tty.setraw(port)
    command = [*LATCHKEY, "board", "logs", "--port", os.ttyname(port)]
    with subprocess.Popen(command, env=desk.tech.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            while not select.select([process.stdout], [], [], 0.2)[0]:
                os.write(board, b"started\n")
            assert b"started" in process.stdout.readline()
            process.stdout.close()
            assert process.wait(30) == 1 and process.stderr.read() == b""
        finally:
            process.kill()
    os.close(board)
    os.close(port)
