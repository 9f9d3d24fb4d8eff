"""Hold connections to the API for as long as it lets them: `python strangers.py KIND PORT ADDRESSES PER_SECOND TLS`.

KIND: silent, info (kept connections that ask for /v1/info), half (half a request), hello (half a handshake), events
(streams of a `read` token that are never read), slow (a request, a byte every 15 ms), deaf (requests without end, whose
answers are never read), body (which never comes), reset (right after connecting), forged (requests with tokens out of
the file that FORGED names in the environment). Several with + between them take turns. Connections come from ADDRESSES
loopback addresses, PER_SECOND new ones a second, without end, and are kept until the other side closes them. Prints
"full" once they had time to take every place, and ends with its standard input.
"""

import itertools
import os
import random
import socket
import ssl
import struct
import sys
import threading
import time
from pathlib import Path

HOST = b"Host: 127.0.0.1\r\n"
INFO = b"GET /v1/info HTTP/1.1\r\n" + HOST + b"\r\n"
EVENTS = b"GET /v1/events HTTP/1.1\r\n" + HOST + b"Authorization: Bearer CLOUD-read\r\n\r\nG"
BODY = b"PATCH /v1/state HTTP/1.1\r\n" + HOST + b"Content-Length: 900\r\nContent-Type: application/json\r\n\r\n"
FIRST = {"info": INFO, "half": INFO[:20], "events": EVENTS, "body": BODY, "deaf": INFO}
AGAIN_S = {"info": 1, "slow": 0.015, "deaf": 0.01, "forged": 0.2}
DEAF = ("events", "deaf")
FORGED = Path(os.environ.get("FORGED", os.devnull)).read_bytes().split()
FORGED = [INFO[:-2].replace(b"info", b"state") + b"Authorization: Bearer " + token + b"\r\n\r\n" for token in FORGED]


def hello():
    """The first bytes of a TLS handshake."""
    out = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="127.0.0.1").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


class Stranger:
    def __init__(self, kind, port, address, tls):
        self.kind, self.since = kind, time.monotonic()
        self.sock = socket.socket()
        self.sock.settimeout(2)
        self.sock.bind((address, 0))
        self.sock.connect(("127.0.0.1", port))
        if kind == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return self.sock.close()
        if tls and kind not in ("silent", "hello"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
        self.sock.sendall(hello() if kind == "hello" else FIRST.get(kind, b""))
        self.sock.setblocking(False)
        self.more = itertools.cycle([bytes([byte]) for byte in INFO] if kind == "slow" else [INFO])
        if kind == "forged":
            self.more = (
                INFO[:-2] + b"Authorization: Bearer " + random.choice(FORGED) + b"\r\n\r\n" for _ in iter(int, 1)
            )

    def goes_on(self):
        """False once the other side has closed. One that never reads ends with the process, or once sending fails."""
        try:
            if time.monotonic() - self.since > AGAIN_S.get(self.kind, 1e9):
                self.since = time.monotonic()
                self.sock.send(next(self.more))
            if self.kind not in DEAF and self.sock.recv(4096) == b"":
                return False
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except OSError:
            return False
        return True


def main(kinds, port, addresses, per_second, tls):
    held, came, began = [], 0, time.monotonic()
    threading.Thread(target=wait_for_end, daemon=True).start()
    while not ENDED.is_set():
        # One a turn: where a busy machine is late, closed connections are still dropped, and the end is seen.
        if came < (time.monotonic() - began) * per_second:
            address = f"127.1.{came % addresses // 250}.{came % addresses % 250 + 1}"
            came += 1
            try:
                held.append(Stranger(kinds[came % len(kinds)], port, address, tls))
            except OSError:
                pass
            if came == 5:
                print("full", flush=True)
        held = [one for one in held if one.goes_on() or one.sock.close()]
        time.sleep(0.005)


ENDED = threading.Event()


def wait_for_end():
    sys.stdin.read()
    ENDED.set()


if __name__ == "__main__":
    main(sys.argv[1].split("+"), *map(int, sys.argv[2:]))
