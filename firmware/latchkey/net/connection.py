"""One connection of the local API: its requests are read and answered, each step with a deadline.

The socket never blocks. Its server (net/server.py) lends a buffer while a request arrives, decides whether the
connection may stay, and ends it when it is late. latchkey.api.handlers decides the answer.
"""

# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import asyncio

from latchkey.api.request import CONTINUE
from latchkey.errors import LatchkeyError
from latchkey.limits import const

REQUEST_MS = 10000  # a request, or an answer
IDLE_MS = 5000  # until the next request
PIECE_MS = 60000  # a piece of a body that is taken in pieces
LINGER_MS = 2000
_QUIET_MS = const(200)
_POLL_BYTES = const(512)  # what asyncio's poller may take for one wait
_JOINED_BYTES = const(512)
_EVENT_POLL_MS = const(100)
_DROPPED = bytearray(64)


class Gone(Exception):
    """The peer closed or broke the connection."""


# Made once: an except clause that makes its tuple needs memory, and raises when that is out.
_ENDED = (Gone, MemoryError, asyncio.CancelledError)


class Connection:
    """``reader``: an api.request.Reader while a request arrives, else None. ``granted``: whether the last request
    showed a valid token; ``strange``: how many showed none. ``since``, ``lent``: when it came, and got its reader.
    ``phase``: "idle" (a request may begin), "reading" (half a request is here) or "answering" (no other answer is
    possible any more)."""

    def __init__(self, server, sock, tls, peer, channel):
        # The handshake runs with the first read: nobody waits for it.
        self.socket = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) if tls else sock
        # After a failed handshake modtls does not close the socket under it; closing twice does no harm.
        self._sockets = (self.socket, sock)
        self._server = server
        self.tls, self.peer, self.channel = tls, peer, channel
        self.since = self.lent = server.now_ms()
        self.granted = False
        self.strange = 0
        self._owed = 0  # bytes of a body that has not been read
        self.reader = self.task = None
        self._expect("idle", REQUEST_MS)

    def _expect(self, phase, ms):
        """``phase`` has to end within ``ms``."""
        self.phase = phase
        self.deadline = self._server.now_ms() + ms

    async def serve(self):
        """Answer requests until the connection ends."""
        try:
            while await self._exchange():
                self._expect("idle", IDLE_MS)
        except asyncio.CancelledError:
            # The deadline has passed: half a request is answered, everything else just ends.
            if self.phase == "reading":
                try:
                    self._expect("answering", LINGER_MS)
                    await self._give(self._server.api.refusal(LatchkeyError("timeout")), True, False)
                    await self._linger()
                except _ENDED:
                    pass
        except Gone:
            pass
        except Exception as exc:
            self._server.api.device.log.failed("request", exc)  # It can no longer be answered.
        finally:
            self._server.let_go(self)

    def close(self):
        """Allocates nothing: it must work when memory is out."""
        for sock in self._sockets:
            try:
                sock.close()
            except OSError:
                pass
        self.deadline = None

    async def _exchange(self):
        """Read and answer one request; returns whether another may follow."""
        server, asked = self._server, None
        try:
            asked = await self._request()
            response = await self._answer(asked)
        except Gone:
            raise
        except Exception as exc:
            response = server.api.refusal(exc)
        pieces = response.pieces
        try:
            if server.api.uses:
                server.api.uses.note(server.api, asked, self.peer, response)
            stays = server.may_stay(self)
            if pieces and response.length is None and not stays:
                response = server.api.refusal(LatchkeyError("full_house"))
            lost = not asked or self._owed > 0  # where the next request would begin
            close = lost or asked.close or response.body is None or not stays
            if not lost and (close or not self.reader or not self.reader.held):
                server.take_back(self)  # A stream would keep it for ever.
            await self._give(response, close, asked and asked.method == "HEAD")
        finally:  # MicroPython closes no generator by itself, and a stream would keep its place.
            if pieces:
                pieces.close()
        if asked and self.granted and not response.code:
            server.answered += 1
        if lost:
            await self._linger()
        return not close

    async def _request(self):
        """The next Request; FormatError; Gone."""
        while True:
            if self.reader is None:
                await ready(self.socket)
                await self._server.lend(self)
            if self.phase == "idle" and self.reader.held:  # Pipelined bytes need no read.
                self._expect("reading", REQUEST_MS)
            asked = self.reader.request()
            if asked:
                return asked
            self.reader.held += await self._read(self.reader.room())

    async def _answer(self, asked):
        server = self._server
        asked.channel, asked.peer = "tls" if self.tls else self.channel, self.peer
        asked.tls_serves = server.tls is not None
        self._owed = asked.length or 0
        self.granted = False
        server.api.admit(asked)
        self.granted = asked.grant is not None
        server.granted += self.granted
        if asked.wants_continue and self._owed:
            await self._write(CONTINUE)
        take = asked.route[4]
        if callable(take):
            body = await take(server.api, asked, self)
        else:
            body = bytearray(self._owed)
            await self._fill(memoryview(body))
        if server.board.radio.channel(self.peer) != self.channel:
            raise Gone()  # The network that it came by is left: whoever is in none counts as present (A3).
        return server.api.answer(asked, body)

    async def _fill(self, view):
        """The next bytes of the body, as many as ``view`` takes."""
        at = self.reader.move(view) if self.reader else 0
        while at < len(view):
            at += await self._read(view[at:])
        self._owed -= at

    async def line(self, most):
        """Of a body that is taken in pieces, the first line with its end; empty if that is not among the first ``most``
        bytes. It must come within ``PIECE_MS``. It arrives in the buffer of the head, and takes only its own length."""
        reader, most = self.reader, min(most, self._owed)
        self._expect("reading", PIECE_MS)
        while not reader.line_end(most) and reader.held < most:
            reader.held += await self._read(reader.room())
        line = bytearray(reader.line_end(most))
        await self._fill(memoryview(line))
        self.deadline = None
        return line

    async def fill(self, view):
        """Read the next bytes of a body that is taken in pieces into ``view``, as many as fit and are left; returns
        their number. They must come within ``PIECE_MS``; between two calls nothing is late. The loop gets a turn,
        and the buffer of the head goes back."""
        view = view[: self._owed]
        self._expect("reading", PIECE_MS)
        await self._fill(view)
        self.deadline = None
        if self.reader and not self.reader.held:
            self._server.take_back(self)
        await asyncio.sleep_ms(0)
        return len(view)

    async def _read(self, view):
        """Number of bytes read into ``view``, at least 1."""
        count = None
        while count is None:  # TLS: a record, or a handshake, that is not whole yet
            await ready(self.socket)
            count = self._read_now(view)
        return count

    def _read_now(self, view):
        """Number of bytes read, None if there are none yet; Gone."""
        try:
            count = self.socket.readinto(view)
        except OSError:
            count = 0
        if count == 0:
            raise Gone()
        return count

    async def _linger(self):
        """Read and drop what still comes, until it pauses: closing on unread bytes would reset, and lose our answer."""
        now_ms = self._server.now_ms
        end_ms = now_ms() + (REQUEST_MS if self.granted else LINGER_MS)
        view = _DROPPED
        if self.reader:
            self.reader.held = 0
            view = self.reader.room()
        while now_ms() < end_ms:
            self._expect("answering", _QUIET_MS)
            await self._read(view)

    async def _give(self, response, close, head_only):
        self.phase = "answering"
        body, length = response.body, response.length
        parts = body if isinstance(body, list) else [body] if body else []
        if length is None and body is not None:
            length = sum(map(len, parts))
        data = response.head(length, close)
        if head_only:
            parts = ()
        elif response.pieces:
            parts = response.pieces
        elif parts and length <= _JOINED_BYTES:
            # Two copies of a long body would cost more than a packet of its own.
            data, parts = data + b"".join(parts), ()
        await self._write(data)
        for part in parts:
            await self._write(part)
            if length is None:  # A stream: something is due again in a while.
                self.deadline = None
                await asyncio.sleep_ms(_EVENT_POLL_MS)
                self._read_now(_DROPPED)  # Gone, if the listener has left.
        if response.after:
            response.after()

    async def _write(self, data):
        if self.deadline is None:
            self._expect("answering", REQUEST_MS)
        view = memoryview(data)
        try:
            while len(view):
                view = view[self.socket.write(view) or 0 :]
                if len(view):
                    await ready(self.socket, True)
        except OSError:
            raise Gone()
        await asyncio.sleep_ms(0)  # One who sends request after request must not keep the loop.


def ready(sock, write=False):
    """Wait until ``sock`` can be read, or written. MemoryError before anything has begun: asyncio's poller does not
    survive one halfway."""
    bytearray(_POLL_BYTES)
    queue = asyncio.core._io_queue
    yield (queue.queue_write if write else queue.queue_read)(sock)
