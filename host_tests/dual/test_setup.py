"""Configuration over the API: A3's line between settings, trust settings and what only the serial cable may set."""

import binascii
import unittest

from ram_store import PowerCut, RamStore
from setting_up import ISSUER, OWNER, Device

from latchkey import uuids
from latchkey.api import renewal
from latchkey.api.request import host_name
from latchkey.device import credentials
from latchkey.errors import StoreError
from latchkey.stores import tokenlist

BROKER = {"broker": {"host": "mqtt.else.example"}}
TRUST = (
    ("slug", "company-other"),
    ("issuer", "https://else.example"),
    ("broker", {"port": 1883}),
    ("policy", {"unlisted": "refuse"}),
    ("roles", {OWNER: "configure"}),
    ("ntp", ["time.else.example"]),
)


def paired():
    return Device(ssid="Old")


def present():
    device = paired()
    device.pairing.pressed()
    return device


class TestConfiguration(unittest.TestCase):
    def test_it_is_shown_whole_and_without_a_secret(self):
        status, answer = paired().call("GET", "/v1/config")
        self.assertEqual((status, answer["config"]["wifi"], answer["trust"]["changes"]), (200, {"ssid": "Old"}, 0))
        for secret in ("old secret", "on the label"):
            self.assertFalse(secret in str(answer))

    def test_settings_change_at_once_and_stay(self):
        device = paired()
        status, answer = device.call("PATCH", "/v1/config", {"name": "Attic", "hosts": ["a.example"]})
        self.assertEqual((status, answer["config"]["name"], answer["trust"]["changes"]), (200, "Attic", 0))
        self.assertEqual(device.again().config["name"], "Attic")

    def test_a_name_of_dots_alone_lets_no_request_without_a_name_in(self):
        device = paired()
        self.assertEqual(device.code("PATCH", "/v1/config", {"hosts": ["."]}), (200, None))
        for host in (None, b"", b"evil.example:x", b":80", b"."):
            self.assertFalse(host_name(host) in device.hosts(), host)

    def test_without_presence_no_trust_setting_changes(self):
        device = paired()
        for name, value in TRUST:
            self.assertEqual(device.code("PATCH", "/v1/config", {name: value}), (403, "presence_needed"), name)
        body = {
            "wifi": {"ssid": "Home", "passphrase": "new secret"},
            "broker": {"host": "mqtt.else.example", "port": 8883},
        }
        self.assertEqual(device.code("POST", "/v1/pairing", body), (403, "presence_needed"))
        device.pass_s(200)
        self.assertEqual((device.config, device.links), (paired().config, []))

    def test_the_same_value_is_no_change(self):
        device = paired()
        same = {name: device.config[name] for name, _ in TRUST}
        same["wifi"] = device.config["wifi"]
        for system_uuid in (device.config["system_uuid"], device.config["system_uuid"].upper()):
            body = dict(same, system_uuid=system_uuid)
            self.assertEqual(device.code("PATCH", "/v1/config", body), (200, None))
        self.assertEqual(device.settings["trust"]["changes"], 0)

    def test_presence_ends_after_ten_minutes(self):
        device = present()
        self.assertEqual(device.attempt()["presence_s"], 600)
        device.pass_s(599)
        self.assertEqual(device.code("PATCH", "/v1/config", {"ntp": ["a.example"]}), (200, None))
        device.pass_s(1)
        self.assertEqual(device.attempt()["presence_s"], 0)
        self.assertEqual(device.code("PATCH", "/v1/config", {"ntp": ["b.example"]}), (403, "presence_needed"))

    def test_an_unpaired_device_counts_as_present_and_a_joined_one_no_longer(self):
        device = Device()
        self.assertEqual(device.code("PATCH", "/v1/config", {"policy": {"unlisted": "refuse"}}), (200, None))
        device.call("POST", "/v1/pairing", {"wifi": {"ssid": "Home", "passphrase": "new secret"}})
        device.pass_s(2)
        device.radio.join()
        device.pass_s(1)
        self.assertEqual(
            device.code("PATCH", "/v1/config", {"policy": {"unlisted": "accept"}}), (403, "presence_needed")
        )

    def test_leaving_the_network_gives_no_presence_before_it_is_left(self):
        device = paired()
        device.call("DELETE", "/v1/pairing")
        for name, value in TRUST:
            self.assertEqual(device.code("PATCH", "/v1/config", {name: value}), (403, "presence_needed"), name)
        self.assertEqual(device.attempt()["presence_s"], 0)
        device.pass_s(2)
        self.assertEqual(device.radio.calls[0], (None, None))
        self.assertEqual(device.code("PATCH", "/v1/config", {"policy": {"unlisted": "refuse"}}), (200, None))

    def test_one_role_in_two_spellings_is_refused(self):
        device = present()
        low = "2faa6870-91b0-4b3a-84e8-8bbbd8becbd0"
        roles = {OWNER: "configure", low: "configure", low.upper(): "read"}
        status, answer = device.call("PATCH", "/v1/config", {"roles": roles})
        self.assertEqual((status, answer["field"][:6]), (422, "roles."))

    def test_with_presence_they_change_and_it_is_written_down_who_did_it(self):
        device = present()
        for name, value in (("policy", {"unlisted": "refuse"}), ("roles", {OWNER: "configure", "Guest": "control"})):
            self.assertEqual(device.code("PATCH", "/v1/config", {name: value, "name": "x"}), (200, None))
        trust = device.again().settings["trust"]
        self.assertEqual((trust["changes"], [c["fields"] for c in trust["last"]]), (2, [["roles"], ["policy"]]))
        self.assertEqual(trust["last"][0]["jti"], "530886ea-da07-4927-ade0-b49c05d655f4")
        self.assertEqual(trust["last"][0]["unix_s"], 1800000000)
        self.assertEqual(device.config["policy"]["skew_s"], 60)
        self.assertEqual(device.verifier.policy.unlisted, "refuse")

    def test_the_record_of_trust_keeps_the_newest_four_and_counts_all(self):
        device = present()
        for n in range(9):
            device.call("PATCH", "/v1/config", {"ntp": ["time%d.example" % n]})
        trust = device.call("GET", "/v1/config")[1]["trust"]
        self.assertEqual((trust["changes"], len(trust["last"])), (9, 4))

    def test_what_only_the_cable_may_set_stays_even_with_presence(self):
        device = present()
        other = "11111111-2222-4333-8444-555555555555"
        for body in ({"system_uuid": other}, {"dev": True}, {"model": "x"}, {"name": "x", "dev": True}):
            self.assertEqual(device.code("PATCH", "/v1/config", body), (403, "serial_only"))
        self.assertEqual(device.config["name"], "Cellar")

    def test_a_wrong_field_refuses_all(self):
        device = present()
        for body, field in (
            ({"name": "Attic", "hosts": "x"}, "hosts"),
            ({"name": "Attic", "wifi": {"ssid": "x"}}, "wifi"),
            ({"name": "Attic", "nick": 1}, "nick"),
            ({"broker": {"tls": False}}, "broker.tls"),
            ({"broker": "x"}, "broker"),
            ({"policy": {"unlisted": "maybe"}}, "policy.unlisted"),
            ({"roles": {OWNER: "all"}}, "roles." + OWNER),
            ({"ca_der": "x"}, "ca_der"),
            ({"keys": []}, "keys"),
        ):
            status, answer = device.call("PATCH", "/v1/config", body)
            self.assertEqual((status, answer.get("field")), (422, field), body)
        self.assertEqual(device.config["name"], "Cellar")

    def test_who_asks_is_never_shut_out(self):
        device = present()
        for body in (
            {"roles": {"Visitor": "configure"}},
            {"roles": {}},
            {"roles": {OWNER: "control"}},
            {"issuer": "https://else.example"},
        ):
            self.assertEqual(device.code("PATCH", "/v1/config", body), (409, "locks_out"), body)
        both = dict(BROKER, roles={})
        self.assertEqual(device.code("PATCH", "/v1/config", both), (409, "locks_out"))
        self.assertEqual((device.verifier.policy.issuer, device.links), (ISSUER, []))
        self.assertEqual(device.code("GET", "/v1/config"), (200, None))
        self.assertEqual(device.settings["trust"]["changes"], 0)

    def test_pinned_keys_are_pinned_at_once(self):
        device = present()
        device.call("PATCH", "/v1/config", {"policy": {"keys": "pinned"}})
        self.assertTrue(device.updates.pinned)

    def test_a_new_time_server_has_the_link_begin_anew(self):
        device = present()
        device.call("PATCH", "/v1/config", {"ntp": ["a.example"]})
        device.pass_s(1)
        self.assertEqual(device.links, ["mqtt.drivr.cloud"])


class TestBroker(unittest.TestCase):
    def test_a_broker_that_takes_us_is_kept_and_asked_again_for_what_is_retained(self):
        device = present()
        status, answer = device.call("PATCH", "/v1/config", BROKER)
        self.assertEqual((status, answer["state"], answer["what"]), (202, "joining", "cloud"))
        device.pass_s(2)
        self.assertTrue(device.tried)
        device.link.state = "partial"
        device.pass_s(50)
        self.assertEqual(device.again().config["broker"]["host"], "mqtt.drivr.cloud")
        device.link.state = "online"
        device.pass_s(1)
        self.assertEqual(device.links, ["mqtt.else.example", "mqtt.else.example"])
        self.assertFalse(device.tried)
        again = device.again()
        self.assertEqual(again.config["broker"], {"host": "mqtt.else.example", "port": 8883})
        self.assertEqual(again.settings["trust"]["last"][0]["fields"], ["broker"])
        self.assertEqual(device.radio.calls, [])

    def test_no_memory_for_its_link_is_no_crash_and_the_old_link_goes_on(self):
        device = present()

        def relink(_device, _config):
            raise MemoryError

        before = device.link
        device._new_link = relink
        self.assertEqual(device.code("PATCH", "/v1/config", BROKER), (202, None))
        device.pass_s(3)
        self.assertEqual((device.attempt()["state"], device.attempt()["reason"]), ("failed", "no_memory"))
        self.assertTrue(device.link is before)
        self.assertFalse(device.tried)

    def test_no_memory_for_the_way_back_is_no_crash_and_the_tried_broker_stays_distrusted(self):
        for state, reason in (("online", ""), ("waiting", "dns")):
            device = present()
            device.call("PATCH", "/v1/config", BROKER)
            device.pass_s(2)
            device.link.state, new_link = state, device._new_link

            def short(_device, _config):
                raise MemoryError

            device._new_link = short
            device.pass_s(130)
            self.assertEqual(device.attempt()["reason"], reason)
            self.assertTrue(device.tried)
            device._new_link = new_link
            device.pass_s(1)
            self.assertEqual((device.tried, device.links[-1]), (False, device.config["broker"]["host"]))

    def test_one_that_does_not_is_given_up_after_two_minutes(self):
        device = present()
        device.call("PATCH", "/v1/config", dict(BROKER, name="Attic"))
        device.pass_s(119)
        self.assertEqual(device.attempt()["state"], "joining")
        device.pass_s(3)
        answer = device.attempt()
        self.assertEqual((answer["state"], answer["reason"]), ("failed", "dns"))
        self.assertEqual(device.links, ["mqtt.else.example", "mqtt.drivr.cloud"])
        again = device.again()
        self.assertEqual((again.config["name"], again.settings["trust"]["changes"]), ("Cellar", 0))

    def test_network_and_broker_together_are_kept_only_together(self):
        body = {
            "wifi": {"ssid": "Home", "passphrase": "new secret"},
            "broker": {"host": "mqtt.else.example", "port": 1},
        }
        for state, ssid in (("online", "Home"), ("waiting", "Old")):
            device = present()
            device.call("POST", "/v1/pairing", body)
            device.pass_s(2)
            device.radio.join()
            device.pass_s(1)
            self.assertEqual(device.attempt()["state"], "joining")
            device.link.state = state
            device.pass_s(121)
            self.assertEqual(device.again().network()[0], ssid)


class TestSafeState(unittest.TestCase):
    def test_nothing_is_tried_where_there_is_neither_network_nor_link(self):
        device = present()
        device.safe = True
        for method, path, body in (
            ("POST", "/v1/pairing", {"wifi": {"ssid": "Home"}}),
            ("PATCH", "/v1/config", BROKER),
            ("PUT", "/v1/config/certificate", {"cert_der": "MAMCAQU=", "key_der": "MAMCAQU="}),
        ):
            self.assertEqual(device.code(method, path, body), (503, "safe_boot"), path)
        self.assertEqual(device.code("PATCH", "/v1/config", {"name": "Attic"}), (200, None))
        device.pass_s(200)
        self.assertEqual((device.radio.calls, device.links), ([], []))


class TestTokens(unittest.TestCase):
    def test_what_the_ledger_holds_is_told_in_short_and_page_by_page(self):
        device = paired()
        self.assertEqual(device.call("GET", "/v1/tokens"), (200, {"tokens": [], "more": False}))
        jtis = [bytes((i, 9)) * 8 for i in range(40)]
        device.ledger.begin(False, 0, 2000000000)
        device.ledger.add([tokenlist.pack(jti, 1, 0, 1900000000, 1700000000, 5, ()) for jti in jtis[1:]])
        device.ledger.add([tokenlist.pack(jtis[0], 0, 0, 0, 1700000001, 5, ())])
        device.ledger.commit()
        found, after = [], ""
        for rest in (24, 8, 0):
            status, answer = device.call("GET", "/v1/tokens" + after)
            self.assertEqual((status, answer["more"], len(answer["tokens"])), (200, rest > 0, 16 if rest else 8))
            found += answer["tokens"]
            after = "?after=" + found[-1]["jti"]
        self.assertEqual([one["jti"] for one in found], [uuids.to_text(jti) for jti in jtis])
        gone = {"jti": found[0]["jti"], "admits": False, "end_unix_s": None, "changed_unix_s": 1700000001}
        self.assertEqual(found[0], gone)
        self.assertEqual((found[1]["admits"], found[1]["end_unix_s"]), (True, 1900000000))

    def test_only_a_jti_may_follow_and_only_who_configures_may_ask(self):
        device = paired()
        for query in ("?after=", "?after=x", "?x=1&after=0", "?after=" + "0" * 36):
            self.assertEqual(device.code("GET", "/v1/tokens" + query), (422, "invalid_field"), query)
        self.assertEqual(device.code("GET", "/v1/tokens", role="Visitor"), (403, "insufficient_scope"))


class RefusesOnce(RamStore):
    """Flash that cannot read a file once, when ``at`` others have been read."""

    def __init__(self, files, at):
        RamStore.__init__(self, files)
        self.at = at

    def open(self, name):
        self.at -= 1
        if self.at == -1:
            raise StoreError("store_failed")
        return RamStore.open(self, name)


class TestCertificate(unittest.TestCase):
    def test_a_new_pair_is_put_beside_the_old_one_and_tried(self):
        device = present()
        der = b"\x30\x03\x02\x01\x05"
        text = binascii.b2a_base64(der).decode().strip()
        body = {"cert_der": text, "key_der": text}
        self.assertEqual(device.call("PUT", "/v1/config/certificate", body), (202, {"accepted": True}))
        device.pass_s(1)
        self.assertEqual((device.credentials["new_cert_der"], device.links), (der, ["mqtt.drivr.cloud"]))
        device.settle_attempt(True)
        again = device.again().credentials
        self.assertEqual((again["cert_der"], again["new_cert_der"]), (der, None))

    def test_without_somebody_at_the_device_it_is_refused(self):
        device = paired()
        body = {"cert_der": "MAMCAQU=", "key_der": "MAMCAQU="}
        self.assertEqual(device.code("PUT", "/v1/config/certificate", body), (403, "presence_needed"))
        device.pass_s(1)
        self.assertEqual((device.credentials["new_cert_der"], device.links), (None, []))

    def test_a_power_cut_while_it_is_kept_never_leaves_half_of_a_pair(self):
        old, new = (
            {"cert_der": b"\x30old", "key_der": b"\x30old key"},
            {"cert_der": b"\x30new", "key_der": b"\x30new key"},
        )
        at, cut = 0, True
        while cut:
            device = present()
            credentials.save(device.store, old)
            renewal.keep(device, {"new_" + name: new[name] for name in new})
            device.store.cut_after, cut = at, False
            try:
                device.settle_attempt(True)
            except PowerCut:
                cut = True
            device.store.cut_after = None
            again = device.again()
            again.settle_attempt(False)
            found = {name: again.credentials[name] for name in old}
            self.assertTrue(found in (old, new), (at, found))
            at += 1
        self.assertTrue(at > 5)

    def test_a_pair_that_flash_cannot_read_once_is_not_lost(self):
        for at in range(40):
            device = present()
            credentials.save(device.store, {"cert_der": b"\x30old", "key_der": b"\x30old key"})
            renewal.keep(device, {"new_cert_der": b"\x30new", "new_key_der": b"\x30new key"})
            device.store = device.board.store = RefusesOnce(device.store.files, at)
            try:
                device.settle_attempt(True)
            except StoreError:
                pass
            found = device.again().credentials
            kept = b"\x30new" in (found["cert_der"], found["new_cert_der"])
            self.assertTrue(kept and b"\x30new key" in (found["key_der"], found["new_key_der"]), (at, found))

    def test_the_certificate_in_force_is_refused_with_whatever_key(self):
        device = present()
        credentials.save(device.store, {"cert_der": b"\x30\x01A", "key_der": b"\x30\x01K"})
        text = [binascii.b2a_base64(der).decode().strip() for der in (b"\x30\x01A", b"\x30\x01X")]
        status, answer = device.call("PUT", "/v1/config/certificate", {"cert_der": text[0], "key_der": text[1]})
        self.assertEqual((status, answer["field"], device.links), (422, "cert_der", []))
        device.settle_attempt(False)
        self.assertEqual(device.again().credentials["key_der"], b"\x30\x01K")

    def test_another_pair_that_comes_while_one_is_half_kept_has_that_one_kept_first(self):
        device = present()
        half = {"cert_der": b"\x30new", "key_der": b"\x30old", "new_cert_der": b"\x30new", "new_key_der": b"\x30key"}
        credentials.save(device.store, half)
        renewal.keep(device, {"new_cert_der": b"\x30third", "new_key_der": b"\x30third key"})
        found = device.again().credentials
        self.assertEqual((found["cert_der"], found["key_der"]), (b"\x30new", b"\x30key"))
        self.assertEqual((found["new_cert_der"], found["new_key_der"]), (b"\x30third", b"\x30third key"))

    def test_a_refused_certificate_for_the_same_key_is_not_kept(self):
        device = present()
        credentials.save(device.store, {"cert_der": b"\x30old", "key_der": b"\x30key"})
        renewal.keep(device, {"new_cert_der": b"\x30new", "new_key_der": b"\x30key"})
        device.settle_attempt(False)
        found = device.again().credentials
        self.assertEqual((found["cert_der"], found["new_cert_der"]), (b"\x30old", None))

    def test_what_is_no_certificate_is_refused(self):
        device = present()
        for body in (
            {},
            {"cert_der": "MAMCAQU="},
            {"cert_der": "!", "key_der": "!"},
            {"cert_der": 1, "key_der": 1, "x": 2},
        ):
            self.assertEqual(device.code("PUT", "/v1/config/certificate", body), (422, "invalid_field"), body)
        self.assertEqual(device.links, [])


class TestRestart(unittest.TestCase):
    def test_a_restart_that_was_answered_happens_whatever_cannot_be_saved(self):
        device = Device()

        def short():
            raise MemoryError()

        device.save = short
        self.assertRaises(MemoryError, device.restart)
        self.assertEqual(device.board.restarts, 1)


class TestWired(unittest.TestCase):
    def test_a_wired_device_has_nothing_to_join_and_is_not_present_by_itself(self):
        from fake_radio import FakeRadio

        radio = FakeRadio()
        radio.wants_network = False
        device = Device(radio=radio)
        self.assertEqual(device.code("DELETE", "/v1/pairing"), (405, "method_not_allowed"))
        self.assertEqual(device.code("GET", "/v1/pairing/networks"), (404, "not_found"))
        self.assertEqual((device.attempt()["state"], device.state()), ("idle", "ready"))
        self.assertEqual(device.code("PATCH", "/v1/config", BROKER), (403, "presence_needed"))


if __name__ == "__main__":
    unittest.main()
