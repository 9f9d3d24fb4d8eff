"""Everything a device is set to, changed as one (A3, A6, A7): configuration, Wi-Fi passphrase, record of changes.

Each has a store of its own. What is to change goes to a journal first and is then carried out; whoever starts next
finishes what a power cut left. So there is all of a change or nothing. Loaded only when something is read or changes.

The record of changes: ``{"attempt": {"state" "what" "ssid" "address" "reason"}, "trust": {"changes", "last"}}``, see
docs/openapi.yaml.
"""

import json

from latchkey.device import certificate
from latchkey.device import config as config_
from latchkey.device.config import ConfigStore, CredentialStore
from latchkey.errors import NOT_STORED, ConfigError, LatchkeyError, StoreError
from latchkey.limits import CHANGES_BYTES, CONFIG_BYTES, TRUST_CHANGES
from latchkey.stores.slots import Slots

# A3: who may change what over the local API. The System is set over the serial cable, Wi-Fi by an attempt of its own.
_CABLE_ONLY = ("system_uuid", "dev", "model")
_TRUST = ("slug", "issuer", "broker", "policy", "roles", "ntp")
_MERGED = ("broker", "policy")
_CLOUD = ("slug", "broker")


def load(store):
    """(configuration or None, credentials, changes) in force; finishes what was begun."""
    pending = _pending(store)
    if pending:
        try:
            _carry_out(store, pending)
        except StoreError:
            pass  # Decided is decided: it is in force all the same, and the next start tries again.
    config = pending.get("config") or ConfigStore(store).load()
    credentials = CredentialStore(store).load()
    if "wifi_passphrase" in pending:
        credentials["wifi_passphrase"] = pending["wifi_passphrase"]
    return config, credentials, pending.get("changes") or _read_changes(store)


def commit(store, **parts):
    """Change ``config`` (dict, judged), ``wifi_passphrase`` (text, or None to forget it), ``changes``: those given,
    all or none of them. StoreError: none."""
    decided = dict(_pending(store), **parts)
    _journal(store).write(json.dumps(decided).encode())
    try:
        _carry_out(store, decided)
    except NOT_STORED:
        pass  # Not refused: it stands in the journal.


def note(store, changes):
    """Keep the record of changes alone. StoreError."""
    if _pending(store):
        commit(store, changes=changes)
    else:
        _write_changes(store, changes)


def renew(store, pair):
    """Keep a new client certificate to be tried (``new_cert_der new_key_der``); the credentials. ConfigError,
    StoreError."""
    return certificate.begin(CredentialStore(store), pair)


def settle(store, kept):
    """The broker has taken the new client certificate (``kept``), or refused it; the credentials. StoreError."""
    certificate.settle(CredentialStore(store), kept)
    return CredentialStore(store).load()


def patched(config, fields):
    """``config`` with ``fields`` (dict from a client), judged whole, and which trust settings differ (list of names).

    LatchkeyError "serial_only"; ConfigError.
    """
    merged = dict(config)
    for name, value in fields.items():
        if name in _CABLE_ONLY and value != config[name]:
            raise LatchkeyError("serial_only")
        if name == "wifi" and value != config[name]:
            raise ConfigError("invalid_field", "wifi")
        merged[name] = _merged(config, name, value)
    judged = _judged(merged)
    return judged, [name for name in _TRUST if judged[name] != config[name]]


def joining(config, ssid, fields):
    """``config`` for another network, with what ``fields`` (dict) has of name and broker, judged whole. ConfigError."""
    merged = dict(config, wifi={"ssid": ssid})
    for name in ("name", "broker"):
        if name in fields:
            merged[name] = _merged(config, name, fields[name])
    return _judged(merged)


def _merged(config, name, value):
    if name not in _MERGED or not isinstance(value, dict):
        return value
    merged = dict(config[name])
    merged.update(value)
    return merged


def _judged(merged):
    return config_.parse(json.dumps(merged).encode(), 2 * CONFIG_BYTES)


def concerns_cloud(names):
    """Whether a change of these settings has to be tried on the broker (A6)."""
    for name in names:
        if name in _CLOUD:
            return True
    return False


def wiped(config):
    """What a factory reset leaves of a configuration (A7)."""
    return dict(config, name="", hosts=[], wifi={"ssid": ""})


def with_trust(changes, by):
    """``changes`` with one change of trust more; ``by``: (jti, names, unix_s) (A3)."""
    jti, names, unix_s = by
    trust = changes["trust"]
    last = [{"unix_s": unix_s, "jti": jti, "fields": names}] + trust["last"]
    return dict(changes, trust={"changes": trust["changes"] + 1, "last": last[:TRUST_CHANGES]})


def idle():
    """The record of a device on which nothing was tried since it was reset or made."""
    return {"state": "idle", "what": None, "ssid": "", "address": None, "reason": ""}


def _journal(store):
    return Slots(store, "journal", b"j")


def _pending(store):
    try:
        data = _journal(store).read(4 * CONFIG_BYTES)
        return json.loads(bytes(data)) if data else {}
    except (StoreError, ValueError):
        return {}


def _carry_out(store, parts):
    """Idempotent: a power cut in the middle has it begin anew. The journal, which holds a secret, is erased last."""
    passphrase = parts.get("wifi_passphrase")
    forgets = "wifi_passphrase" in parts and passphrase is None
    if "config" in parts:
        ConfigStore(store).keep(parts["config"], alone=forgets)
    if passphrase is not None:
        CredentialStore(store).save({"wifi_passphrase": passphrase})
    elif forgets:
        CredentialStore(store).erase("wifi_passphrase")
    if "changes" in parts:
        _write_changes(store, parts["changes"], forgets)
    config_.erase(_journal(store))


def _changes(store):
    return Slots(store, "changes", b"h", True)


def _write_changes(store, changes, both=False):
    _changes(store).write(json.dumps(changes).encode(), both)


def _read_changes(store):
    """The record; an attempt that a restart cut off has failed (A6)."""
    try:
        data = _changes(store).read(CHANGES_BYTES)
        changes = json.loads(bytes(data)) if data else None
    except (StoreError, ValueError):
        changes = None
    if not changes:
        return {"attempt": idle(), "trust": {"changes": 0, "last": []}}
    if changes["attempt"]["state"] == "joining":
        changes["attempt"].update({"state": "failed", "reason": "power_cut"})
    return changes
