"""The desk's uplink, which can be cut: the stand-in for Wi-Fi on the unix port.

``up()`` is False while the file at ``path`` contains ``down``. A board's Wi-Fi has the same names (hw/wifi.py).
"""

import time

_LOOK_EVERY_S = 0.1


class DeskRadio:
    """``path``: a file's path, or None for an uplink that nobody cuts."""

    wants_network = False

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

    def join(self):
        """Nothing joins a desk to its network."""

    def why(self):
        """The reason why ``up()`` is False."""
        return "no_wifi"

    def ntp_hosts(self):
        """Time servers that the network offers: none, the host keeps the time."""
        return ()

    def _read(self):
        try:
            with open(self._path) as file:
                return file.read(16)
        except OSError:
            return ""
