"""Sockets as MicroPython has them, for the server on CPython: ``install`` puts them into its modules."""

import asyncio
import socket
import ssl
import types


class PortSocket:
    """Never blocks: ``readinto`` and ``write`` give None where there is nothing to do yet."""

    def __init__(self, sock=None):
        self.sock = sock or socket.socket()

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def accept(self):
        sock, address = self.sock.accept()
        return PortSocket(sock), address

    def readinto(self, view):
        return self._try(self.sock.recv_into, view)

    def write(self, view):
        return self._try(self.sock.send, view)

    def _try(self, call, view):
        try:
            return call(view)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ssl.SSLEOFError:
            return 0


class PortContext:
    """``ssl.SSLContext`` whose sockets behave like that."""

    def __init__(self, context):
        self._context = context

    def wrap_socket(self, sock, server_side, do_handshake_on_connect):
        sock.sock.setblocking(False)
        made = self._context.wrap_socket(sock.sock, server_side, do_handshake_on_connect)
        sock.sock = made
        return PortSocket(made)


async def ready(port_socket, write=False):
    sock = port_socket.sock
    if not write and isinstance(sock, ssl.SSLSocket) and sock.pending():
        return await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    come = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    add(sock, lambda: come.done() or come.set_result(None))
    try:
        await come
    finally:
        if sock.fileno() >= 0:
            remove(sock)


class Asyncio:
    """``asyncio`` with MicroPython's ``sleep_ms``."""

    def __getattr__(self, name):
        return getattr(asyncio, name)

    def sleep_ms(self, ms):
        return asyncio.sleep(ms / 1000)


def install(server, connection):
    """Modules of latchkey.net."""
    names = {name: getattr(socket, name) for name in ("getaddrinfo", "SOL_SOCKET", "SO_REUSEADDR")}
    server.socket = types.SimpleNamespace(socket=PortSocket, **names)
    server.ready = connection.ready = ready
    server.asyncio = connection.asyncio = Asyncio()
