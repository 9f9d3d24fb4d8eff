"""The configuration, the part of the settings that is not secret: a JSON object, judged whole.

docs/config.schema.json describes it; a test holds the two equal. A missing member has the default below; an unknown
member is refused. Loaded only while something is judged (latchkey.device.lazy).
"""

from latchkey import strictjson, uuids
from latchkey.device.log import shown
from latchkey.device.settings import CONFIG_BYTES
from latchkey.errors import ConfigError, FormatError, LatchkeyError
from latchkey.policy import DEFAULT_ROLES, PERMISSIONS

_NAME = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

# A3: who may change what over the local API. The System is the serial cable's; Wi-Fi goes by an attempt of its own.
_CABLE_ONLY = ("system_uuid", "dev", "model")
_TRUST = ("slug", "issuer", "broker", "policy", "roles", "ntp")
_MERGED = ("broker", "policy")

# "unlisted": a token that was made while the device was offline is accepted; "clock_unset": so is one while the time is
# unknown, or a device could not be commissioned; "keys": the broker may rotate them; "plain_http": a bearer that was
# sniffed on the Wi-Fi cannot configure; "updates": somebody at the device lets a release on.
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
        "updates": "presence",
        "skew_s": 60,
    },
    "roles": DEFAULT_ROLES,
    "wifi": {"ssid": ""},
    "hosts": [],
    "ntp": [],
}


def parse(data):
    """The configuration (dict, every member there) in ``data`` (bytes of JSON).

    ConfigError names the offending field: "json_refused", "too_large", or "invalid_field".
    """
    if len(data) > CONFIG_BYTES:
        raise ConfigError("too_large", "")
    try:
        return judged(strictjson.parse(data))
    except FormatError as exc:
        raise ConfigError(exc.code, "", exc.message)


def judged(document, stored=False):
    """The configuration in ``document`` (parsed JSON), with every member. ``stored``: it is from flash, where
    another version may have stored other names, and members that this one does not know. ConfigError."""
    config = _members(document, "", _FIELDS, DEFAULTS, stored)
    for field in () if stored else ("name", "model"):
        if not shown(config[field].encode()):
            _wrong(field, "character")
    return config


def patched(config, fields):
    """``config`` with ``fields`` (dict from a client), judged whole, and which trust settings differ (list of names).

    LatchkeyError "serial_only"; ConfigError.
    """
    found = merged(config, fields)
    if found["wifi"] != config["wifi"]:
        _wrong("wifi", "only POST /v1/pairing changes it")
    cable_only = [name for name in _CABLE_ONLY if found[name] != config[name]]
    if cable_only or found["policy"]["updates"] != config["policy"]["updates"]:
        raise LatchkeyError("serial_only")
    return found, [name for name in _TRUST if found[name] != config[name]]


def merged(config, fields):
    """``config`` with ``fields`` in their places, or in parts of them, judged whole. ConfigError."""
    found = dict(config)
    for name, value in fields.items():
        if name in _MERGED and isinstance(value, dict):
            found[name] = dict(config[name])
            found[name].update(value)
        else:
            found[name] = value
    return judged(found)


def _wrong(path, why):
    raise ConfigError("invalid_field", path, why)


def _members(value, path, fields, defaults, others=False):
    """A dict with every field of the table, judged. ``others``: members that it does not know are dropped."""
    if not isinstance(value, dict):
        _wrong(path, "not an object")
    for name in () if others else value:
        if name not in fields:
            _wrong(_under(path, name), "unknown")
    found = {}
    for name, (judge, args) in fields.items():
        given = value.get(name, defaults[name])
        if judge is _members:
            args = (args, defaults[name], others)
        found[name] = judge(given, _under(path, name), *args)
    return found


def _under(path, name):
    return path + "." + name if path else name


def _text(value, path, least, most, alphabet=None, or_null=False):
    if or_null and value is None:
        return None
    raw = value.encode() if isinstance(value, str) else b""
    if not isinstance(value, str) or not least <= len(raw) <= most:
        _wrong(path, "not a text of %d to %d bytes" % (least, most))
    if raw.strip(alphabet) if alphabet else raw and min(raw) < 32:
        _wrong(path, "character")
    return value


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
        uuid16 = uuids.or_none(name)
        if uuid16 in seen:
            _wrong(_under(path, name), "twice")
        if uuid16:
            seen.append(uuid16)
    return found


def _hosts(value, path, most):
    if not isinstance(value, list) or len(value) > most:
        _wrong(path, "not a list of at most %d" % most)
    return [_text(v, path, 1, 253, _NAME + b".-") for v in value]


_FIELDS = {
    "system_uuid": (_uuid, ()),
    "slug": (_text, (1, 63, _NAME + b"_-")),
    "issuer": (_text, (1, 256, None, True)),
    "name": (_text, (0, 64)),
    "model": (_text, (0, 32)),
    "dev": (_flag, ()),
    "broker": (_members, {"host": (_text, (1, 253, _NAME + b".-")), "port": (_integer, (1, 65535))}),
    "policy": (
        _members,
        {
            "unlisted": (_choice, ("accept", "refuse")),
            "clock_unset": (_choice, ("floor", "refuse")),
            "keys": (_choice, ("broker", "pinned")),
            "plain_http": (_choice, PERMISSIONS),
            "updates": (_choice, ("presence", "configure", "configure_plain")),
            "skew_s": (_integer, (0, 300)),
        },
    ),
    "roles": (_roles, ()),
    "wifi": (_members, {"ssid": (_text, (0, 32))}),
    "hosts": (_hosts, (4,)),
    "ntp": (_hosts, (2,)),
}
