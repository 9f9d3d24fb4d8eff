"""What the firmware uses of an ESP32's `network`: one station and one access point, driven by tests through `_air`."""

STA_IF, AP_IF = 0, 1

# For tests: networks in reach by name with their passphrase, and what hostname() was told.
_air = {"networks": {}, "hostname": None}


def hostname(name):
    _air["hostname"] = name


class WLAN:
    _made = {}

    def __new__(cls, interface_id):
        # A chip has one of each, however often it is asked.
        if interface_id not in cls._made:
            one = cls._made[interface_id] = super().__new__(cls)
            one._on, one._address, one._status = False, "0.0.0.0", 1000
        return cls._made[interface_id]

    def active(self, is_active=None):
        if is_active is None:
            return self._on
        self._on = bool(is_active)

    def connect(self, ssid, key):
        if not self._on:
            raise OSError("Wifi Not Started")
        known = _air["networks"]
        self._status = 201 if ssid not in known else 1010 if known[ssid] == key else 202
        self._address = "192.0.2.7" if self._status == 1010 else "0.0.0.0"

    def disconnect(self):
        self._status, self._address = 1000, "0.0.0.0"

    def isconnected(self):
        return self._status == 1010

    def status(self):
        return self._status

    def ifconfig(self):
        return (self._address, "255.255.255.0", "192.0.2.1", "192.0.2.1")
