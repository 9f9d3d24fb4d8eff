"""The answers of a device that are accepted: nothing that a command could fail on, and all that openapi.yaml has."""

import json

import pytest
import yaml
from pages import ROOT
from technician import DIAGNOSTICS, INFO, SYSTEM

from latchkey_tools.device import answer_shapes

DOCUMENT = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
LAST = {"unix_s": 1700000000, "jti": SYSTEM, "fields": ["slug"]}
USE = {"name": "Marie", "jti": "530886ea", "role": "Owner", "permission": "control", "method": "PATCH"}
USE |= {"path": "/v1/state", "status": 200, "count": 3, "ago_s": 5}
WHOLE = {
    "/v1/info": INFO,
    "/v1/whoami": {"permissions": ["read"], "exp_unix_s": 1700000000},
    "/v1/diagnostics": DIAGNOSTICS | {"cloud": {"state": "waiting", "reason": "dns", "since": 5, "attempt": "kept"}},
    "/v1/log": {"lines": [{"n": 1, "uptime_s": 3, "text": "x"}]},
    "/v1/uses": {"changes": [USE], "reads": [USE], "peers": [{"peer": "192.0.2.7", "count": 1, "ago_s": 4}]},
    "/v1/tokens": {"tokens": [{"jti": SYSTEM, "admits": True, "end_unix_s": 1700000000, "changed_unix_s": 1700000000}]},
    "/v1/pairing": {"state": "failed", "what": "wifi", "ssid": "Home", "address": "192.0.2.7", "reason": "dns"},
    "/v1/pairing/networks": {"networks": [{"ssid": "Home", "rssi_dbm": -50, "secured": True}]},
    "/v1/config": {"config": {"name": "x", "roles": {"a": "read"}}, "trust": {"changes": 1, "last": [LAST]}},
}
RELEASE = {"version": "1.0", "board": "desk", "kind": "files", "running": "a1", "state": "unproven", "goes_back_s": 800}
RELEASE |= {"counter": 5, "key_counter": 0, "set_counter": 1}
RELEASE |= {"upload": {"sha256": "00" * 32, "version": "1.1", "size": 9, "received": 4}}
WHOLE["/v1/firmware"] = RELEASE | {"last": {"result": "went_back", "version": "0.9", "reason": "crashed"}}
WRONG = [5, 1.5, "text", ["x"], [5], {"a": 1}, [None]]


def answer(path, value, status=200):
    return answer_shapes.answer(path, status, json.dumps(value).encode())


def wrong_ones(shape, value):
    """Copies of ``value`` with something of another type in one place, down to what has no shape."""
    yield from (one for one in WRONG if not answer_shapes.fits(one, shape))
    if isinstance(shape, list):
        yield from ([one] for one in wrong_ones(shape[0], value[0]))
    if isinstance(shape, dict):
        for name in shape.keys() & value.keys():
            yield from (value | {name: one} for one in wrong_ones(shape[name], value[name]))


@pytest.mark.parametrize("path", answer_shapes.OF_PATHS)
def test_an_answer_with_something_of_another_type_in_it_is_none(path):
    assert answer(path, WHOLE[path]) == WHOLE[path]
    wrong = list(wrong_ones(answer_shapes.OF_PATHS[path], WHOLE[path]))
    assert len(wrong) > 5
    assert [one for one in wrong if answer(path, one) is not None] == []


def test_what_may_be_missing_may_be_null():
    assert answer("/v1/whoami", {"permissions": ["read"], "exp_unix_s": None, "new": {"x": 1}})
    assert answer("/v1/log", {}) == {} and answer("/v1/identify", {}) == {}
    assert answer("/v1/info", INFO | {"system_uuid": None})
    for name in ("product", "system_uuid", "state"):
        assert answer("/v1/info", {k: v for k, v in INFO.items() if k != name}) is None


NO_SYSTEMS = ["", " ", "x", SYSTEM[:-1], f"{{{SYSTEM}}}", SYSTEM + "\n", 0, [], [SYSTEM], {}, True]


@pytest.mark.parametrize("system", NO_SYSTEMS)
def test_a_system_is_a_uuid_as_devices_write_it(system):
    assert answer("/v1/info", INFO | {"system_uuid": system}) is None


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 21, "9" * 5000])
def test_numbers_that_mean_nothing_are_none(number):
    assert answer_shapes.answer("/v1/state", 200, f'{{"brightness_pct": {number}}}'.encode()) is None


@pytest.mark.parametrize("end", [-1, 253402300800, 10**18, 5.0, True])
def test_a_time_is_one_that_a_calendar_has(end):
    assert answer("/v1/whoami", {"permissions": ["read"], "exp_unix_s": end}) is None


def test_a_refusal_has_a_code_and_nothing_but_success_and_refusals_is_an_answer():
    refusal = {"code": "expired", "field": "x"}
    assert answer("/v1/state", refusal, 401) == refusal
    for status, value in ((401, {}), (401, {"code": 5}), (401, refusal | {"field": []}), (302, refusal), (302, {})):
        assert answer("/v1/state", value, status) is None
    for body in (b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000):
        assert answer_shapes.answer("/v1/state", 200, body) is None


def resolved(schema):
    """With its reference followed, and what it is all of put together."""
    if "$ref" in schema:
        return resolved(DOCUMENT["components"]["schemas"][schema["$ref"].split("/")[-1]])
    found = dict(schema)
    for part in schema.get("allOf", []):
        found = resolved(part) | found
    return found


def strays(shape, schema, at):
    """Places where a shape has what the document has not, or another type."""
    schema = resolved(schema)
    kinds = schema.get("type", [])
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if isinstance(shape, dict):
        properties = schema.get("properties", {})
        found = [] if "object" in kinds else [at]
        for name in shape if properties else ():
            inner = properties.get(name)
            found += strays(shape[name], inner, f"{at}.{name}") if inner else [f"{at}.{name}"]
        return found
    if isinstance(shape, list):
        return strays(shape[0], schema["items"], at + "[]") if "array" in kinds else [at]
    wanted = "integer" if shape in (answer_shapes.whole, answer_shapes.time) else "string"
    return [] if wanted in kinds or schema.keys() & {"enum", "const"} else [at]


@pytest.mark.parametrize("path", answer_shapes.OF_PATHS)
def test_shapes_are_those_of_the_document(path):
    operation = DOCUMENT["paths"][path]["get"]["responses"]["200"]
    schema = operation["content"]["application/json"]["schema"]
    shape = answer_shapes.OF_PATHS[path]
    if path == "/v1/config":  # of a change that is tried first
        assert strays(answer_shapes.PAIRING, DOCUMENT["components"]["schemas"]["Pairing"], path) == []
        shape = answer_shapes.CONFIG
    assert shape and strays(shape, schema, path) == []
