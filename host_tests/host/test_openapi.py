"""docs/openapi.yaml against the running device: schemathesis with no token and with a token of each permission."""

import collections
from pathlib import Path

import api_process
import counts
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from latchkey import codes
from latchkey.api import ANY, OPEN, Api
from latchkey.products import bulb

FILE = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
DOCUMENT = yaml.safe_load(FILE.read_text())
TOKENS = ("none", "read", "control", "configure")
RANKS = ("any", "read", "control", "configure")
MODELS = {"white": "WhitePatch", "cct": "CctPatch", "rgb": "RgbPatch"}


def narrowed(model):
    """The document as it reads for one model and one who is let in or not: the tokens are the test's own.

    The endless stream is left out; test_clients listens to it.
    """
    document = yaml.safe_load(FILE.read_text())
    document["components"]["schemas"]["StatePatch"] = {"$ref": f"#/components/schemas/{MODELS[model]}"}
    del document["components"]["securitySchemes"], document["paths"]["/v1/events"]
    for item in document["paths"].values():
        for operation in item.values():
            del operation["security"]
    made = schemathesis.openapi.from_dict(document)
    # Wrong and too long at once is told as too long.
    made.config.checks.negative_data_rejection.expected_statuses += ["413"]
    return made


schema = narrowed("rgb")
reached = collections.Counter()


@pytest.fixture(scope="module")
def device():
    with api_process.running(heapsize="512K", product="rgb") as process:
        yield process
        # Most of what was sent with sufficient tokens must have got past the door.
        assert reached["past"] > reached["stopped"]


def needed(operation):
    return operation.definition.raw.get("x-permission")


@pytest.mark.parametrize("token", TOKENS)
@schema.parametrize()
@settings(
    max_examples=counts.get("openapi_examples"),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
def test_the_device_keeps_to_the_document(case, device, token):
    headers = {} if token == "none" else {"Authorization": f"Bearer CLOUD-{token}"}
    response = case.call(base_url=device.url, headers=headers)
    case.validate_response(response)
    permission = needed(case.operation)
    if permission is None or response.status_code in (400, 405, 406):
        return
    if token == "none":
        assert response.status_code == 401
    elif RANKS.index(token) < RANKS.index(permission):
        assert response.status_code == 403
    else:
        reached["stopped" if response.status_code in (401, 403) else "past"] += 1


def documented():
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def test_the_document_has_every_route_with_its_permission():
    api = Api(None, None, bulb.Product(None))
    served = {(p, m): route.permission for p, methods in api._routes.items() for m, route in methods.items()}
    words = {OPEN: None, ANY: "any"}
    assert {(p, m): o.get("x-permission") for p, m, o in documented()} == {
        where: words.get(permission, permission) for where, permission in served.items()
    }


def test_open_operations_and_no_others_need_no_token():
    for _, _, operation in documented():
        assert ("security" in operation) and (operation["security"] == []) == ("x-permission" not in operation)


def test_every_status_of_the_code_table_is_documented():
    statuses = {str(codes.look_up(code)[0]) for code in codes.every()}
    told = {status for _, _, operation in documented() for status in operation["responses"]}
    assert statuses - told <= {"404", "405"}  # those belong to no operation
    assert {s for s in told if s >= "4"} <= statuses


def test_the_bounds_of_the_fields_are_those_of_the_firmware():
    schemas = DOCUMENT["components"]["schemas"]
    kelvin = schemas["ColorTempK"]
    assert (kelvin["minimum"], kelvin["maximum"]) == bulb.KELVIN
    assert schemas["TransitionMs"]["maximum"] == bulb.TRANSITION_MS
    for model, name in MODELS.items():
        fields = set(bulb.Product(None, model).state()) | {"transition_ms"}
        assert set(schemas[name]["properties"]) == fields
