"""Real clients against the unix port: curl, httpx and aiohttp, with keep-alive and without; event streams."""

import asyncio
import contextlib
import json
import subprocess
import time

import aiohttp
import api_process
import httpx
import pytest

import counts
from needs import needs

READ = {"Authorization": "Bearer CLOUD-read"}
CONTROL = {"Authorization": "Bearer CLOUD-control"}
CONFIGURE = {"Authorization": "Bearer CLOUD-configure"}


@pytest.fixture(scope="module")
def device():
    with api_process.running(heapsize="512K", product="rgb") as process:
        yield process


def curl(*words):
    done = subprocess.run(["curl", "-sS", "-m", "10", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def bearer(word):
    return ("-H", f"Authorization: Bearer CLOUD-{word}")


def as_json(body):
    return ("-X", "PATCH", "-H", "Content-Type: application/json", "-d", json.dumps(body))


@needs("curl")
def test_curl_reads_and_switches(device):
    assert json.loads(curl(device.url + "/v1/info"))["product"] == "bulb"
    state = json.loads(curl(*bearer("control"), *as_json({"on": True, "brightness_pct": 30}), device.url + "/v1/state"))
    assert state["brightness_pct"] == 30
    assert json.loads(curl(*bearer("read"), device.url + "/v1/state")) == state


@needs("curl")
def test_curl_keeps_one_connection_for_several_requests(device):
    urls = [device.url + "/v1/info"] * 3
    assert curl("-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects}", *urls) == "100"


@needs("curl")
@pytest.mark.parametrize("how", [("--http1.0",), ("-H", "Connection: close"), ("-H", "Expect: 100-continue"), ("-I",)])
def test_curl_in_its_other_ways(device, how):
    assert curl(*how, "-w", "%{http_code}", "-o", "/dev/null", device.url + "/v1/info") == "200"


@needs("curl")
def test_curl_sees_why_it_was_refused(device):
    answer = curl("-i", device.url + "/v1/state")
    assert "\nWWW-Authenticate: Bearer\n" in answer and '"token_missing"' in answer
    answer = curl("-i", *bearer("expired"), device.url + "/v1/state")
    assert '\nWWW-Authenticate: Bearer error="invalid_token"\n' in answer


def test_httpx_with_and_without_keep_alive(device):
    for limits in (httpx.Limits(), httpx.Limits(max_keepalive_connections=0)):
        with httpx.Client(base_url=device.url, headers=CONTROL, limits=limits) as client:
            for level in (10, 20, 30):
                assert client.patch("/v1/state", json={"brightness_pct": level}).json()["brightness_pct"] == level
            assert client.get("/v1/nothing").status_code == 404
            broken = client.patch("/v1/state", content=b"{", headers={"Content-Type": "application/json"})
            assert broken.status_code == 400
            assert client.get("/v1/whoami").json()["permissions"] == ["read", "control"]


def test_aiohttp_as_home_assistant_uses_it(device):
    async def play():
        async with aiohttp.ClientSession(device.url, headers=CONTROL) as session:
            for on in (True, False):
                async with session.patch("/v1/state", json={"on": on}) as answer:
                    assert (await answer.json())["on"] is on
            async with session.get("/v1/state") as answer:
                assert answer.headers["Content-Type"] == "application/json"
                return await answer.json()

    assert asyncio.run(play())["on"] is False


def test_many_clients_at_once_all_get_answers(device):
    async def play():
        async with aiohttp.ClientSession(device.url, headers=READ) as session:

            async def one():
                async with session.get("/v1/state") as answer:
                    return answer.status

            return await asyncio.gather(*(one() for _ in range(12)))

    assert asyncio.run(play()) == [200] * 12


# Event streams


@contextlib.contextmanager
def listening(device, headers=READ):
    with httpx.Client(base_url=device.url, timeout=20) as client:
        with client.stream("GET", "/v1/events", headers=headers) as stream:
            yield stream


def next_event(lines):
    """(event, data) of the next event; heartbeats are passed over."""
    fields = {}
    for line in lines:
        if not line and "data" in fields:
            return fields["event"], json.loads(fields["data"])
        name, _, value = line.partition(": ")
        fields[name] = value
    return None


def change(device, **fields):
    assert httpx.patch(device.url + "/v1/state", headers=CONTROL, json=fields).status_code == 200


def test_a_listener_hears_the_state_and_every_change(device):
    change(device, on=False)
    with listening(device) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        lines = stream.iter_lines()
        assert next_event(lines)[1]["on"] is False
        change(device, on=True)
        began = time.monotonic()
        assert next_event(lines) == ("state", httpx.get(device.url + "/v1/state", headers=READ).json())
        assert time.monotonic() - began < 1


def test_a_third_listener_is_turned_away_until_one_leaves(device):
    wait_streams(device, 0)
    with listening(device):
        with listening(device), listening(device) as third:
            assert (third.status_code, third.headers["retry-after"]) == (503, "1")
        wait_streams(device, 1)
        with listening(device) as third:
            assert third.status_code == 200
    wait_streams(device, 0)


def test_a_refused_token_ends_the_stream_before_the_next_event(device):
    with listening(device) as stream:
        lines = stream.iter_lines()
        next_event(lines)
        change(device, brightness_pct=77)
        next_event(lines)
        device.tell("refuse revoked")
        try:
            began = time.monotonic()
            assert next_event(lines) == ("end", {"code": "revoked"})
            assert time.monotonic() - began < 12
            assert list(lines) == []
        finally:
            device.tell("refuse")


def test_the_sensor_tells_of_measurements():
    with api_process.running(product="sensor") as device, listening(device) as stream:
        lines = stream.iter_lines()
        assert next_event(lines)[1]["temperature_c"] is None
        device.tell("change")
        assert next_event(lines)[1]["temperature_c"] == 22.5
        answer = httpx.patch(device.url + "/v1/state", headers=CONTROL, json={"temperature_c": 5})
        assert (answer.status_code, answer.json()["field"]) == (422, "temperature_c")


def wait_streams(device, count):
    for _ in range(100):
        if json.loads(device.tell("status"))["event_streams"] == count:
            return
        time.sleep(0.05)
    raise AssertionError("the number of streams stays")


def test_thousands_of_requests_leave_the_heap_flat(device):
    with httpx.Client(base_url=device.url, headers=CONTROL) as client:

        def heap_after(count):
            for n in range(count):
                assert client.get("/v1/state").status_code == 200
                if n % 10 == 0:
                    client.patch("/v1/state", json={"brightness_pct": 1 + n % 100})
            return int(device.tell("heap"))

        before = heap_after(50)
        assert heap_after(counts.get("api_requests")) <= before + 1024
