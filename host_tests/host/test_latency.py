"""The measure that counts: how long a local request takes while the broker is in every kind of trouble.

On the unix port, which has a thread without GIL for the link. A chip adds the arithmetic of a TLS handshake, which
holds its one interpreter for a second or so (docs/differences.md).
"""

import contextlib
import socket
import time

import pytest
from cloud_rig import KEYS_TOPIC, LIST_TOPIC, SYSTEM_UUID, device, free_port, hostile, key_set, publish, token_list

import counts
from latchkey_tools.sim import pki

REQUESTS = 200
ROUNDS = counts.get("latency_rounds")
MORE_ROUNDS = 10


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"), "company-example", SYSTEM_UUID)


def healthy(peer):
    peer.welcome()
    peer.send(publish(KEYS_TOPIC, key_set("one")) + publish(LIST_TOPIC, token_list(2)))
    peer.stay()


def stalled(peer):
    peer.welcome()
    peer.send(publish(LIST_TOPIC, token_list(50))[:-3000])
    peer.stay()


def slow_list(peer):
    """A list of 1 MB over and over, each taking some seconds."""
    peer.welcome()
    packet = publish(LIST_TOPIC, token_list(800, 1000))
    assert len(packet) > 1 << 20
    while True:
        for at in range(0, len(packet), 8192):
            peer.send(packet[at : at + 8192])
            time.sleep(0.02)


@contextlib.contextmanager
def black_hole():
    """A port that swallows SYNs: a listener whose queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        time.sleep(0.1)
        yield listener.getsockname()[1]


def measure(desk):
    """(p50, p99) in milliseconds."""
    times = []
    for _ in range(REQUESTS):
        since = time.perf_counter()
        assert desk.get()[0] == 200
        times.append((time.perf_counter() - since) * 1000)
        time.sleep(0.003)
    times.sort()
    return times[len(times) // 2], times[int(len(times) * 0.99) - 1]


def best(desk, bound):
    """The round with the least p99, of some more until one is below ``bound``: other tests may share this machine's
    cores."""
    rounds = [measure(desk) for _ in range(ROUNDS)]
    while len(rounds) < ROUNDS + MORE_ROUNDS and min(p99 for _, p99 in rounds) >= bound:
        rounds.append(measure(desk))
    return min(rounds, key=lambda pair: pair[1])


# Patience like a device's: in trouble the thread sits in its wait, it does not give up.
PATIENT = {"connect_ms": 20000, "packet_ms": 60000, "rate_bytes_s": 2048, "keepalive_s": 10, "answer_ms": 15000}


@contextlib.contextmanager
def desk_with(made, condition):
    with contextlib.ExitStack() as stack:
        if condition == "refusing":
            port = free_port()
        elif condition == "black hole":
            port = stack.enter_context(black_hole())
        else:
            scripts = {"healthy": healthy, "stalled in mid-packet": stalled, "a slow list of 1 MB": slow_list}
            port = stack.enter_context(hostile(made, scripts[condition])).port
        yield stack.enter_context(device("micropython", made.folder, port, timing=PATIENT))


def in_trouble(desk, condition):
    """Whether the link is where the condition wants it."""
    link, seen = desk.link(), desk.told()["seen"]
    if condition == "refusing":
        return link["reason"] == "refused"
    if condition == "black hole":
        return link["state"] == "connecting"
    if condition == "healthy":
        return link["state"] == "online" and seen.get("list_commit")
    return link["state"] == "online" and seen.get("list_begin", 0) > seen.get("list_commit", 0)


def wait_for_trouble(desk, condition):
    deadline = time.monotonic() + 20
    while not in_trouble(desk, condition):
        assert time.monotonic() < deadline, (condition, desk.told())
        time.sleep(0.05)


def test_local_requests_are_answered_as_fast_in_trouble_as_in_peace(made, record_property):
    figures, bound = {}, 250
    for condition in ("healthy", "refusing", "black hole", "stalled in mid-packet", "a slow list of 1 MB"):
        with desk_with(made, condition) as desk:
            wait_for_trouble(desk, condition)
            figures[condition] = best(desk, bound)
            # A blocked API is blocked for a wait of the link, hundreds of milliseconds and more.
            bound = min(250, max(50, 3 * figures["healthy"][1]))
            if condition != "refusing":
                wait_for_trouble(desk, condition)  # Still; for a moment between two lists it is not.
    for condition, (p50, p99) in figures.items():
        print(f"local API latency, broker {condition}: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
        record_property(condition, f"p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    assert {c: p99 for c, (_, p99) in figures.items() if p99 >= bound} == {}, figures
