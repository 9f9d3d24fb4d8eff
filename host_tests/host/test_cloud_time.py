"""The clock and the handshake: floor first, then NTP, then TLS, then trust (T1, T4)."""

import contextlib
import datetime
import socket
import struct
import threading
import time

import pytest
from cloud_rig import INTERPRETERS, SYSTEM_UUID, device, hostile, until

from latchkey_tools.sim import pki

UNIX_TO_NTP = 2208988800


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"), "company-example", SYSTEM_UUID)


@pytest.fixture(params=INTERPRETERS)
def interpreter(request):
    return request.param


def peace(peer):
    peer.welcome()
    peer.stay()


def answer(question, unix_s, first=0x24, stratum=2, echo=True):
    """An SNTP packet: RFC 4330 section 4."""
    stamp = question[40:48] if echo else b"another!"
    seconds = (int(unix_s) + UNIX_TO_NTP) % (1 << 32)
    return struct.pack("!BB22s8s8sII", first, stratum, bytes(22), stamp, bytes(8), seconds, 0)


@contextlib.contextmanager
def time_server(reply, host="127.0.0.1", port=0):
    """Port of a UDP server on ``host`` that sends each packet of ``reply(question)``."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, port))
        sock.settimeout(0.1)
        stop = threading.Event()

        def serve():
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    question, peer = sock.recvfrom(100)
                    for packet in reply(question):
                        sock.sendto(packet, peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            stop.set()
            thread.join(2)


def unset_desk(interpreter, made, broker, port, **options):
    timing = {"ntp_port": port, "ntp_ms": 400}
    options = {"ntp": ["127.0.0.1"], "clock": "unset", "timing": timing, **options}
    return device(interpreter, made.folder, broker.port, **options)


def test_an_unset_clock_is_set_by_ntp_and_trusted_after_the_handshake(made, interpreter):
    with hostile(made, peace) as broker, time_server(lambda q: [answer(q, time.time())]) as port:
        with unset_desk(interpreter, made, broker, port) as desk:
            desk.wait_for("online")
            floor = until(lambda: desk.told()["floor"])
            assert floor["trusted"] and abs(floor["clock_unix_s"] - time.time()) < 3
            assert abs(floor["floor_unix_s"] - time.time()) < 3


def test_without_ntp_the_clock_stands_at_the_floor_and_is_not_trusted(made, interpreter):
    start = int(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp())
    with hostile(made, peace) as broker, time_server(lambda q: []) as port:
        with unset_desk(interpreter, made, broker, port, floor=start) as desk:
            desk.wait_for("online")
            floor = desk.told()["floor"]
            assert not floor["trusted"] and 0 <= floor["clock_unix_s"] - start < 10


@pytest.mark.parametrize(
    "forged",
    [
        lambda q: [answer(q, time.time(), echo=False)],
        lambda q: [answer(q, time.time(), first=0xE4)],
        lambda q: [answer(q, time.time(), first=0x23)],
        lambda q: [answer(q, time.time(), stratum=0)],
        lambda q: [answer(q, time.time())[:47]],
        lambda q: [b"", b"x" * 90],
        lambda q: [answer(q, 1500000000)],
        lambda q: [answer(q, time.time() + 30 * 365 * 86400)],
    ],
    ids=[
        "another stamp",
        "clock unsynchronised",
        "a client",
        "kiss of death",
        "short",
        "noise",
        "before the floor",
        "no certificate lives",
    ],
)
def test_an_ntp_answer_that_is_none_sets_nothing(made, forged):
    start = int(time.time()) - 86400
    with hostile(made, peace) as broker, time_server(forged) as port:
        with unset_desk("micropython", made, broker, port, floor=start) as desk:
            desk.wait_for("online")
            told = desk.told()
            assert "time" not in told["seen"] and not told["floor"]["trusted"]


def test_noise_before_the_answer_does_not_hide_it(made):
    with hostile(made, peace) as broker, time_server(lambda q: [b"noise", answer(q, time.time())]) as port:
        with unset_desk("micropython", made, broker, port) as desk:
            desk.wait_for("online")
            assert desk.told()["seen"]["time"] == 1


@pytest.mark.parametrize("wrong_s", [-7 * 86400, 30 * 365 * 86400], ids=["before the floor", "no certificate lives"])
def test_a_time_server_that_is_wrong_does_not_hide_the_next(made, interpreter, wrong_s):
    with hostile(made, peace) as broker, time_server(lambda q: [answer(q, time.time() + wrong_s)]) as port:
        with time_server(lambda q: [answer(q, time.time())], "127.0.0.2", port):
            options = {"floor": int(time.time()) - 86400, "ntp": ["127.0.0.1", "127.0.0.2"]}
            with unset_desk(interpreter, made, broker, port, **options) as desk:
                desk.wait_for("online")
                floor = until(lambda: desk.told()["floor"])
                assert floor["trusted"] and abs(floor["clock_unix_s"] - time.time()) < 3
