"""Flash as versions before the settings were one document left it: slots of their own and a journal."""

import json

from latchkey.stores.slots import Slots

NAMES = ("config", "wifi_passphrase", "ap_passphrase", "changes", "journal")
RECORD = {"trial": {"state": "joined", "what": "wifi", "ssid": "Old", "address": "192.0.2.7", "reason": ""}}
RECORD["trust"] = {"changes": 3, "last": [{"unix_s": 1, "jti": "x", "fields": ["roles"]}]}


def write(store, config, wifi_passphrase="old secret", ap_passphrase="on the label", journal=None):
    """``config``: with every member, as a device of then kept it. ``journal``: what a power cut left of a change."""
    stored = dict(config, pins={})
    Slots(store, "config", b"c", True).write(json.dumps(stored).encode())
    Slots(store, "wifi_passphrase", b"s").write(wifi_passphrase.encode())
    Slots(store, "ap_passphrase", b"s").write(ap_passphrase.encode())
    Slots(store, "changes", b"h", True).write(json.dumps(RECORD).encode())
    Slots(store, "journal", b"j").write(json.dumps(journal).encode() if journal else b"")
