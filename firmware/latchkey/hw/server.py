"""The local API on sockets: asyncio's streams, our own buffers, one deadline over a whole request.

The same text runs on CPython and on MicroPython. A sweeper task lets go whoever is late (reading or
writing), because a task per timeout would cost more than the request. When every place is taken the
next caller hears 503 at once. Decides nothing about requests: that is latchkey.api's.
"""

import asyncio
import time

from latchkey import http, limits
from latchkey.errors import LatchkeyError

# MicroPython's streams fill a caller's buffer; CPython's cannot.
_FILLS = hasattr(asyncio.StreamReader, "readinto")

if hasattr(time, "ticks_ms"):
    ticks_ms, ticks_add, ticks_diff = time.ticks_ms, time.ticks_add, time.ticks_diff  # pyright: ignore
else:

    def ticks_ms():
        return int(time.monotonic() * 1000)  # pyright: ignore[reportAttributeAccessIssue]

    def ticks_add(ticks, ms):
        return ticks + ms

    def ticks_diff(later, earlier):
        return later - earlier


_SWEEP_S = 0.1
_EVENT_POLL_S = 0.1
_IDLE, _READING, _WRITING, _LEAVING, _STUCK = range(5)


class _Gone(Exception):
    """The peer closed or broke the connection."""


def plain_channel(peer):
    """ "loopback" or "lan" for a peer address (text): the default judge of plain connections."""
    return "loopback" if peer.startswith("127.") or peer == "::1" else "lan"


def tls_context(cert_der, key_der):
    """A context that serves HTTPS with an ECDSA P-256 certificate and key (DER); ValueError or OSError if unfit."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_der, key_der)
    return context


class Server:
    """Serves ``api`` (latchkey.api.Api) on ``host``:``port`` and, with ``tls`` (an SSLContext), HTTPS on ``tls_port``.

    With ``tls`` the plain port answers only what is open and 426 (A2). ``channel``: callable from a plain peer's
    address (text) to "loopback", "ap" or "lan", or None for one who cannot be there and is not answered; the default
    knows no access point. ``connections``: places, each with a buffer.
    """

    def __init__(self, api, host, port, tls=None, tls_port=443, channel=plain_channel, connections=limits.CONNECTIONS):
        self._api = api
        self._address = host
        self._ports = (port, tls_port)
        self._tls = tls
        self._channel = channel
        self._places = [_Connection(bytearray(limits.HEAD_BYTES)) for _ in range(connections)]
        self._aside = [_Connection(bytearray(64)) for _ in range(limits.TURNED_AWAY)]
        self._listeners = []
        self._sweeper = None
        self.turned_away = 0
        self.granted = 0  # changes with every request that a token let in

    async def start(self):
        """Bind and begin to serve; OSError if an address is taken."""
        await self._listen(self._plain, self._ports[0])
        if self._tls:
            await self._listen(self._secure, self._ports[1], None if _FILLS else self._tls)
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self):
        """Close the ports and every connection."""
        for listener in self._listeners:
            listener.close()
        self._sweeper.cancel()
        for place in self._places + self._aside:
            if place.task:
                place.phase = _LEAVING
                place.task.cancel()
        # Not Server.wait_closed: CPython 3.12's waits for clients, and the tasks need a turn to close.
        await asyncio.sleep(0.01)
        self._listeners = []

    @property
    def event_streams(self):
        """How many are open."""
        return self._api.hub.open

    def status(self):
        """Dict of counts for diagnostics."""
        taken = [place for place in self._places if place.task]
        return {
            "connections": len(taken),
            "tls_sessions": len([place for place in taken if place.channel == "tls"]),
            "event_streams": self.event_streams,
            "turned_away": self.turned_away,
        }

    async def _listen(self, welcome, port, tls=None):
        listener = await asyncio.start_server(welcome, self._address, port, backlog=limits.BACKLOG, ssl=tls)
        self._listeners.append(listener)

    # Connections

    async def _plain(self, reader, writer):
        peer = _peer(writer)
        channel = self._channel(peer)
        if channel is None:
            return await _close(writer)
        await self._welcome(reader, writer, peer, channel)

    async def _secure(self, reader, writer):
        peer = _peer(writer)
        if self._channel(peer) is None:
            return await _close(writer)
        if self.status()["tls_sessions"] >= limits.TLS_SESSIONS:
            # Saying why would need the very handshake that there is no memory for.
            self.turned_away += 1
            return await _close(writer)
        await self._welcome(reader, writer, peer, "tls")

    async def _welcome(self, reader, writer, peer, channel):
        place = _free(self._places)
        talk = self._converse
        if place is None:
            self.turned_away += 1
            place = None if channel == "tls" else _free(self._aside)
            talk = self._turn_away
        if place is None:
            return await _close(writer)
        place.open(reader, writer, peer, channel)
        try:
            if channel == "tls" and _FILLS:
                place.wrap(self._tls)
            await talk(place)
        except asyncio.CancelledError:
            await self._late(place)
        except _Gone:
            pass
        finally:
            await place.close()

    async def _turn_away(self, place):
        await self._send(place, self._api.refusal(LatchkeyError("full_house")), True)
        await place.linger()

    async def _late(self, place):
        """Cancelled by the sweeper: half a request deserves a word, everything else just ends."""
        if place.phase == _WRITING:
            place.phase = _STUCK
        if place.phase != _READING:
            return
        try:
            await self._send(place, self._api.refusal(LatchkeyError("timeout")), True)
            await place.linger()
        except (_Gone, asyncio.CancelledError):
            pass

    async def _sweep(self):
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = ticks_ms()
            for place in self._places + self._aside:
                if place.task and place.deadline is not None and ticks_diff(now, place.deadline) >= 0:
                    place.deadline = None
                    place.task.cancel()

    # Requests

    async def _converse(self, place):
        place.expect(limits.REQUEST_MS)
        while await self._exchange(place):
            place.expect(limits.IDLE_MS)

    async def _exchange(self, place):
        """Read and answer one request; returns whether another may follow."""
        request = None
        try:
            request = await place.request()
            response = await self._answer(place, request)
        except _Gone:
            raise
        except LatchkeyError as exc:
            response = self._api.refusal(exc)
        except Exception as exc:
            response = self._api.failure(exc)
        lost = request is None or place.owed > 0  # where the next request would begin
        close = lost or request.close or response.body is None
        await self._give(place, response, close, request is not None and request.method == "HEAD")
        if lost:
            await place.linger()
        return not close

    async def _answer(self, place, request):
        request.channel, request.peer = place.channel, place.peer
        request.tls_serves = self._tls is not None
        place.owed = request.length or 0
        exchange = self._api.admit(request)
        if exchange.grant:
            self.granted = (self.granted + 1) & 0x3FFF
        if request.wants_continue and place.owed:
            await place.write(http.CONTINUE)
        body = await place.body()
        try:
            return self._api.answer(exchange, body)
        finally:
            place.drop_body()

    async def _give(self, place, response, close, head_only):
        try:
            await self._send(place, response, close, head_only)
            if response.stream:
                await self._stream(place, response.stream)
        finally:
            if response.stream:
                response.stream.close()
        if response.after:
            response.after()

    async def _send(self, place, response, close, head_only=False):
        place.phase = _WRITING
        body = response.body
        reason = response.code or ("Accepted" if response.status == 202 else "OK")
        length = None if body is None else len(body)
        head = http.response_head(response.status, reason, length, response.lines, close, response.media)
        await place.write(head if head_only or body is None else head + body)

    async def _stream(self, place, stream):
        place.deadline = None
        watcher = asyncio.create_task(place.watch(stream))
        last = ticks_ms()
        passed_ms = 0
        try:
            while not stream.ended:
                now = ticks_ms()
                passed_ms += ticks_diff(now, last)
                last = now
                data = stream.due(passed_ms)
                if data:
                    await place.write(data, limits.REQUEST_MS)
                await asyncio.sleep(_EVENT_POLL_S)
        except _Gone:
            pass
        except Exception as exc:
            self._api.failure(exc)
        finally:
            watcher.cancel()


class _Connection:
    """One place: its buffer for life, and the streams, peer and deadline of whoever holds it now."""

    def __init__(self, buffer):
        self._buffer = memoryview(buffer)
        self._http = http.Reader(buffer)
        self._large = None
        self.task = None
        self.deadline = None
        self.channel = None

    def open(self, reader, writer, peer, channel):
        self._http.reset()
        self._reader, self._writer, self._plain = reader, writer, None
        self.peer, self.channel = peer, channel
        self.phase = _IDLE
        self.owed = 0  # bytes of a body that has not been taken
        self.task = asyncio.current_task()
        self.expect(limits.REQUEST_MS)

    def wrap(self, context):
        """TLS over the accepted socket; the handshake runs with the first read (MicroPython)."""
        try:
            socket = context.wrap_socket(self._writer.s, server_side=True, do_handshake_on_connect=False)  # pyright: ignore
        except OSError:
            raise _Gone()
        self._plain = self._writer
        self._reader = self._writer = asyncio.StreamReader(socket)

    def expect(self, ms):
        """A request is to begin within ``ms``."""
        self.phase = _IDLE
        self.deadline = ticks_add(ticks_ms(), ms)

    async def request(self):
        """The next http.Request; FormatError; _Gone."""
        while True:
            # Pipelined bytes may be here already, without a read.
            if self.phase == _IDLE and self._http.held:
                self.phase = _READING
                self.deadline = ticks_add(ticks_ms(), limits.REQUEST_MS)
            request = self._http.request()
            if request:
                return request
            await self._fill()

    async def body(self):
        """The body owed, whole: bytes or a view valid until ``drop_body``."""
        if not self.owed:
            return b""
        if self.owed > len(self._buffer):
            return await self._large_body()
        while self._http.held < self.owed:
            await self._fill()
        return self._http.body(self.owed)

    def drop_body(self):
        if self.owed and self._large is None:
            self._http.take(self.owed)
        self._large = None
        self.owed = 0

    async def write(self, data, within_ms=None):
        if within_ms is not None:
            self.deadline = ticks_add(ticks_ms(), within_ms)
        try:
            self._writer.write(data)  # pyright: ignore[reportAttributeAccessIssue]
            await self._writer.drain()  # pyright: ignore[reportAttributeAccessIssue]
        except OSError:
            raise _Gone()
        if within_ms is not None:
            self.deadline = None

    async def linger(self):
        """Read and drop what still comes, until it pauses: closing on unread bytes would reset, and lose our answer."""
        self.phase = _LEAVING
        end = ticks_add(ticks_ms(), limits.LINGER_MS)
        while ticks_diff(end, ticks_ms()) > 0:
            self.deadline = ticks_add(ticks_ms(), limits.QUIET_MS)
            await self._read(self._buffer)

    async def watch(self, stream):
        """End ``stream`` when the peer goes away; what it still says is dropped."""
        try:
            while True:
                await self._read(self._buffer)
        except _Gone:
            stream.ended = True

    async def close(self):
        self.deadline = None
        await _close(self._writer, self.phase == _STUCK)
        if self._plain:
            # After a failed handshake modtls no longer closes the socket under it; twice does no harm.
            await _close(self._plain)
        self._reader = self._writer = self._plain = self.task = self._large = self.channel = None

    async def _fill(self):
        self._http.filled(await self._read(self._http.room()))

    async def _large_body(self):
        self._large = bytearray(self.owed)
        view = memoryview(self._large)
        at = self._http.held
        view[:at] = self._buffer[:at]
        self._http.reset()
        while at < self.owed:
            at += await self._read(view[at:])
        return self._large

    async def _read(self, view):
        """Number of bytes read into ``view``, at least 1."""
        try:
            if _FILLS:
                count = None
                while count is None:  # TLS: a record that is not whole yet
                    count = await self._reader.readinto(view)
            else:
                data = await self._reader.read(len(view))
                count = len(data)
                view[:count] = data
        except OSError:
            raise _Gone()
        if not count:
            raise _Gone()
        return count


def _free(places):
    for place in places:
        if place.task is None:
            return place
    return None


def _peer(writer):
    """Address of the peer as text."""
    name = writer.get_extra_info("peername")
    if isinstance(name, tuple):
        return name[0]
    # The unix port hands out the raw sockaddr.
    import socket

    parts = socket.sockaddr(name)  # pyright: ignore[reportAttributeAccessIssue]
    return socket.inet_ntop(parts[0], parts[1])  # pyright: ignore[reportAttributeAccessIssue]


async def _close(writer, abort=False):
    """Close at once. ``abort``: drop what could not be written (CPython would wait for a reader that never reads)."""
    try:
        if _FILLS:
            await writer.wait_closed()
        elif abort:
            writer.transport.abort()
        else:
            writer.close()
    except OSError:
        pass
