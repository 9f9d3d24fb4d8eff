"""A stand-in for a device that takes releases, as docs/openapi.yaml has it, and a signed file to send it.

    with Bulb(["gone", "unproven", "good"]) as bulb: ...

After a whole upload each look at it takes one of these phases: "gone" (it restarts and does not answer), "unproven",
a code (the release refuses the token), "good", or the reason why the release went back. The last one stays.
"""

import http.server
import json
import socket
import threading

import releases
from technician import Quiet, device

from latchkey_tools.release import manifest


def release_file(folder, data=b"x" * 120000, counter=12, version="1.2.0"):
    """(path, payload) of a signed release; the stand-in looks at no signature."""
    text = releases.payload({"main.mpy": data})
    facts = {"product": "bulb", "boards": ["desk"], "kind": "files", "version": version, "counter": counter}
    facts |= manifest.described(text) | {"room": 163840}
    path = folder / f"bulb-{version}-{counter}.latchkey"
    path.write_bytes(manifest.signed(manifest.RELEASE, facts, lambda _: bytes(256), "RS256", text))
    return path, text


def keys_file(folder):
    """Path of a signed key set without keys; nobody looks at its signature."""
    facts = {"slug": "s", "issuer": None, "iat": 1, "counter": 1} | manifest.described(b"{}")
    path = folder / "keys.latchkey"
    path.write_bytes(manifest.signed(manifest.KEYS, facts, lambda _: bytes(256), "RS256", b"{}"))
    return path


class Bulb:
    """``breaks``: at these numbers of received bytes of a payload the connection ends without an answer, each once;
    ``short``: the code that it answers there instead. ``refuse``: (status, code) for every PUT. ``permissions``: of
    every token."""

    def __init__(self, phases=("good",), breaks=(), refuse=None, permissions=("read", "configure"), at="127.0.0.1"):
        self.phases, self.breaks, self.refuse = list(phases), list(breaks), refuse
        self.answers = device(permissions)
        self.firmware = {"version": "0.1.0", "board": "desk", "kind": "files", "running": "a1", "state": "good"}
        self.firmware |= {"goes_back_s": None, "counter": 0, "key_counter": 0, "set_counter": 0, "upload": None}
        self.firmware |= {"keys": {"release": True, "recovery": True}, "last": None}
        self.received, self.short = b"", None
        self.places = "a1", "b2"  # the one that runs, and the next one
        self._before = {"version": "0.1.0", "upload": None}
        self.puts = []
        self.sent = None
        self.progress = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self._server = Quiet((at, 0), self._handler())
        # As little as a device: what it has not read yet, the sender has not sent.
        self._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.url = f"http://{at}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def look(self):
        """(status, body) of GET /v1/firmware, or None while it restarts."""
        if self.sent is None:
            return 200, self.firmware
        phase = self.phases.pop(0) if len(self.phases) > 1 else self.phases[0]
        if phase == "gone":
            self.firmware["upload"] = None
            return None
        return self._after(phase)

    def _after(self, phase):
        if phase in ("crashed", "not_good", "not_started", "reset"):
            last = {"result": "went_back", "version": self.sent["version"], "reason": phase}
            self.firmware |= {"running": self.places[0], "state": "good", "last": last} | self._before
            self.sent = None
        elif phase in ("unproven", "good"):
            self.firmware |= {"running": self.places[1], "state": phase, "version": self.sent["version"]}
        else:
            return 401, {"code": phase}
        if phase == "good":
            self.firmware |= {"counter": self.sent["counter"], "upload": None}
            self.sent = None
            self.places = self.places[1], f"{self.places[0][0]}{int(self.places[1][1:]) + 1}"
        return 200, self.firmware

    def take(self, path, length, read, hang_up):
        """(status, body) of PUT /v1/firmware, or None for a connection that ended."""
        line = b""
        while not line.endswith(b"\n"):
            line += read(1)
        members = json.loads(manifest._bytes(line.split(b".")[1]))
        at = int(path.partition("?from=")[2] or 0)
        self.puts.append(at)
        if self.refuse:
            return self.refuse[0], {"code": self.refuse[1]}
        if "n" in members:
            return 200, {"key_counter": members["counter"]}
        if at and (self.firmware["upload"] is None or at != len(self.received)):
            return 409, {"code": "wrong_offset"}
        assert length == len(line) + members["size"] - at
        self.received = self.received[:at]
        upload = {name: members[name] for name in ("sha256", "version", "size")}
        self.firmware["upload"] = upload | {"received": at, "running": True}
        if not self._read(members["size"], read):
            self.firmware["upload"]["running"] = False
            if not self.short:
                return hang_up()
            read(members["size"] - len(self.received))
            return {"no_memory": 503, "timeout": 408, "verify_busy": 429}[self.short], {"code": self.short}
        self._before = {"version": self.firmware["version"], "upload": None}
        self.sent, self.firmware["last"] = members, None
        return 202, {"state": "restarting", "version": members["version"]}

    def _read(self, size, read):
        """Whether all came."""
        while len(self.received) < size:
            if self.breaks and len(self.received) >= self.breaks[0]:
                self.breaks.pop(0)
                return False
            piece = read(min(1000, size - len(self.received)))
            if not piece:
                return False
            self.received += piece
            self.firmware["upload"]["received"] = len(self.received)
            self.progress.set()
            self.go_on.wait(20)
        return True

    def _handler(bulb):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.path == "/v1/firmware":
                    return self._give(bulb.look())
                status, body, _ = bulb.answers.get(("GET", self.path), (404, {"code": "not_found"}, {}))
                self._give((status, body))

            def do_PUT(self):
                length = int(self.headers["Content-Length"])
                self._give(bulb.take(self.path, length, self.rfile.read, lambda: None))

            def _give(self, answer):
                self.close_connection = True
                if answer is None:
                    return self.connection.shutdown(socket.SHUT_RDWR)
                raw = json.dumps(answer[1]).encode()
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(raw)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                """Nothing to standard error."""

        return Handler
