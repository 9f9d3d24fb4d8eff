"""Requests per second of the API and of microdot on the unix port: one client, a connection for each request.

python host_tests/bench/api_rates.py [REQUESTS]
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "host")]

import api_process  # noqa: E402
import test_server_flood as flood  # noqa: E402

from latchkey_tools.boards import build  # noqa: E402
from latchkey_tools.sim.broker import free_port  # noqa: E402

LISTED = "530886ea-da07-4927-ade0-b49c05d655f4"


def request(method, path, token=None, body=b"", close=True):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*", "User-Agent: bench"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines + ["", ""]).encode() + body


def once(port, data):
    """Seconds from connecting to the end of the answer, which must be a 200."""
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(data)
        answer = b""
        while chunk := sock.recv(4096):
            answer += chunk
    assert answer[9:12] == b"200", answer
    return time.perf_counter() - began


def measure(port, data, count):
    """(requests per second, p50 ms, p99 ms)."""
    times = sorted(once(port, data) for _ in range(count))
    return count / sum(times), times[count // 2] * 1000, times[int(count * 0.99)] * 1000


def measure_kept(port, data, count):
    """The same over one kept connection."""
    times = []
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        for _ in range(count):
            began = time.perf_counter()
            sock.sendall(data)
            assert sock.recv(4096)[9:12] == b"200"
            times.append(time.perf_counter() - began)
    times.sort()
    return count / sum(times), times[count // 2] * 1000, times[int(count * 0.99)] * 1000


@contextlib.contextmanager
def microdot(folder, token):
    """(port, process id) of microdot, which accepts ``token``. By file: a long argument crashes the unix port."""
    (Path(folder) / "token").write_text(token)
    port = free_port()
    import microdot as installed

    path = f".frozen:{Path(installed.__file__).parent.parent}"
    command = [build.micropython(), "-X", "heapsize=1M", HERE / "microdot_state.py", str(port), Path(folder) / "token"]
    process = subprocess.Popen(command, env={**os.environ, "MICROPYPATH": path})
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def latchkey(folder):
    """The API with the real verifier."""
    path = Path(folder) / "verifier.json"
    path.write_text(json.dumps(flood.document([LISTED])))
    with api_process.running(heapsize="1M", verifier=path) as process:
        yield process


def cases(token):
    body = b'{"brightness_pct": 50}'
    return {
        "info": request("GET", "/v1/info"),
        "state": request("GET", "/v1/state", token),
        "control": request("PATCH", "/v1/state", token, body),
    }


def compare(count, rounds=3):
    """{case: (ours, microdot's)} in requests per second of processor time, each the best of ``rounds`` taken in turn.

    Other programs on the machine take time away, but none of the server's processor time.
    """
    token = flood.token(LISTED)
    best = {}
    with tempfile.TemporaryDirectory() as folder, latchkey(folder) as ours, microdot(folder, token) as theirs:
        servers = ((ours.port, ours.process.pid), theirs)
        for _ in range(rounds):
            for name, data in cases(token).items():
                rates = [worked(port, pid, data, count) for port, pid in servers]
                best[name] = tuple(map(max, best.get(name, rates), rates))
    return best


def worked(port, pid, data, count):
    """Requests per second of the processor time that process ``pid`` took for them."""
    before = _processor_s(pid)
    for _ in range(count):
        once(port, data)
    return count / (_processor_s(pid) - before)


def _processor_s(pid):
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def report(count):
    token = flood.token(LISTED)
    print("connection per request       req/s  p50 ms  p99 ms")
    with tempfile.TemporaryDirectory() as folder, latchkey(folder) as ours, microdot(folder, token) as (theirs, _):
        for name, data in cases(token).items():
            show(f"latchkey {name}", measure(ours.port, data, count))
            show(f"microdot {name}", measure(theirs, data, count))
        show("latchkey state, kept", measure_kept(ours.port, request("GET", "/v1/state", token, close=False), count))
        tokens = (flood.token(f"530886ea-da07-4927-ade0-{n:012x}") for n in range(8))
        times = [once(ours.port, request("GET", "/v1/state", word)) for word in tokens]
        print(f"{'latchkey state, new token':25} {'':8} {sorted(times)[4] * 1000:7.2f}")
        heap = int(ours.tell("heap"))
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(ours.connect()).sendall(b"GET /v1/in")
            time.sleep(0.2)
            print(f"heap per connection: {(int(ours.tell('heap')) - heap) // 8} bytes beside its buffer")


def show(name, figures):
    print(f"{name:25} {figures[0]:8.0f} {figures[1]:7.2f} {figures[2]:7.2f}")


if __name__ == "__main__":
    report(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
