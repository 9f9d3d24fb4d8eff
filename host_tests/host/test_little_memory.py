"""A change that is answered as failed has not happened, however little memory was left (A12)."""

import concurrent.futures
import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
from pathlib import Path

import on_port
import pytest

import counts
from latchkey_tools.boards import build
from latchkey_tools.desk import children
from latchkey_tools.sim import pki
from latchkey_tools.sim.broker import free_port

HERE = Path(__file__).resolve().parent.parent
STEP = counts.get("memory_step_bytes"), counts.get("served_step_bytes")
DEADLINE_S = 0.8  # what little_server.py gives a request, and some
TRUST = ssl.create_default_context()
TRUST.check_hostname, TRUST.verify_mode = False, ssl.CERT_NONE
HEAD = "{} {} HTTP/1.1\r\nHost: lamp.local\r\nConnection: close\r\nAuthorization: Bearer CLOUD-Domain Owner\r\n"


def test_a_change_is_answered_as_what_became_of_it():
    printed = on_port.run("little_memory.py", str(STEP[0]), heapsize="1M", timeout_s=500)
    routes = [json.loads(line) for line in printed.splitlines()]
    assert len(routes) == 9
    for route in routes:
        assert route["status"] in (200, 202) and route["least"] > 1000
        assert route["wrong"] == []


def test_a_body_in_pieces_is_answered_as_what_became_of_it():
    printed = on_port.run("little_upload.py", str(2 * STEP[0]), heapsize="1M", timeout_s=500)
    bodies = [json.loads(line) for line in printed.splitlines()]
    assert [body["status"] for body in bodies] == [202, 202, 202, 200, 200]
    for body in bodies:
        assert body["least"] > 1000
        assert body["wrong"] == []


def test_who_did_what_is_answered_in_pieces():
    """In one piece the answer took 34,304 bytes."""
    free_bytes, size = map(int, on_port.run("full_uses.py", "1024").split())
    assert size > 5000
    assert free_bytes <= 10240


def test_letting_connections_go_allocates_nothing():
    assert on_port.run("let_go_locked.py") == "1 2 1 None\nclosed\nclosed\n"


def test_micropython_s_poller_does_not_survive_a_registration_halfway():
    """So server.ready makes sure of memory first. When this fails, the port has mended it."""
    with pytest.raises(AssertionError) as found:
        on_port.run("poll_halfway.py")
    assert str(found.value).startswith("registered halfway\n") and "survived" not in str(found.value)


class LittleServer:
    """bench/little_server.py as a process. ``changes``: what it serves that changes something."""

    def __init__(self, authority):
        self.ports = free_port(), free_port(), free_port()
        path = ":".join([".frozen", str(build.compile_firmware()), str(HERE / "fakes"), str(HERE / "bench")])
        words = [HERE / "bench" / "little_server.py", *self.ports, authority.broker.cert_der, authority.broker.key_der]
        self.process = children.spawn(
            [build.micropython(), "-X", "heapsize=2M", *words],
            env={**os.environ, "MICROPYPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        line = self.process.stdout.readline()
        if line != "ready\n":
            raise RuntimeError(line + self.process.communicate()[0])
        self.control = socket.create_connection(("127.0.0.1", self.ports[1]), 20)
        self.lines = self.control.makefile("r")
        self.changes = self.tell("changes")

    def tell(self, line):
        self.control.sendall(line.encode() + b"\n")
        said = self.lines.readline()
        assert said, self.process.communicate()[0]
        return said if said == "full\n" else json.loads(said)

    def close(self):
        self.control.close()
        self.process.kill()
        self.process.communicate()

    def tried(self, change, free_bytes, tls, how="try"):
        """(status or None, facts before and after, whether memory was given back first): one request while
        ``free_bytes`` of heap are left; ``how`` "break": while it is free in pieces of so many alone."""
        assert self.tell(f"{how} {free_bytes}") == "full\n"
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answer = pool.submit(exchanged, self.ports[2 if tls else 0], tls, *change)
            concurrent.futures.wait([answer], DEADLINE_S)
            late = not answer.done()
            self.control.sendall(b"\n")
            status = status_of(answer.result())
        self.control.sendall(b"\n")
        facts = json.loads(self.lines.readline())
        assert facts["overdue"] == 0
        return status, facts["before"], facts["after"], late


def exchanged(port, tls, method, path, body):
    """All that is answered until the other side closes."""
    data = json.dumps(body).encode() if body else b""
    lines = [f"Content-Length: {len(data)}\r\nContent-Type: application/json\r\n"] if data else []
    sock = socket.create_connection(("127.0.0.1", port), 10)
    answer = b""
    try:
        if tls:
            sock = TRUST.wrap_socket(sock)
        sock.sendall("".join([HEAD.format(method, path), *lines, "\r\n"]).encode() + data)
        while part := sock.recv(5000):
            answer += part
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        sock.close()
    return answer


def status_of(answer):
    """Of a whole answer; None for a connection that was closed. ValueError, AssertionError for half of one."""
    if not answer:
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    assert len(body) == int(re.search(rb"Content-Length: (\d+)", head)[1])
    json.loads(body)
    return int(head[9:12])


def broken(status, before, after):
    if after[0] != after[1]:
        return "RAM is not flash"
    done = status is not None and status < 300
    if done == (after == before):
        return "done and not kept" if done else "failed and happened"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with contextlib.closing(LittleServer(pki.make(tmp_path_factory.mktemp("pki")))) as started:
        yield started


@pytest.mark.parametrize("tls", [False, True])
def test_every_connection_gets_an_answer_or_is_closed(server, tls):
    for change in server.changes:
        free_bytes, done = 0, False
        while not done:
            # Until it is accepted it may wait for memory; then it is served.
            status, before, after, waited = server.tried(change, free_bytes, tls)
            assert not broken(status, before, after), (change, free_bytes, status, before, after)
            done = not waited and status is not None and status < 300
            free_bytes += STEP[1]
            assert free_bytes < 60000
        # Memory is back: it serves again.
        assert server.tried(change, 100000, tls)[0] in (200, 202)


READS = ("info", "state", "whoami", "diagnostics", "log", "config", "pairing", "uses", "tokens", "pairing/networks")
PIECE_BYTES = 1024


def test_memory_that_is_free_in_small_pieces_is_enough(server):
    for change in [("GET", f"/v1/{path}", None) for path in READS] + server.changes:
        status, _, _, waited = server.tried(change, PIECE_BYTES, False, "break")
        assert status in (200, 202) and not waited, (change, status, waited)


@pytest.mark.parametrize("size,key_set", [(PIECE_BYTES, None), (2 * PIECE_BYTES, 200)])
def test_it_is_for_a_body_in_pieces_too(size, key_set):
    """A key set is parsed in a window of 1.8 KB."""
    printed = on_port.run("little_upload.py", str(size), "break", heapsize="1M", timeout_s=500)
    bodies = [json.loads(line) for line in printed.splitlines()]
    assert [body["status"] for body in bodies] == [202, 202, 202, 200, key_set or 500]
    assert [body["wrong"] for body in bodies] == [[]] * 5
