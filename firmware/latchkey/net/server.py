"""The local API on sockets that never block: our own buffers, our own deadlines, a place for each connection.

A place belongs to who shows a valid token (A11). When all are taken, a connection that has shown none gives way: of
the peer that has most of them, the oldest. One place is always left for whoever comes next. A buffer is lent only while
a request arrives. A sweeper task lets go whoever is late, because a task per timeout would cost more than the request.
Decides nothing about requests: that is latchkey.api.handlers's.
"""

# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportAssignmentType=false

import asyncio
import socket

from latchkey import limits
from latchkey.api import request
from latchkey.errors import LatchkeyError

if hasattr(asyncio, "sleep_ms"):
    sleep_ms = asyncio.sleep_ms
else:

    def sleep_ms(ms):
        return asyncio.sleep(ms / 1000)


_SWEEP_MS = 100
_EVENT_POLL_MS = 100
_WAIT_MS = 5
_IDLE, _READING, _WRITING, _LEAVING = range(4)


class _Gone(Exception):
    """The peer closed or broke the connection."""


# Made once: an except clause that makes its tuple needs memory, and raises when that is out.
_NO_CALLER = (OSError, MemoryError)
_ENDED = (_Gone, MemoryError, asyncio.CancelledError)


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
    """Serves ``api`` (latchkey.api.handlers.Api) on ``host``:``port`` and, with ``tls`` (an SSLContext), HTTPS on
    ``tls_port``.

    ``now_ms``: the clock's (hw/clock.py). With ``tls`` the plain port answers only what is open and 426 (A2).
    ``channel``: callable from a plain peer's address (text) to "loopback", "ap" or "lan", or None for one who cannot
    be there and is not answered; the default knows no access point. ``connections``: places; HTTPS has
    ``limits.TLS_SESSIONS`` of them, if it is served.
    """

    def __init__(
        self, api, now_ms, host, port, tls=None, tls_port=443, channel=plain_channel, connections=limits.CONNECTIONS
    ):
        self._api = api
        self._now_ms = now_ms
        self._host = host
        self._ports = (port, tls_port)
        self._tls = tls
        self._channel = channel
        self._places = connections - limits.TLS_SESSIONS if tls else connections
        self._readers = [request.Reader(bytearray(limits.HEAD_BYTES)) for _ in range(limits.READERS)]
        self._open = []  # _Connection, the oldest first
        self._listeners = []
        self._tasks = []
        self.turned_away = 0
        self.granted = 0  # changes with every request that a token let in

    async def start(self):
        """Bind and begin to serve; OSError if an address is taken."""
        self._listen(self._ports[0], None)
        if self._tls:
            self._listen(self._ports[1], self._tls)
        self._tasks.append(asyncio.create_task(self._sweep()))

    async def stop(self):
        """Close the ports and every connection."""
        for task in self._tasks:
            task.cancel()
        for listener in self._listeners:
            listener.close()
        while self._open:
            self._turn_away(self._open[0])
        self._tasks, self._listeners = [], []
        await sleep_ms(0)

    @property
    def event_streams(self):
        """How many are open."""
        return self._api.hub.open

    def status(self):
        """Dict of counts for diagnostics."""
        return {
            "connections": len(self._open),
            "tls_sessions": len(self._on("tls")),
            "event_streams": self.event_streams,
            "turned_away": self.turned_away,
        }

    # Who comes, and who gives way

    def _listen(self, port, tls):
        address = socket.getaddrinfo(self._host, port)[0][-1]
        listener = socket.socket()
        self._listeners.append(listener)
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(limits.BACKLOG)
        self._tasks.append(asyncio.create_task(self._accept(listener, tls)))

    async def _accept(self, listener, tls):
        while True:
            try:
                await ready(listener)
                await self._welcome(listener, tls)
            except _NO_CALLER:
                await sleep_ms(_WAIT_MS)  # The port stays open, whatever came of one caller.

    async def _welcome(self, listener, tls):
        bytearray(limits.POLL_BYTES)  # accept() would lose a connection for which memory is too short
        sock, address = listener.accept()
        try:
            peer = _text(address)
            channel = self._channel(peer)
            if channel is None:
                return sock.close()
            if tls:
                channel = "tls"
            await self._make_room(channel, peer)
            sock.setblocking(False)
            place = _Connection(sock, tls, peer, channel, self._now_ms)
            place.task = asyncio.create_task(self._serve(place))
            self._open.append(place)
        except BaseException:
            sock.close()
            raise

    async def _make_room(self, channel, peer):
        """Until there is a place. Nobody gives way before there was time to show a token."""
        while True:
            mates = self._on(channel)
            if len(mates) < self._limit(channel):
                return
            place = _stranger(mates, peer)
            if place and place.had_time(place.since):
                return self._turn_away(place)
            await sleep_ms(_WAIT_MS)

    def _on(self, channel):
        """Connections on the same port as ``channel``."""
        return [place for place in self._open if (place.channel == "tls") == (channel == "tls")]

    def _limit(self, channel):
        return limits.TLS_SESSIONS if channel == "tls" else self._places

    def _turn_away(self, place):
        place.phase = _LEAVING
        place.task.cancel()
        self.turned_away += 1
        self._let_go(place)

    def _let_go(self, place):
        """Close a connection now, from whichever task; twice does no harm."""
        if place in self._open:
            self._open.remove(place)
            self._take_back(place)
            place.close()

    async def _sweep(self):
        while True:
            await sleep_ms(_SWEEP_MS)
            try:
                self._cancel_late()
            except MemoryError:
                pass  # Again at the next turn.

    def _cancel_late(self):
        now = self._now_ms()
        for place in self._open:
            if place.deadline is not None and now >= place.deadline:
                place.task.cancel()
                place.deadline = None

    # Buffers

    async def _lend(self, place):
        """A buffer for ``place``; like a place it is taken from who has shown no token."""
        while not self._readers:
            holder = _stranger([place for place in self._open if place.reader], None)
            if holder and holder.had_time(holder.lent):
                self._turn_away(holder)
            else:
                await sleep_ms(_WAIT_MS)
        place.reader = self._readers.pop()
        place.lent = self._now_ms()

    def _take_back(self, place):
        if place.reader:
            place.reader.reset()
            self._readers.append(place.reader)
            place.reader = None

    # Requests

    async def _serve(self, place):
        try:
            while await self._exchange(place):
                place.expect(_IDLE, limits.IDLE_MS)
        except asyncio.CancelledError:
            await self._late(place)
        except _Gone:
            pass
        except Exception as exc:
            self._api.device.log.failed("request", exc)  # No answer can tell it any more.
        finally:
            self._let_go(place)

    async def _late(self, place):
        """Cancelled: half a request deserves a word, everything else just ends."""
        if place.phase == _READING:
            try:
                place.expect(_WRITING, limits.LINGER_MS)
                await self._send(place, self._api.refusal(LatchkeyError("timeout")), True)
                await place.linger()
            except _ENDED:
                pass

    async def _exchange(self, place):
        """Read and answer one request; returns whether another may follow."""
        request = None
        try:
            request = await self._request(place)
            response = await self._answer(place, request)
        except _Gone:
            raise
        except LatchkeyError as exc:
            response = self._api.refusal(exc)
        except Exception as exc:
            response = self._api.failure(exc)
        stays = self._may_stay(place)
        if response.stream and not stays:
            response.stream.close()
            response = self._api.refusal(LatchkeyError("full_house"))
        lost = request is None or place.owed > 0  # where the next request would begin
        close = lost or request.close or response.body is None or not stays
        if not lost and (close or not place.reader.held):
            self._take_back(place)  # A stream would keep it for ever, with what nobody will read in it.
        await self._give(place, response, close, request is not None and request.method == "HEAD")
        if lost:
            await place.linger()
        return not close

    async def _request(self, place):
        """The next request.Request; FormatError; _Gone."""
        while True:
            if place.reader is None:
                await ready(place.socket)
                await self._lend(place)
            request = place.next()
            if request:
                return request
            await place.fill()

    async def _answer(self, place, request):
        request.channel, request.peer = place.channel, place.peer
        request.tls_serves = self._tls is not None
        place.owed = request.length or 0
        place.granted = False
        exchange = self._api.admit(request)
        if exchange.grant:
            place.granted = True
            self.granted = (self.granted + 1) & 0x3FFF
        if request.wants_continue and place.owed:
            await place.write(request.CONTINUE)
        body = await place.body()
        try:
            return self._api.answer(exchange, body)
        finally:
            place.drop_body()

    def _may_stay(self, place):
        """Whether ``place`` may be kept after this answer. Who has shown no token: for a few requests. Who has: if that
        leaves a place to whoever comes next; another one that only waits gives way to it."""
        if not place.granted:
            place.strange += 1
            return place.strange < limits.STRANGER_REQUESTS
        others = [other for other in self._on(place.channel) if other.granted and other is not place]
        if len(others) + 1 < self._limit(place.channel):
            return True
        idle = [other for other in others if other.phase == _IDLE]
        if idle:
            self._turn_away(idle[0])
        return bool(idle)

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
        head = request.response_head(response.status, reason, length, response.lines, close, response.media)
        if head_only or not body:
            return await place.write(head)
        if length > limits.JOINED_BYTES:
            # Two copies of what is long would cost more than a packet of its own.
            await place.write(head)
            return await place.write(body)
        await place.write(head + body)

    async def _stream(self, place, stream):
        place.deadline = None
        watcher = asyncio.create_task(place.watch(stream))
        since = self._now_ms()
        try:
            while not stream.ended:
                data = stream.due(self._now_ms() - since)
                if data:
                    place.expect(_WRITING, limits.REQUEST_MS)
                    await place.write(data)
                    place.deadline = None
                await sleep_ms(_EVENT_POLL_MS)
        finally:
            watcher.cancel()


class _Connection:
    """One place: its socket, peer and deadline. ``reader``: an request.Reader while a request arrives, else None."""

    def __init__(self, sock, tls, peer, channel, now_ms):
        # The handshake runs with the first read: nobody waits for it.
        self.socket = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) if tls else sock
        self._plain = sock
        self.peer, self.channel = peer, channel
        self._now_ms = now_ms
        self.since = self.lent = now_ms()
        self.granted = False  # whether the last request showed a valid token
        self.strange = 0  # requests that showed none
        self.owed = 0  # bytes of a body that has not been taken
        self.reader = self.task = self._large = None
        self.expect(_IDLE, limits.REQUEST_MS)

    def expect(self, phase, ms):
        """``phase`` is to end within ``ms``."""
        self.phase = phase
        self.deadline = self._now_ms() + ms

    def had_time(self, since):
        """Whether a token could be shown since then: a client sends at once, but a handshake takes a while."""
        grace_ms = limits.TLS_GRACE_MS if self.channel == "tls" and self.reader else limits.GRACE_MS
        return self._now_ms() - since >= grace_ms

    def next(self):
        """The request that has arrived, or None; FormatError."""
        # Pipelined bytes may be here already, without a read.
        if self.phase == _IDLE and self.reader.held:
            self.expect(_READING, limits.REQUEST_MS)
        return self.reader.request()

    async def fill(self):
        self.reader.filled(await self._read(self.reader.room()))

    async def body(self):
        """The body owed, whole: bytes or a view valid until ``drop_body``."""
        if not self.owed:
            return b""
        if self.owed > limits.HEAD_BYTES:
            return await self._large_body()
        while self.reader.held < self.owed:
            await self.fill()
        return self.reader.body(self.owed)

    def drop_body(self):
        if self.owed and self.reader and self._large is None:
            self.reader.take(self.owed)
        self._large = None
        self.owed = 0

    async def write(self, data):
        view = memoryview(data)
        try:
            while True:
                view = view[self.socket.write(view) or 0 :]
                if not len(view):
                    break
                await ready(self.socket, True)
        except OSError:
            raise _Gone()
        await sleep_ms(0)  # Whoever sends one request after the other must not keep the loop.

    async def linger(self):
        """Read and drop what still comes, until it pauses: closing on unread bytes would reset, and lose our answer."""
        end = self._now_ms() + limits.LINGER_MS
        view = _DROPPED
        if self.reader:
            self.reader.reset()
            view = self.reader.room()
        while self._now_ms() < end:
            self.expect(_LEAVING, limits.QUIET_MS)
            await self._read(view)

    async def watch(self, stream):
        """End ``stream`` when the peer goes away; what it still says is dropped."""
        try:
            while True:
                await self._read(_DROPPED)
        except _ENDED:
            stream.ended = True

    def close(self):
        """Allocates nothing: it must work when memory is out."""
        try:
            self.socket.close()
        except OSError:
            pass
        # After a failed handshake modtls no longer closes the socket under it; twice does no harm.
        try:
            self._plain.close()
        except OSError:
            pass
        self.deadline = self._large = None

    async def _large_body(self):
        self._large = bytearray(self.owed)
        view = memoryview(self._large)
        at = self.reader.held
        view[:at] = self.reader.body(at)
        self.reader.reset()
        while at < self.owed:
            at += await self._read(view[at:])
        return self._large

    async def _read(self, view):
        """Number of bytes read into ``view``, at least 1."""
        count = None
        while count is None:  # TLS: a record, or a handshake, that is not whole yet
            await ready(self.socket)
            try:
                count = self.socket.readinto(view)
            except OSError:
                raise _Gone()
        if not count:
            raise _Gone()
        return count


_DROPPED = bytearray(64)


def _stranger(places, peer):
    """Who gives way, or None: of those that have shown no valid token one that sends nothing, of these the peer's that
    has most of them, of these the oldest. ``peer``: who comes, and counts as one more."""
    found, most = None, 0
    for place in places:
        if place.granted:
            continue
        count = len([p for p in places if p.peer == place.peer and not p.granted]) + (place.peer == peer)
        if not place.reader:
            count += len(places) + 1
        if count > most:
            found, most = place, count
    return found


def ready(sock, write=False):
    """Wait until ``sock`` can be read, or written. MemoryError before anything has begun: asyncio's poller does not
    survive one halfway."""
    bytearray(limits.POLL_BYTES)
    queue = asyncio.core._io_queue
    yield (queue.queue_write if write else queue.queue_read)(sock)


def _text(address):
    """Address of a peer as text."""
    if isinstance(address, tuple):
        return address[0]
    # The unix port gives the raw sockaddr.
    parts = socket.sockaddr(address)
    return socket.inet_ntop(parts[0], parts[1])
