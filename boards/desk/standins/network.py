"""`network` as an ESP32 has it, without radio waves: one station and one access point, on one channel.

The networks on air are a dict: {"networks": [{"ssid", "passphrase", "channel", "rssi", "fault"}]}. A network without
passphrase is open. `fault`: "no_address" (associates, no DHCP), "no_route" (DHCP names no gateway), or the code
of every join, a number. It comes from `_air.put`, or from the JSON file that `_air.follow` names, read at most 10 times
a second.

Addresses are loopback ones, so that one machine can play everybody: the access point is 127.4.0.1 (a phone on it binds
127.4.0.2), the station 127.7.0.7 (a laptop on its network binds 127.7.0.20). Runs on CPython and on the unix port.
Codes and the order in which `status` asks are those of MicroPython's ESP32 port.
"""

import json
import time

STA_IF, AP_IF = 0, 1
AUTH_OPEN, AUTH_WPA2_PSK = 0, 3

_IDLE, _CONNECTING, _GOT_IP = 1000, 1001, 1010
_LEFT, _HANDSHAKE, _LOST, _NOT_FOUND, _WANTS_SECURITY, _TOO_OPEN = 8, 15, 200, 201, 210, 211
# Reasons of which status() speaks even while the driver tries again.
_SAID_AT_ONCE = (201, 202, 210, 211, 212)
# status() has one word for both: modnetwork's STAT_WRONG_PASSWORD.
_AUTH_FAIL, _CONNECTION_FAIL = 202, 205
_LOOK_EVERY_MS = 100
_EVENT_MS = 20
_MASK = "255.255.255.0"
_NOWHERE = "0.0.0.0"
_AP = "127.4.0.1"
_STATION = "127.7.0.7"
_GATEWAY = "127.7.0.1"


class _HostClock:
    """As hw/clock.py's, which is not on the path yet when the desk starts."""

    def now_ms(self):
        return time.time_ns() // 1000000

    def sleep_ms(self, ms):
        time.sleep(ms / 1000)


class _Air:
    """Holds tuples, replaced whole: the link's thread scans while the loop looks, and the unix port has no GIL."""

    def __init__(self):
        self.power_cut()

    def power_cut(self):
        """For tests: the chip has just got its power back, and nothing is on air."""
        self.networks = ()
        self.hostname = "mpy-esp32"
        self.channel = 1
        self.join_ms, self.scan_ms, self.move_ms = 600, 300, 1000
        self.clock = _HostClock()
        self._path = self._note = self._uplink = self._looked = self._told = self._moved = None
        for one in WLAN._made:
            one._power_up()

    def put(self, air):
        """For tests: from now on the dict ``air`` is what there is."""
        self.networks = _read(air)

    def follow(self, path, note=None, uplink=None):
        """``path``: the file that says what is on air; ``note``: a file for what this chip does there;
        ``uplink``: while that file is there and says down, nothing is on air."""
        self._path, self._note, self._uplink = path, note, uplink

    def go_to(self, channel):
        """The chip has one channel: phones on its access point drop off, and need a moment to follow."""
        if channel != self.channel:
            self.channel = channel
            self._moved = self.clock.now_ms()

    def moving(self):
        """Whether the access point still receives nothing."""
        if self._moved is not None and self.since_ms(self._moved) >= self.move_ms:
            self._moved = None
        return self._moved is not None

    def look(self):
        """The networks in reach, as a tuple of tuples (ssid, passphrase, channel, rssi, fault)."""
        if self._path and (self._looked is None or self.since_ms(self._looked) >= _LOOK_EVERY_MS):
            self._looked = self.clock.now_ms()
            try:
                with open(self._path) as file:
                    self.networks = () if _is_down(self._uplink) else _read(json.load(file))
            except (OSError, ValueError, KeyError, TypeError):
                # There is no such file yet, or somebody is writing it: on air stays what was.
                pass
        return self.networks

    def since_ms(self, start):
        return self.clock.now_ms() - start

    def find(self, ssid):
        for one in self.look():
            if one[0] == ssid:
                return one
        return None

    def tell(self):
        """Write down what station and access point do, if that has changed."""
        station, ap = WLAN._made
        joined = station._joined[0] if station._joined else None
        told = (joined, station._connected, ap._told["ssid"] if ap._on else None, self.channel)
        if self._note and told != self._told:
            self._told = told
            with open(self._note, "w") as file:
                json.dump(dict(zip(("joined", "address", "access_point", "channel"), told)), file)


def _read(air):
    networks = []
    for one in air["networks"]:
        passphrase = one.get("passphrase") or ""
        ssid = one["ssid"]
        ssid = _whole(ssid.encode()) if isinstance(ssid, str) else ssid
        networks.append((ssid, passphrase, one.get("channel", 6), one.get("rssi", -50), one.get("fault")))
    return tuple(networks)


def _whole(raw):
    """Text of ``raw`` (bytes), with one character where MicroPython's json made two surrogates of JSON's escapes
    (RFC 8259, 7)."""
    at = raw.find(b"\xed")
    while 0 <= at < len(raw) - 5:
        lead, a, b, second, c, d = raw[at : at + 6]
        if lead == second and 0xA0 <= a < 0xB0 <= c:
            point = 0x10000 + ((a & 15) << 16 | (b & 63) << 10 | (c & 15) << 6 | d & 63)
            raw = raw[:at] + chr(point).encode() + raw[at + 6 :]
        at = raw.find(b"\xed", at + 1)
    return raw.decode()


def _is_down(path):
    try:
        with open(path or "") as file:
            return file.read(4) == "down"
    except OSError:
        return False


def hostname(name=None):
    if name is None:
        return _air.hostname
    _air.hostname = name


class WLAN:
    """Of each kind the chip has one, however often it is asked."""

    _made = []

    def __new__(cls, interface_id):
        return WLAN._made[interface_id]

    def _power_up(self):
        self._on = self._connected = self._requested = False
        self._joined = self._try = self._leaves = None
        self._reason = self._tries_max = self._tries = 0
        self._told = {"ssid": "ESP_C0FFEE", "key": "", "security": AUTH_OPEN, "max_clients": 4}

    def active(self, is_active=None):
        if is_active is None:
            return self._on
        self._on = bool(is_active)
        if not is_active and self._joined:
            self._drop(_LEFT)
        if not is_active:
            self._try = self._leaves = None
        _air.tell()

    def connect(self, ssid, key=None):
        self._must_be(STA_IF)
        self._happen()
        if not self._on:
            raise OSError("Wifi Not Started")
        if self._try or (self._joined and not self._leaves):
            raise OSError("Wifi Internal State Error")
        self._tries = 0
        self._requested = True
        self._try = (ssid, key or "", _air.clock.now_ms())

    def disconnect(self):
        self._must_be(STA_IF)
        self._happen()
        if not self._on:
            raise OSError("Wifi Not Started")
        self._requested = False
        if self._try or self._joined:
            # The driver says so a moment later.
            self._leaves = self._leaves or (_air.clock.now_ms(),)
        self._try = None

    def isconnected(self):
        self._happen()
        return self._connected

    def status(self, param=None):
        self._must_be(STA_IF)
        self._happen()
        if param == "rssi":
            if not self._joined:
                raise OSError("Wifi Not Connected")
            return self._joined[3]
        if param is not None:
            raise ValueError("unknown status param")
        if self._connected:
            return _GOT_IP
        if self._reason in _SAID_AT_ONCE:
            return self._reason
        if self._reason == _LEFT:
            return _IDLE
        if self._requested and (not self._tries_max or self._tries < self._tries_max):
            return _CONNECTING
        return self._reason or _IDLE

    def ifconfig(self):
        self._happen()
        if self is WLAN._made[AP_IF]:
            return (_AP, _MASK, _AP, _AP)
        if not self._connected:
            return (_NOWHERE, _NOWHERE, _NOWHERE, _NOWHERE)
        gateway = _NOWHERE if self._joined[4] == "no_route" else _GATEWAY
        return (_STATION, _MASK, gateway, gateway)

    def config(self, param=None, **told):
        if param == "channel":
            return _air.channel
        if param is not None:
            return self._told[param]
        for name in told:
            self._must_be(STA_IF if name == "reconnects" else AP_IF)
            if name == "reconnects":
                self._tries_max = told[name] + 1
            elif name not in self._told:
                raise ValueError("unknown config param")
        told.pop("reconnects", None)
        self._told.update(told)
        if self._told["security"] != AUTH_OPEN and not 8 <= len(self._told["key"]) <= 63:
            raise OSError("Wifi Invalid Password")
        _air.tell()

    def scan(self):
        """Blocks, and finds nothing while a connection is under way. May be called by another thread than the rest."""
        self._must_be(STA_IF)
        if not self._on:
            raise OSError("STA must be active")
        if self._try:
            return []
        _air.clock.sleep_ms(_air.scan_ms)
        return [
            (ssid.encode() if isinstance(ssid, str) else ssid, b"\2\0\0\0\0\1", channel, rssi, 3 if key else 0, False)
            for ssid, key, channel, rssi, _fault in _air.look()
        ]

    def _must_be(self, interface_id):
        if self is not WLAN._made[interface_id]:
            raise OSError("AP required" if interface_id else "STA required")

    def _happen(self):
        """Events that the driver would have reported since the last call."""
        if self._leaves and _air.since_ms(self._leaves[0]) >= _EVENT_MS:
            self._leaves = None
            self._drop(_LEFT)
        if self._joined and not self._leaves:
            found = _air.find(self._joined[0])
            if found is None or found[1] != self._joined[1]:
                self._drop(_LOST)
        if self._try and _air.since_ms(self._try[2]) >= _air.join_ms:
            self._end_try()
        _air.tell()

    def _end_try(self):
        ssid, key, _start = self._try
        self._try = None
        found = _air.find(ssid)
        code = _refusal(found, key)
        if code:
            return self._drop(code, (ssid, key))
        self._joined = found
        _air.go_to(found[2])
        if found[4] != "no_address":
            self._connected = True
            self._reason = 0

    def _drop(self, reason, again=None):
        again = again or (self._joined and self._joined[:2])
        self._reason = _AUTH_FAIL if reason == _CONNECTION_FAIL else reason
        self._joined = None
        self._connected = False
        if not self._requested or not again or self._try:
            return
        self._tries += 1
        if not self._tries_max or self._tries < self._tries_max:
            self._try = (again[0], again[1], _air.clock.now_ms())


def _refusal(found, key):
    """The code with which a join of ``found`` ends that has ``key``; None if it succeeds."""
    if found is None:
        return _NOT_FOUND
    if isinstance(found[4], int):
        return found[4]
    if found[1] == key:
        return None
    return _HANDSHAKE if found[1] and key else _WANTS_SECURITY if found[1] else _TOO_OPEN


WLAN._made.extend([object.__new__(WLAN), object.__new__(WLAN)])
_air = _Air()
