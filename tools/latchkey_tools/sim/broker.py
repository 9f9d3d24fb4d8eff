"""A real MQTT broker in a process of its own: TLS on 127.0.0.1, a client certificate required.

    broker = Broker(folder)            the folder that pki.make filled; mosquitto if it is on PATH, else amqtt
    broker.start(); broker.port; broker.kind; broker.stop()
    broker.proves_refusal()            True: a client without a certificate was turned away

The port stays the same over stop and start, as a broker's would. Retained messages do not survive a stop. The process
ends with the one that started it.
"""

import argparse
import asyncio
import contextlib
import errno
import os
import random
import shutil
import signal
import socket
import ssl
import sys
import time
from pathlib import Path

from latchkey_tools.desk import children
from latchkey_tools.sim import pki

KINDS = ("mosquitto", "amqtt")
READY_WITHIN_S = 20
_CONNACK_ACCEPTED = b"\x20\x02\x00\x00"


class BrokerError(Exception):
    """The broker did not come up; the text says where its log is."""


def find_program(name):
    """Path of a program, or None. Debian keeps servers in sbin, which PATH may lack, beside a bin that PATH has."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    beside = [str(Path(folder).parent / "sbin") for folder in folders if Path(folder).name == "bin"]
    return shutil.which(name, path=os.pathsep.join(folders + beside))


class Broker:
    """One broker over the certificates in ``folder``; ``identity`` replaces its own certificate (see pki.wrong)."""

    def __init__(self, folder, kind=None, port=0, identity=None):
        self.folder = Path(folder)
        self.pki = pki.load(folder)
        self.kind = kind or ("mosquitto" if find_program("mosquitto") else "amqtt")
        if self.kind not in KINDS:
            raise ValueError(f"no such broker: {kind}; choose from {', '.join(KINDS)}")
        self.identity = identity or self.pki.broker
        self.port = port or free_port()
        self.log_path = self.folder / f"broker-{self.kind}.log"
        self._process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def running(self):
        return self._process is not None and self._process.poll() is None

    def start(self):
        """Start and wait until a client with a certificate can connect; returns self. BrokerError."""
        if taken(self.port):
            raise BrokerError(f"port {self.port} is in use by another program: end that, or give another --broker-port")
        with open(self.log_path, "ab") as log:
            self._process = children.spawn(self._command(), stdin=children.PIPE, stdout=log, stderr=log)
        try:
            self._wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self):
        """End the broker in order; clients see their connection closed."""
        children.end(self._process)
        self._forget()

    def kill(self):
        """End the broker as a power cut would."""
        if self.running:
            self._process.kill()
            self._process.wait()
        self._forget()

    def proves_refusal(self):
        """True if a client that has no certificate gets no CONNACK while one that has gets it."""
        return self._answers(self.pki.simulator) and not self._answers(None)

    def client_context(self, identity):
        """TLS context for a client of this broker; ``identity`` None for one without a certificate."""
        context = ssl.create_default_context(cafile=str(self.pki.ca.cert_pem))
        if identity:
            context.load_cert_chain(identity.cert_pem, identity.key_pem)
        return context

    def _forget(self):
        if self._process and self._process.stdin:
            self._process.stdin.close()
        self._process = None

    def _command(self):
        if self.kind == "amqtt":
            files = (self.pki.ca.cert_pem, self.identity.cert_pem, self.identity.key_pem)
            return [sys.executable, "-m", "latchkey_tools.sim.broker", str(self.port), *files]
        program = find_program("mosquitto")
        if not program:
            raise BrokerError("mosquitto is not installed; install it, or use kind='amqtt'")
        config = self.folder / "mosquitto.conf"
        pki.write_private(config, self._mosquitto_config().encode())
        return [program, "-c", config]

    def _mosquitto_config(self):
        lines = (
            f"listener {self.port} 127.0.0.1",
            f"cafile {self.pki.ca.cert_pem.resolve()}",
            f"certfile {self.identity.cert_pem.resolve()}",
            f"keyfile {self.identity.key_pem.resolve()}",
            "require_certificate true",
            "allow_anonymous true",
            "persistence false",
            "log_dest stderr",
        )
        # As root mosquitto would become the user `mosquitto`, who may not read a key of mode 0600.
        return "\n".join(lines + (("user root",) if os.geteuid() == 0 else ())) + "\n"

    def _wait_ready(self):
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            if not self.running:
                raise BrokerError(f"{self.kind} ended at once; {self._last_words()}")
            if self._is_up():
                return
            time.sleep(0.05)
        raise BrokerError(f"{self.kind} did not answer within {READY_WITHIN_S} s; {self._last_words()}")

    def _last_words(self):
        """For an error: the folder of the log may be gone when somebody reads that."""
        lines = self.log_path.read_text(errors="replace").split("\n")
        said = next((line for line in reversed(lines) if line.strip()), "nothing")
        return f"the end of {self.log_path}: {said.strip()}"

    def _is_up(self):
        """With a flawed certificate (tests) no client of ours would connect: listening has to do."""
        if self.identity is self.pki.broker:
            return self._answers(self.pki.simulator)
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def _answers(self, identity):
        """True if an MQTT CONNECT over TLS is accepted. TLS 1.3 refuses a client only after its handshake."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain:
                with self.client_context(identity).wrap_socket(plain, server_hostname="localhost") as tls:
                    tls.sendall(_connect_packet())
                    return tls.recv(4) == _CONNACK_ACCEPTED
        except OSError:
            return False


def free_port():
    """A TCP port that nobody listens on now.

    Below those that systems give to outgoing connections: one of these would take it while a server is off.
    """
    while True:
        port = random.randrange(12000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port


def kept_port(path):
    """The port that the file ``path`` keeps, or 0."""
    try:
        port = int(path.read_text())
    except (OSError, ValueError):
        return 0
    return port if 0 < port < 65536 else 0


def taken(port, host="127.0.0.1"):
    """Whether somebody listens on ``port``."""
    with socket.socket() as probe:
        # As servers do: the ends of connections that are over do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _connect_packet():
    """MQTT 3.1.1 section 3.1: CONNECT, clean session, keepalive 10 s, a client id of our own."""
    client_id = f"probe-{os.urandom(4).hex()}".encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x0a" + len(client_id).to_bytes(2, "big") + client_id
    return bytes((0x10, len(body))) + body


async def _serve_amqtt(port, cafile, certfile, keyfile):
    """amqtt requests a client certificate but does not require one: this context does."""
    from amqtt.broker import Broker as AmqttBroker

    class StrictBroker(AmqttBroker):
        @staticmethod
        def _create_ssl_context(listener):
            context = AmqttBroker._create_ssl_context(listener)
            context.verify_mode = ssl.CERT_REQUIRED
            return context

    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}", "ssl": True}
    listener |= {"cafile": cafile, "certfile": certfile, "keyfile": keyfile}
    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    broker = StrictBroker({"listeners": {"default": listener}, "plugins": anonymous})
    stop = asyncio.Event()
    children.stop_on_signal_or_orphaned(asyncio.get_running_loop(), stop.set)
    await broker.start()
    await stop.wait()
    try:
        await asyncio.wait_for(broker.shutdown(), 2)
    except TimeoutError:
        os.kill(os.getpid(), signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser(description="amqtt that requires client certificates, on 127.0.0.1")
    parser.add_argument("port", type=int)
    for name in ("cafile", "certfile", "keyfile"):
        parser.add_argument(name)
    asyncio.run(_serve_amqtt(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
