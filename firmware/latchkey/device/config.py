"""The configuration: one JSON document, judged whole, and the secrets, kept apart from it.

docs/config.schema.json describes the document; a test holds the two equal. What is left out has the default below; an
unknown member is refused. Trust settings are here too: who may change which is for the caller to decide (A3).
"""

import json
import struct

from latchkey import strictjson, uuids
from latchkey.device.log import shown
from latchkey.errors import ConfigError, FormatError, StoreError
from latchkey.limits import CONFIG_BYTES, CREDENTIAL_BYTES
from latchkey.policy import DEFAULT_ROLES, PERMISSIONS
from latchkey.stores.slots import Slots

_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

# "unlisted": a token made while we were away opens the door; "clock_unset": so does one while the time is unknown,
# or a device could not be commissioned; "keys": the broker may rotate them; "plain_http": a bearer sniffed
# on the Wi-Fi cannot configure.
DEFAULTS = {
    "system_uuid": None,
    "slug": None,
    "issuer": None,
    "name": "",
    "model": "",
    "dev": False,
    "broker": {"host": "mqtt.drivr.cloud", "port": 8883},
    "policy": {
        "unlisted": "accept",
        "clock_unset": "floor",
        "keys": "broker",
        "plain_http": "control",
        "skew_s": 60,
    },
    "roles": DEFAULT_ROLES,
    "wifi": {"ssid": ""},
    "hosts": [],
    "ntp": [],
}


def parse(data, limit=CONFIG_BYTES):
    """The configuration (dict, every member there) in ``data`` (bytes of JSON).

    ConfigError names the offending field: "json_refused", "too_large", or "invalid_field".
    """
    config = _read(data, limit)
    for field in ("name", "model"):
        if not shown(config[field].encode()):
            _wrong(field, "character")
    return config


def _read(data, limit, stored=False):
    """The same, and names as they may have been stored by an earlier version."""
    if len(data) > limit:
        raise ConfigError("too_large", "")
    try:
        document = strictjson.parse(data)
    except FormatError as exc:
        raise ConfigError(exc.code, "", exc.message)
    if stored and isinstance(document, dict):
        document.pop("pins", None)  # a setting that earlier versions stored, and nothing read
    return _members(document, "", _FIELDS, DEFAULTS)


class ConfigStore:
    """The configuration in flash."""

    def __init__(self, store):
        self._slots = Slots(store, "config", b"c", True)

    def load(self):
        """The configuration (dict), or None if there is none that is valid."""
        try:
            # With every default written out it is longer than what was judged.
            data = self._slots.read(2 * CONFIG_BYTES)
            return _read(data, 2 * CONFIG_BYTES, True) if data else None
        except (StoreError, ConfigError):
            return None

    def save(self, data, alone=False):
        """Judge and keep ``data`` (bytes of JSON) whole; returns the configuration. ConfigError, StoreError."""
        config = parse(data)
        self.keep(config, alone)
        return config

    def keep(self, config, alone=False):
        """Keep a configuration (dict) that was judged; ``alone``: neither slot holds another afterwards. StoreError."""
        if alone or config != self.load():
            self._slots.write(json.dumps(config).encode(), alone)


class CredentialStore:
    """Secrets in slots of their own: ``ca_der cert_der key_der`` for the broker, ``new_cert_der new_key_der`` while
    they are tried (latchkey.device.certificate), ``https_cert_der https_key_der`` for the local API (bytes),
    ``wifi_passphrase ap_passphrase`` (str)."""

    NAMES = (
        "ca_der",
        "cert_der",
        "key_der",
        "new_pair",
        "https_cert_der",
        "https_key_der",
        "wifi_passphrase",
        "ap_passphrase",
    )

    def __init__(self, store):
        self._store = store

    def load(self):
        """Every secret by name; None for one that is not there."""
        found = {name: self._read(name) for name in self.NAMES}
        pair = found.pop("new_pair")
        end = 2 + struct.unpack("<H", pair[:2])[0] if pair else 0
        found["new_cert_der"], found["new_key_der"] = (pair[2:end], pair[end:]) if pair else (None, None)
        return found

    def save(self, secrets, alone=False):
        """Keep what is given and not None. ``alone``: neither slot holds another afterwards; else what did not change
        is not written. A new certificate and its key share a slot, so that neither is ever kept without the other."""
        secrets = dict(secrets)
        cert, key = secrets.pop("new_cert_der", None), secrets.pop("new_key_der", None)
        if cert and key:
            secrets["new_pair"] = struct.pack("<H", len(cert)) + cert + key
        for name, value in secrets.items():
            if value is not None and (alone or value != self._read(name)):
                data = value.encode() if isinstance(value, str) else value
                if name not in self.NAMES or len(data) > _most(name):
                    raise ConfigError("invalid_field", name)
                self._slots(name).write(data, alone)

    def erase(self, name):
        """Forget one secret; neither slot holds it afterwards."""
        erase(self._slots(name))

    def _slots(self, name):
        return Slots(self._store, name, b"s")

    def _read(self, name):
        try:
            data = self._slots(name).read(_most(name))
        except StoreError:
            return None
        if not data:
            return None
        return str(data, "utf-8") if name.endswith("passphrase") else bytes(data)


def _most(name):
    return 2 * CREDENTIAL_BYTES + 2 if name == "new_pair" else CREDENTIAL_BYTES


def erase(slots):
    """Overwrite both slots with nothing."""
    if slots.ever_written:
        slots.write(b"", True)


def _wrong(path, why):
    raise ConfigError("invalid_field", path, why)


def _members(value, path, fields, defaults):
    """A dict with every field of the table, judged."""
    if not isinstance(value, dict):
        _wrong(path, "not an object")
    for name in value:
        if name not in fields:
            _wrong(_under(path, name), "unknown")
    found = {}
    for name, (judge, args) in fields.items():
        given = value.get(name, defaults[name])
        if judge is _members:
            args = (args, defaults[name])
        found[name] = judge(given, _under(path, name), *args)
    return found


def _under(path, name):
    return path + "." + name if path else name


def _text(value, path, least, most, alphabet=None):
    if not isinstance(value, str) or not least <= len(value.encode()) <= most:
        _wrong(path, "not a text of %d to %d bytes" % (least, most))
    for c in value:
        if c not in alphabet if alphabet else c < " ":
            _wrong(path, "character")
    return value


def _text_or_null(value, path, least, most):
    return None if value is None else _text(value, path, least, most)


def _uuid(value, path):
    try:
        return uuids.to_text(uuids.to_bytes(value))
    except ValueError:
        _wrong(path, "not a UUID")


def _integer(value, path, least, most):
    # 1.0 is an integer too, as JSON Schema has it.
    if type(value) not in (int, float) or not least <= value <= most or value != int(value):
        _wrong(path, "not an integer of %d to %d" % (least, most))
    return int(value)


def _flag(value, path):
    if value is not True and value is not False:
        _wrong(path, "not true or false")
    return value


def _choice(value, path, *words):
    if value not in words:
        _wrong(path, "not one of " + ", ".join(words))
    return value


def _roles(value, path):
    """Role names or UUIDs to permissions; one UUID in two spellings would mean what the order of a dict says."""
    if not isinstance(value, dict) or len(value) > 16:
        _wrong(path, "not an object of at most 16")
    found = {_text(k, path, 1, 128): _choice(v, _under(path, k), *PERMISSIONS) for k, v in value.items()}
    seen = []
    for name in found:
        try:
            uuid16 = uuids.to_bytes(name)
        except ValueError:
            continue
        if uuid16 in seen:
            _wrong(_under(path, name), "twice")
        seen.append(uuid16)
    return found


def _hosts(value, path, most):
    if not isinstance(value, list) or len(value) > most:
        _wrong(path, "not a list of at most %d" % most)
    return [_text(v, path, 1, 253, _NAME + ".-") for v in value]


_FIELDS = {
    "system_uuid": (_uuid, ()),
    "slug": (_text, (1, 63, _NAME + "_-")),
    "issuer": (_text_or_null, (1, 256)),
    "name": (_text, (0, 64)),
    "model": (_text, (0, 32)),
    "dev": (_flag, ()),
    "broker": (_members, {"host": (_text, (1, 253, _NAME + ".-")), "port": (_integer, (1, 65535))}),
    "policy": (
        _members,
        {
            "unlisted": (_choice, ("accept", "refuse")),
            "clock_unset": (_choice, ("floor", "refuse")),
            "keys": (_choice, ("broker", "pinned")),
            "plain_http": (_choice, PERMISSIONS),
            "skew_s": (_integer, (0, 300)),
        },
    ),
    "roles": (_roles, ()),
    "wifi": (_members, {"ssid": (_text, (0, 32))}),
    "hosts": (_hosts, (4,)),
    "ntp": (_hosts, (2,)),
}
