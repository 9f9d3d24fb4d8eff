"""The settings are one document, whole after any power cut; those of earlier versions become one."""

import json
import unittest

import old_layout
from ram_store import PowerCut, RamStore
from setting_up import DOCUMENT, Board, Device, FakeClock, FakeRadio, provisioned

from latchkey.device import config, credentials, settings
from latchkey.errors import StoreError
from latchkey.stores.slots import Slots

CONFIG = config.parse(json.dumps(dict(DOCUMENT, wifi={"ssid": "Old"})).encode())
SECRETS = (b"old secret", b"Old", b"Cellar")


def blank(store):
    return Device(board=Board(store, FakeRadio(), FakeClock()))


def files_with(store, texts):
    return [name for name in store.files if [text for text in texts if text in store.files[name]]]


def of_earlier(store):
    return [name for name in store.files if name.rsplit(".", 1)[0] in old_layout.NAMES]


class TestDocument(unittest.TestCase):
    def test_what_is_saved_is_loaded_and_is_there_twice(self):
        store = RamStore()
        document = settings.made_of(CONFIG, None, "on the label")
        settings.save(store, document)
        for damaged in ((), ("settings.0",), ("settings.1",)):
            files = dict(store.files)
            for name in damaged:
                files[name] = b"garbage" * 9
            self.assertEqual(settings.load(RamStore(files)), (document, False))

    def test_one_that_is_as_long_as_it_may_be_is_still_there_after_a_restart(self):
        roles = {"r%02d" % i + '"' * 125: "configure" for i in range(16)}
        made = dict(DOCUMENT, wifi={"ssid": '"' * 32}, slug="s" * 63, roles=roles, issuer='"' * 256, name='"' * 64)
        made = config.judged(dict(made, hosts=["h" * 253] * 4, ntp=["n" * 253] * 2))
        document = settings.made_of(made, '"' * 63, '"' * 63)
        for n in range(9):
            document["trust"] = settings.with_trust(document["trust"], ("x" * 36, list(config._TRUST), 4000000000 + n))
        store = RamStore()
        settings.save(store, document)
        self.assertEqual(settings.load(store), (document, False))

    def test_a_flash_that_refuses_leaves_the_settings_as_they_were(self):
        device = Device(ssid="Old")
        device.store.readonly = True
        before = device.settings
        for change in (device.forget, lambda: device.forget(True), lambda: device.keep(dict(device.config, name="x"))):
            self.assertRaises(StoreError, change)
            self.assertTrue(device.settings is before)
        device.store.readonly = False
        self.assertEqual(device.again().settings, before)

    def test_a_cut_that_leaves_an_earlier_document_is_made_good_at_the_next_start(self):
        at, cut = 0, True
        while cut:
            device = Device(ssid="Old")
            device.keep(dict(device.config, name="x"), wifi_passphrase="older secret")
            device.store.cut_after, cut = at, False
            try:
                device.forget()
            except PowerCut:
                cut = True
            device.store.cut_after = None
            again = device.again()
            if again.unpaired:
                self.assertEqual(files_with(device.store, SECRETS + (b"older secret",)), [], at)
            self.assertFalse("unfinished" in again.settings)
            at += 1
        self.assertTrue(at > 8)

    def test_what_a_flash_refused_to_remove_stays_marked_through_later_changes(self):
        store = RamStore()
        old_layout.write(store, CONFIG)
        remove, store.remove = store.remove, refuse
        document, _ = settings.load(store)
        settings.save(store, dict(document, wifi_passphrase="newer secret"))
        self.assertTrue(of_earlier(store))
        store.remove = remove
        self.assertFalse("unfinished" in settings.load(store)[0])
        self.assertEqual(of_earlier(store), [])

    def test_members_of_a_later_version_s_configuration_are_passed_over(self):
        store = RamStore()
        settings.save(store, settings.made_of(dict(CONFIG, later=7), None, None))
        self.assertEqual(blank(store).config, CONFIG)


def refuse(_name):
    raise StoreError("not_stored")


def without(name):
    document = settings.made_of(CONFIG, None, None)
    document.pop(name)
    return document


# Whole by their checksums, and still not what this version understands.
STRANGE = [without(name) for name in settings.made_of(CONFIG, None, None)]
STRANGE += [dict(settings.made_of(CONFIG, None, None), **{name: 5}) for name in settings.made_of(CONFIG, None, None)]
STRANGE += [
    dict(settings.made_of(CONFIG, None, None), attempt={}),
    dict(settings.made_of(CONFIG, None, None), trust={"changes": "many", "last": []}),
    settings.made_of(dict(CONFIG, policy=dict(CONFIG["policy"], unlisted="ask")), None, None),
    settings.made_of(dict(CONFIG, roles={"Owner": "everything"}), None, None),
    settings.made_of({}, None, None),
    [1],
    "text",
    5,
]


class TestStrange(unittest.TestCase):
    def test_a_document_that_this_version_does_not_understand_is_lost_and_the_device_starts(self):
        for document in STRANGE:
            store = RamStore()
            settings.save(store, document)
            self.assertEqual(blank(store).info()["state"], "settings_lost", document)

    def test_so_is_what_an_earlier_version_kept(self):
        for journal in ({"config": 5}, {"changes": [1]}, {"changes": {"attempt": 5}}, {"wifi_passphrase": 5}):
            store = RamStore()
            old_layout.write(store, CONFIG, journal=journal)
            self.assertEqual(blank(store).config, None, journal)
        secret = RamStore()
        old_layout.write(secret, CONFIG)
        Slots(secret, "wifi_passphrase", b"s").write(b"\xff")
        self.assertEqual(blank(secret).settings["wifi_passphrase"], None)


class TestEarlierVersions(unittest.TestCase):
    def migrated(self, store):
        device = blank(store)
        self.assertEqual((device.config, device.network()), (CONFIG, ("Old", "old secret")))
        self.assertEqual(device.settings["ap_passphrase"], "on the label")
        self.assertEqual(device.settings["attempt"], old_layout.RECORD["trial"])
        self.assertEqual(device.settings["trust"], old_layout.RECORD["trust"])
        return device

    def test_what_they_kept_becomes_one_document_and_leaves(self):
        for watched in (False, True):
            store = RamStore(watched=watched)
            old_layout.write(store, CONFIG)
            self.migrated(store)
            self.assertEqual((of_earlier(store), store.behind), ([], set()))
            self.migrated(store)

    def test_a_power_cut_at_any_step_of_it_loses_nothing(self):
        for torn, watched in ((False, False), (True, False), (True, True)):
            at, cut = 0, True
            while cut:
                store = RamStore(watched=watched)
                old_layout.write(store, CONFIG)
                store.torn, store.cut_after, cut = torn, at, False
                try:
                    settings.load(store)
                except PowerCut:
                    cut = True
                store.cut_after = None
                self.migrated(store)
                self.assertEqual(of_earlier(store), [], (torn, watched, at))
                at += 1
            self.assertTrue(at > 20)

    def test_a_flash_that_refuses_changes_nothing_of_what_is_in_force(self):
        store = RamStore()
        old_layout.write(store, CONFIG)
        store.readonly = True
        self.migrated(store)
        store.readonly = False
        self.migrated(store)
        self.assertEqual(of_earlier(store), [])

    def test_a_change_that_a_cut_left_in_their_journal_is_in_force(self):
        store = RamStore()
        moved = dict(CONFIG, wifi={"ssid": "Home"}, name="Attic", pins={"led": 7})
        old_layout.write(store, CONFIG, journal={"config": moved, "wifi_passphrase": "new secret"})
        device = blank(store)
        self.assertEqual((device.network(), device.config["name"]), (("Home", "new secret"), "Attic"))
        store = RamStore()
        left = dict(CONFIG, wifi={"ssid": ""}, pins={})
        old_layout.write(store, CONFIG, journal={"config": left, "wifi_passphrase": None})
        self.assertEqual((blank(store).network(), files_with(store, (b"old secret",))), ((None, None), []))

    def test_a_name_that_only_they_allowed_makes_no_device_unprovisioned(self):
        store = RamStore()
        old_layout.write(store, dict(CONFIG, name="a\u202eb"))
        self.assertEqual([blank(store).config["name"] for _ in range(2)], ["a\u202eb"] * 2)


class TestLost(unittest.TestCase):
    def test_a_new_device_is_unprovisioned(self):
        for watched in (False, True):
            self.assertEqual(blank(RamStore(watched=watched)).info()["state"], "unprovisioned")

    def test_one_that_was_provisioned_says_that_its_settings_are_lost(self):
        damaged = provisioned()
        for name in ("settings.0", "settings.1"):
            damaged.files[name] = damaged.files[name][:-1] + b"?"
        gone = RamStore(watched=True)
        settings.save(gone, settings.made_of(CONFIG, None, None))
        gone.files.clear()
        earlier = RamStore(watched=True)
        old_layout.write(earlier, CONFIG)
        earlier.files.clear()
        rest = RamStore()
        credentials.save(rest, {"cert_der": b"\x30cert"})
        for store in (damaged, gone, earlier, rest):
            device = blank(store)
            self.assertEqual(device.info()["state"], "settings_lost")
            self.assertEqual(device.code("GET", "/v1/config"), (503, "unprovisioned"))
            self.assertEqual((device.verifier, device.link, device.pairing), (None, None, None))

    def test_an_earlier_version_s_slots_do_not_come_back_for_settings_that_are_lost(self):
        store = RamStore(watched=True)
        settings.save(store, settings.made_of(CONFIG, None, None))
        store.files.clear()
        old_layout.write(store, dict(CONFIG, name="stale"))
        self.assertEqual(blank(store).info()["state"], "settings_lost")


if __name__ == "__main__":
    unittest.main()
