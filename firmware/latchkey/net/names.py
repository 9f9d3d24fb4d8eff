"""DNS on the access point: phones find the page there, and notice that this network leads nowhere else.

RFC 1035, a small part. Our own names and those that phones probe have our address, for no longer than this answer
(TTL 0). No other name exists. Answers only peers on the access point, and has a socket only while that is open: the
owner's network never sees it.
"""

from latchkey.limits import const

_MOST_BYTES = const(512)  # RFC 1035 4.2.1
_MOST_A_TURN = const(4)
_HEADER_BYTES = const(12)
_TYPE_A = const(1)
_TYPE_ANY = const(255)
_NO_SUCH_NAME = const(3)
# The names that phones, tablets and laptops look up to see whether a network leads to the internet.
_PROBES = (
    b" connectivitycheck.gstatic.com connectivitycheck.android.com clients3.google.com play.googleapis.com"
    b" captive.apple.com www.msftconnecttest.com detectportal.firefox.com connectivitycheck.platform.hicloud.com"
    b" connect.rom.miui.com nmcheck.gnome.org "
)


def answer(query, own, address):
    """The answer to ``query`` (bytes of one packet) as bytes, or None for what is not an ordinary question.

    ``own``: our names, lower case, each between blanks (bytes); ``address``: our IPv4 address (4 bytes).
    """
    # One question that was not answered yet, of the standard kind (4.1.1).
    if len(query) < _HEADER_BYTES or query[2] & 0xF8 or query[4:6] != b"\0\1":
        return None
    name, end = _name(query)
    if name is None or len(query) < end + 4 or query[end + 2 : end + 4] != b"\0\1":
        return None
    known = b" " + name + b" "
    known = known in own or known in _PROBES
    kind = query[end] << 8 | query[end + 1]
    tells = known and kind in (_TYPE_A, _TYPE_ANY)
    # Authoritative; whether recursion was desired is repeated. One question, and an answer or none.
    head = query[:2] + bytes((0x84 | query[2] & 1, 0 if known else _NO_SUCH_NAME, 0, 1, 0, tells, 0, 0, 0, 0))
    record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + address if tells else b""
    return head + query[_HEADER_BYTES : end + 4] + record


def _name(query):
    """(name in lower case, where it ends); (None, 0) if it is cut off, too long or has a pointer."""
    labels = []
    at = _HEADER_BYTES
    while at < len(query) and at < _HEADER_BYTES + 255:
        length = query[at]
        at += 1
        if not length:
            return b".".join(labels).lower(), at
        # A blank would be two names at once.
        if length > 63 or b" " in query[at : at + length]:
            break
        labels.append(query[at : at + length])
        at += length
    return None, 0


# Made once: an except clause that makes its tuple needs memory.
_LATER = (OSError, MemoryError)


class Names:
    """The adapter: ``turn`` answers what has come. ``radio``: see hw/wifi.py; ``port``: 53 but on a desk; ``hostname``:
    our name without ``.local``; ``peer_of``: a peer's address as text, of what ``recvfrom`` gives."""

    def __init__(self, radio, port, hostname, peer_of):
        self._radio = radio
        self._port = port
        self._own = (" " + hostname + " " + hostname + ".local ").encode()
        self._peer_of = peer_of
        self._socket = self._poll = None

    def turn(self):
        """At each turn of the loop; returns at once."""
        if not self._radio.ap_open:
            return self._close()
        try:
            if not self._socket:
                import select
                import socket

                self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
                # Bound to the access point's address: nothing that is sent to another of ours arrives here.
                self._socket.bind(socket.getaddrinfo(self._radio.ap_address, self._port)[0][-1])
                self._poll = select.poll()
                self._poll.register(self._socket, select.POLLIN)
            for _ in range(_MOST_A_TURN):
                if not self._poll.poll(0):
                    return
                self._answer()
        except _LATER:
            self._close()  # The access point is going, or memory is short: again at the next turn.

    def _answer(self):
        query, peer = self._socket.recvfrom(_MOST_BYTES)
        if self._radio.channel(self._peer_of(peer)) != "ap":
            return
        told = answer(query, self._own, bytes(map(int, self._radio.ap_address.split("."))))
        try:
            if told:
                self._socket.sendto(told, peer)
        except OSError:
            pass  # One whom nothing reaches (port 0) takes the answers of nobody else.

    def _close(self):
        if self._socket:
            self._socket.close()
            self._socket = self._poll = None
