"""One TLS connection behind the name ``umqtt.simple.socket``: verified, with deadlines and a byte limit.

umqtt opens sockets by itself and reads from them without end. It is given this instead: ``socket()`` and
``getaddrinfo()`` are answered here, and ``connect()`` does name, TCP and TLS under one deadline. Server
certificate: CA, name and dates are always checked; there is no way to ask for less. Certificates and keys are
DER. Sockets never block: MicroPython's TLS sockets have no ``settimeout``.
Every failure is a ``LinkError`` whose code is the reason.
"""

import errno
import select
import socket

import tls

from latchkey.cloud.reasons import LinkError, connect_reason, tls_reason
from latchkey.hw import memory
from latchkey.limits import const

_ADDRESSES = const(3)


def context(ca_der, cert_der, key_der):
    """TLS settings of a client that proves itself and verifies the server; LinkError if they are unusable."""
    try:
        made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        made.verify_mode = tls.CERT_REQUIRED  # pyright: ignore[reportAttributeAccessIssue]
        made.load_verify_locations(ca_der)
        made.load_cert_chain(cert_der, key_der)
    except (OSError, ValueError, TypeError):
        raise LinkError("credentials_bad")
    return made


class Transport:
    """``alive``: called several times a second while waiting; raises LinkError to give up."""

    def __init__(self, tls_context, clock, slice_ms, alive):
        self._context = tls_context
        self._clock = clock
        self._slice_ms = slice_ms
        self._alive = alive
        self._raw = self._tls = self._poller = None
        self._secure = False
        self._end_ms = 0
        self._bytes = 0
        self.heard = b""
        self._out = bytearray()

    # The part of the socket module and of a socket that umqtt uses

    def socket(self):
        return self

    def getaddrinfo(self, host, port):
        return (((host, port),),)

    def settimeout(self, _timeout):
        """umqtt 1.8.0 sets one; ours is the operation's."""

    def connect(self, address):
        host, port = address
        if not memory.tls_fits():
            raise LinkError("no_memory")
        self._connect_tcp(host, port)
        try:
            self._tls = self._context.wrap_socket(self._raw, server_hostname=host, do_handshake_on_connect=False)
        except (OSError, ValueError) as e:
            raise LinkError(tls_reason(e.args))

    def write(self, data, length=None):
        """Keep ``data`` (or its first ``length`` bytes) until the next read or ``flush``: umqtt writes a packet in
        pieces, each of which would travel as a TLS record of its own and wait for the other side's ACK."""
        self._out += memoryview(data)[:length]

    def flush(self):
        """Send what was written, all of it, before the deadline."""
        left = memoryview(self._out)
        while len(left):
            n = self._try(self._tls.write, left)
            if n:
                self._secure = True
                left = left[n:]
            else:
                # Before the first byte is out TLS is shaking hands, and mostly waits for the other side.
                self._wait(select.POLLOUT if self._secure else select.POLLIN)
        self._out = bytearray()

    def read(self, n):
        """Exactly ``n`` bytes; allocates them."""
        if n > self._bytes:
            raise LinkError("bad_packet")
        buf = bytearray(n)
        view = memoryview(buf)
        at = 0
        while at < n:
            at += self.readinto(view[at:])
        self.heard = bytes(buf)
        return self.heard

    def close(self):
        """Close whatever is open; never raises."""
        for one in (self._tls, self._raw):
            try:
                if one is not None:
                    one.close()
            except OSError:
                pass
        self._tls = self._raw = None

    # The part that our client uses besides

    def operation(self, limit_ms, byte_limit):
        """Begin an operation: everything until the next call has ``limit_ms`` and may read ``byte_limit`` bytes."""
        self._end_ms = self._clock.now_ms() + limit_ms
        self._bytes = byte_limit

    def readinto(self, view):
        """At least one byte into ``view``; returns how many."""
        self.flush()
        if len(view) > self._bytes:
            raise LinkError("bad_packet")
        n = self._receive(view)
        while n is None:
            self._wait(select.POLLIN)
            n = self._receive(view)
        self._bytes -= n
        return n

    def try_byte(self, wait_ms):
        """One byte as an int if it comes within ``wait_ms``, else None. Costs no deadline."""
        buf = bytearray(1)
        n = self._receive(buf)  # First, since bytes that TLS already holds do not show.
        if n is None and wait_ms:
            self._poller.poll(wait_ms)
            n = self._receive(buf)
        return buf[0] if n else None

    def peer_certificate(self):
        """DER of the server's certificate, or None where the port does not give it."""
        get = getattr(self._tls, "getpeercert", None)
        return get(True) if get else None

    def _connect_tcp(self, host, port):
        failure = LinkError("dns")
        try:
            found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        except (OSError, ValueError):
            raise failure
        # A name may have an IPv6 address first that leads nowhere.
        for info in found[:_ADDRESSES]:
            try:
                self._raw = socket.socket(info[0], info[1])
                self._raw.setblocking(False)
                self._poller = select.poll()
                self._poller.register(self._raw, select.POLLIN)
                _start(self._raw.connect, info[-1], errno.EINPROGRESS)
                self._wait(select.POLLOUT, "no_answer")
                # MicroPython has no getsockopt(SO_ERROR); a read reports the failure. A TLS server has nothing to say
                # yet.
                return _start(self._raw.recv, 1, errno.EAGAIN)
            except OSError as e:
                self.close()
                failure = LinkError(connect_reason(e.args[0]), e.args[0])
        raise failure

    def _wait(self, event, late="stalled"):
        """Until the socket is ready; LinkError ``late`` at the deadline."""
        self._poller.modify(self._raw, event)
        while True:
            self._alive()
            left = self._end_ms - self._clock.now_ms()
            if left <= 0:
                raise LinkError(late)
            if self._poller.poll(min(left, self._slice_ms)):
                return

    def _receive(self, buf):
        """Number of bytes, at least 1; None if none are there yet; LinkError ``closed``."""
        n = self._try(self._tls.readinto, buf)
        if n == 0:
            raise LinkError("closed")
        return n

    def _try(self, call, buf):
        try:
            return call(buf)
        except ValueError as e:
            raise LinkError(tls_reason(e.args))
        except OSError as e:
            raise LinkError(tls_reason(e.args), e.args[0])


def _start(call, argument, going_on):
    """``call``, where OSError ``going_on`` says that it goes on."""
    try:
        call(argument)
    except OSError as e:
        if e.args[0] != going_on:
            raise
