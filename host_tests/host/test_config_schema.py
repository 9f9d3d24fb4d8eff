"""docs/config.schema.json and the firmware judge alike."""

import json
from pathlib import Path

import jsonschema
import pytest

from latchkey.device import config
from latchkey.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = json.loads((ROOT / "docs" / "config.schema.json").read_text())
TABLE = json.loads((ROOT / "host_tests" / "vectors" / "config.json").read_text())


def _valid(document):
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(document)


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("changes", TABLE["good"], ids=json.dumps)
def test_what_the_firmware_takes_the_schema_takes(changes):
    assert _valid({**TABLE["base"], **changes})


@pytest.mark.parametrize("changes", [bad for bad, _ in TABLE["bad"]], ids=json.dumps)
def test_what_the_firmware_refuses_the_schema_refuses(changes):
    assert not _valid({**TABLE["base"], **changes})


@pytest.mark.parametrize("name", ["system_uuid", "slug"])
def test_both_demand_the_same_members(name):
    document = {k: v for k, v in TABLE["base"].items() if k != name}
    assert not _valid(document)
    with pytest.raises(ConfigError):
        config.parse(json.dumps(document).encode())


def _defaults(schema):
    return {name: part["default"] for name, part in schema["properties"].items() if "default" in part}


def test_the_defaults_are_the_same():
    ours = {k: v for k, v in config.DEFAULTS.items() if k not in ("system_uuid", "slug")}
    assert _defaults(SCHEMA) == ours
    for section in ("broker", "policy", "wifi"):
        assert _defaults(SCHEMA["properties"][section]) == ours[section]


def test_the_schema_names_the_members_the_firmware_knows():
    assert set(SCHEMA["properties"]) == set(config.DEFAULTS)
