"""Wi-Fi of a chip over the desk's stand-in of ``network``: joining, pausing, saying why not, access point, scans."""

import os
import unittest

import network
from radio_desk import KEY, RadioDesk, on_air

AP = ("latchkey-792b6149", "on the label")


class TestJoining(unittest.TestCase):
    def test_without_a_network_nothing_is_tried_and_the_station_can_scan(self):
        desk = RadioDesk(on_air("home"))
        self.assertEqual(desk.wifi.station(), (False, "wifi_not_set", None, None, 0))
        desk.wifi.use(None, None)
        desk.turns(30)
        self.assertEqual(desk.wifi.station(), (False, "wifi_not_set", None, None, 0))
        self.assertTrue(network.WLAN(network.STA_IF).active())

    def test_it_joins_at_once_and_knows_address_and_gateway(self):
        desk = RadioDesk(on_air("home"))
        desk.wifi.name("latchkey-792b6149")
        desk.wifi.use("home", KEY)
        self.assertFalse(desk.wifi.up())
        desk.turns(1)
        self.assertEqual(desk.wifi.station(), (True, "", "127.7.0.7", "127.7.0.1", 1))
        self.assertTrue(desk.wifi.up())
        self.assertEqual(desk.wifi.addresses(), ["127.7.0.7"])
        self.assertEqual(network.hostname(), "latchkey-792b6149")

    def test_an_open_network_needs_no_passphrase(self):
        desk = RadioDesk({"ssid": "guests"})
        for passphrase in (None, ""):
            desk.wifi.use("guests", passphrase)
            desk.turns(1)
            self.assertTrue(desk.wifi.up())

    def test_every_way_to_fail_has_its_reason(self):
        air = (
            on_air("home"),
            on_air("deaf", fault="no_address"),
            {"ssid": "guests"},
        )
        for ssid, passphrase, reason in (
            ("home", "wrong key", "wifi_wrong_passphrase"),
            ("home", None, "wifi_wrong_security"),
            ("nowhere", KEY, "wifi_not_found"),
            ("deaf", KEY, "no_address"),
            ("guests", KEY, "wifi_wrong_security"),
        ):
            desk = RadioDesk(*air)
            desk.wifi.use(ssid, passphrase)
            desk.turns(12)
            self.assertEqual(desk.wifi.station()[:4], (False, reason, None, None), ssid)
            self.assertEqual(desk.wifi.station()[1], reason)

    def test_each_reason_of_the_chip_has_its_verdict(self):
        for code, reason in (
            (2, "wifi_weak"),
            (5, "wifi_full"),
            (15, "wifi_wrong_passphrase"),
            (200, "no_wifi"),
            (201, "wifi_not_found"),
            (202, "wifi_probably_passphrase"),
            (203, "wifi_full"),
            (204, "wifi_wrong_passphrase"),
            (205, "wifi_probably_passphrase"),  # of which status() says 202
            (210, "wifi_wrong_security"),
            (211, "wifi_wrong_security"),
            (212, "wifi_weak"),
        ):
            desk = RadioDesk(on_air("home", fault=code))
            desk.wifi.use("home", KEY)
            desk.turns(12)
            self.assertEqual(desk.wifi.station()[:2], (False, reason), code)

    def test_a_network_without_a_way_out_gives_an_address_and_no_gateway(self):
        desk = RadioDesk(on_air("island", fault="no_route"))
        desk.wifi.use("island", KEY)
        desk.turns(1)
        self.assertEqual(desk.wifi.station(), (True, "", "127.7.0.7", None, 1))

    def test_it_tries_again_after_growing_pauses_up_to_two_minutes(self):
        desk = RadioDesk()
        desk.wifi.use("home", KEY)
        tries = []
        for seconds in (2, 9, 17, 33, 65, 121, 121):
            desk.turns(seconds)
            tries.append(desk.wifi.station()[4])
        self.assertTrue(tries[0] == 1 and 5 <= tries[5] <= 9, tries)
        self.assertTrue(tries == sorted(tries) and tries[6] - tries[5] <= 3, tries)

    def test_in_a_hurry_pauses_are_short_but_never_cut_off_a_join(self):
        desk = RadioDesk(hurry=60)
        desk.wifi.use("home", KEY)
        desk.turns(10)
        self.assertTrue(6 <= desk.wifi.station()[4] <= 10)
        desk.put(on_air("home"))
        desk.turns(3)
        self.assertTrue(desk.wifi.up())

    def test_a_lost_network_is_noticed_and_joined_again(self):
        desk = RadioDesk(on_air("home"))
        desk.wifi.use("home", KEY)
        desk.turns(1)
        # So long that the tick counter has turned over.
        desk.clock.pass_s(6.5 * 86400)
        desk.put()
        desk.turns(0.2)
        self.assertFalse(desk.wifi.up())
        desk.turns(2)
        self.assertEqual((desk.wifi.station()[1], desk.wifi.station()[4]), ("wifi_not_found", 2))
        desk.put(on_air("home"))
        desk.turns(20)
        self.assertTrue(desk.wifi.up())

    def test_a_passphrase_that_changed_is_told(self):
        desk = RadioDesk(on_air("home"))
        desk.wifi.use("home", KEY)
        desk.turns(1)
        desk.put(on_air("home", "another one"))
        desk.turns(10)
        self.assertEqual(desk.wifi.station()[1], "wifi_wrong_passphrase")


class TestAnotherNetwork(unittest.TestCase):
    def test_is_tried_at_once_and_the_old_one_never_passes_for_it(self):
        desk = RadioDesk(on_air("home"), on_air("shed", "another one"))
        desk.wifi.use("home", KEY)
        desk.turns(1)
        desk.wifi.use("shed", "another one")
        self.assertFalse(desk.wifi.up())
        seen = []
        for _ in range(30):
            desk.turns(0.1)
            seen.append(desk.wifi.up())
        self.assertTrue(seen[-1] and not any(seen[:6]) and desk.wifi.station()[4] == 1, seen)

    def test_is_not_blamed_for_what_the_chip_still_says_of_the_one_before(self):
        desk = RadioDesk(on_air("home"))
        desk.wifi.use("home", "wrong key")
        desk.turns(3)
        self.assertEqual(desk.wifi.station()[1], "wifi_wrong_passphrase")
        desk.wifi.use("home", KEY)
        for _ in range(10):
            desk.turns(0.1)
            self.assertTrue(desk.wifi.station()[1] in ("no_wifi", ""), desk.wifi.station()[1])
        self.assertTrue(desk.wifi.up())

    def test_that_fails_the_same_way_is_told_when_its_try_has_ended(self):
        desk = RadioDesk(on_air("home"))
        for passphrase in ("wrong key", "wrong too"):
            desk.wifi.use("home", passphrase)
            desk.turns(10)
            self.assertEqual(desk.wifi.station()[1], "wifi_wrong_passphrase")

    def test_none_leaves_the_network(self):
        desk = RadioDesk(on_air("home"))
        desk.wifi.use("home", KEY)
        desk.turns(1)
        desk.wifi.use(None, None)
        self.assertEqual(desk.wifi.station(), (False, "wifi_not_set", None, None, 0))
        desk.turns(1)
        self.assertFalse(network.WLAN(network.STA_IF).isconnected())

    def test_given_in_the_middle_of_a_join_is_the_one_that_is_joined(self):
        desk = RadioDesk(on_air("home"), on_air("shed"))
        desk.wifi.use("home", KEY)
        desk.turns(0.3)
        desk.wifi.use("shed", KEY)
        desk.turns(1.5)
        self.assertEqual((desk.wifi.up(), network.WLAN(0)._joined[0]), (True, "shed"))


class TestAccessPoint(unittest.TestCase):
    def test_opens_with_wpa2_only_and_closes(self):
        desk = RadioDesk()
        ap = network.WLAN(network.AP_IF)
        for nothing in ("", None, "short"):
            desk.wifi.open_ap("latchkey-792b6149", nothing)
            self.assertFalse(desk.wifi.ap_open or ap.active())
        desk.wifi.open_ap(*AP)
        self.assertTrue(desk.wifi.ap_open and ap.active())
        self.assertEqual((ap.config("ssid"), ap.config("security"), ap.config("max_clients")), (AP[0], 3, 4))
        self.assertEqual(desk.wifi.addresses(), ["127.4.0.1"])
        desk.wifi.close_ap()
        self.assertFalse(desk.wifi.ap_open or ap.active() or desk.wifi.addresses())

    def test_moves_to_the_channel_of_the_network_that_is_joined(self):
        desk = RadioDesk(on_air("home", channel=11))
        desk.wifi.open_ap(*AP)
        ap = network.WLAN(network.AP_IF)
        self.assertEqual(ap.config("channel"), 1)
        desk.wifi.use("home", KEY)
        desk.turns(1)
        self.assertEqual((ap.config("channel"), desk.wifi.ap_open, desk.wifi.up()), (11, True, True))

    def test_tells_by_which_network_somebody_came(self):
        desk = RadioDesk(on_air("home"))
        channel = desk.wifi.channel
        self.assertEqual([channel(p) for p in ("127.0.0.1", "::1")], ["loopback", "loopback"])
        for peer in ("127.4.0.2", "127.7.0.20", "203.0.113.5", "::ffff:127.4.0.2", "fe80::1"):
            self.assertTrue(channel(peer) is None, peer)
        desk.wifi.open_ap(*AP)
        self.assertEqual([channel(p) for p in ("127.4.0.2", "127.7.0.20")], ["ap", None])
        desk.wifi.use("home", KEY)
        desk.turns(1)
        self.assertEqual([channel(p) for p in ("127.4.0.2", "127.7.0.20", "fe80::1")], ["ap", "lan", "lan"])
        desk.wifi.close_ap()
        self.assertEqual(channel("127.4.0.2"), "lan")

    def test_is_no_special_place_while_the_station_s_network_overlaps_it(self):
        desk = RadioDesk(on_air("home"))
        desk.wifi.open_ap(*AP)
        desk.wifi.use("home", KEY)
        desk.turns(1)
        for address, mask, came in (
            ("127.4.0.9", "255.255.255.0", "lan"),
            ("127.4.0.9", "255.255.255.252", "lan"),
            ("127.7.0.7", "255.0.0.0", "lan"),
            ("127.4.1.9", "255.255.255.0", "ap"),
        ):
            desk.wifi._tell((address, mask, "127.7.0.1", "127.7.0.1"))
            self.assertEqual(desk.wifi.channel("127.4.0.2"), came, address)


class TestScans(unittest.TestCase):
    def test_give_the_strongest_of_each_name_first_and_no_more_than_sixteen(self):
        many = [on_air("n%d" % n, rssi=-90 - n) for n in range(20)]
        desk = RadioDesk(
            on_air("home", rssi=-70), {"ssid": "guests", "rssi": -40}, on_air("home", rssi=-50), on_air("", rssi=-10),
            on_air(b"\xff\xfe", rssi=-11), on_air(b"evil\xed\xa0\x80", rssi=-12), on_air("a\nb", rssi=-13),
            on_air("a\u202eb", rssi=-14), on_air("a\u0085b", rssi=-15), on_air("a\x7fb", rssi=-16),
            on_air("Gew\u00f6lbe", rssi=-60), *many
        )  # fmt: skip
        desk.wifi.use(None, None)
        self.assertEqual((desk.wifi.networks, desk.wifi.scanned_ms), ((), None))
        desk.wifi.scan()
        first = (("guests", -40, False), ("home", -50, True), ("Gew\u00f6lbe", -60, True), ("n0", -90, True))
        self.assertEqual(desk.wifi.networks[:4], first)
        self.assertEqual((len(desk.wifi.networks), desk.wifi.scanned_ms), (16, desk.clock.now_ms()))

    def test_find_a_name_whose_emoji_the_air_s_file_has_as_escapes(self):
        path = "air-%d.json" % id(self)
        with open(path, "w") as file:
            file.write('{"networks": [{"ssid": "\\ud83c\\udfe0 \\ud55c\\ud83d\\ude00", "passphrase": "' + KEY + '"}]}')
        desk = RadioDesk()
        try:
            network._air.follow(path)
            desk.wifi.use("\U0001f3e0 \ud55c\U0001f600", KEY)
            desk.wifi.scan()
            desk.turns(2)
        finally:
            os.remove(path)
        self.assertEqual([ssid for ssid, _, _ in desk.wifi.networks], ["\U0001f3e0 \ud55c\U0001f600"])
        self.assertTrue(desk.wifi.up())

    def test_that_were_asked_for_are_done_once(self):
        desk = RadioDesk(on_air("home"))
        desk.wifi.use(None, None)
        desk.wifi.scanning = True
        desk.wifi.scan()
        self.assertEqual((desk.wifi.scanning, desk.wifi.networks), (False, (("home", -50, True),)))

    def test_wait_for_a_join_and_keep_what_was_seen_before(self):
        desk = RadioDesk(on_air("home"))
        desk.wifi.use(None, None)
        desk.wifi.scan()
        desk.wifi.use("nowhere", KEY)
        desk.turns(0.3)
        desk.wifi.scanning = True
        desk.wifi.scan()
        self.assertTrue(desk.wifi.scanning)
        self.assertEqual(len(desk.wifi.networks), 1)
        desk.put()
        desk.turns(1)
        desk.wifi.scan()
        self.assertEqual((desk.wifi.scanning, desk.wifi.networks), (False, ()))

    def test_before_the_station_is_active_there_is_none(self):
        desk = RadioDesk(on_air("home"))
        desk.wifi.scan()
        self.assertEqual((desk.wifi.networks, desk.wifi.scanned_ms), ((), None))


if __name__ == "__main__":
    unittest.main()
