"""The local API's ports, and the places and buffers of its connections (net/connection.py).

A place belongs to a connection that shows a valid token (A11). When all are taken, one without is closed.
One place is always left for the next connection. A buffer is lent only while a request arrives. One task ends all
connections that are late, since a task per timeout would cost more than the request.
"""

# pyright: reportAttributeAccessIssue=false

import asyncio
import socket

from latchkey.api.request import Reader
from latchkey.hw import memory
from latchkey.limits import const
from latchkey.net.connection import Connection, ready

CONNECTIONS = 4
_HEAD_BYTES = const(3072)  # a buffer holds a whole head

_TLS_SESSIONS = const(2)
_READERS = const(2)
_GRACE_MS = const(20)  # a connection, or a buffer, is not taken away sooner
_TLS_GRACE_MS = const(150)  # nor, on HTTPS, once something has arrived
_STRANGER_REQUESTS = const(4)  # answered without a token before a connection ends
_BACKLOG = const(16)
_SWEEP_MS = const(100)
_WAIT_MS = const(5)
# Made once: an except clause that makes its tuple needs memory, and raises when that is out.
_NO_CALLER = (OSError, MemoryError)


class Server:
    """Serves ``api`` (latchkey.api.handlers.Api) at ``board.listen`` (host, port, HTTPS port), HTTPS with ``tls`` (an
    SSLContext). The plain port then answers only what is open and 426 (A2).

    ``granted`` changes with every request that had a valid token, ``answered`` with each of these that went well.
    """

    def __init__(self, api, board, tls):
        self.api = api
        self.now_ms = board.clock.now_ms
        self.tls = tls
        self.board = board
        self._places = CONNECTIONS - _TLS_SESSIONS if tls else CONNECTIONS  # of the plain port
        self._readers = [Reader(bytearray(_HEAD_BYTES)) for _ in range(_READERS)]
        self._open = []  # Connection, the oldest first
        self.turned_away = self.too_short = 0
        self.granted = self.answered = 0

    async def start(self):
        """Bind and begin to serve; OSError if an address is taken."""
        host, *ports = self.board.listen
        for port, tls in zip(ports, (None, self.tls) if self.tls else (None,)):
            listener = socket.socket()
            listener.setblocking(False)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(socket.getaddrinfo(host, port)[0][-1])
            listener.listen(_BACKLOG)
            asyncio.create_task(self._accept(listener, tls))
        asyncio.create_task(self._sweep())

    def status(self):
        """Dict of counts for diagnostics."""
        return {
            "connections": len(self._open),
            "tls_sessions": len(self._open) - len(self._on(None)),
            "event_streams": self.api.streams,
            "turned_away": self.turned_away,
            "tls_no_memory": self.too_short,
        }

    async def _accept(self, listener, tls):
        while True:
            try:
                await ready(listener)  # pyright: ignore[reportGeneralTypeIssues]  MicroPython awaits generators
                await self._welcome(listener, tls)
            except _NO_CALLER:
                await asyncio.sleep_ms(_WAIT_MS)  # One caller's fault must not close the port.

    async def _welcome(self, listener, tls):
        bytearray(512)  # accept() would lose a connection for which memory is too short
        sock, address = listener.accept()
        try:
            peer = peer_text(address)
            channel = self.board.radio.channel(peer)
            if channel is None:
                return sock.close()
            if tls and not memory.tls_fits():
                self.too_short += 1
                return sock.close()
            while len(self._on(tls)) >= (_TLS_SESSIONS if tls else self._places):
                await self._give_way(self._on(tls), peer)
            sock.setblocking(False)
            place = Connection(self, sock, tls, peer, channel)
            place.task = asyncio.create_task(place.serve())
            self._open.append(place)
        except BaseException:
            sock.close()
            raise

    async def _give_way(self, places, peer):
        """Close one of ``places`` that shows no token, but none before it had time to show one.

        ``peer``: who comes for a place; None if it is a buffer that is wanted."""
        strangers = [place for place in places if not place.granted]
        peers = [place.peer for place in strangers] + [peer]
        # Those that send nothing; among them those of the peer with most, the new one counted; among them the oldest.
        place = max(strangers, key=lambda place: (not place.reader, peers.count(place.peer)), default=None)
        if place:
            # A client sends at once, but a handshake takes a while.
            grace_ms = _TLS_GRACE_MS if place.tls and place.reader else _GRACE_MS
            if self.now_ms() - (place.since if peer else place.lent) >= grace_ms:
                return self._turn_away(place)
        await asyncio.sleep_ms(_WAIT_MS)

    def _on(self, tls):
        """Connections on the port of HTTPS; with None those on the other."""
        return [place for place in self._open if place.tls is tls]

    def may_stay(self, place):
        """Whether ``place`` may be kept after this answer.

        Without a token: for a few requests. With one: if that leaves a place to the next connection; another one that
        only waits is closed for it."""
        if not place.granted:
            place.strange += 1
            return place.strange < _STRANGER_REQUESTS
        others = [other for other in self._on(place.tls) if other.granted and other is not place]
        if len(others) + 1 < (_TLS_SESSIONS if place.tls else self._places):
            return True
        for other in others:
            if other.phase == "idle":
                self._turn_away(other)
                return True
        return False

    def _turn_away(self, place):
        place.phase = "answering"  # It gets no answer.
        place.task.cancel()
        self.turned_away += 1
        self.let_go(place)

    def let_go(self, place):
        """Close a connection now, from whichever task; twice does no harm."""
        if place in self._open:
            self._open.remove(place)
            self.take_back(place)
            place.close()

    async def _sweep(self):
        while True:
            await asyncio.sleep_ms(_SWEEP_MS)
            try:
                self._cancel_late()
            except MemoryError:
                pass  # Again at the next turn.

    def _cancel_late(self):
        now_ms = self.now_ms()
        for place in self._open:
            if place.deadline is not None and now_ms >= place.deadline:
                place.task.cancel()
                place.deadline = None

    async def lend(self, place):
        """A buffer for ``place``; like a place it is taken from a connection that has shown no token."""
        while not self._readers:
            await self._give_way([place for place in self._open if place.reader], None)
        place.reader = self._readers.pop()
        place.lent = self.now_ms()

    def take_back(self, place):
        """The buffer of ``place``, if it has one."""
        if place.reader:
            place.reader.held = 0
            self._readers.append(place.reader)
            place.reader = None


def peer_text(address):
    """Address of a peer as text."""
    if isinstance(address, tuple):
        return address[0]
    # The unix port gives the raw sockaddr.
    return socket.inet_ntop(*socket.sockaddr(address)[:2])
