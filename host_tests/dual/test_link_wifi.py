"""Wi-Fi of a chip over a fake ``network`` module: joining, pausing, saying why not."""

import sys
import unittest

from fake_clock import FakeClock


class FakeWlan:
    def __init__(self):
        self.joined = False
        self.code = 1000
        self.calls = []

    def active(self, on):
        self.calls.append(("active", on))

    def isconnected(self):
        return self.joined

    def status(self):
        return self.code

    def disconnect(self):
        self.calls.append(("disconnect",))

    def connect(self, ssid, passphrase):
        self.calls.append(("connect", ssid, passphrase))
        if self.code == "busy":
            raise OSError("Wifi Internal Error")

    def ifconfig(self):
        return ("192.0.2.7", "255.255.255.0", "192.0.2.1", "192.0.2.1")


class FakeNetwork:
    STA_IF = 0
    wlan = None
    name = None

    @staticmethod
    def WLAN(_interface):
        FakeNetwork.wlan = FakeWlan()
        return FakeNetwork.wlan

    @staticmethod
    def hostname(name):
        FakeNetwork.name = name


try:
    from latchkey.hw import wifi
except ImportError:  # the unix port has no network module, and no shims
    sys.modules["network"] = FakeNetwork
    from latchkey.hw import wifi


class TestWifi(unittest.TestCase):
    def setUp(self):
        self.module = wifi.network
        wifi.network = FakeNetwork
        self.clock = FakeClock()
        self.wifi = wifi.Wifi(self.clock, "latchkey-792b6149")
        self.wlan = FakeNetwork.wlan

    def tearDown(self):
        wifi.network = self.module

    def connects(self):
        return [c for c in self.wlan.calls if c[0] == "connect"]

    def test_without_a_network_nothing_is_tried(self):
        self.wifi.join()
        self.assertEqual((self.wifi.up(), self.wifi.why(), self.connects()), (False, "wifi_not_set", []))

    def test_after_a_week_on_the_network_it_joins_again_at_once(self):
        self.wifi.use("home", "secret")
        self.wifi.join()
        self.clock.pass_s(6.5 * 86400)
        self.wifi.join()
        self.assertEqual(len(self.connects()), 2)

    def test_it_joins_at_once_and_again_after_a_growing_pause(self):
        self.wifi.use("home", "secret")
        for seconds, tries in ((0, 1), (1, 1), (8, 2), (1, 2), (16, 3), (1, 3), (500, 4)):
            self.clock.pass_s(seconds)
            self.wifi.join()
            self.assertEqual(len(self.connects()), tries, seconds)
        self.assertEqual(self.connects()[0], ("connect", "home", "secret"))

    def test_a_busy_driver_is_tried_again(self):
        self.wifi.use("home", "secret")
        self.wlan.code = "busy"
        self.wifi.join()
        self.clock.pass_s(9)
        self.wifi.join()
        self.assertEqual(len(self.connects()), 2)

    def test_reasons_are_told_apart(self):
        self.wifi.use("home", "secret")
        reasons = {201: "wifi_not_found", 202: "wifi_wrong_passphrase", 1001: "no_wifi", 200: "no_wifi"}
        for code in reasons:
            self.wlan.code = code
            self.assertEqual(self.wifi.why(), reasons[code])

    def test_once_joined_it_is_up_and_names_the_gateway_as_time_server(self):
        self.wlan.joined = True
        self.assertTrue(self.wifi.up())
        self.assertEqual(self.wifi.ntp_hosts(), ("192.0.2.1",))
        self.assertEqual(FakeNetwork.name, "latchkey-792b6149")

    def test_another_network_is_tried_at_once(self):
        self.wifi.use("home", "secret")
        self.wifi.join()
        self.wifi.use("shed", "other")
        self.wifi.join()
        self.assertEqual(self.connects()[-1], ("connect", "shed", "other"))
        self.wifi.use(None, None)
        self.assertEqual(self.wlan.calls[-1], ("active", False))


if __name__ == "__main__":
    unittest.main()
