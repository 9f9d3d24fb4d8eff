"""Wi-Fi of a chip: a station that joins, joins again after a growing pause and says why not; an access point; scans.

The loop owns it and calls ``turn``. The cloud link's thread calls ``up station scan`` and nothing else: they read
attributes that hold immutable values, since the unix port has no GIL. ``DeskRadio`` (boards/desk/) has the same
names. Codes are those of ``WLAN.status()`` in MicroPython's ESP32 port, which passes the driver's reasons on only after
``config(reconnects=0)``.
"""

import os

import network

from latchkey import strictjson
from latchkey.cloud.backoff import Backoff
from latchkey.device.log import shown
from latchkey.errors import FormatError
from latchkey.limits import const

_LOOK_MS = const(100)
# Less, and the next try cuts off a slow association; so with a hurry too.
_FIRST_PAUSE_MS = const(8000)
_LEAST_PAUSE_MS = const(1000)
_CEILING_MS = const(120000)
# A driver that is joining refuses a scan: nothing is found, at once. A real one takes a second and more.
_REFUSED_MS = const(100)
_PHONES = const(4)  # as many as the API has places
_NETWORKS = const(16)  # that a scan keeps, the strongest
_NOWHERE = "0.0.0.0"
_AP_BITS = const(0xFFFFFF00)  # of the access point's netmask
# Which of 15, 202 and 204 a wrong passphrase gives depends on the network's access point. MicroPython says 202 in place
# of 205 too, which is any failure to connect. 2: authentication came to no end; 5: too many stations; 203: association
# was refused; 212: the signal is below the driver's bound.
_REASONS = {
    2: "wifi_weak",
    5: "wifi_full",
    15: "wifi_wrong_passphrase",
    201: "wifi_not_found",
    202: "wifi_probably_passphrase",
    203: "wifi_full",
    204: "wifi_wrong_passphrase",
    205: "wifi_weak",
    210: "wifi_wrong_security",
    211: "wifi_wrong_security",
    212: "wifi_weak",
}


class Wifi:
    """``clock``: see hw/clock.py. ``hurry``: what pauses are divided by, 1 but for tests. ``.scanning``: set to have
    the link's thread scan, and set until it has."""

    wants_network = True

    def __init__(self, clock, hurry=1):
        self._clock = clock
        self._hurry = hurry
        self._wlan = network.WLAN(network.STA_IF)
        self._ap = network.WLAN(network.AP_IF)
        self._network = None
        self._backoff = Backoff(_FIRST_PAUSE_MS, _CEILING_MS, os.urandom)
        self._looked_ms = self._tried_ms = clock.now_ms()
        self._pause_ms = self._tries = 0
        self._leaving = self._trying = self._scans = False
        self._before = None  # what the chip said before this try, and goes on saying until it knows better
        self._verdict = "wifi_not_set"
        self._seen = (False, self._verdict, None, None, 0)
        self._bits, self.ap_address = _AP_BITS, None  # of the station's netmask
        self.ap_open = False
        self.networks = ()
        self.scanned_ms = None
        self.scanning = False

    def name(self, hostname):
        """The name for DHCP and mDNS; to be set before anything is active."""
        network.hostname(hostname)

    def use(self, ssid, passphrase):
        """The network to join from now on, tried at the next turns; None for none: the station then only scans."""
        self._network = (ssid, passphrase) if ssid else None
        if not self._wlan.active():
            self._wlan.active(True)
            self._wlan.config(reconnects=0)
        self._leave()
        self._backoff.reset()
        self._pause_ms = self._tries = 0
        self._verdict = "no_wifi" if ssid else "wifi_not_set"
        self._tell(None)

    def turn(self):
        """Look at the chip, at most ten times a second, and take the next step towards the network."""
        now_ms = self._clock.now_ms()
        if now_ms - self._looked_ms < _LOOK_MS:
            return
        self._looked_ms = now_ms
        if self._leaving:
            # The driver leaves a moment after it was asked to. Until then the old network would pass for the next.
            if self._wlan.isconnected():
                self._leave()
            else:
                self._leaving = False
        elif self._network and self._trying:
            self._look(now_ms)
        elif self._network and not self._scans:
            self._connect(now_ms)

    def up(self):
        """Whether we have joined and have an address."""
        return self._seen[0]

    def station(self):
        """(up, reason, address or None, gateway or None, tries since ``use``). The reason is that of the last try which
        ended; an address and no gateway: the network gave no way out."""
        return self._seen

    def addresses(self):
        """Our own, on every network that is up."""
        both = (self._seen[2], self.ap_address if self.ap_open else None)
        return [address for address in both if address]

    def open_ap(self, ssid, passphrase):
        """Open it with WPA2; without a passphrase it stays closed. ``ap_open`` says so. The chip has one channel:
        joining a network moves the access point there, and phones drop off."""
        if self.ap_open or not passphrase:
            return
        try:
            # Before it is active: otherwise it would come up open for a moment, under a name of its own.
            security = network.AUTH_WPA2_PSK
            self._ap.config(ssid=ssid, key=passphrase, security=security, max_clients=_PHONES)
            self._ap.active(True)
        except OSError:
            return
        self.ap_address = self._ap.ifconfig()[0]
        self.ap_open = True

    def close_ap(self):
        if self.ap_open:
            self.ap_open = False
            self._ap.active(False)

    def channel(self, peer):
        """How a plain connection from ``peer`` (text) came: "ap", "lan", "loopback", or None: by no network that is up.

        A station's network that overlaps the access point's leaves no way to tell them apart: "lan", which may less."""
        if peer in ("127.0.0.1", "::1"):
            return "loopback"
        station = self._seen[2]
        if self.ap_open and _same(peer, self.ap_address, _AP_BITS):
            if not (station and _same(station, self.ap_address, self._bits & _AP_BITS)):
                return "ap"
        return "lan" if self._seen[0] else None

    def scan(self):
        """Look who is on air: for two seconds or so nothing else happens in this thread. The station must be active."""
        since_ms = self._clock.now_ms()
        self._scans = True
        try:
            found = self._wlan.scan()
        except OSError:
            found = None
        self._scans = False
        now_ms = self._clock.now_ms()
        if found or (found is not None and now_ms - since_ms >= _REFUSED_MS):
            self.networks = _strongest(found)
            self.scanned_ms = now_ms
            self.scanning = False

    def _leave(self):
        self._trying = False
        self._leaving = True
        try:
            self._wlan.disconnect()
        except OSError:
            pass  # The driver has nothing to leave.

    def _connect(self, now_ms):
        self._before = self._wlan.status()
        self._tried_ms = now_ms
        self._pause_ms = max(self._backoff.next_ms() // self._hurry, _LEAST_PAUSE_MS)
        self._tries += 1
        self._trying = True
        try:
            self._wlan.connect(*self._network)
        except OSError:
            pass  # The driver is busy: this try has failed.
        self._tell(None)

    def _look(self, now_ms):
        if self._wlan.isconnected():
            self._backoff.reset()
            self._verdict = "no_wifi"
            return self._tell(self._wlan.ifconfig())
        ended = now_ms - self._tried_ms >= self._pause_ms
        self._judge(ended)
        self._tell(None)
        if ended and not self._scans:
            self._leave()

    def _judge(self, ended):
        code = self._wlan.status()
        if code == self._before and not ended:
            return
        self._before = None
        if code in _REASONS:
            self._verdict = _REASONS[code]
        elif ended:
            try:
                self._wlan.status("rssi")
                self._verdict = "no_address"
            except OSError:  # It is not associated.
                self._verdict = "no_wifi"

    def _tell(self, config):
        """``config``: what ``ifconfig()`` says while the station is up, else None."""
        if config is None:
            seen = (False, self._verdict, None, None, self._tries)
        else:
            self._bits = _number(config[1])
            seen = (True, "", config[0], config[2] if config[2] != _NOWHERE else None, self._tries)
        self._seen = seen


def _same(a, b, bits):
    """Whether two addresses (text) are in one network, by the ``bits`` of its netmask; False if one is not IPv4."""
    try:
        return _number(a) & bits == _number(b) & bits
    except ValueError:
        return False


def _number(address):
    number = 0
    for part in address.split("."):
        number = number << 8 | int(part)
    return number


def _strongest(found):
    """Of what ``WLAN.scan()`` found, each network once, as tuples (ssid, rssi_dbm, secured)."""
    networks = []
    for raw, _bssid, _channel, rssi_dbm, security, _hidden in sorted(found, key=lambda one: -one[3]):
        try:
            ssid = strictjson.text(raw)
        except FormatError:
            # JSON cannot carry such a name, so no request could choose it.
            continue
        # A stranger chose the name and a person reads it: no control characters.
        if ssid and shown(raw) and ssid not in [known[0] for known in networks]:
            networks.append((ssid, rssi_dbm, security != 0))
    return tuple(networks[:_NETWORKS])
