"""A chip's Wi-Fi over the desk's stand-in of ``network``, in a time that the test moves."""

import network
from fake_clock import FakeClock

from latchkey.hw.wifi import Wifi

KEY = "open sesame"


def on_air(ssid, passphrase=KEY, **rest):
    return dict(rest, ssid=ssid, passphrase=passphrase)


class RadioDesk:
    """``networks``: what is on air, made by ``on_air``; ``hurry``: as Wifi takes it."""

    def __init__(self, *networks, hurry=1):
        self.clock = FakeClock()
        network._air.power_cut()
        network._air.clock = self.clock
        self.put(*networks)
        self.wifi = Wifi(self.clock, hurry)

    def put(self, *networks):
        network._air.put({"networks": networks})

    def turns(self, seconds):
        """The loop, as often as it turns in ``seconds``."""
        for _ in range(int(seconds * 50)):
            self.clock.pass_s(0.02)
            self.wifi.turn()
