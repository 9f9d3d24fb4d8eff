"""The same server on CPython: the hostile table, HTTPS, events and the deadline."""

import asyncio
import contextlib
import ssl
import threading

import api_process
import httpx
import port_sockets
import pytest
import test_server_hostile as hostile
from desk import DeskLight
from deskclock import DeskClock
from fake_device import FakeBoard, FakeDevice, FakeVerifier

from latchkey.api.handlers import Api
from latchkey.net import connection, server
from latchkey.products import bulb
from latchkey_tools.sim import pki
from latchkey_tools.sim.broker import free_port

port_sockets.install(server, connection)
READ = {"Authorization": "Bearer CLOUD-read"}


class InProcess:
    """The server in a thread of this process, with what test_server_hostile asks of a device."""

    def __init__(self, tls=None):
        self.port, self.tls_port = free_port(), free_port()
        self.tls = tls
        self.api = Api(FakeDevice(), FakeVerifier(), bulb.Product(DeskLight(lambda _text: None), "rgb"))
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.thread.start()
        assert self.ready.wait(5)

    async def _run(self):
        board = FakeBoard(DeskClock().now_ms, self.port, self.tls_port)
        self.server = server.Server(self.api, board, self.tls)
        self.loop, self.done = asyncio.get_running_loop(), asyncio.Event()
        await self.server.start()
        self.ready.set()
        await self.done.wait()

    def close(self):
        self.loop.call_soon_threadsafe(self.done.set)
        self.thread.join(5)
        assert not self.thread.is_alive()

    connect = api_process.ApiProcess.connect
    url = api_process.ApiProcess.url


@pytest.fixture(scope="module")
def device():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "CONNECTIONS", 16)
        with contextlib.closing(InProcess()) as started:
            yield started


@pytest.mark.parametrize("case", hostile.TABLE, ids=lambda case: case[0])
def test_each_hostile_request_gets_its_answer(device, case):
    hostile.test_each_hostile_request_gets_its_answer(device, case)


def test_a_stream_for_which_memory_ends_before_its_answer_gives_its_place_back(device, monkeypatch):
    def short(_place):
        raise MemoryError

    def kept(request, body, answer=device.api.answer, responses=[]):  # noqa: B006
        # CPython closes a generator that nobody holds; MicroPython does not.
        responses.append(answer(request, body))
        return responses[-1]

    monkeypatch.setattr(device.api, "answer", kept)
    with httpx.Client(base_url=device.url, headers=READ) as client:
        monkeypatch.setattr(device.server, "may_stay", short)
        for _ in range(3):
            with pytest.raises(httpx.RemoteProtocolError):
                client.get("/v1/events")
        monkeypatch.undo()
        assert device.api.streams == 0
        with client.stream("GET", "/v1/events") as stream:
            assert stream.status_code == 200


def test_a_request_whose_network_is_left_before_it_is_whole_is_not_answered(device, monkeypatch):
    with device.connect() as sock:
        sock.sendall(hostile.PATCH + b"Expect: 100-continue\r\nContent-Length: 11\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 100 ")
        before = device.api.changes
        monkeypatch.setattr(device.server.board, "channel", lambda _peer: None)
        sock.sendall(hostile.BODY)
        assert sock.recv(1000) == b"" and device.api.changes == before


def test_a_listener_hears_a_change(device):
    with httpx.Client(base_url=device.url, headers=READ) as client, client.stream("GET", "/v1/events") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("id: ")
        device.loop.call_soon_threadsafe(device.api.product.patch, {"on": True})
        assert any('"on": true' in line for line in lines)


def test_https_serves_beside_426(tmp_path):
    authority = pki.make(tmp_path / "pki")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.broker.cert_pem, authority.broker.key_pem)
    trust = ssl.create_default_context(cafile=authority.ca.cert_pem)
    with contextlib.closing(InProcess(tls=port_sockets.PortContext(context))) as device:
        with httpx.Client(base_url=f"https://127.0.0.1:{device.tls_port}", verify=trust, headers=READ) as client:
            assert client.get("/v1/state").status_code == 200
        assert httpx.get(device.url + "/v1/state", headers=READ).status_code == 426
