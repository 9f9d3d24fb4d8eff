"""The whole firmware on the desk board, with Wi-Fi: its API against the document and against hostile requests."""

import collections
import json
import time

import httpx
import pytest
import test_openapi as openapi
import test_server_flood as flood
import test_server_hostile as hostile
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import HealthCheck, settings

from latchkey_tools.boards import provision
from latchkey_tools.desk.unix_board import Desk
from latchkey_tools.sim import pki

ISSUER = "https://company-example.api.drivr.cloud"
ROLES = {"Reader": "read", "Operator": "control", "Domain Owner": "configure"}
# Restarting and joining other networks are test_commissioning's.
schema = openapi.narrowed("cct", "/v1/restart", "/v1/pairing")
reached = collections.Counter()


def token(role):
    """A token for one hour whose one role is ``role``."""
    now = int(time.time())
    # A subject each: of one subject only two results are remembered.
    claims = {name: f"530886ea-da07-4927-ade0-{len(role):012x}" for name in ("jti", "sub")}
    claims |= {"aud": flood.SYSTEM, "iss": ISSUER, "iat": now, "nbf": now - 60, "exp": now + 3600}
    claims["roles"] = [{"uuid": "8d86661d-985d-4878-a8f5-69723acfa364", "name": role}]
    signed = flood.b64(b'{"alg":"RS512","typ":"JWT"}') + "." + flood.b64(json.dumps(claims).encode())
    signature = flood.KEY.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA512())
    return f"CLOUD-{signed}.{flood.b64(signature)}"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    authority = pki.make(folder / "pki", system_uuid=flood.SYSTEM)
    others = {"roles": ROLES, "wifi": {"ssid": "desk"}}
    config = provision.config(flood.SYSTEM, "company-example", "localhost", 1, ISSUER, **others)
    key_set = flood.document([])["jwks"]
    wifi = {"ssid": "desk", "passphrase": "a passphrase of the desk"}
    air = {"networks": [{"ssid": "Cellar", "passphrase": "secret of the cellar", "channel": 1, "rssi": -40}]}
    with Desk(folder / "desk", air=air, button=True).power_on() as desk:
        desk.provision(provision.document(config, authority.ca, authority.device, key_set, wifi))
        starts = desk.starts
        yield desk
        assert desk.starts == starts


@pytest.fixture(scope="module")
def tokens():
    return {permission: token(role) for role, permission in ROLES.items()} | {"none": None}


@pytest.mark.parametrize("permission", openapi.TOKENS)
@schema.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_the_whole_firmware_keeps_to_the_document(case, desk, tokens, permission):
    openapi.judge(case, desk.url, permission, tokens[permission], reached)


def test_most_of_it_got_past_the_door(desk):
    assert reached["past"] > reached["stopped"]


@pytest.mark.parametrize("case", hostile.TABLE, ids=lambda case: case[0])
def test_each_hostile_request_gets_its_answer(desk, tokens, case):
    name, data, want = case
    device = FourGuests(desk)
    data = data.replace(b"CLOUD-control", tokens["control"].encode())
    hostile.test_each_hostile_request_gets_its_answer(device, (name, data, want))


class FourGuests:
    """A desk board as test_server_hostile sees a device."""

    def __init__(self, desk):
        self.port = desk.port

    connect = hostile.api_process.ApiProcess.connect


def test_the_same_process_serves_on_and_tells_how_it_is(desk, tokens):
    headers = {"Authorization": f"Bearer {tokens['configure']}"}
    facts = httpx.get(desk.url + "/v1/diagnostics", headers=headers).json()
    assert facts["kernels"] == {"power": "pow", "sha512": "viper"}
    assert facts["server"]["connections"] == 1
    assert facts["refusals"]["bad_request"] > 10
    assert "server_error" not in facts["refusals"]
