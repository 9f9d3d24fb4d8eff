"""A radio adapter (see hw/wifi.py) that a test moves by hand, on both interpreters."""


class FakeRadio:
    """``join`` and ``fail`` decide what the station says. ``calls``: what was asked."""

    wants_network = True

    def __init__(self):
        self.calls = []
        self.seen = (False, "wifi_not_set", None, None, 0)
        self.ap_open = False
        self.scanning = False
        self.networks = ()
        self.scanned_ms = None
        self.turns = 0

    def join(self, address="192.0.2.7", gateway="192.0.2.1"):
        self.seen = (True, "", address, gateway, 1)

    def fail(self, reason, tries):
        self.seen = (False, reason, None, None, tries)

    def name(self, hostname):
        pass

    def scan(self):
        pass

    def turn(self):
        self.turns += 1

    def use(self, ssid, passphrase):
        self.calls.append((ssid, passphrase))
        self.seen = (False, "no_wifi" if ssid else "wifi_not_set", None, None, 0)

    def station(self):
        return self.seen

    def addresses(self):
        return ("lamp.local", "127.0.0.1", "localhost")

    def open_ap(self, ssid, passphrase):
        self.calls.append(("ap", ssid, passphrase))
        self.ap_open = True

    def close_ap(self):
        self.ap_open = False
