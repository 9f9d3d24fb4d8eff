"""The document that the tools build is the one that the firmware reads."""

import json

import pytest

from latchkey.device import provision as firmware
from latchkey.errors import ConfigError
from latchkey_tools.boards import provision
from latchkey_tools.sim import pki
from latchkey_tools.sim.signing import jwk, new_key

SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"), "company-example", SYSTEM)


def document(certs, **others):
    config = provision.config(
        SYSTEM, "company-example", "localhost", 8883, "https://test.api.drivr.cloud", dev=True, wifi={"ssid": "cellar"}
    )
    return provision.document(config, certs.ca, certs.device, **others)


def test_the_firmware_reads_every_member(certs):
    made = document(
        certs,
        key_set={"keys": [jwk(*new_key())]},
        wifi={"passphrase": "open sesame"},
        ap_passphrase="a label's worth",
        time_unix_s=1795488000,
    )
    settings, credentials, keys, unix_s, update_keys = firmware.read(json.dumps(made).encode())
    assert settings["config"]["system_uuid"] == SYSTEM and unix_s == 1795488000
    assert credentials["key_der"] == certs.device.key_der.read_bytes()
    assert credentials["ca_der"] == certs.ca.cert_der.read_bytes()
    assert (settings["wifi_passphrase"], settings["ap_passphrase"]) == ("open sesame", "a label's worth")
    assert keys[0].kid.startswith("SIM-") and update_keys is None


def test_pem_files_are_sent_as_der(certs):
    pems = certs.device._replace(cert_der=certs.device.cert_pem, key_der=certs.device.key_pem)
    made = provision.document({}, certs.ca._replace(cert_der=certs.ca.cert_pem), pems)
    assert made["credentials"] == document(certs)["credentials"]


def test_the_least_document_leaves_keys_to_the_broker_and_has_the_time(certs):
    made = document(certs)
    assert set(made) == {"config", "credentials", "time_unix_s"}
    assert firmware.read(json.dumps(made).encode())[2] is None


def test_what_the_firmware_does_not_know_is_refused_by_name(certs):
    with pytest.raises(ConfigError) as refusal:
        firmware.read(json.dumps(document(certs) | {"colour": "blue"}).encode())
    assert refusal.value.field == "colour"
