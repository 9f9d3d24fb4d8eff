"""Everything a device is set to (A3, A6, A7): one JSON document in one pair of slots, changed whole.

``config``: see latchkey.device.config; ``wifi_passphrase``, ``ap_passphrase``: texts or None; ``attempt``: ``{"state"
"what" "ssid" "address" "reason"}`` and ``trust``: ``{"changes" "last"}``, see docs/openapi.yaml. ``unfinished`` is
there while flash may still hold what a change had to remove. Certificates and keys: latchkey.device.credentials.
"""

# pyright: reportUnusedExpression=false

import json

from latchkey.api.response import pieces
from latchkey.device import lazy
from latchkey.errors import NOT_STORED, LatchkeyError
from latchkey.limits import const
from latchkey.policy import Policy
from latchkey.stores.slots import Slots

# A configuration with every default written out is longer than what was judged.
CONFIG_BYTES = const(4096)
_MOST_BYTES = 2 * CONFIG_BYTES + 2048
_TRUST_CHANGES = const(4)
_KIND = const(b"d")  # in the header of its slots
# Slots of earlier versions, see latchkey.device.migration.
_EARLIER = ("journal", "config", "changes", "wifi_passphrase", "ap_passphrase")


def load(store) -> tuple:
    """(document or None, whether there was one that cannot be read)."""
    slots = Slots(store, "settings", _KIND, True)
    document = _usable(parsed(slots.read(_MOST_BYTES)))
    if document:
        if "unfinished" in document:
            _finish(store, slots, document)
    elif "settings" not in store.behind:
        with lazy.migration as migration:
            document = _usable(migration.read(store))
        if document and not store.keeps_format:
            try:
                save(store, document, True)
            except NOT_STORED:
                pass  # The earlier slots are in force; the next start tries again.
    if document and document["attempt"]["state"] == "joining":
        # A restart has cut it off (A6).
        document["attempt"] = dict(document["attempt"], state="failed", reason="power_cut")
    return document, document is None and (slots.ever_written or bool(store.behind))


def save(store, document, alone=False):
    """Store ``document``; StoreError: nothing has changed. ``alone``: afterwards flash holds nothing of what was there
    before, also if the power goes in between."""
    slots = Slots(store, "settings", _KIND, True)
    if alone:
        document["unfinished"] = True
    slots.write(*pieces(document))
    if alone:
        _finish(store, slots, document)


def made_of(config, wifi_passphrase, ap_passphrase):
    """The document of a device on which nothing was tried yet."""
    return {
        "config": config,
        "wifi_passphrase": wifi_passphrase,
        "ap_passphrase": ap_passphrase,
        "attempt": idle(),
        "trust": {"changes": 0, "last": []},
    }


def idle():
    """The record of a device on which nothing was tried since it was reset or made."""
    return {"state": "idle", "what": None, "ssid": "", "address": None, "reason": ""}


def policy_of(config):
    """The latchkey.policy.Policy of a configuration."""
    p, roles = config["policy"], config["roles"]
    return Policy(config["system_uuid"], config["issuer"], p["skew_s"], p["unlisted"], p["clock_unset"], roles)


def with_trust(trust, by):
    """The record of trust with one change more; ``by``: (jti, names, unix_s) (A3)."""
    jti, names, unix_s = by
    last = [{"unix_s": unix_s, "jti": jti, "fields": names}] + trust["last"]
    return {"changes": trust["changes"] + 1, "last": last[:_TRUST_CHANGES]}


def parsed(data):
    """The value that ``data`` (bytes of JSON, or None) holds; None if it holds none."""
    try:
        return json.loads(bytes(data)) if data else None
    except ValueError:
        return None


def _usable(document):
    """``document`` if this version understands it, else None: another version may have stored it."""
    try:
        with lazy.config as config_:
            document["config"] = config_.judged(document["config"], True)
        # Each raises where a member is missing or of another kind.
        for name in idle():
            document["attempt"][name]
        document["trust"]["changes"] + len(document["trust"]["last"])
        (document["wifi_passphrase"] or "") + (document["ap_passphrase"] or "")
        return document
    except (LatchkeyError, KeyError, TypeError):
        return None


def _finish(store, slots, document):
    """The document is in force. If flash refuses a step here, the next start repeats it; until then it stays marked."""
    finished = dict(document)
    finished.pop("unfinished")
    try:
        for name in _EARLIER:
            store.remove(name + ".0")
            store.remove(name + ".1")
        slots.write(*pieces(finished))
        document.pop("unfinished")
    except NOT_STORED:
        pass
