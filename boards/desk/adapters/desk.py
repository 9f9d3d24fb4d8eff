"""The desk's own adapters: its uplink, light, sensor, and the bytes that it keeps outside its flash's main folder.

Chips have adapters of their own in firmware/latchkey/hw/.
"""

import time

from latchkey.hw.flash import FileStore
from latchkey.stores.slots import Slots

_LOOK_EVERY_S = 0.1
_OUTSIDE_BYTES = 64


def plain_channel(peer):
    """ "loopback" or "lan" for a peer address (text)."""
    return "loopback" if peer.startswith("127.") or peer == "::1" else "lan"


class Outside:
    """A few bytes in the folder ``path``, which is made if it is not there: what NVS is on a chip.

    LittleFS drops what follows a damaged entry of a directory: in the folder that they watch over, these bytes would be
    lost together with what they are about.
    """

    def __init__(self, path):
        self._store = FileStore(path)

    def read(self, name):
        """The last written bytes; empty if there are none, or they cannot be read."""
        return bytes(Slots(self._store, name, b"o").read(_OUTSIDE_BYTES) or b"")

    def write(self, name, data):
        """Durable when this returns; StoreError if not."""
        Slots(self._store, name, b"o").write(data)


class DeskRadio:
    """The host's network in the place of Wi-Fi, which can be cut: down while the file at ``path`` contains ``down``.

    ``path`` None: an uplink that nobody cuts. ``host``: our address. The names are those of ``Wifi`` (hw/wifi.py). Most
    have nothing to do, since nobody joins a desk to its network and it opens no access point.
    """

    wants_network = False
    ap_open = False
    networks = ()
    scanned_ms = None
    scanning = False

    def __init__(self, path=None, host="127.0.0.1"):
        self._path = path
        self._host = host
        self._up = True
        self._looked_s = None

    def up(self):
        """Whether there is a network. The file is read at most ten times a second."""
        if self._path is None:
            return True
        now_s = time.time()
        if self._looked_s is None or not 0 <= now_s - self._looked_s < _LOOK_EVERY_S:
            self._looked_s = now_s
            self._up = "down" not in self._read()
        return self._up

    def station(self):
        """As ``Wifi.station``, without the host's addresses."""
        up = self.up()
        return (up, "" if up else "no_wifi", None, None, 0)

    def addresses(self):
        """By which the local API may be called, beside the device's own name."""
        return (self._host, "localhost")

    def channel(self, peer):
        """As ``Wifi.channel``: everything that is not this machine is the LAN."""
        return plain_channel(peer)

    def name(self, hostname):
        """A desk has its host's name."""

    def use(self, ssid, passphrase):
        """Nothing to join."""

    def turn(self):
        """Nothing to look at."""

    def open_ap(self, ssid, passphrase):
        """No access point."""

    def close_ap(self):
        """No access point."""

    def scan(self):
        """Nothing is on air."""

    def _read(self):
        try:
            with open(self._path or "") as file:
                return file.read(16)
        except OSError:
            return ""


class DeskLight:
    """A light for the desk: one line per change through ``say`` (a callable taking text), and the state kept."""

    def __init__(self, say=print):
        self._say = say
        self.shown = None
        self.blinks = 0

    def show(self, state, transition_ms=0):
        self.shown = state
        words = ["%s=%s" % (field, state[field]) for field in sorted(state)]
        self._say("light: %s over %d ms" % (" ".join(words), transition_ms))

    def blink(self):
        self.blinks += 1
        self._say("light: blinks")


class DeskSensor:
    """A sensor for the desk: the values it was given last. ``say``: callable taking text."""

    def __init__(self, say=print, temperature_c=21.5, humidity_pct=45, battery_pct=90):
        self._say = say
        self.values = (temperature_c, humidity_pct, battery_pct)

    def read(self):
        return self.values

    def blink(self):
        self._say("sensor: blinks")
