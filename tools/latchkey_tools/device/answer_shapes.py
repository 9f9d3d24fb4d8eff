"""The shapes of a device's answers, as far as commands use them; docs/openapi.yaml has them whole.

Anything may answer at an address. ``answer`` passes only the types that commands expect, so that none of them
checks again. A member may be missing or null, and there may be others: devices are older or newer than this.
"""

import json
import math
import re

# Later than any time that means something: year 10000.
_TIME_END_S = 253402300800
# As a device's own parser.
_MOST_DIGITS = 19
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def text(value):
    return isinstance(value, str)


def whole(value):
    return type(value) is int


def time(value):
    """Unix seconds."""
    return whole(value) and 0 <= value < _TIME_END_S


def system(value):
    return text(value) and _UUID.fullmatch(value) is not None


# A shape is a predicate, [shape] for a list of such, or {name: shape} for an object.
INFO = {"product": text, "model": text, "version": text, "system_uuid": system, "name": text, "state": text}
GRANT = {"permissions": [text], "exp_unix_s": time}
DIAGNOSTICS = {
    "cloud": {"state": text, "reason": text, "since": time, "attempt": text}
    | dict.fromkeys(("cert_not_after", "broker_cert_not_after", "ca_not_after"), time),
    "https_cert_not_after": time,
    "keys": {"keys": [{"kid": text, "bits": whole, "alg": text}], "source": text, "sets_refused": whole},
    "ledger": {"heard_unix_s": time, "outside_behind": whole},
    "clock": {"floor_unix_s": time},
    "faults": {"count": whole, "last": text},
    "stores_behind": [text],
    "heap": {"idf_free_bytes": whole, "idf_largest_bytes": whole, "idf_lowest_bytes": whole},
}
LOG = {"lines": [{"uptime_s": whole, "text": text}]}
TOKENS = {"tokens": [{"jti": system, "end_unix_s": time, "changed_unix_s": time}]}
_USE = dict.fromkeys(("name", "jti", "role", "method", "path"), text)
_USE |= dict.fromkeys(("status", "count", "ago_s"), whole)
USES = {"changes": [_USE], "reads": [_USE], "peers": [{"peer": text, "count": whole, "ago_s": whole}]}
PAIRING = {"state": text, "what": text, "ssid": text, "address": text, "offline": text, "reason": text}
PAIRING |= {"host": text, "access_point_s": whole, "presence_s": whole}
NETWORKS = {"networks": [{"ssid": text, "rssi_dbm": whole}]}
CONFIG = {
    "config": {"roles": {}},
    "trust": {"changes": whole, "last": [{"unix_s": time, "jti": text, "fields": [text]}]},
}
FIRMWARE = {"version": text, "board": text, "kind": text, "running": text, "state": text}
FIRMWARE |= dict.fromkeys(("goes_back_s", "counter", "key_counter", "set_counter"), whole)
FIRMWARE |= {
    "upload": {"sha256": text, "version": text, "size": whole, "received": whole},
    "last": {"result": text, "version": text, "reason": text},
}
ERROR = {"code": text, "field": text}

# Of whatever method; a change of the configuration that is tried first is answered by a Pairing.
OF_PATHS = {
    "/v1/info": INFO,
    "/v1/whoami": GRANT,
    "/v1/diagnostics": DIAGNOSTICS,
    "/v1/log": LOG,
    "/v1/tokens": TOKENS,
    "/v1/uses": USES,
    "/v1/pairing": PAIRING,
    "/v1/pairing/networks": NETWORKS,
    "/v1/config": CONFIG | PAIRING,
    "/v1/firmware": FIRMWARE,
}
# Members that every device sends.
_MUST = {"/v1/info": {"product", "system_uuid", "state"}}


def answer(path, status, body):
    """The dict in the body (bytes) of an answer to a request for ``path``; None if no device answers so."""
    found = parse(body)
    if 200 <= status < 300:
        good = fits(found, OF_PATHS.get(path.partition("?")[0], {})) and _MUST.get(path, set()) <= found.keys()
    else:
        good = status >= 400 and fits(found, ERROR) and found.get("code")
    return found if good else None


def parse(data):
    """The value of a JSON text (str or bytes), None for anything else and for numbers that mean nothing."""
    try:
        return json.loads(data, parse_constant=_no_number, parse_float=_number, parse_int=_whole)
    except (ValueError, RecursionError):
        return None


def fits(value, shape):
    """Whether a value out of JSON has this shape."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(value.get(n) is None or fits(value[n], s) for n, s in shape.items())
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(one, shape[0]) for one in value)
    return shape(value)


def _no_number(word):
    raise ValueError(word)


def _number(digits):
    value = float(digits)
    return value if math.isfinite(value) else _no_number(digits)


def _whole(digits):
    return int(digits) if len(digits) <= _MOST_DIGITS + 1 else _no_number(digits)
