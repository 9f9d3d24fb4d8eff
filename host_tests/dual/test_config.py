"""The configuration is judged whole; secrets are kept apart."""

import json
import unittest

from ram_store import RamStore

from latchkey.device import config, credentials
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
        self.assertRaises(ConfigError, config.parse, b" " * (config.CONFIG_BYTES + 1))


class TestCredentials(unittest.TestCase):
    secrets = {
        "ca_der": b"\x30ca",
        "cert_der": b"\x30c",
        "key_der": b"\x30k",
        "new_cert_der": b"\x30new",
        "new_key_der": b"\x30n",
    }

    def test_what_is_saved_is_loaded(self):
        store = RamStore()
        credentials.save(store, dict(self.secrets, https_cert_der=b"\x30h", https_key_der=None))
        self.assertEqual(credentials.load(store), self.secrets)
        self.assertEqual(credentials.https(store), {"https_cert_der": b"\x30h", "https_key_der": None})

    def test_none_leaves_what_was_there_and_the_same_is_not_written(self):
        store = RamStore()
        credentials.save(store, self.secrets)
        closes = store.closes
        credentials.save(store, dict(self.secrets, ca_der=None))
        self.assertEqual(store.closes, closes)
        self.assertEqual(credentials.load(store), self.secrets)

    def test_what_is_dropped_stands_in_no_file_any_more(self):
        store = RamStore()
        credentials.save(store, self.secrets)
        credentials.save(store, {"new_cert_der": b"\x30other", "new_key_der": b"\x30o"})
        credentials.drop(store)
        self.assertIsNone(credentials.load(store)["new_cert_der"])
        for data in store.files.values():
            self.assertEqual((data.find(b"\x30new"), data.find(b"\x30other")), (-1, -1))

    def test_secrets_of_other_sizes_are_refused(self):
        self.assertRaises(ConfigError, credentials.save, RamStore(), {"ca_der": b"x" * (credentials.DER_BYTES + 1)})

    def test_a_full_store_says_so_and_keeps_the_old_secret(self):
        store = RamStore()
        credentials.save(store, {"ca_der": b"old"})
        store.capacity = 50
        self.assertRaises(StoreError, credentials.save, store, {"ca_der": b"n" * 90})
        self.assertEqual(credentials.load(store)["ca_der"], b"old")
