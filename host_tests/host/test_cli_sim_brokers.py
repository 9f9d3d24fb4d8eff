"""`latchkey sim run` with brokers of one's own: a login, this machine's CAs, several nodes; and what it published."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import aiomqtt
import pytest
from cryptography.hazmat.primitives import serialization
from technician import Keyboard

from latchkey_tools.sim import broker, pki, publisher, signing
from latchkey_tools.sim.client import Client

LATCHKEY = [sys.executable, "-m", "latchkey_tools.cli.main"]
KEY_TOPIC = "drivr/v1/company-example/jwks"
PASSWORD = "planted-broker-password"


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("brokers"))


@pytest.fixture(scope="module")
def node(certs):
    with broker.Broker(certs.folder) as running:
        yield running


class Simulated:
    """`latchkey sim run` in a process of its own over ``folder``."""

    def __init__(self, folder, *words, **environment):
        command = [*LATCHKEY, "sim", "run", "--folder", str(folder), *map(str, words)]
        env = os.environ | environment
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
        self.client = Client(folder)

    def __enter__(self):
        assert "GraphQL" in self.process.stderr.readline()
        return self.client

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        _, self.rest = self.process.communicate(timeout=20)


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def retained(node):
    """The payload retained on the key set's topic."""

    async def first():
        context = node.client_context(node.pki.device)
        async with aiomqtt.Client("localhost", node.port, tls_context=context) as client:
            await client.subscribe(KEY_TOPIC)
            async with asyncio.timeout(10):
                async for message in client.messages:
                    if str(message.topic) == KEY_TOPIC:  # amqtt also sends those of other topics
                        return message.payload

    return json.loads(asyncio.run(first()))


def test_the_next_node_of_a_cluster_is_tried_and_this_machine_s_cas_vouch_for_it(certs, node, tmp_path):
    words = ["--broker", f"mqtts://localhost:{closed_port()}", "--broker", f"mqtts://localhost:{node.port}"]
    words += ["--cert", certs.simulator.cert_pem, "--key", certs.simulator.key_pem]
    with Simulated(tmp_path, *words, SSL_CERT_FILE=str(certs.ca.cert_pem)) as client:
        client.wait_published()
        shown = subprocess.run(
            [*LATCHKEY, "sim", "keys", "--folder", str(tmp_path)], capture_output=True, text=True, timeout=30
        )
        assert json.loads(shown.stdout) == retained(node)
        assert set(json.loads(shown.stdout)["keys"][0]) == {"n", "e", "kty", "kid"}


def test_it_is_told_once_that_the_broker_is_reached_and_once_that_it_is_lost(certs, tmp_path):
    ready = ["is reached", "cannot be used", "is reached"]
    with broker.Broker(certs.folder) as own:
        words = ["--broker", f"mqtts://localhost:{own.port}", "--ca", certs.ca.cert_pem]
        simulated = Simulated(tmp_path, *words, "--cert", certs.simulator.cert_pem, "--key", certs.simulator.key_pem)
        with simulated:
            for said, then in zip(ready, (own.stop, own.start, lambda: None), strict=True):
                assert f"the broker localhost:{own.port} {said}" in simulated.process.stderr.readline()
                then()
        assert simulated.rest == ""


def test_it_is_told_that_no_broker_is_there(tmp_path):
    port = closed_port()
    simulated = Simulated(tmp_path, "--broker", f"mqtts://127.0.0.1:{port}")
    with simulated:
        assert f"the broker 127.0.0.1:{port} cannot be used" in simulated.process.stderr.readline()


def test_a_broker_whose_ca_this_machine_does_not_know_is_not_published_to(certs, node, tmp_path):
    words = ["--broker", f"mqtts://localhost:{node.port}", "--cert", certs.simulator.cert_pem]
    with Simulated(tmp_path, *words, "--key", certs.simulator.key_pem) as client:
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            client.wait_published(within_s=3)


def test_every_node_is_checked_before_anything_is_published():
    good = publisher.Target("localhost", 1, None, None, None)
    with pytest.raises(publisher.Refused):
        publisher.Publisher(None, [good, publisher.Target("mqtt.drivr.cloud", 8883, None, None, None)])


class Listener:
    """A port that takes one CONNECT packet, keeps it, and closes."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.packet = b""
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self):
        connection, _ = self._socket.accept()
        with connection:
            connection.settimeout(10)
            self.packet = connection.recv(4096)
        self._socket.close()

    def wait(self):
        self._thread.join(15)
        return self.packet


def test_a_login_comes_from_the_environment(tmp_path):
    listener = Listener()
    words = ["--broker", f"mqtt://127.0.0.1:{listener.port}", "--user", "marie"]
    with Simulated(tmp_path, *words, LATCHKEY_BROKER_PASSWORD=PASSWORD):
        packet = listener.wait()
    assert b"\x00\x05marie" in packet and packet.endswith(PASSWORD.encode())


def test_a_password_is_asked_for_at_a_terminal_and_is_not_echoed(tmp_path):
    listener = Listener()
    words = ["sim", "run", "--folder", str(tmp_path), "--broker", f"mqtt://127.0.0.1:{listener.port}", "--user", "me"]
    keyboard = Keyboard(tmp_path)
    with keyboard.terminal(*words) as screen:
        screen.expect("Password of me .not shown.")
        screen.sendline(PASSWORD)
        assert listener.wait().endswith(PASSWORD.encode())
        screen.expect("GraphQL")
        screen.sendintr()
    assert "Password of me" in keyboard.seen[-1] and PASSWORD not in keyboard.seen[-1]


def test_a_password_in_the_address_is_refused_without_repeating_it(tmp_path):
    for user in ("marie", ""):
        url = f"mqtts://{user}:{PASSWORD}@broker.example.org"
        done = Keyboard(tmp_path).run("sim", "run", "--folder", tmp_path, "--broker", url)
        assert done.status == 2 and "mqtts://host:port" in done.err and PASSWORD not in done.err


def test_what_a_broker_could_not_be_reached_with_is_refused_at_once(certs, tmp_path):
    key = serialization.load_pem_private_key(certs.device.key_pem.read_bytes(), None)
    secret = serialization.BestAvailableEncryption(b"secret")
    locked = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)
    (tmp_path / "locked").write_bytes(locked)
    for words, told in (
        (["--ca", tmp_path / "none"], "No such file"),
        (["--cert", "/etc/passwd"], "--cert or --key cannot be used"),
        (["--cert", certs.device.cert_pem, "--key", tmp_path / "locked"], "--cert or --key cannot be used"),
        (["--key", certs.device.key_pem], "give both"),
        (["--slug", "a/b+#"], "Domain's name"),
        (["--system", "cellar"], "System UUID"),
        (["--algorithm", "none"], "RS512"),
        (["--broker-kind", "other"], "mosquitto"),
    ):
        words = ["--folder", tmp_path / "s", "--broker", "mqtts://localhost:1", *words]
        done = Keyboard(tmp_path).run("sim", "run", *words)
        assert done.status == 2 and told in done.err, done
    assert not (tmp_path / "s").exists()


def test_keys_of_a_simulator_that_never_ran_are_told_to_be_none(tmp_path):
    command = [*LATCHKEY, "sim", "keys", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "latchkey sim run" in done.stderr
    assert signing.KID_PREFIX not in done.stdout
