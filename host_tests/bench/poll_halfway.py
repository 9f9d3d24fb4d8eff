"""Runs on the unix port: memory ends within poll.register, and poll() follows. The last line is not reached."""

import select
import socket

import micropython

poll = select.poll()
poll.register(socket.socket())
register, sock = poll.register, socket.socket()
micropython.heap_lock()
try:
    register(sock)
except MemoryError:
    pass
micropython.heap_unlock()
print("registered halfway")
poll.poll(0)
print("survived")
