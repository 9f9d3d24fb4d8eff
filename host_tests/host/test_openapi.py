"""docs/openapi.yaml against the running device: schemathesis with no token and with a token of each permission."""

import collections
import re
from pathlib import Path
from types import SimpleNamespace

import api_process
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

import counts
from latchkey.api.handlers import ANY, OPEN, Api
from latchkey.products import bulb
from latchkey_tools.boards import page
from latchkey_tools.cli import advice

FILE = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
DOCUMENT = yaml.safe_load(FILE.read_text())
TOKENS = ("none", "read", "control", "configure")
RANKS = ("any", "read", "control", "configure")
MODELS = {"white": "WhitePatch", "cct": "CctPatch", "rgb": "RgbPatch"}


def narrowed(model, *left_out):
    """The document as it reads for one model and one permission: the tokens are the test's own.

    ``left_out``: paths, beside the endless stream, to which test_clients listens.
    """
    document = yaml.safe_load(FILE.read_text())
    document["components"]["schemas"]["StatePatch"] = {"$ref": f"#/components/schemas/{MODELS[model]}"}
    del document["components"]["securitySchemes"]
    for path in ("/v1/events", *left_out):
        del document["paths"][path]
    for item in document["paths"].values():
        for operation in item.values():
            del operation["security"]
    made = schemathesis.openapi.from_dict(document)
    # Wrong and too long at once is reported as too long.
    made.config.checks.negative_data_rejection.expected_statuses += ["413", "414"]
    return made


schema = narrowed("rgb")
reached = collections.Counter()


@pytest.fixture(scope="module")
def device():
    with api_process.running(heapsize="512K", product="rgb", setup=1, page=page.make().with_name(page.FILE)) as process:
        yield process
        # Most requests with sufficient tokens must have reached a handler.
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
    judge(case, device.url, token, None if token == "none" else f"CLOUD-{token}", reached)


def judge(case, url, permission, token, reached):
    """Send ``case`` with the ``token`` that gives ``permission``; every check, and whether the handler was reached."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = case.call(base_url=url, headers=headers)
    # No schema says what a manifest is.
    unknown = [positive_data_acceptance] if case.path in ("/v1/firmware", "/v1/keys") and case.method == "PUT" else None
    case.validate_response(response, excluded_checks=unknown)
    needs = needed(case.operation)
    # A refusal before the token is looked at.
    if needs is None or response.status_code in (400, 405, 406, 414):
        return
    if token is None:
        assert response.status_code == 401
    elif RANKS.index(permission) < RANKS.index(needs):
        assert response.status_code == 403
    else:
        reached["stopped" if response.status_code in (401, 403) else "past"] += 1


def documented():
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def test_the_document_has_every_route_with_its_permission():
    api = Api(SimpleNamespace(wireless=True), None, bulb.Product(None))
    served = {(path, method): permission for path, method, permission, *_ in api.routes}
    words = {OPEN: None, ANY: "any"}
    assert {(p, m): o.get("x-permission") for p, m, o in documented()} == {
        where: words.get(permission, permission) for where, permission in served.items()
    }


def test_open_operations_and_no_others_need_no_token():
    for _, _, operation in documented():
        assert ("security" in operation) and (operation["security"] == []) == ("x-permission" not in operation)


def test_every_status_of_the_code_table_is_documented():
    statuses = {str(status) for status, _, _ in advice.CODES.values()}
    told = {status for _, _, operation in documented() for status in operation["responses"]}
    assert statuses - told <= {"404", "405"}  # those belong to no operation
    assert {s for s in told if s >= "4"} <= statuses


def test_every_error_answer_names_its_codes():
    for name, response in DOCUMENT["components"]["responses"].items():
        words = set(re.findall("[a-z_]+", response["description"].partition(":")[0]))
        assert words & set(advice.CODES) == {c for c, row in advice.CODES.items() if name == f"E{row[0]}"}, name


def test_the_bounds_of_the_fields_are_those_of_the_firmware():
    schemas = DOCUMENT["components"]["schemas"]
    kelvin = schemas["ColorTempK"]
    assert (kelvin["minimum"], kelvin["maximum"]) == bulb.KELVIN
    assert schemas["TransitionMs"]["maximum"] == bulb.TRANSITION_MS
    for model, name in MODELS.items():
        fields = set(bulb.Product(None, model).state()) | {"transition_ms"}
        assert set(schemas[name]["properties"]) == fields
