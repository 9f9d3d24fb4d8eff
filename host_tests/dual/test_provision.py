"""The document that comes over the serial cable is judged whole before anything is stored."""

import binascii
import json
import unittest

from tables import load
from test_verifier import TABLE

from latchkey import jwk
from latchkey.device import provision
from latchkey.errors import ConfigError, FormatError, KeySetError

DER = binascii.b2a_base64(b"\x30\x03\x02\x01\x05").decode().strip()


def document(**changes):
    base = {
        "config": {
            "system_uuid": TABLE["system_uuid"],
            "slug": "company-example",
            "broker": {"host": "mqtt.drivr.cloud", "port": 8883},
        },
        "credentials": {"ca_der": DER, "cert_der": DER, "key_der": DER},
        "time_unix_s": 1763900000,
    }
    base.update(changes)
    return {k: v for k, v in base.items() if v is not ...}


def read(**changes):
    return provision.read(json.dumps(document(**changes)).encode())


def simulated(**more):
    key = dict(TABLE["jwks"]["keys"][0], kid="SIM-1")
    return {"keys": [dict(key, **more)]}


class ADocument(unittest.TestCase):
    def test_gives_what_is_to_be_stored(self):
        settings, credentials, keys, unix_s, update_keys = read(wifi={"ssid": "cellar", "passphrase": "eight or more"})
        self.assertEqual(settings["config"]["slug"], "company-example")
        self.assertEqual(credentials["ca_der"], b"\x30\x03\x02\x01\x05")
        self.assertEqual(settings["wifi_passphrase"], "eight or more")
        self.assertIsNone(settings["ap_passphrase"])
        self.assertEqual((keys, unix_s, update_keys), (None, 1763900000, None))

    def test_may_bring_the_key_set(self):
        keys = read(key_set=TABLE["jwks"])[2]
        self.assertEqual([k.kid for k in keys], ["first", "second"])

    def test_may_bring_the_maker_s_keys(self):
        release, recovery = both = load("manifests.json")["keys"]
        for given, count in (({"release": release}, 1), ({"release": release, "recovery": None}, 1)):
            self.assertEqual(len(read(update_keys=given)[4]), count)
        found = read(update_keys={"recovery": recovery, "release": release})[4]
        self.assertEqual([key.public_key.n_be for key in found], [jwk.parse_key(k).public_key.n_be for k in both])
        for wrong, field in (
            ([], "update_keys"),
            ({}, "update_keys.release"),
            ({"recovery": recovery}, "update_keys.release"),
            ({"release": release, "recovery": dict(recovery, d="AQAB")}, "update_keys.recovery"),
            ({"release": release, "third": release}, "update_keys.third"),
        ):
            with self.assertRaises(ConfigError) as caught:
                read(update_keys=wrong)
            self.assertEqual(caught.exception.field, field)

    def test_with_a_simulated_key_is_for_development_only(self):
        with self.assertRaises(KeySetError):
            read(key_set=simulated())
        config = dict(document()["config"], dev=True)
        self.assertEqual(len(read(config=config, key_set=simulated())[2]), 1)

    def test_takes_the_key_of_a_network_as_64_hexadecimal_digits(self):
        for key in ("0123456789abcdef" * 4, "0123456789ABCDEF" * 4):
            self.assertEqual(read(wifi={"passphrase": key})[0]["wifi_passphrase"], key)
        for wrong in ("g" * 64, "0" * 65, " " * 64, "é" * 64, "٣" * 64, "0" * 62 + "é"):
            with self.assertRaises(ConfigError) as caught:
                read(wifi={"passphrase": wrong})
            self.assertEqual(caught.exception.field, "wifi.passphrase")

    def test_with_eight_keys_of_the_simulator_before_the_cloud_s_keeps_the_cloud_s(self):
        real = TABLE["jwks"]["keys"]
        keys = {"keys": [dict(real[0], kid="SIM-%d" % i) for i in range(8)] + real}
        self.assertEqual([k.kid for k in read(key_set=keys)[2]], ["first", "second"])

    def test_is_refused_with_the_field_that_is_wrong(self):
        credentials = document()["credentials"]
        pem = binascii.b2a_base64(b"-----BEGIN CERTIFICATE-----").decode().strip()
        for field, changes in (
            ("credentials", {"credentials": ...}),
            ("credentials.key_der", {"credentials": dict(credentials, key_der=None)}),
            ("credentials.ca_der", {"credentials": dict(credentials, ca_der="!")}),
            ("credentials.cert_der", {"credentials": dict(credentials, cert_der=pem)}),
            ("credentials.cert_der", {"credentials": dict(credentials, cert_der="A" * 9000)}),
            ("credentials.https_key_der", {"credentials": dict(credentials, https_cert_der=DER)}),
            ("credentials.https_cert_der", {"credentials": dict(credentials, https_key_der=DER)}),
            ("credentials.extra", {"credentials": dict(credentials, extra=DER)}),
            ("wifi.passphrase", {"wifi": {"passphrase": "short"}}),
            ("wifi", {"wifi": []}),
            ("ap_passphrase", {"ap_passphrase": "a" * 64}),
            ("ap_passphrase", {"ap_passphrase": "Schlüssel"}),
            ("time_unix_s", {"time_unix_s": ...}),
            ("time_unix_s", {"time_unix_s": True}),
            ("time_unix_s", {"time_unix_s": 1.5}),
            ("time_unix_s", {"time_unix_s": 1763900000000}),
            ("extra", {"extra": 1}),
            ("system_uuid", {"config": dict(document()["config"], system_uuid="x")}),
        ):
            with self.assertRaises(ConfigError) as caught:
                read(**changes)
            self.assertEqual(caught.exception.field, field, field)

    def test_that_is_no_strict_json_is_refused(self):
        for data in (b"", b"[]", b"{", b'{"a":1,"a":2}'):
            with self.assertRaises((FormatError, ConfigError)):
                provision.read(data)

    def test_with_an_unusable_key_set_is_refused(self):
        with self.assertRaises(KeySetError):
            read(key_set={"keys": [{"kty": "RSA", "n": "1", "e": "AQAB", "kid": "1"}]})


if __name__ == "__main__":
    unittest.main()
