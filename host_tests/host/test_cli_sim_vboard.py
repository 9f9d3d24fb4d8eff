"""`latchkey sim` and `latchkey vboard` as a person runs them: a process, its words, its exit status, Ctrl-C."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time

import httpx
import pytest
from technician import Keyboard

from latchkey_tools.sim.broker import free_port

SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"
LATCHKEY = [sys.executable, "-m", "latchkey_tools.cli.main"]


def latchkey(*arguments, folder=None):
    env = dict(os.environ, **({"LATCHKEY_SIM": str(folder)} if folder else {}))
    return subprocess.run([*LATCHKEY, *arguments], env=env, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The folder of a simulator started by hand, with its own broker."""
    folder = tmp_path_factory.mktemp("cli") / "sim"
    command = [*LATCHKEY, "sim", "run", "--folder", str(folder), "--system", SYSTEM]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    words = [process.stderr.readline() for _ in range(3)]
    assert "GraphQL: http://127.0.0.1:" in words[-1], words
    yield folder
    process.send_signal(signal.SIGINT)
    process.wait(15)
    process.stderr.close()


def test_a_token_is_made_listed_extended_and_revoked(running, tmp_path):
    made = latchkey("sim", "create", SYSTEM, "--duration", "PT1H", folder=running)
    assert made.returncode == 0 and re.fullmatch(r"CLOUD-[\w-]+\.[\w-]+\.[\w-]+\n", made.stdout)
    (record,) = json.loads(latchkey("sim", "list", SYSTEM, "--json", folder=running).stdout)
    assert record["status"] == "ACTIVATED" and "token" not in record
    out = tmp_path / "token"
    extended = latchkey("sim", "extend", record["uuid"], "P2D", "--out", str(out), folder=running)
    assert extended.returncode == 0 and extended.stdout == "" and "CLOUD-" not in extended.stderr
    assert out.read_text().startswith("CLOUD-") and stat.S_IMODE(out.stat().st_mode) == 0o600
    assert latchkey("sim", "revoke", record["uuid"], folder=running).returncode == 0
    table = latchkey("sim", "list", SYSTEM, folder=running).stdout
    assert "DEACTI" in table and "CLOUD-" not in table
    assert latchkey("sim", "revoke", record["uuid"], "--leave", folder=running).returncode == 0
    assert "no tokens" in latchkey("sim", "list", SYSTEM, folder=running).stdout


def test_the_list_loses_nothing_on_a_narrow_terminal(running, tmp_path):
    tech = Keyboard(tmp_path, LATCHKEY_SIM=str(running))
    uuid = tech.data("sim", "create", SYSTEM)["uuid"]
    with tech.terminal("sim", "list", SYSTEM, size=(60, 40)):
        pass
    shown = "".join(tech.seen[-1].split())
    for part in (uuid, "ACTIVATED", "SystemMaintainer"):
        assert part in shown


def test_keys_are_rotated_and_settings_changed(running):
    assert latchkey("sim", "rotate", folder=running).stdout.startswith("SIM-")
    assert latchkey("sim", "set", "algorithm=RS256", "mixedZones=true", folder=running).returncode == 0
    bad = latchkey("sim", "set", "colour=blue", "createdAtOffset=NaN", folder=running)
    assert bad.returncode == 1 and "colour" in bad.stderr and "Traceback" not in bad.stderr


def test_what_was_done_is_told_as_data_and_no_file_is_replaced(running, tmp_path):
    tech = Keyboard(tmp_path, LATCHKEY_SIM=str(running))
    token = tech.data("sim", "create", SYSTEM)
    uuid = token["uuid"]
    assert token["jwt"].startswith("CLOUD-") and tech.data("sim", "extend", uuid, "P2D")["uuid"] == uuid
    (tmp_path / "out").write_text("mine")
    assert tech.run("sim", "extend", uuid, "P3D", "--out", tmp_path / "out").status == 2
    assert (tmp_path / "out").read_text() == "mine"
    assert tech.ok("sim", "extend", uuid, "P3D", "--out", "-").startswith("CLOUD-")
    assert tech.data("sim", "revoke", uuid) == {"uuid": uuid, "status": "DEACTIVATED"}
    assert tech.data("sim", "revoke", uuid, "--leave") == {"uuid": uuid, "status": None}
    assert tech.data("sim", "rotate")["kid"].startswith("SIM-")
    assert tech.data("sim", "set", "mixedZones=false") == {"mixedZones": False}


def test_a_second_simulator_over_the_same_state_is_refused(running):
    second = latchkey("sim", "run", "--folder", str(running))
    assert second.returncode == 1 and second.stdout == ""
    assert second.stderr == f"latchkey: a simulator runs over {running} already; stop it, or give another --folder\n"


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = latchkey("sim", "run", "--folder", str(tmp_path), "--port", port)
    assert done.returncode == 1 and f"port {port} cannot be used (Address already" in done.stderr
    assert "Traceback" not in done.stderr


def started(folder, *options):
    """A simulator with a broker of its own, and the broker's port."""
    command = [*LATCHKEY, "sim", "run", "--folder", str(folder), "--broker-kind", "amqtt", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    words = [process.stderr.readline() for _ in range(3)]
    assert "GraphQL" in words[2], words
    return process, int(re.search(r"mqtts://localhost:(\d+)", words[0])[1])


def test_the_broker_keeps_its_port_over_all_runs(tmp_path):
    ports = []
    wanted = free_port()
    for options in ([], [], ["--broker-port", str(wanted)], []):
        process, port = started(tmp_path, *options)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=15)
        ports.append(port)
    assert ports[0] == ports[1] and ports[2:] == [wanted, wanted]
    with socket.create_server(("127.0.0.1", wanted)):
        done = latchkey("sim", "run", "--folder", str(tmp_path))
    words = f"latchkey: port {wanted} is in use by another program: end that, or give another --broker-port\n"
    assert (done.returncode, done.stderr) == (1, words)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["run", "--ca", "ca.pem"], "--ca has no effect without --broker"),
        (["run", "--user", "me"], "--user has no effect without --broker"),
        (["run", "--cert", "c.pem", "--key", "k.pem"], "--cert has no effect without --broker"),
        (["run", "--broker", "mqtts://a:1", "--key", "k.pem"], "--key has no effect without --cert"),
        (["run", "--broker", "mqtts://a:1", "--broker-port", "5"], "--broker-port has no effect with --broker"),
        (["run", "--broker", "mqtts://a:1", "--broker-kind", "amqtt"], "--broker-kind has no effect with --broker"),
        (["create", SYSTEM, "--permanent", "a", "--duration", "1D"], "--duration has no effect with --permanent"),
        (["create", SYSTEM, "--permanent", "a", "--device", "b"], "--device has no effect with --permanent"),
        (["revoke", SYSTEM, "--leave", "--status", "GONE"], "--status has no effect with --leave"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(tmp_path, arguments, words):
    done = Keyboard(tmp_path, LATCHKEY_SIM=str(tmp_path / "none")).run("sim", *arguments)
    assert done.status == 2 and words in done.err, done.err


def test_failures_are_one_line_that_says_what_to_do(tmp_path):
    for arguments, status, words in (
        (["sim", "list", SYSTEM], 1, "latchkey sim run"),
        (["sim", "run", "--broker", "mqtts://mqtt.drivr.cloud"], 3, "DRIVR's own"),
        (["sim", "run", "--broker", "localhost"], 2, "mqtts://host:port"),
        (["sim", "create"], 2, "Usage"),
        (["demo", "--broker", "other"], 2, "write mosquitto or amqtt"),
        (["pair", "192.0.2.1", "--open", "--broker", "host:\u00b2"], 2, "write the broker as HOST:PORT"),
        (["sim", "set", "colour"], 2, "NAME=VALUE"),
        (["vboard", "--clock", "cuckoo"], 2, "write host or unset"),
    ):
        done = Keyboard(tmp_path, LATCHKEY_SIM=str(tmp_path / "none")).run(*arguments)
        assert (done.status, words in done.err) == (status, True), done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_simulator_with_its_broker_and_leaves_no_address(tmp_path, number):
    command = [*LATCHKEY, "sim", "run", "--folder", str(tmp_path / "s"), "--broker-kind", "amqtt"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    words = "".join(process.stderr.readline() for _ in range(3))
    ports = [int(p) for p in re.findall(r"(?:localhost|127\.0\.0\.1):(\d+)", words)]
    process.send_signal(number)
    assert process.wait(60) == 130
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert len(ports) == 2 and not any(listens(port) for port in ports)
    assert not (tmp_path / "s" / "simulator.json").exists()


def test_a_vboard_shows_its_port_takes_commands_and_leaves_nothing_at_ctrl_c():
    process = subprocess.Popen(
        [*LATCHKEY, "vboard"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lines = [process.stdout.readline() for _ in range(5)]
    serial, url, log = (line.split(":", 1)[1].strip() for line in lines[:3])
    assert httpx.get(url + "/v1/info", trust_env=False).json()["state"] == "unprovisioned"
    assert os.path.exists(serial)
    for command, answer in (("cut", "power is off"), ("on", "power is on"), ("what", "commands: cut, on")):
        process.stdin.write(command + "\n")
        process.stdin.flush()
        assert answer in process.stdout.readline()
    while process.poll() is None:  # by somebody impatient
        process.send_signal(signal.SIGINT)
        time.sleep(0.03)
    _, complaints = process.communicate(timeout=15)
    assert process.returncode == 130 and "Traceback" not in complaints
    assert not os.path.exists(os.path.dirname(log))
    assert not listens(int(url.rsplit(":", 1)[1]))


def listens(port):
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=0.5, trust_env=False)
        except httpx.ConnectError:
            return False
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    return True
