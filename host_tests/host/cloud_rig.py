"""Shared by the cloud tests: a device process on either interpreter, and a hostile broker of raw bytes."""

import base64
import contextlib
import functools
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from latchkey_tools.boards import build, umqtt
from latchkey_tools.desk import children
from latchkey_tools.sim.broker import free_port

HERE = Path(__file__).resolve().parent.parent
ADAPTERS = HERE.parent / "boards" / "desk" / "adapters"
SYSTEM_UUID = "792b6149-1daa-488f-b07a-f684503b0586"
SLUG = "company-example"
KEYS_TOPIC = f"drivr/v1/{SLUG}/jwks".encode()
LIST_TOPIC = f"drivr/v1/{SLUG}/authorization/localApiTokens/{SYSTEM_UUID}".encode()
INTERPRETERS = ("cpython", "micropython")

# Hasty enough for tests; the proportions are those of a device.
HASTY = {
    "connect_ms": 1500,
    "packet_ms": 700,
    "rate_bytes_s": 20000,
    "keepalive_s": 1,
    "answer_ms": 700,
    "first_ms": 10,
    "ceiling_ms": 20,
    "stable_ms": 300,
    "slice_ms": 50,
    "handover_ms": 5000,
}


def until(what, timeout_s=30, step_s=0.02):
    """The first true value of ``what()``; fails the test after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < deadline, "nothing came of it in time"
        time.sleep(step_s)


class Device:
    """A process of fakes/link_desk.py. ``told()`` is its GET /test; ``lines`` what it printed so far."""

    def __init__(self, interpreter, folder, broker_port, heapsize="256K", env=None, later_umqtt=False, **options):
        self.port = free_port()
        timing = {**HASTY, **options.pop("timing", {})}
        words = {"folder": str(folder), "port": broker_port, "api_port": self.port, "timing": timing, **options}
        self._store = tempfile.TemporaryDirectory(prefix="latchkey-")
        words["store"] = self._store.name
        self.lines = []
        self.process = children.spawn(
            self._command(interpreter, heapsize),
            env={**os.environ, **self._paths(interpreter, later_umqtt), "LINK_DESK": json.dumps(words), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        until(lambda: "ready" in self.lines or self.process.poll() is not None)
        assert self.alive, self.lines

    def _command(self, interpreter, heapsize):
        script = ["-c", "import link_desk; link_desk.main()"]
        if interpreter == "cpython":
            return [sys.executable, *script]
        # Collecting often while modules load keeps a small heap in one piece.
        script[1] = "import gc; gc.threshold(16384); " + script[1]
        return [build.micropython(), "-X", f"heapsize={heapsize}", *script]

    def _paths(self, interpreter, later_umqtt):
        if interpreter == "cpython":
            mqtt = HERE / "fakes" / "later_umqtt" if later_umqtt else umqtt.fetch()
            folders = (HERE / "fakes", HERE / "shims", ADAPTERS, HERE.parent / "firmware", mqtt)
            return {"PYTHONPATH": os.pathsep.join(map(str, folders))}
        folders = (build.compile_firmware(), compiled_fakes(), compiled_umqtt())
        return {"MICROPYPATH": ":".join([".frozen", *map(str, folders)])}

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def alive(self):
        return self.process.poll() is None

    def get(self, path="/v1/info", timeout_s=10):
        """(status, JSON) of a local request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def told(self):
        status, facts = self.get("/test")
        assert status == 200, facts
        return facts

    def link(self):
        return self.told()["link"]

    def wait_for(self, state, reason=None, timeout_s=30):
        """Wait for the link's state and, if given, reason."""
        deadline = time.monotonic() + timeout_s
        while True:
            assert self.alive, self.lines[-20:]
            link = self.link()
            if link["state"] == state and reason in (None, link["reason"]):
                return link
            assert time.monotonic() < deadline, (link, self.lines[-20:])
            time.sleep(0.02)

    def wait_logged(self, words, timeout_s=30, since=0):
        """Wait until a line with ``words`` was printed after line ``since``."""
        until(lambda: any(words in line for line in self.lines[since:]) or not self.alive, timeout_s)
        assert self.alive, self.lines[-20:]

    def footprint(self):
        """(free heap bytes, descriptors, threads) once things have settled: the best of a few looks."""
        free, descriptors = 0, 9999
        for _ in range(8):
            free = max(free, self.told()["free"])
            time.sleep(0.05)
            descriptors = min(descriptors, len(os.listdir(f"/proc/{self.process.pid}/fd")))
        return free, descriptors, len(os.listdir(f"/proc/{self.process.pid}/task"))

    def close(self):
        children.end(self.process)
        self._reader.join(2)
        self.process.stdout.close()
        self._store.cleanup()


@contextlib.contextmanager
def device(*args, **kwargs):
    one = Device(*args, **kwargs)
    try:
        yield one
    finally:
        one.close()


def compiled_fakes():
    """The fakes as .mpy: compiling from source takes more heap than a board has."""
    folder = build.BUILD / "mpy" / "fakes"
    for path in (HERE / "fakes" / "fake_device.py", HERE / "fakes" / "link_desk.py", *ADAPTERS.glob("*.py")):
        build.compile_file(path, folder / f"{path.stem}.mpy", "x64", path.name)
    return folder


def compiled_umqtt():
    folder = build.BUILD / "mpy" / "umqtt"
    simple = umqtt.fetch() / "umqtt" / "simple.py"
    build.compile_file(simple, folder / "umqtt" / "simple.mpy", "x64", "umqtt/simple.py")
    return folder


# Packets of MQTT 3.1.1 as a broker writes them

CONNACK = b"\x20\x02\x00\x00"
PINGRESP = b"\xd0\x00"


def remaining(n):
    out = bytearray()
    while True:
        n, digit = n >> 7, n & 127
        out.append(digit | (128 if n else 0))
        if not n:
            return bytes(out)


def publish(topic, payload, retained=True, qos=0, pid=7):
    body = len(topic).to_bytes(2, "big") + topic + (pid.to_bytes(2, "big") if qos else b"") + payload
    return bytes((0x30 | retained | qos << 1,)) + remaining(len(body)) + body


def suback(pid, code=0):
    return bytes((0x90, 3, pid >> 8, pid & 255, code))


class Peer:
    """One connection at the hostile broker: raw bytes over TLS. ``broker`` counts what arrives."""

    def __init__(self, tls):
        self.tls = tls

    def send(self, data):
        self.tls.sendall(data)

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.tls.recv(n - len(data))
            if not more:
                raise ConnectionError("the device closed")
            data += more
        return data

    def packet(self):
        """(first byte, body) of the device's next packet."""
        first = self.read(1)[0]
        size = shift = 0
        while True:
            digit = self.read(1)[0]
            size |= (digit & 127) << shift
            shift += 7
            if not digit & 128:
                return first, self.read(size)

    def expect(self, kind):
        """Body of the next packet of this kind; pings in between are answered, acknowledgements passed over."""
        while True:
            first, body = self.packet()
            if first == kind:
                return body
            assert first in (0xC0, 0x40), (hex(first), body)
            if first == 0xC0:
                self.send(PINGRESP)

    def welcome(self):
        """CONNECT and both subscriptions, all granted."""
        self.expect(0x10)
        self.send(CONNACK)
        for _ in range(2):
            self.send(suback(int.from_bytes(self.expect(0x82)[:2], "big")))

    def stay(self):
        """Answer pings until the device goes."""
        while True:
            self.expect(0)

    def wait_closed(self, timeout_s=8):
        """Read on until the device closes, answering nothing."""
        self.tls.settimeout(timeout_s)
        while self.tls.recv(4096):
            pass


class HostileBroker:
    """Listens with a right certificate and lets ``script(peer)``, settable at any time, talk to each connection."""

    def __init__(self, pki, script, identity=None):
        self.script = script
        self.connections = 0
        self.failures = []
        self._peers = set()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        identity = identity or pki.broker
        self._context.load_cert_chain(identity.cert_pem, identity.key_pem)
        self._context.load_verify_locations(pki.ca.cert_pem)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def drop(self):
        """Cut every connection there is."""
        for sock in list(self._peers):
            with contextlib.suppress(OSError):
                # The plain socket's: an SSLSocket's own drops its TLS first, and a script in another thread would
                # then read the records of a session as if they were packets.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self):
        # shutdown wakes the thread in accept; close alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        self._thread.join(2)

    def _listen(self):
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain):
        self._peers.add(plain)
        tls = None
        plain.settimeout(30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            tls = self._context.wrap_socket(plain, server_side=True)
            self._peers.discard(plain)
            self._peers.add(tls)
            with contextlib.closing(tls):
                self.script(Peer(tls))
        except (OSError, ValueError):
            pass
        except AssertionError as e:
            self.failures.append(e)
        finally:
            self._peers -= {plain, tls}
            plain.close()


@contextlib.contextmanager
def hostile(*args, **kwargs):
    broker = HostileBroker(*args, **kwargs)
    try:
        yield broker
    finally:
        broker.close()


# Messages of the cloud


def _b64url(number):
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@functools.cache
def rsa_numbers(kid):
    return rsa.generate_private_key(65537, 2048).public_key().public_numbers()


def key_set(*kids):
    """Bytes of a JWKS with a key of its own for each kid."""
    keys = [{"n": _b64url(rsa_numbers(k).n), "e": _b64url(rsa_numbers(k).e), "kty": "RSA", "kid": k} for k in kids]
    return json.dumps({"keys": keys}).encode()


def token_list(count, padding=0):
    """Bytes of a list of that many activated tokens."""
    return json.dumps([_record(i, padding) for i in range(count)]).encode()


def _record(i, padding):
    return {
        "uuid": f"b70f330a-c8d1-4bf8-8763-{i:012x}",
        "createdAt": "2025-05-12T14:59:06.718846",
        "updatedAt": "2025-05-12T14:59:06.936417",
        "status": "ACTIVATED",
        "expiresAt": None,
        "notBefore": "2025-05-12T14:59:06+00:00",
        "systemUuid": SYSTEM_UUID,
        "roles": [{"uuid": "8d86661d-985d-4878-a8f5-69723acfa364", "name": "Domain Owner"}],
        "token": "CLOUD-" + "x" * padding,
        "subject": {"uuid": "3348037a-9f5d-425e-b593-11e6e7437b74", "name": "DrivrUser", "type": "USER"},
    }
