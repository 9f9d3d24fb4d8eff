"""Hold connections to the API for as long as it lets them: `python strangers.py KIND PORT ADDRESSES PER_SECOND TLS`.

KIND: silent, info (kept connections that ask for /v1/info), half (half a request), hello (half a handshake), events
(streams of a `read` token that are never read). Connections come from ADDRESSES loopback addresses, PER_SECOND new ones
a second, without end, and are kept until the other side closes them. Prints "full" once they had time to take every
place, and ends with its standard input.
"""

import socket
import ssl
import sys
import threading
import time

HOST = b"Host: 127.0.0.1\r\n"
INFO = b"GET /v1/info HTTP/1.1\r\n" + HOST + b"\r\n"
EVENTS = b"GET /v1/events HTTP/1.1\r\n" + HOST + b"Authorization: Bearer CLOUD-read\r\n\r\n"
FIRST = {"silent": b"", "info": INFO, "half": INFO[:20], "hello": b"", "events": EVENTS}
AGAIN_S = 1


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
        if tls and kind not in ("silent", "hello"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
        self.sock.sendall(hello() if kind == "hello" else FIRST[kind])
        self.sock.setblocking(False)

    def goes_on(self):
        """False once the other side has closed. Events are never read: they end with the process."""
        try:
            if self.kind != "events" and self.sock.recv(4096) == b"":
                return False
            if self.kind == "info" and time.monotonic() - self.since > AGAIN_S:
                self.since = time.monotonic()
                self.sock.sendall(INFO)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return True


def main(kind, port, addresses, per_second, tls):
    held, came, began = [], 0, time.monotonic()
    threading.Thread(target=wait_for_end, daemon=True).start()
    while not ENDED.is_set():
        while came < (time.monotonic() - began) * per_second:
            address = f"127.1.{came % addresses // 250}.{came % addresses % 250 + 1}"
            came += 1
            try:
                held.append(Stranger(kind, port, address, tls))
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
    main(sys.argv[1], *map(int, sys.argv[2:]))
