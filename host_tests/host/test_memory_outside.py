"""Memory that Wi-Fi, threads and TLS share is looked at before it is asked for; a failure has a clear reason."""

import asyncio
import socket

import pytest
from fake_clock import FakeClock
from fake_device import FakeBoard
from fake_link import CONFIG, DER

from latchkey.cloud.link import Link
from latchkey.cloud.reasons import LinkError
from latchkey.hw import memory
from latchkey.net import thread
from latchkey.net.server import Server
from latchkey.net.transport import Transport


@pytest.fixture
def regions(monkeypatch):
    """ESP-IDF's report of its heap: (size, free, largest block, least that was ever free) of each region."""

    def say(*found):
        monkeypatch.setattr(memory, "idf_heap_info", lambda _kind: found)

    return say


def test_the_desk_has_no_such_memory(monkeypatch):
    monkeypatch.setattr(memory, "idf_heap_info", None)
    assert memory.outside() == {} and memory.tls_fits()


def test_the_regions_of_a_heap_are_one_figure_each(regions):
    regions((100000, 60000, 50000, 40000), (16000, 9000, 8000, 7000))
    assert memory.outside() == {"idf_free_bytes": 69000, "idf_largest_bytes": 50000, "idf_lowest_bytes": 47000}


@pytest.mark.parametrize(
    "free,largest,fits", [(28672, 17408, True), (28671, 17408, False), (90000, 17407, False), (0, 0, False)]
)
def test_a_session_needs_its_memory_and_its_largest_piece(regions, free, largest, fits):
    regions((100000, free, largest, 0))
    assert memory.tls_fits() is fits


def test_a_session_that_does_not_fit_is_not_begun(regions):
    regions((100000, 20000, 10000, 0))
    with pytest.raises(LinkError) as refused:
        Transport(None, FakeClock(), 10, lambda: None).connect(("127.0.0.1", 1))
    assert refused.value.code == "no_memory"


def test_an_https_connection_that_does_not_fit_is_closed_and_counted(regions):
    regions((100000, 20000, 10000, 0))

    class Api:
        streams = 0

    async def call():
        server = Server(Api(), FakeBoard(FakeClock().now_ms), object())
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        caller = socket.create_connection(listener.getsockname())
        await server._welcome(listener, server.tls)
        caller.settimeout(10)
        with caller, listener:
            return caller.recv(1), server.status()

    received, status = asyncio.run(call())
    assert received == b"" and status["tls_no_memory"] == 1 and status["connections"] == 0


@pytest.mark.parametrize("failure", [OSError("can't create thread"), RuntimeError("no thread"), MemoryError()])
def test_a_link_without_memory_for_its_thread_says_so_and_tries_again(monkeypatch, failure):
    clock, log, begun = FakeClock(), [], []
    monkeypatch.setattr(thread, "_slot", [None, False])

    def refuse(*_):
        raise failure

    link = Link(CONFIG, DER, None, clock, 0, log.append)
    monkeypatch.setattr(thread._thread, "start_new_thread", refuse)
    link.start()
    assert (link.state, link.reason) == ("waiting", "no_memory") and log == ["cloud: waiting no_memory"]
    before = link.turns
    link.pump(None)
    assert link.turns != before  # the watchdog is fed: local requests are served
    monkeypatch.setattr(thread._thread, "start_new_thread", lambda *call: begun.append(call))
    link.pump(None)
    assert not begun
    clock.pass_s(30)
    link.pump(None)
    link.pump(None)
    assert len(begun) == 1 and thread._slot == [link, True]


@pytest.mark.parametrize(
    "exc,short",
    [
        (MemoryError(), True),
        (OSError(12), True),
        (OSError("WiFi Out of Memory"), True),
        (OSError("can't create thread"), True),
        (OSError(5), False),
        (ValueError("x"), False),
    ],
)
def test_which_failures_are_for_want_of_memory(exc, short):
    assert memory.was_short(exc) is short
