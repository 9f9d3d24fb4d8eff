"""Brokers as real processes: a client certificate is required, and no process outlives its owner."""

import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest
from brokers import KINDS

from latchkey_tools.sim import broker, pki


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("broker"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_without_a_certificate_is_refused_and_one_with_it_is_not(certs, kind):
    with broker.Broker(certs.folder, kind) as running:
        assert running.kind == kind
        assert running.proves_refusal()


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_of_another_ca_is_refused(certs, kind, tmp_path):
    stranger = pki.make(tmp_path / "other")
    with broker.Broker(certs.folder, kind) as running:
        assert not running._answers(stranger.simulator)


@pytest.mark.parametrize("kind", KINDS)
def test_the_port_is_the_same_after_a_restart_and_closed_in_between(certs, kind):
    with broker.Broker(certs.folder, kind) as running:
        port = running.port
        running.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=2)
        running.start()
        assert running.port == port and running.proves_refusal()


@pytest.mark.parametrize("flaw", pki.WRONG_KINDS)
def test_a_flawed_broker_certificate_is_refused_by_a_client_that_verifies(certs, flaw):
    with broker.Broker(certs.folder, identity=pki.wrong(certs, flaw)) as running:
        assert running.running
        assert not running._answers(certs.simulator)


@pytest.mark.parametrize("kind", KINDS)
def test_the_broker_dies_with_a_parent_that_was_killed(certs, kind):
    command = [sys.executable, "-c", PARENT, str(certs.folder), kind]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    port = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert wait_closed(port)


PARENT = textwrap.dedent("""
    import sys, time
    from latchkey_tools.sim import broker
    print(broker.Broker(sys.argv[1], sys.argv[2]).start().port, flush=True)
    time.sleep(60)
""")


def wait_closed(port, within_s=5):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.05)
    return False


def test_the_last_words_of_a_broker_that_ended_are_in_the_error(certs, tmp_path, monkeypatch):
    """Its log may be in a folder that goes with the command."""
    died = broker.Broker(certs.folder)
    died.log_path = tmp_path / "log"
    monkeypatch.setattr(died, "_command", lambda: ["sh", "-c", "printf 'one\\nno such certificate\\n\\n'"])
    with pytest.raises(broker.BrokerError, match="ended at once; the end of .*log: no such certificate$"):
        died.start()


def test_an_unknown_kind_is_refused_with_the_kinds_there_are(certs):
    with pytest.raises(ValueError, match="mosquitto, amqtt"):
        broker.Broker(certs.folder, "carrier-pigeon")
