"""A product may leave a feature out: its route answers `not_found`, and everything else works (unix port)."""

import base64
import ssl

import httpx
import pytest
import test_server_desk as server_desk
import test_server_flood as flood

from latchkey_tools.boards import provision
from latchkey_tools.desk import unix_board
from latchkey_tools.sim import pki

FEATURES = {
    "latchkey/api/events.mpy": ("GET", "/v1/events"),
    "latchkey/api/renewal.mpy": ("PUT", "/v1/config/certificate"),
    "latchkey/api/tokens.mpy": ("GET", "/v1/tokens"),
    "latchkey/api/uses.mpy": ("GET", "/v1/uses"),
    "latchkey/net/https.mpy": None,
}
NAME = f"latchkey-{flood.SYSTEM[:8]}.local"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"), system_uuid=flood.SYSTEM)


def started(folder, authority, *missing):
    """A provisioned desk, with a certificate for HTTPS, whose flash lacks the files ``missing``."""
    tree = unix_board.firmware_tree(folder / "tree")
    for name in missing:
        (tree / "a" / name).unlink()
    others = {"roles": server_desk.ROLES}
    config = provision.config(flood.SYSTEM, "company-example", "localhost", 1, server_desk.ISSUER, **others)
    document = provision.document(config, authority.ca, authority.device, flood.document([])["jwks"])
    identity = pki.server(authority.folder, authority.ca, "local-api", [NAME])
    for name, path in (("https_cert_der", identity.cert_der), ("https_key_der", identity.key_der)):
        document["credentials"][name] = base64.b64encode(path.read_bytes()).decode()
    desk = unix_board.Desk(folder / "desk", tree=tree).power_on()
    desk.provision(document)
    return desk


def answers(desk, authority, secure):
    """(status, code) of every route that needs no body, over HTTPS or plain HTTP; and of a change."""
    context = ssl.create_default_context(cafile=authority.ca.cert_pem)
    token = server_desk.token("Domain Owner")
    headers = {"Authorization": f"Bearer {token}"} | ({"Host": f"{NAME}:{desk.tls_port}"} if secure else {})
    found = {}
    with httpx.Client(base_url=desk.tls_url if secure else desk.url, verify=context, headers=headers) as client:
        for method, path, body in (
            *[("GET", f"/v1/{name}", None) for name in ("info", "whoami", "state", "diagnostics", "log", "config")],
            ("PATCH", "/v1/state", {"on": True}),
            ("POST", "/v1/identify", None),
            ("HEAD", "/v1/events", None),
            ("HEAD", "/v1/tokens", None),
            ("HEAD", "/v1/uses", None),
            ("PUT", "/v1/config/certificate", {}),
        ):
            more = {"extensions": {"sni_hostname": NAME}} if secure else {}
            answer = client.request(method, path, json=body, **more)
            code = answer.json().get("code") if method != "HEAD" else None
            found[method, path] = answer.status_code, code
            assert path != "/v1/diagnostics" or answer.json()["faults"]["count"] == 0
    return found


def test_each_feature_can_be_left_out_and_the_rest_answers_as_before(tmp_path, authority):
    with started(tmp_path / "whole", authority) as desk:
        whole = answers(desk, authority, secure=True)
    assert whole[("PUT", "/v1/config/certificate")] == (403, "presence_needed")
    assert {status for where, (status, _) in whole.items() if where[0] != "PUT"} == {200, 202}
    for name, lost in FEATURES.items():
        with started(tmp_path / name.replace("/", "-"), authority, name) as desk:
            found = answers(desk, authority, secure=lost is not None)
            if lost is None:
                with pytest.raises(httpx.ConnectError):
                    httpx.get(desk.tls_url + "/v1/info", verify=False)
                # Plain HTTP serves then, and no answer speaks of HTTPS.
                assert "upgrade" not in httpx.get(desk.url + "/v1/info").headers
        differ = {where for where in whole if whole[where] != found[where]}
        assert differ == ({(("HEAD" if lost[0] == "GET" else lost[0]), lost[1])} if lost else set()), name
        for where in differ:
            assert found[where] in ((404, None), (404, "not_found")), (name, where)


def test_without_any_of_them_the_device_runs(tmp_path, authority):
    with started(tmp_path, authority, *FEATURES) as desk:
        found = answers(desk, authority, secure=False)
    lost = {where for where, (status, _) in found.items() if status == 404}
    routes = {("HEAD", f"/v1/{name}") for name in ("events", "tokens", "uses")}
    assert lost == routes | {("PUT", "/v1/config/certificate")}
    assert {status for where, (status, _) in found.items() if where not in lost} == {200, 202}
