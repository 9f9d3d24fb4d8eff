"""A device with keys from the factory accepts tokens before it ever met a cloud (K1)."""

import json
import time
from pathlib import Path

import httpx
import pytest

from latchkey_tools.desk import demo
from latchkey_tools.desk.unix_board import Desk
from latchkey_tools.sim import pki

TABLE = json.loads((Path(__file__).resolve().parents[1] / "vectors" / "verifier.json").read_text())
LOSE_KEYS = """import os
for name in os.listdir("/flash/state"):
    if name.startswith("keys"):
        os.remove("/flash/state/" + name)
"""
ROWS = {name: token for name, token, _code in TABLE["rows"]}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("factory")
    made = pki.make(folder / "pki")
    with Desk(folder / "desk") as desk:
        (desk.folder / "nvs.json").write_text(json.dumps(TABLE["jwks"]))
        desk.cut_uplink()
        desk.power_on()
        report = desk.provision(document(made))
        assert [key["kid"] for key in report["keys"]["keys"]] == ["first", "second"]
        assert report["keys"]["source"] == "factory"
        yield desk


def document(made):
    return {
        "config": {"system_uuid": TABLE["system_uuid"], "slug": "company-example", "issuer": TABLE["issuer"]},
        "credentials": demo.credentials(made),
        "time_unix_s": int(time.time()),
    }


def status(desk, name):
    headers = {"Authorization": f"Bearer {ROWS[name]}"}
    return httpx.get(f"{desk.url}/v1/whoami", headers=headers, trust_env=False).status_code


def test_a_token_of_the_owner_opens_it(desk):
    assert status(desk, "permanent, exp null") == 200


def test_a_strangers_does_not(desk):
    assert status(desk, "a stranger's key") == 401


def test_it_opens_still_after_its_files_were_lost(desk):
    desk.mpremote("exec", LOSE_KEYS)
    desk.restart()
    assert status(desk, "permanent, exp null") == 200
