"""A mistake in a maker's product is found from the console, and takes nothing else with it (B2, B6)."""

import functools
import http.client
import json
import re
import time

import pytest
from technician import SYSTEM, key_set, make_token
from test_deploy import STOCK_BOOT, board_with

from latchkey_tools.boards import build, deploy, provision
from latchkey_tools.device import doctor
from latchkey_tools.sim import pki

MISTAKEN = """
import asyncio


class Product:
    name, model, on_change = "sensor", "th", None

    def __init__(self, sensor, now_unix_s):
        self.turns = 0

    def measure(self):
        self.turns += 1
        if self.turns == 1:
            return {}["no such sensor"]
        if self.turns == 2:
            asyncio.create_task(self.fade())

    async def fade(self):
        raise IndexError("fade")

    def state(self):
        return {"turns": self.turns}

    def patch(self, fields):
        return self.turns // 0

    def identify(self):
        self.turns.blink()
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    with board_with(folder, {"boot.py": STOCK_BOOT}, product="sensor", hurry=30) as board:
        deploy.deploy("desk", board.serial, lines=True)
        board.wait_ready()
        (folder / "sensor.py").write_text(MISTAKEN)
        board.mpremote("fs", "cp", folder / "sensor.py", ":/flash/a/latchkey/products/sensor.py")
        made = pki.make(folder / "pki", "company-example", SYSTEM)
        config = provision.config(SYSTEM, "company-example", "localhost", 1, None, dev=True)
        board.provision(provision.document(config, made.ca, made.device, key_set()))
        yield board


@functools.cache
def token_of():
    """One for all calls: the device remembers it, and each new one would cost of the budget for unknown tokens (V9)."""
    return make_token()


def call(desk, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=20)
    headers = {"Authorization": "Bearer " + token_of(), "Content-Type": "application/json"}
    try:
        connection.request(method, path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def until(check, within_s=40):
    end = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < end
        time.sleep(0.2)


def traces(desk, kind):
    """The tracebacks on the console that end with ``kind``, each as (path, line) from the outermost frame."""
    found = re.findall(r"Traceback \(most recent call last\):\r?\n((?:  File .*\r?\n)+)(\w+)", desk.log_text())
    return [re.findall(r'File "(.+?)", line (\d+)', frames) for frames, name in found if name == kind]


def test_measuring_goes_on_and_the_log_and_doctor_know(desk):
    until(lambda: call(desk, "GET", "/v1/state")[1]["turns"] > 2)
    lines = [line["text"] for line in call(desk, "GET", "/v1/log")[1]["lines"]]
    assert "measure failed: KeyError" in lines
    assert [path for path, _line in traces(desk, "KeyError")[0]][-1].endswith("products/sensor.py")


def test_a_task_that_ends_by_a_mistake_is_logged(desk):
    until(lambda: "task failed: IndexError" in desk.log_text())
    assert traces(desk, "IndexError")


def test_a_request_that_fails_shows_the_lines_of_the_sources(desk, tmp_path):
    assert call(desk, "PATCH", "/v1/state", {"on": True})[1]["code"] == "server_error"
    until(lambda: traces(desk, "ZeroDivisionError"))
    frames = traces(desk, "ZeroDivisionError")[0]
    assert frames[-1][0].endswith("products/sensor.py")
    assert "self.turns // 0" in MISTAKEN.splitlines()[int(frames[-1][1]) - 1]
    ours = [(path, int(line)) for path, line in frames[:-1] if "latchkey" in path]
    for (path, line), callee in zip(ours[-2:], ("handler(self, request)", "product.patch("), strict=True):
        assert callee in (build.FIRMWARE / path).read_text().splitlines()[line - 1]
    facts = call(desk, "GET", "/v1/diagnostics")[1]["faults"]
    assert facts["count"] >= 3 and facts["last"] == "request failed: ZeroDivisionError"
    token = tmp_path / "token"
    token.write_text(token_of())
    token.chmod(0o600)
    links = {link.name: link for link in doctor.examine(f"127.0.0.1:{desk.port}", token_file=token)}
    assert links["application"].verdict == doctor.WEAK
    assert "ZeroDivisionError" in links["application"].seen and "--lines" in links["application"].todo
