"""HTTPS on the unix port when a certificate is provisioned (A2): two sessions at most; the plain port refuses more."""

import contextlib
import json
import socket
import ssl
import time

import api_process
import httpx
import pytest

from latchkey_tools.sim import pki

READ = {"Authorization": "Bearer CLOUD-read"}
CONFIGURE = {"Authorization": "Bearer CLOUD-configure"}
TOKEN = b"Authorization: Bearer CLOUD-read\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def device(authority):
    options = {"cert": authority.broker.cert_der, "key": authority.broker.key_der, "channel": "lan"}
    with api_process.running(heapsize="512K", REQUEST_MS=2000, **options) as process:
        yield process


@pytest.fixture
def trust(authority):
    return ssl.create_default_context(cafile=authority.ca.cert_pem)


def connect_tls(device, trust):
    sock = socket.create_connection(("127.0.0.1", device.tls_port), 10)
    return trust.wrap_socket(sock, server_hostname="127.0.0.1")


def wait_empty(device):
    for _ in range(100):
        if json.loads(device.tell("status"))["connections"] == 0:
            return
        time.sleep(0.05)
    raise AssertionError("connections stay")


def test_https_serves_everything_to_the_permitted(device, trust):
    with httpx.Client(base_url=f"https://127.0.0.1:{device.tls_port}", verify=trust) as client:
        assert client.get("/v1/info").status_code == 200
        assert client.get("/v1/log", headers=CONFIGURE).status_code == 200
        assert client.patch("/v1/state", headers=CONFIGURE, json={"on": True}).json()["on"] is True
        assert client.get("/v1/state").status_code == 401


def test_the_plain_port_answers_only_info_and_426(device):
    with httpx.Client(base_url=device.url) as client:
        assert client.get("/v1/info").status_code == 200
        answer = client.get("/v1/state", headers=READ)
        assert (answer.status_code, answer.json()["code"]) == (426, "tls_required")
        assert answer.headers["upgrade"].startswith("TLS/1.2")


def ask(guest, *lines):
    guest.sendall(b"GET /v1/state HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"".join(lines) + b"\r\n")
    return guest.recv(1000)


def test_two_sessions_at_most_and_who_showed_a_token_stays(device, trust):
    wait_empty(device)
    with connect_tls(device, trust) as known, connect_tls(device, trust) as stranger:
        assert ask(known, TOKEN).startswith(b"HTTP/1.1 200 ")
        assert ask(stranger).startswith(b"HTTP/1.1 401 ")
        with connect_tls(device, trust) as third:
            assert ask(third).startswith(b"HTTP/1.1 401 ")
            assert stranger.recv(1000) == b""
            assert json.loads(device.tell("status"))["tls_sessions"] == 2
            assert ask(known, TOKEN).startswith(b"HTTP/1.1 200 ")
    wait_empty(device)
    connect_tls(device, trust).close()


def test_one_listener_and_one_place_for_whoever_comes_next(device, trust):
    wait_empty(device)
    events = b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n" + TOKEN + b"\r\n"
    with connect_tls(device, trust) as listener, connect_tls(device, trust) as second:
        listener.sendall(events)
        assert listener.recv(1000).startswith(b"HTTP/1.1 200 ")
        second.sendall(events)
        assert second.recv(1000).startswith(b"HTTP/1.1 503 full_house")
        with connect_tls(device, trust) as third:
            assert ask(third, TOKEN).startswith(b"HTTP/1.1 200 ")
    wait_empty(device)


def test_who_never_finishes_the_handshake_is_let_go(device):
    wait_empty(device)
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", device.tls_port), 10) as sock:
        assert sock.recv(100) == b""
    assert 1.5 < time.monotonic() - began < 5
    wait_empty(device)


def test_plain_words_on_the_tls_port_do_no_harm(device, trust):
    for words in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 600, b"\0" * 5000):
        with socket.create_connection(("127.0.0.1", device.tls_port), 10) as sock:
            with contextlib.suppress(ConnectionError):
                sock.sendall(words)
                while sock.recv(1000):
                    pass
    wait_empty(device)
    connect_tls(device, trust).close()


def test_sessions_leave_no_heap_behind(device, trust):
    def heap_after(sessions):
        for _ in range(sessions):
            with connect_tls(device, trust) as sock:
                sock.sendall(b"GET /v1/info HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")
        wait_empty(device)
        return int(device.tell("heap"))

    before = heap_after(3)
    assert heap_after(15) <= before + 4096
