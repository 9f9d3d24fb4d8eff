"""Provisioned data is in flash twice (D8): one damaged byte makes no device unprovisioned, or another."""

import base64
import importlib
import json
import sys
from types import SimpleNamespace

import pytest
from fake_clock import FakeClock
from ram_store import RamStore

from latchkey import keystore
from latchkey.device import credentials, settings
from latchkey.ledger import LEDGER_TOKENS
from latchkey.stores import timefloor
from latchkey_tools.boards import build

NOW = 1800000000
KEYS = json.loads((build.ROOT / "host_tests" / "vectors" / "verifier.json").read_text())
SYSTEMS = ("792b6149-1daa-488f-b07a-f684503b0586", "0a1b2c3d-1daa-488f-b07a-f684503b0586")


@pytest.fixture
def cable(monkeypatch):
    """firmware/cable.py, with a board of RAM."""
    store = RamStore()
    board = SimpleNamespace(
        store=store,
        clock=FakeClock(),
        note=lambda data: None,
        factory_keys=lambda: None,
        ledger_tokens=LEDGER_TOKENS,
    )
    monkeypatch.setitem(sys.modules, "board_config", SimpleNamespace(Board=lambda: board))
    monkeypatch.delitem(sys.modules, "cable", raising=False)
    made = importlib.import_module("cable")
    monkeypatch.delitem(sys.modules, "cable")
    return made, store


def document(system_uuid):
    """A document whose parts all name the System."""
    der = base64.b64encode(b"\x30" + system_uuid.encode()).decode()
    ssid = "Net of " + system_uuid[:8]
    return {
        "config": {"system_uuid": system_uuid, "slug": "company-example", "wifi": {"ssid": ssid}},
        "credentials": dict.fromkeys(("ca_der", "cert_der", "key_der", "https_cert_der", "https_key_der"), der),
        "wifi": {"passphrase": "secret of " + system_uuid[:8]},
        "ap_passphrase": "label of " + system_uuid[:8],
        "time_unix_s": NOW,
        "key_set": KEYS["jwks"],
    }


def state(store):
    keys = [key.kid for key in keystore.KeyStore(store).keys]
    floor = timefloor.TimeFloor(store, FakeClock()).floor_unix_s
    secrets = dict(credentials.load(store), https=credentials.https(store))
    kept, lost = settings.load(store)
    assert (kept is None) or not lost
    return kept, secrets, keys, floor


@pytest.mark.parametrize("systems", [SYSTEMS[:1], SYSTEMS, SYSTEMS[:1] * 2], ids=["fresh", "another's", "again"])
def test_no_damaged_byte_takes_anything_from_a_device_that_was_just_provisioned(cable, systems):
    module, store = cable
    for system in systems:
        assert module._provision(json.dumps(document(system)).encode())["ok"]
    whole, good = dict(store.files), state(store)
    assert good[0]["config"]["system_uuid"] == systems[-1] and good[2] and good[3] == NOW
    for name, data in whole.items():
        for at in range(0, len(data), 7):
            store.files = dict(whole, **{name: data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]})
            assert state(store) == good, (name, at)


def test_a_power_cut_leaves_no_configuration_without_the_rest(cable):
    module, store = cable
    data = json.dumps(document(SYSTEMS[0])).encode()
    for cut in range(1000):
        store.files.clear()
        store.cut_after = cut
        try:
            module._provision(data)
            break
        except Exception as exc:
            assert type(exc).__name__ == "PowerCut"
        store.cut_after = None
        loaded = state(store)
        assert loaded[0] is None or (loaded[1]["ca_der"] and loaded[1]["key_der"] and loaded[2] and loaded[3] == NOW)
    assert cut > 30


def test_the_moment_of_the_last_key_set_is_the_cables_and_is_never_ahead_of_its_clock(cable):
    module, store = cable

    def heard(unix_s, **more):
        made = {name: value for name, value in document(SYSTEMS[0]).items() if name != "key_set"}
        assert module._provision(json.dumps(made | {"time_unix_s": unix_s} | more).encode())["ok"]
        return keystore.KeyStore(store).heard_unix_s

    assert heard(NOW) == 0  # no keys yet
    assert heard(NOW, key_set=KEYS["jwks"]) == NOW
    assert heard(NOW + 5 * 86400) == NOW
    assert heard(NOW - 5 * 86400) == NOW - 5 * 86400
    assert heard(NOW + 9, key_set=KEYS["jwks"]) == NOW + 9
