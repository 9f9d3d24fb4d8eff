"""Ask a time server (SNTP, RFC 4330 section 5): Unix seconds or None, soon.

The answer must carry back our random request stamp, so that who cannot see the question cannot answer it.
An attacker on the network can: the time is trusted only after TLS checked dates with it.
"""

import os
import select
import socket

from latchkey.limits import const

_NTP_OF_1970 = 2208988800
_PACKET = const(48)


def ask(hosts, clock, timing, alive, believable):
    """Unix seconds from the first of ``hosts`` whose answer is ``believable(unix_s)``, else None; LinkError from
    ``alive()`` passes."""
    for host in hosts:
        alive()  # Names that nobody answers take 20 s each, and the watchdog waits for 60.
        try:
            unix_s = _ask_one(host, clock, timing, alive)
            if unix_s is not None and believable(unix_s):
                return unix_s
        except (OSError, ValueError, IndexError):
            pass  # The next one may answer.


def _ask_one(host, clock, timing, alive):
    info = socket.getaddrinfo(host, timing.ntp_port, 0, socket.SOCK_DGRAM)[0]
    sock = socket.socket(info[0], socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        stamp = os.urandom(8)
        sock.sendto(b"\x23" + bytes(39) + stamp, info[-1])
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        since_ms = clock.now_ms()
        while clock.now_ms() - since_ms < timing.ntp_ms:
            alive()
            if poller.poll(timing.slice_ms):
                unix_s = parse(sock.recv(_PACKET), stamp)
                if unix_s is not None:
                    return unix_s
    finally:
        sock.close()


def parse(packet, stamp):
    """Unix seconds of a server's packet that answers ``stamp``, else None. Good until 2106."""
    seconds = int.from_bytes(packet[40:44], "big")
    good = len(packet) >= _PACKET and packet[24:32] == stamp and seconds
    # Mode 4: a server; leap 3: its clock is not set; stratum 0: a kiss of death.
    if not good or packet[0] & 7 != 4 or packet[0] >> 6 == 3 or not 1 <= packet[1] <= 15:
        return None
    # Era 1 begins in 2036 and has the top bit clear.
    return seconds - _NTP_OF_1970 + (0 if seconds >> 31 else 1 << 32)
