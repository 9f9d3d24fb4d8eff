"""PUT /v1/firmware over real connections to the unix port: slow, broken and crossing uploads, and what they cost."""

import contextlib
import ssl
import threading
import time

import api_process
import httpx
import pytest
from api_process import read_all
from cloud_rig import until
from updating import PAYLOAD, SIGNED

from latchkey_tools.sim import pki

CONFIGURE = {"Authorization": "Bearer CLOUD-configure"}
OCTETS = CONFIGURE | {"Content-Type": "application/octet-stream"}
PIECE_MS = 1000  # where somebody drips
LINE = (SIGNED["good"]["release"] + "\n").encode()


@pytest.fixture
def device():
    with api_process.running(setup=1, heapsize="1M") as process:
        yield process


def put(device, body, **params):
    return httpx.put(device.url + "/v1/firmware", params=params, headers=OCTETS, content=body, timeout=20)


def firmware(device):
    return httpx.get(device.url + "/v1/firmware", headers=CONFIGURE).json()


def head(length, *more):
    lines = ["PUT /v1/firmware HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *more]
    lines += [f"{name}: {value}" for name, value in OCTETS.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def begun(device, count):
    """A connection that has sent ``count`` bytes of the payload, once the device has them."""
    sock = device.connect()
    sock.sendall(head(len(LINE) + len(PAYLOAD)) + LINE + PAYLOAD[:count])
    until(lambda: (firmware(device)["upload"] or {}).get("received") == count // 1024 * 1024, 10)
    return sock


def test_a_release_goes_over_a_connection_and_one_request_follows(device):
    with httpx.Client(base_url=device.url, headers=OCTETS) as client:
        answer = client.put("/v1/firmware", content=LINE + PAYLOAD)
        assert (answer.status_code, answer.json()) == (202, {"state": "restarting", "version": "1.2.3"})
        assert client.get("/v1/state").status_code == 200
    assert firmware(device)["upload"]["received"] == len(PAYLOAD)


def test_over_https_too(tmp_path):
    authority = pki.make(tmp_path)
    trust = ssl.create_default_context(cafile=authority.ca.cert_pem)
    files = {"cert": authority.broker.cert_der, "key": authority.broker.key_der}
    with api_process.running(setup=1, heapsize="1M", **files) as device:
        url = f"https://localhost:{device.tls_port}/v1/firmware"
        answer = httpx.put(url, headers=OCTETS, content=LINE + PAYLOAD, verify=trust)
        assert (answer.status_code, answer.json()["state"]) == (202, "restarting")


def test_a_client_that_expects_to_be_told_is_told_and_bytes_behind_the_body_are_a_request(device):
    with device.connect() as sock:
        sock.sendall(head(len(LINE) + len(PAYLOAD), "Expect: 100-continue"))
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(LINE + PAYLOAD + b"GET /v1/info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answers = read_all(sock)
    assert answers.count(b"HTTP/1.1 202 ") == 1 and answers.count(b"HTTP/1.1 200 ") == 1, answers


def test_who_drips_is_late_and_may_go_on_later():
    with api_process.running(setup=1, heapsize="1M", PIECE_MS=PIECE_MS) as device, begun(device, 8192) as sock:
        began = time.monotonic()
        answers = []
        reader = threading.Thread(target=lambda: answers.append(read_all(sock)))
        reader.start()
        with contextlib.suppress(OSError):
            for byte in PAYLOAD[8192:]:
                sock.sendall(bytes([byte]))
                time.sleep(0.05)
                if not firmware(device)["upload"]["running"]:
                    break
        reader.join()
        assert b"HTTP/1.1 408 " in answers[0]
        assert time.monotonic() - began < 60
        assert firmware(device)["upload"]["running"] is False
        assert put(device, LINE + PAYLOAD[8192:], **{"from": 8192}).status_code == 202


def test_who_leaves_may_go_on_later_and_blocks_nobody(device):
    begun(device, 8192).close()
    until(lambda: not firmware(device)["upload"]["running"], 10)
    assert put(device, LINE + PAYLOAD[8192:], **{"from": 8192}).status_code == 202


def test_of_two_at_once_the_first_goes_on(device):
    with begun(device, 8192) as sock:
        second = put(device, LINE + PAYLOAD)
        assert (second.status_code, second.json()) == (409, {"code": "update_running"})
        sock.sendall(PAYLOAD[8192:])
        assert sock.recv(4096).startswith(b"HTTP/1.1 202 ")


def test_another_media_type_and_a_body_without_length_are_refused(device):
    answer = httpx.put(device.url + "/v1/firmware", headers=CONFIGURE, json={})
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type")
    answer = httpx.put(device.url + "/v1/firmware", headers=OCTETS, content=iter([LINE]))
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")
