"""Forge and send tokens as fast as one process can: `python forgers.py PORT CLIENTS SECONDS < tokens`, a line each.

Each client has a connection and an address of its own (127.0.1.N), keeps its connection while it may, and comes back
when it is turned away. Prints how many answers came, by status, as JSON.
"""

import collections
import contextlib
import json
import socket
import sys
import threading
import time

counts = collections.Counter()


def one_connection(port, number, tokens, end):
    with socket.create_connection(("127.0.0.1", port), 5, (f"127.0.1.{number + 1}", 0)) as sock:
        while time.monotonic() < end:
            token = tokens[counts["sent"] % len(tokens)]
            counts["sent"] += 1
            sock.sendall(b"GET /v1/state HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + token + b"\r\n\r\n")
            answer = sock.recv(4096)
            if not answer:
                return
            counts[answer[9:12].decode()] += 1


def forger(port, number, tokens, end):
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            one_connection(port, number, tokens, end)


def main(port, clients, seconds):
    tokens = sys.stdin.buffer.read().split()
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=forger, args=(port, n, tokens, end)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(counts))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
