"""Attempts, access point and presence, as a client of the API sees them."""

import unittest

from ram_store import PowerCut, RamStore
from setting_up import Device

from latchkey.api import renewal

HOME = {"wifi": {"ssid": "Home", "passphrase": "new secret"}}


class TestPairing(unittest.TestCase):
    def test_an_unboxed_device_opens_its_access_point_for_fifteen_minutes(self):
        device = Device()
        device.pairing.open(False)
        device.pass_s(899)
        self.assertEqual(device.radio.calls, [("ap", "latchkey-792b6149", "on the label")])
        self.assertTrue(device.radio.ap_open)
        device.pass_s(1)
        self.assertFalse(device.radio.ap_open)

    def test_without_a_passphrase_there_is_no_access_point(self):
        device = Device(ap_passphrase=None)
        device.pairing.open(False)
        device.pass_s(20)
        self.assertEqual(device.radio.calls, [])

    def test_it_opens_once_the_scan_is_over_or_has_taken_too_long(self):
        for done in (True, False):
            device = Device(ssid="Old")
            device.pairing.open()
            device.pass_s(5)
            self.assertFalse(device.radio.ap_open)
            device.radio.scanning = not done
            device.pass_s(1 if done else 5)
            # One that comes late would have phones drop off.
            self.assertEqual((device.radio.ap_open, device.radio.scanning), (True, False), done)

    def test_before_provisioning_a_device_is_not_on_its_way_into_a_network(self):
        self.assertTrue(Device().unpaired)
        blank = Device(RamStore())
        self.assertEqual((blank.config, blank.unpaired), (None, False))

    def test_it_opens_at_once_where_no_link_would_scan(self):
        device = Device(ssid="Old")
        device.link = None
        device.pairing.open()
        device.pass_s(1)
        self.assertTrue(device.radio.ap_open)

    def test_a_passphrase_that_has_worked_once_ends_no_attempt(self):
        device = Device(ssid="Old")
        device.pairing.pressed()
        device.call("POST", "/v1/pairing", dict(HOME, broker={"host": "mqtt.else.example", "port": 8883}))
        device.pass_s(2)
        device.radio.join()
        device.pass_s(1)
        for reason in ("wifi_wrong_passphrase", "wifi_probably_passphrase"):
            device.radio.fail(reason, 4)
            device.pass_s(1)
            self.assertEqual(device.attempt()["state"], "joining")
        device.radio.fail("wifi_not_found", 4)
        device.pass_s(1)
        self.assertEqual(device.attempt()["reason"], "wifi_not_found")

    def test_it_tells_where_it_is_now_whatever_came_of_the_attempt(self):
        device = Device(ssid="Old")
        device.call("POST", "/v1/pairing", HOME)
        device.pass_s(2)
        device.radio.fail("wifi_wrong_passphrase", 4)
        device.pass_s(1)
        device.radio.join("192.0.2.8")
        answer = device.attempt()
        self.assertEqual((answer["state"], answer["address"], answer["offline"]), ("failed", "192.0.2.8", ""))
        device.radio.fail("wifi_not_found", 9)
        answer = device.attempt()
        self.assertEqual((answer["address"], answer["offline"]), (None, "wifi_not_found"))

    def test_a_network_is_joined_kept_and_told(self):
        device = Device()
        device.pairing.open(False)
        status, answer = device.call("POST", "/v1/pairing", dict(HOME, name="Hall"))
        self.assertEqual((status, answer["state"], answer["ssid"]), (202, "joining", "Home"))
        self.assertEqual(answer["host"], "latchkey-792b6149.local")
        self.assertEqual(device.radio.calls, [])
        device.pass_s(2)
        self.assertIn(("Home", "new secret"), device.radio.calls)
        self.assertEqual(device.again().config["wifi"]["ssid"], "")
        device.radio.join()
        device.pass_s(1)
        answer = device.attempt()
        self.assertEqual((answer["state"], answer["address"], answer["reason"]), ("joined", "192.0.2.7", ""))
        self.assertEqual((device.config["wifi"]["ssid"], device.config["name"]), ("Home", "Hall"))
        again = device.again()
        self.assertEqual((again.network(), again.config["name"]), (("Home", "new secret"), "Hall"))
        self.assertEqual(again.settings["attempt"]["state"], "joined")

    def test_the_access_point_stays_two_minutes_after_the_join(self):
        device = Device()
        device.pairing.open(False)
        device.call("POST", "/v1/pairing", HOME)
        device.pass_s(2)
        device.radio.join()
        device.pass_s(1)
        self.assertEqual(device.attempt()["access_point_s"], 120)
        device.pass_s(119)
        self.assertTrue(device.radio.ap_open)
        device.pass_s(1)
        self.assertEqual((device.radio.ap_open, device.attempt()["access_point_s"]), (False, 0))

    def test_every_failing_join_says_why_and_the_access_point_is_back(self):
        for reason, tries, after_s in (
            ("wifi_wrong_passphrase", 4, 1),
            ("wifi_not_found", 4, 1),
            ("wifi_probably_passphrase", 4, 1),
            ("wifi_wrong_passphrase", 3, 120),
            ("wifi_weak", 9, 120),
            ("wifi_full", 9, 120),
            ("no_address", 9, 120),
            ("no_wifi", 9, 120),
        ):
            device = Device()
            device.pairing.open(False)
            device.call("POST", "/v1/pairing", HOME)
            device.pass_s(2)
            device.radio.fail(reason, tries)
            device.pass_s(after_s)
            answer = device.attempt()
            self.assertEqual((answer["state"], answer["reason"]), ("failed", reason))
            self.assertEqual(device.radio.calls[-1], (None, None))
            self.assertEqual((device.radio.ap_open, device.state()), (True, "pairing"))
            self.assertTrue(answer["access_point_s"] > 890)
            again = device.again()
            self.assertEqual(again.settings["attempt"]["reason"], reason)
            self.assertEqual(again.network(), (None, None))

    def test_a_network_without_a_gateway_has_no_route(self):
        for gateway in ("0.0.0.0", None, ""):
            device = Device()
            device.call("POST", "/v1/pairing", HOME)
            device.pass_s(2)
            device.radio.join(gateway=gateway)
            device.pass_s(1)
            self.assertEqual(device.attempt()["reason"], "no_route")

    def test_a_failed_attempt_brings_the_last_good_network_back(self):
        device = Device(ssid="Old")
        device.call("POST", "/v1/pairing", HOME)
        device.pass_s(2)
        self.assertEqual(device.radio.calls[0], ("Home", "new secret"))
        device.radio.fail("wifi_not_found", 4)
        device.pass_s(1)
        self.assertEqual(device.radio.calls[-1], ("Old", "old secret"))
        self.assertEqual(device.again().network(), ("Old", "old secret"))

    def test_the_second_technician_is_told_to_wait(self):
        device = Device()
        device.call("POST", "/v1/pairing", HOME)
        other = {"wifi": {"ssid": "Else", "passphrase": "other secret"}}
        for _ in range(2):
            for call in (
                ("POST", "/v1/pairing", other),
                ("DELETE", "/v1/pairing"),
                ("PATCH", "/v1/config", {"name": "x"}),
            ):
                self.assertEqual(device.code(*call), (409, "attempt_running"))
            device.pass_s(2)
        device.radio.join()
        device.pass_s(1)
        self.assertEqual(device.config["wifi"]["ssid"], "Home")
        self.assertEqual(device.code("POST", "/v1/pairing", other), (202, None))

    def test_leaving_the_network_needs_a_way_back_in(self):
        device = Device(ssid="Old", ap_passphrase=None)
        self.assertEqual(device.code("DELETE", "/v1/pairing"), (409, "no_access_point"))
        device = Device(ssid="Old")
        self.assertEqual(device.code("DELETE", "/v1/pairing"), (202, None))
        self.assertEqual(device.radio.calls, [])
        device.pass_s(2)
        device.radio.scanning = False
        device.pass_s(1)
        self.assertEqual((device.radio.calls[0], device.radio.ap_open), ((None, None), True))
        again = device.again()
        self.assertEqual((again.network(), again.state()), ((None, None), "pairing"))
        self.assertFalse([data for data in device.store.files.values() if b"old secret" in data])

    def test_a_window_that_a_hand_opened_is_not_shortened_by_an_attempt(self):
        device = Device(ssid="Old")
        device.pairing.pressed()
        device.pairing.open(False)
        device.call("POST", "/v1/pairing", HOME)
        device.pass_s(2)
        device.radio.fail("wifi_not_found", 4)
        device.pass_s(1)
        self.assertEqual(device.attempt()["access_point_s"], 897)

    def test_no_memory_to_keep_it_is_no_join_and_no_crash(self):
        device = Device(ssid="Old")
        device.call("POST", "/v1/pairing", HOME)
        device.pass_s(2)
        device.radio.join()

        def short(*_, **_parts):
            raise MemoryError()

        keep, device.keep = device.keep, short
        device.pass_s(1)
        device.keep = keep
        self.assertEqual(device.attempt()["reason"], "not_stored")

    def test_an_open_network_takes_no_passphrase(self):
        device = Device()
        device.call("POST", "/v1/pairing", {"wifi": {"ssid": "Guests"}})
        device.pass_s(2)
        self.assertIn(("Guests", None), device.radio.calls)
        device.radio.join()
        device.pass_s(1)
        self.assertEqual(device.again().network(), ("Guests", None))

    def test_a_network_is_joined_by_its_key_of_64_hexadecimal_digits(self):
        device, key = Device(), "0123456789abcdef" * 4
        status, _ = device.call("POST", "/v1/pairing", {"wifi": {"ssid": "Home", "passphrase": key}})
        self.assertEqual(status, 202)
        device.pass_s(2)
        self.assertIn(("Home", key), device.radio.calls)

    def test_wrong_bodies_are_refused_by_field(self):
        device = Device()
        for body, field in (
            ({}, "wifi"),
            ({"wifi": "Home"}, "wifi"),
            ({"wifi": {}}, "wifi.ssid"),
            ({"wifi": {"ssid": ""}}, "wifi.ssid"),
            ({"wifi": {"ssid": "x" * 33, "passphrase": "long enough"}}, "wifi.ssid"),
            ({"wifi": {"ssid": 5, "passphrase": "long enough"}}, "wifi.ssid"),
            ({"wifi": {"ssid": "Home", "passphrase": "short"}}, "wifi.passphrase"),
            ({"wifi": {"ssid": "Home", "passphrase": "x" * 64}}, "wifi.passphrase"),
            ({"wifi": {"ssid": "Home", "passphrase": "umlauts äöü"}}, "wifi.passphrase"),
            ({"wifi": {"ssid": "Home", "passphrase": None, "key": 1}}, "wifi.key"),
            (dict(HOME, nick="x"), "nick"),
            (dict(HOME, name=7), "name"),
            (dict(HOME, name=None), "name"),
            (dict(HOME, broker=None), "broker"),
            (dict(HOME, broker={"host": "", "port": 1}), "broker.host"),
        ):
            status, answer = device.call("POST", "/v1/pairing", body)
            self.assertEqual((status, answer.get("code"), answer.get("field")), (422, "invalid_field", field), body)
        self.assertEqual(device.attempt()["state"], "idle")

    def test_networks_in_reach_are_told(self):
        device = Device()
        self.assertEqual(device.call("GET", "/v1/pairing/networks")[1], {"networks": [], "scanned_s": None})
        device.radio.networks, device.radio.scanned_ms = (("Home", -50, True), ("Guests", -70, False)), 1005
        device.pass_s(8)
        status, answer = device.call("GET", "/v1/pairing/networks")
        rows = [
            {"ssid": "Home", "rssi_dbm": -50, "secured": True},
            {"ssid": "Guests", "rssi_dbm": -70, "secured": False},
        ]
        self.assertEqual((status, answer), (200, {"networks": rows, "scanned_s": 7}))

    def test_only_a_token_that_may_configure_gets_in(self):
        device = Device()
        for call in (
            ("GET", "/v1/pairing"),
            ("POST", "/v1/pairing", HOME),
            ("DELETE", "/v1/pairing"),
            ("GET", "/v1/pairing/networks"),
            ("GET", "/v1/config"),
            ("PATCH", "/v1/config", {"name": "x"}),
            ("PUT", "/v1/config/certificate", {}),
        ):
            self.assertEqual(device.code(*call, role="Visitor"), (403, "insufficient_scope"))

    def test_joined_but_flash_refuses_is_no_join(self):
        device = Device(ssid="Old")
        device.call("POST", "/v1/pairing", HOME)
        device.pass_s(2)
        device.radio.join()
        device.store.readonly = True
        device.pass_s(1)
        answer = device.attempt()
        self.assertEqual((answer["state"], answer["reason"]), ("failed", "not_stored"))
        self.assertEqual((device.config["wifi"]["ssid"], device.radio.calls[-1]), ("Old", ("Old", "old secret")))

    def test_an_attempt_that_flash_cannot_note_does_not_begin(self):
        device = Device(ssid="Old")
        device.store.readonly = True
        self.assertEqual(device.code("POST", "/v1/pairing", HOME), (507, "not_stored"))
        self.assertEqual(device.code("DELETE", "/v1/pairing"), (507, "not_stored"))
        self.assertEqual(device.code("PATCH", "/v1/config", {"name": "x"}), (507, "not_stored"))
        device.store.readonly = False
        device.pass_s(5)
        self.assertEqual((device.radio.calls, device.config["name"]), ([], "Cellar"))


class TestPowerCuts(unittest.TestCase):
    """At every operation of flash, with a file system that tears what it writes and one that does not."""

    def survive(self, act, states, found=None):
        """``act(device)`` until it passes uncut; after every cut the next start finds one of ``states``."""
        found = found or self.found
        for torn in (False, True):
            at = 0
            cut = True
            while cut:
                device = Device(ssid="Old")
                device.store.torn, device.store.cut_after = torn, at
                cut = False
                try:
                    act(device)
                except PowerCut:
                    cut = True
                device.store.cut_after = None
                self.assertIn(found(device.again()), states, (torn, at))
                self.assertIn(found(device.again()), states)
                at += 1
            self.assertTrue(at > 5)

    def found(self, device):
        attempt = device.settings["attempt"]
        return (device.network(), device.config["name"], attempt["state"], attempt["reason"])

    def join(self, device):
        device.call("POST", "/v1/pairing", dict(HOME, name="Hall"))
        device.pass_s(2)
        device.radio.join()
        device.pass_s(1)

    def test_of_a_join(self):
        old = ("Old", "old secret")
        self.survive(
            self.join,
            (
                (old, "Cellar", "idle", ""),
                (old, "Cellar", "failed", "power_cut"),
                (("Home", "new secret"), "Hall", "joined", ""),
            ),
        )

    def test_of_a_reset(self):
        states = ((("Old", "old secret"), "Cellar", "idle", ""), ((None, None), "", "idle", ""))
        self.survive(lambda device: device.forget(), states)

    def test_of_a_leave(self):
        states = ((("Old", "old secret"), "Cellar", "idle", ""), ((None, None), "Cellar", "idle", ""))
        self.survive(lambda device: device.call("DELETE", "/v1/pairing"), states)

    def test_of_a_configuration(self):
        old = ("Old", "old secret")
        states = ((old, "Cellar", "idle", ""), (old, "Attic", "idle", ""))
        self.survive(lambda device: device.call("PATCH", "/v1/config", {"name": "Attic"}), states)

    def test_of_another_broker(self):
        def move(device):
            device.pairing.pressed()
            device.call("PATCH", "/v1/config", {"broker": {"host": "mqtt.else.example"}})
            device.pass_s(2)
            device.link.state = "online"
            device.pass_s(1)

        def found(device):
            return device.config["broker"]["host"], device.settings["trust"]["changes"]

        self.survive(move, (("mqtt.drivr.cloud", 0), ("mqtt.else.example", 1)), found)

    def test_of_a_certificate_that_comes_while_another_is_tried(self):
        pairs = [{"new_cert_der": b"\x30cert%d" % n, "new_key_der": b"\x30key%d" % n} for n in (1, 2)]

        def renew(device):
            for pair in pairs:
                renewal.keep(device, pair)

        def found(device):
            held = device.credentials
            return {name: held[name] for name in pairs[0]} if held["new_cert_der"] else None

        self.survive(renew, [None] + pairs, found)

    def test_a_reset_leaves_no_secret_and_no_name_in_flash(self):
        device = Device(ssid="Old")
        self.join(device)
        device.forget()
        again = device.again()
        self.assertEqual((again.config["name"], again.config["hosts"], again.state()), ("", [], "pairing"))
        self.assertEqual(again.config["roles"], device.config["roles"])
        self.assertEqual(again.settings["ap_passphrase"], "on the label")
        for secret in (b"old secret", b"new secret", b"Home", b"Old", b"Hall", b"lamp.example"):
            self.assertEqual([n for n in device.store.files if secret in device.store.files[n]], [])


if __name__ == "__main__":
    unittest.main()
