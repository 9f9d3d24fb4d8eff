"""A desk that takes a maker's releases with a token alone, and what a test asks of it."""

import contextlib
import functools
import http.client
import json
import time

from technician import key_set, make_token

from latchkey_tools.desk import unix_board

# A minute is one second then, and fifteen are nine.
HURRY = 100


@contextlib.contextmanager
def running(folder, maker):
    """The desk, provisioned with the keys of ``maker``."""
    with unix_board.Desk(folder / "desk", hurry=HURRY) as desk:
        desk.power_on().provision(maker.provisioning(folder, key_set(), updates="configure_plain"))
        yield desk


@functools.cache
def token():
    """One for all calls: each new one would cost of the budget for unknown tokens (V9)."""
    return make_token()


def call(desk, method, path, body=None, **headers):
    """(status, answer); OSError while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=20)
    try:
        connection.request(method, path, body, {"Authorization": "Bearer " + token()} | headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except http.client.HTTPException as exc:
        raise ConnectionError(str(exc)) from exc
    finally:
        connection.close()


def send(desk, release):
    kind = {"Content-Type": "application/octet-stream"}
    return call(desk, "PUT", "/v1/firmware", release, **kind)


def firmware(desk):
    """GET /v1/firmware, or {} while nobody answers it."""
    try:
        status, answer = call(desk, "GET", "/v1/firmware")
    except OSError:
        return {}
    return answer if status == 200 else {}


def until(desk, check, within_s=60):
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, desk.last_words()
        time.sleep(0.1)


def good(desk):
    return firmware(desk).get("state") == "good"
