"""Reads the stores of earlier versions: configuration, passphrases and record of changes in slots of their own, and a
journal of what was about to change in them. Loaded at a start that finds no settings.
"""

from latchkey.device import settings
from latchkey.stores.slots import Slots

_MOST_BYTES = 16384
_SECRET = b"s"


def read(store):
    """The settings (dict) that they make, or None if there are none that can be read."""
    journal = _object(store, "journal", b"j") or {}
    config = journal.get("config") or _object(store, "config", b"c", True)
    changes = journal.get("changes") or _object(store, "changes", b"h") or {}
    if config is None or not isinstance(changes, dict):
        return None
    found = settings.made_of(config, _text(store, "wifi_passphrase"), _text(store, "ap_passphrase"))
    if "wifi_passphrase" in journal:
        found["wifi_passphrase"] = journal["wifi_passphrase"]
    found["attempt"] = changes.get("attempt") or changes.get("trial") or found["attempt"]
    found["trust"] = changes.get("trust") or found["trust"]
    return found


def _object(store, name, kind, watched=False):
    found = settings.parsed(Slots(store, name, kind, watched).read(_MOST_BYTES))
    return found if isinstance(found, dict) else None


def _text(store, name):
    try:
        data = Slots(store, name, _SECRET).read(_MOST_BYTES)
        return str(data, "utf-8") if data else None
    except ValueError:
        return None
