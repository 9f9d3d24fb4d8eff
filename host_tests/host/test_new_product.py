"""docs/new-product.md, step by step as printed there: the files, the commands, the desk's loop, and the board."""

import contextlib
import re
import shutil
import subprocess
import sys
import time

import httpx
import pages
import pytest
from api_process import running
from technician import LATCHKEY, Keyboard

from latchkey.errors import ConfigError
from latchkey_tools.boards import build, catalog
from latchkey_tools.desk import children
from latchkey_tools.sim.broker import free_port

PAGE = build.ROOT / "docs/new-product.md"
FILES = pages.files(PAGE) | pages.files(PAGE, "json")
CONTROL = {"Authorization": "Bearer CLOUD-control"}


class Relay:
    def __init__(self):
        self.on = self.blinks = 0
        self.watts = 40.0

    def switch(self, on):
        self.on = on

    def power_w(self):
        return self.watts if self.on else 0

    def blink(self):
        self.blinks += 1


def plug(relay):
    namespace = {}
    exec(compile(FILES["plug.py"], "plug.py", "exec"), namespace)
    return namespace["Product"](relay)


def test_the_file_keeps_the_contract():
    relay = Relay()
    product = plug(relay)
    changes = []
    product.on_change = lambda: changes.append(product.state())
    assert product.patch({"on": True}) == {"on": True, "limit_w": 3680, "power_w": 0}
    product.measure()
    product.measure()
    relay.watts = 40.4
    product.measure()
    assert [(one["on"], one["power_w"]) for one in changes] == [(True, 0), (True, 40.0)]
    product.identify()
    assert relay.blinks == 1
    for fields in ({"on": 1}, {"power_w": 5}, {"limit_w": 0}, {"on": False, "x": 1}):
        with pytest.raises(ConfigError):
            product.patch(fields)
    assert relay.on is True
    product.patch({"limit_w": 50})
    relay.watts = 60
    product.measure()
    assert relay.on is False and product.state() == {"on": False, "limit_w": 50, "power_w": 60}


class Pin:
    IRQ_RISING = 1

    def __init__(self):
        self.level = 0
        self.pulse = None

    def value(self, level=None):
        if level is None:
            return self.level
        self.level = level

    def irq(self, handler, trigger):
        self.pulse = handler if trigger == Pin.IRQ_RISING else None


def test_its_adapter_drives_pins_and_counts_pulses():
    namespace = {}
    exec(compile(FILES["relay.py"], "relay.py", "exec"), namespace)
    now_ms = [5000]
    pulses, *pins = Pin(), Pin(), Pin()
    relay = namespace["GpioRelay"](*pins, namespace["PulseMeter"](pulses, 1.5, lambda: now_ms[0]))
    relay.switch(True)
    relay.blink()
    for _ in range(40):
        pulses.pulse(pulses)
    now_ms[0] += 2000
    assert (pins[0].level, pins[1].level, relay.power_w()) == (1, True, 30)
    assert relay.power_w() == 0


def test_the_api_serves_it_on_the_unix_port(tmp_path):
    (tmp_path / "plug.py").write_text(FILES["plug.py"])
    with running(product="plug", product_folder=tmp_path) as device:
        with httpx.Client(base_url=device.url, headers=CONTROL) as client:
            assert client.patch("/v1/state", json={"on": True}).json() == {"on": True, "limit_w": 3680, "power_w": 0}
            device.tell("change")
            assert client.get("/v1/state").json() == {"on": True, "limit_w": 3680, "power_w": 40}
            refused = client.patch("/v1/state", json={"power_w": 1})
            assert (refused.status_code, refused.json()["field"]) == (422, "power_w")
            assert client.post("/v1/identify").status_code == 202


class Reader:
    """Somebody who follows the page in ``folder``, with ports of this machine that are free."""

    def __init__(self, folder):
        self.folder = folder
        self.keyboard = Keyboard(folder, LATCHKEY_SIM="sim")
        self.ports = {"8883": str(free_port()), "8080": str(free_port())}
        plug = folder / "boards/my-plug"
        plug.mkdir(parents=True)
        for name in ("plug.py", "desk_plug.py"):
            (plug / name).write_text(FILES[name])
        (folder / "plug.json").write_text(self.own(FILES["plug.json"]))

    def own(self, text):
        return re.sub(r"\b(8883|8080)\b", lambda port: self.ports[port[0]], text)

    def line(self, begins):
        [line] = {line for line in pages.commands(PAGE) if line.startswith(begins)}
        return self.own(line)

    def run(self, begins):
        """The output of the command, which must work."""
        words, _, file = self.line(begins).partition(" > ")
        printed = self.keyboard.ok(*words.split()[1:])
        if file:
            (self.folder / file).write_text(printed)

    @contextlib.contextmanager
    def beside(self, begins, until):
        """The command in a terminal of its own, from the line ``until`` on."""
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        command = [*LATCHKEY, *self.line(begins).split()[1:]]
        process = children.spawn(command, env=self.keyboard.env, cwd=self.folder, **options)
        try:
            for line in process.stdout:
                if until in line:
                    break
            else:
                raise AssertionError(f"{begins} ended")
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=30)


def until(reader, words):
    """Until the device's state has ``words``; while it restarts it has none."""
    deadline = time.monotonic() + 60
    while words not in (seen := reader.keyboard.run(*reader.line("latchkey device state").split()[1:])).out:
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)


def test_the_commands_lead_to_a_running_plug_that_follows_its_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path)
    with (
        reader.beside("latchkey sim run", "is reached"),
        reader.beside("latchkey vboard", "commands:") as plug,
    ):
        for begins in ("latchkey sim keys", "latchkey board provision", "latchkey token create"):
            reader.run(begins)
        until(reader, "on       no")
        reader.run("latchkey device set")
        until(reader, "power_w  40")
        desk = tmp_path / "boards/my-plug/desk_plug.py"
        desk.write_text(desk.read_text().replace("return 40", "return 50"))
        plug.stdin.write("reset\n")
        plug.stdin.flush()
        until(reader, "on       no")
        reader.run("latchkey device set")
        until(reader, "power_w  50")
        assert b"relay on" in (tmp_path / "plug/console.log").read_bytes()


def test_a_file_that_makes_no_product_is_refused(tmp_path):
    somebody = Keyboard(tmp_path)
    for name, text, words in (
        ("none.py", None, "No such file"),
        ("plug.txt", FILES["desk_plug.py"], "not a .py file with a function product(board)"),
        ("plug.py", FILES["plug.py"], "not a .py file with a function product(board)"),
        ("broken.py", "def product(board:", "is not a Python file"),
    ):
        if text:
            (tmp_path / name).write_text(text)
        done = somebody.run("vboard", "--product-file", tmp_path / name)
        assert done.status == 2 and words in " ".join(done.err.split()), done
    (tmp_path / "good.py").write_text(FILES["desk_plug.py"])
    for options in (["--battery"], ["--product", "bulb"]):
        done = somebody.run("vboard", "--product-file", tmp_path / "good.py", *options)
        assert done.status == 2 and "leave out" in done.err, done


def test_a_mistake_that_keeps_the_firmware_from_starting_is_shown_at_once(tmp_path):
    (tmp_path / "bad.py").write_text("import nowhere\n\n\ndef product(board):\n    pass\n")
    done = Keyboard(tmp_path).run(
        "vboard", "--folder", tmp_path / "board", "--product-file", tmp_path / "bad.py", apart=True
    )
    assert (
        done.status == 1 and "the firmware did not start: " in done.err and 'bad.py", line 1, in <module>' in done.err
    )
    assert done.err.endswith("ImportError: no module named 'nowhere'\n")


def test_its_board_passes_the_tests_of_boards(tmp_path):
    shutil.copytree(catalog.FOLDER, tmp_path / "boards")
    (tmp_path / "boards/my-plug").mkdir()
    [copy] = [line for line in pages.commands(PAGE) if line.startswith("cp ")]
    subprocess.run(copy, shell=True, cwd=tmp_path, check=True)
    for name in ("plug.py", "relay.py", "board_config.py", "manifest.py"):
        (tmp_path / "boards/my-plug" / name).write_text(FILES[name])
    (tmp_path / "firmware").symlink_to(build.FIRMWARE)
    (tmp_path / "build").symlink_to(build.BUILD)
    files = [f"host_tests/host/test_{name}.py" for name in ("boards", "manifests", "chip_names")]
    script = f"""
import sys, pytest
from pathlib import Path
from latchkey_tools.boards import catalog
catalog.FOLDER = Path({str(tmp_path / "boards")!r})
catalog.COMMON = catalog.FOLDER / "common"
sys.path.insert(0, str(catalog.FOLDER / "my-plug"))
sys.exit(pytest.main({["-q", "-x", "-p", "no:cacheprovider", "-k", "my-plug or every_name", *files]!r}))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=build.ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0 and int(done.stdout.split(" passed")[0].split()[-1]) > 8, done.stdout
