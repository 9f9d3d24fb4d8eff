"""Provisioning: what the serial cable brings, judged whole. Nothing else may bring keys or a System (K4, A3).

The document is one JSON object: ``config`` (see docs/config.schema.json), ``credentials`` (``ca_der``, ``cert_der``,
``key_der`` in base64, and for HTTPS ``https_cert_der``, ``https_key_der``), ``time_unix_s``; and, if wanted,
``key_set`` (a JWKS), ``wifi`` (``passphrase``), ``ap_passphrase``, ``update_keys`` (``release`` and, if wanted,
``recovery``: the maker's keys as JWKs).
"""

import binascii
import json

from latchkey import jwk, strictjson
from latchkey.device import config as config_
from latchkey.device import settings
from latchkey.device.credentials import DER_BYTES
from latchkey.errors import ConfigError, KeySetError
from latchkey.limits import const

PROVISION_BYTES = const(16384)  # of the whole document
_PROVISION_DEPTH = const(5)
_PASSPHRASE_CHARS = const(63)
_MEMBERS = ("config", "credentials", "time_unix_s", "key_set", "wifi", "ap_passphrase", "update_keys")
_UPDATE_KEYS = ("release", "recovery")
_PAIR = ("cert_der", "key_der")
_DER = ("ca_der",) + _PAIR
_HTTPS = ("https_cert_der", "https_key_der")
_WPA_KEY_DIGITS = const(64)


def read(data):
    """Judge the document (bytes) and return ``(settings, credentials, keys or None, unix_s, update keys or None)``:
    settings as of latchkey.device.settings, credentials as of latchkey.device.credentials, update keys as of
    latchkey.update.record.

    Raises ConfigError naming the field, FormatError, or KeySetError; nothing is stored then.
    """
    document = checked(strictjson.parse(data, _PROVISION_DEPTH), _MEMBERS)
    config = config_.parse(json.dumps(document.get("config")).encode())
    keys = document.get("key_set")
    if keys is not None:
        keys = jwk.parse_key_set(json.dumps(keys).encode(), config["dev"])
    wifi = document.get("wifi", {})
    if not isinstance(wifi, dict):
        raise _wrong("wifi")
    wifi_passphrase = wifi_key(wifi.get("passphrase"), "wifi.passphrase")
    ap_passphrase = passphrase(document.get("ap_passphrase"), "ap_passphrase")
    found = settings.made_of(config, wifi_passphrase, ap_passphrase)
    update_keys = _update_keys(document.get("update_keys"))
    der = checked(document.get("credentials"), _DER + _HTTPS, "credentials")
    names = _DER + _HTTPS if _HTTPS[0] in der or _HTTPS[1] in der else _DER
    credentials = {name: _der(der.get(name), "credentials." + name) for name in names}
    unix_s = document.get("time_unix_s")
    # Milliseconds, the usual mistake, lie beyond what flash can hold.
    if type(unix_s) is not int or not 0 < unix_s < 1 << 32:
        raise _wrong("time_unix_s")
    return found, credentials, keys, unix_s, update_keys


def renewal_of(document):
    """The new client certificate in ``document``, a parsed object of ``cert_der`` and ``key_der`` in base64, as a dict
    of what is to be stored. ConfigError."""
    checked(document, _PAIR)
    return {"new_" + name: _der(document.get(name), name) for name in _PAIR}


def checked(given, known, path=""):
    """``given``, if it is an object whose names are all ``known``; else ConfigError. ``path``: the one to it."""
    if not isinstance(given, dict):
        raise _wrong(path)
    for name in given:
        if name not in known:
            raise _wrong(path + "." + name if path else name)
    return given


def passphrase(text, field):
    """``text`` as WPA2 takes it: 8 to 63 printable ASCII characters (IEEE 802.11, Annex J.4), or None. ConfigError."""
    raw = text.encode() if isinstance(text, str) else b""
    if text is not None and (not 8 <= len(raw) <= _PASSPHRASE_CHARS or min(raw) < 32 or max(raw) > 126):
        raise ConfigError("invalid_field", field, "8 to 63 characters of printable ASCII.")
    return text


def wifi_key(text, field):
    """The key of a network: a passphrase, the 64 hexadecimal digits of the key that is made of it, or None.
    ConfigError."""
    if not isinstance(text, str) or len(text) != _WPA_KEY_DIGITS:
        return passphrase(text, field)
    try:
        # MicroPython skips white space here; two digits make a byte.
        if len(binascii.unhexlify(text)) == _WPA_KEY_DIGITS // 2:
            return text
    except ValueError:
        pass
    raise ConfigError("invalid_field", field, "8 to 63 characters, or 64 hexadecimal digits.")


def _der(text, field):
    if not isinstance(text, str) or len(text) > DER_BYTES * 4 // 3 + 4:
        raise _wrong(field)
    try:
        der = binascii.a2b_base64(text)
    except ValueError:
        raise _wrong(field)
    # It skips characters outside base64, where RFC 4648, 3.3 would refuse. Certificates and keys are an ASN.1 SEQUENCE.
    if binascii.b2a_base64(der)[:-1] != text.encode() or der[:1] != b"\x30":
        raise _wrong(field)
    return der


def _update_keys(given):
    """``[release key, recovery key]``, or the first alone."""
    if given is None:
        return None
    checked(given, _UPDATE_KEYS, "update_keys")
    found = []
    for name in _UPDATE_KEYS:
        if name == "release" or given.get(name) is not None:
            try:
                found.append(jwk.parse_key(given.get(name)))
            except KeySetError:
                raise _wrong("update_keys." + name)
    return found


def _wrong(field):
    return ConfigError("invalid_field", field)
