"""The wired desk's uplink, which can be cut: the host's network in the place of Wi-Fi.

``up()`` is False while the file at ``path`` contains ``down``. The names are those of ``Wifi`` (hw/wifi.py); most have
nothing to do here, since nobody joins a desk to its network and it opens no access point.
"""

import time

from latchkey.net.server import plain_channel

_LOOK_EVERY_S = 0.1


class DeskRadio:
    """``path``: a file's path, or None for an uplink that nobody cuts."""

    wants_network = False
    ap_open = False
    networks = ()
    scanned_ms = None
    scanning = False

    def __init__(self, path=None):
        self._path = path
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

    def why(self):
        """The reason why ``up()`` is False."""
        return "no_wifi"

    def station(self):
        """As ``Wifi.station``; the host's addresses are not ours to tell."""
        up = self.up()
        return (up, "" if up else self.why(), None, None, 0)

    def channel(self, peer):
        """As ``Wifi.channel``: everything that is not this machine is the LAN."""
        return plain_channel(peer)

    def ntp_hosts(self):
        """Time servers that the network offers: none, the host keeps the time."""
        return ()

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

    def ask_scan(self):
        """Nothing is on air."""

    def errand(self):
        """Nothing that would hold the loop."""

    def _read(self):
        try:
            with open(self._path or "") as file:
                return file.read(16)
        except OSError:
            return ""
