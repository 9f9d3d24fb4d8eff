"""The API on the unix port as a process of its own, for tests from outside."""

import contextlib
import os
import socket
import subprocess
from pathlib import Path

from latchkey_tools.boards import build
from latchkey_tools.desk import children
from latchkey_tools.sim.broker import free_port

FAKES = Path(__file__).resolve().parent.parent / "fakes"


class ApiProcess:
    """Started and stopped by ``running``. ``port``, ``tls_port``, ``tell(command)`` -> its one line of answer."""

    def __init__(self, heapsize, options):
        self.port = free_port()
        self.tls_port = free_port()
        words = [f"{name}={value}" for name, value in {"tls_port": self.tls_port, **options}.items()]
        firmware = build.compile_firmware()
        self.process = children.spawn(
            [build.micropython(), "-X", f"heapsize={heapsize}", FAKES / "api_desk.py", str(self.port), *words],
            env={**os.environ, "MICROPYPATH": f".frozen:{firmware}:{FAKES}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        line = self.process.stdout.readline()
        if line != "ready\n":
            self.process.kill()
            raise RuntimeError(line + self.process.communicate()[0])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def log_text(self):
        return self.tell("status")

    def connect(self, timeout_s=15):
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)


@contextlib.contextmanager
def running(heapsize="512K", **options):
    process = ApiProcess(heapsize, options)
    try:
        yield process
    finally:
        with contextlib.suppress(OSError):
            process.process.stdin.close()
        try:
            process.process.wait(5)
        except subprocess.TimeoutExpired:
            process.process.kill()
            process.process.wait()
        process.process.stdout.close()


def read_all(sock):
    """All bytes until the device closes."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(65536):
            data += chunk
    return data
