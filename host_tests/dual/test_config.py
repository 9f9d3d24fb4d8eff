"""The configuration is judged whole; secrets are kept apart."""

import json
import unittest

from ram_store import PowerCut, RamStore

from latchkey import limits
from latchkey.device import config
from latchkey.errors import ConfigError, StoreError


def _table():
    with open(__file__.rsplit("/", 2)[0] + "/vectors/config.json") as f:
        return json.load(f)


def _document(base, changes):
    return json.dumps(dict(base, **changes)).encode()


class TestConfig(unittest.TestCase):
    def setUp(self):
        self.table = _table()
        self.base = self.table["base"]

    def test_what_is_left_out_has_the_written_default(self):
        found = config.parse(_document(self.base, {}))
        expected = dict(config.DEFAULTS, **self.base)
        self.assertEqual(found, expected)
        self.assertEqual(found["roles"], {"Domain Owner": "configure", "System Maintainer": "configure"})
        self.assertEqual(found["policy"]["unlisted"], "accept")
        found["roles"]["x"] = "read"
        found["policy"]["unlisted"] = "refuse"
        self.assertEqual(len(config.DEFAULTS["roles"]), 2)
        self.assertEqual(config.DEFAULTS["policy"]["unlisted"], "accept")

    def test_good_documents_pass_and_read_back_the_same(self):
        for changes in self.table["good"]:
            with self.subTest(changes):
                found = config.parse(_document(self.base, changes))
                self.assertEqual(config.parse(json.dumps(found).encode()), found)

    def test_a_bad_document_is_refused_and_its_field_named(self):
        for changes, field in self.table["bad"]:
            with self.subTest(changes):
                with self.assertRaises(ConfigError) as caught:
                    config.parse(_document(self.base, changes))
                self.assertEqual((caught.exception.code, caught.exception.field), ("invalid_field", field))

    def test_text_that_is_no_strict_json_object_is_refused(self):
        for text in self.table["bad_text"]:
            with self.subTest(text):
                self.assertRaises(ConfigError, config.parse, text.encode())
        self.assertRaises(ConfigError, config.parse, b" " * (limits.CONFIG_BYTES + 1))

    def test_the_store_keeps_what_is_valid_and_nothing_else(self):
        store = RamStore()
        kept = config.ConfigStore(store)
        self.assertIsNone(kept.load())
        kept.save(_document(self.base, {"name": "one"}))
        self.assertRaises(ConfigError, kept.save, _document(self.base, {"name": 2}))
        self.assertEqual(config.ConfigStore(store).load()["name"], "one")

    def test_one_that_grows_by_its_defaults_is_still_there_after_a_restart(self):
        store = RamStore()
        roles = {"r%02d" % i + "x" * 120: "configure" for i in range(16)}
        changes = {"roles": roles, "issuer": "i" * 256, "hosts": ["h" * 253] * 4, "name": "n" * 64}
        data = _document(self.base, changes)
        room = limits.CONFIG_BYTES - len(data)
        self.assertGreater(room, 0)
        config.ConfigStore(store).save(data + b" " * room)
        self.assertEqual(config.ConfigStore(store).load()["roles"], roles)

    def test_the_same_configuration_is_not_written_twice(self):
        store = RamStore()
        config.ConfigStore(store).save(_document(self.base, {"name": "one"}))
        closes = store.closes
        config.ConfigStore(store).save(_document(self.base, {"name": "one", "dev": False}))
        self.assertEqual(store.closes, closes)

    def test_a_power_cut_leaves_the_old_or_the_new(self):
        for cut in range(20):
            store = RamStore()
            kept = config.ConfigStore(store)
            kept.save(_document(self.base, {"name": "old"}))
            store.cut_after = cut
            try:
                kept.save(_document(self.base, {"name": "new"}))
                self.assertGreater(cut, 2)
                return
            except PowerCut:
                store.cut_after = None
            self.assertEqual(config.ConfigStore(store).load()["name"], "old")
        self.fail("never finished")


    def test_a_name_that_an_earlier_version_stored_makes_no_device_unprovisioned(self):
        store = RamStore()
        kept = config.ConfigStore(store)
        kept.keep(dict(kept.save(_document(self.base, {})), name="a\u202eb"))
        self.assertEqual(config.ConfigStore(store).load()["name"], "a\u202eb")


class TestCredentials(unittest.TestCase):
    secrets = {
        "ca_der": b"\x30ca",
        "cert_der": b"\x30c",
        "key_der": b"\x30k",
        "new_cert_der": b"\x30new",
        "new_key_der": b"\x30n",
        "https_cert_der": b"\x30h",
        "https_key_der": None,
        "wifi_passphrase": "p\u00e4ss",
        "ap_passphrase": None,
    }

    def test_what_is_saved_is_loaded(self):
        store = RamStore()
        config.CredentialStore(store).save(self.secrets)
        self.assertEqual(config.CredentialStore(store).load(), self.secrets)

    def test_none_leaves_what_was_there_and_the_same_is_not_written(self):
        store = RamStore()
        kept = config.CredentialStore(store)
        kept.save(self.secrets)
        closes = store.closes
        kept.save(dict(self.secrets, ca_der=None))
        self.assertEqual(store.closes, closes)
        self.assertEqual(kept.load(), self.secrets)

    def test_what_is_erased_stands_in_no_file_any_more(self):
        store = RamStore()
        kept = config.CredentialStore(store)
        kept.save(self.secrets)
        kept.save({"wifi_passphrase": "sesame open"})
        kept.erase("wifi_passphrase")
        self.assertIsNone(kept.load()["wifi_passphrase"])
        for data in store.files.values():
            self.assertEqual(data.find(b"sesame"), -1)
            self.assertEqual(data.find(b"p\xc3\xa4ss"), -1)

    def test_secrets_of_other_names_or_sizes_are_refused(self):
        kept = config.CredentialStore(RamStore())
        self.assertRaises(ConfigError, kept.save, {"other": b"x"})
        self.assertRaises(ConfigError, kept.save, {"ca_der": b"x" * (limits.CREDENTIAL_BYTES + 1)})

    def test_a_full_store_says_so_and_keeps_the_old_secret(self):
        store = RamStore()
        kept = config.CredentialStore(store)
        kept.save({"ca_der": b"old"})
        store.capacity = 50
        self.assertRaises(StoreError, kept.save, {"ca_der": b"n" * 90})
        self.assertEqual(kept.load()["ca_der"], b"old")
