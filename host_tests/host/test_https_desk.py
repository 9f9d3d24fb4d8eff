"""HTTPS as a maker provisions it: a certificate for the device's .local name (A2), on the whole firmware."""

import base64
import ssl

import httpx
import pytest

from latchkey_tools.desk import demo
from latchkey_tools.sim import pki

NAME = f"latchkey-{demo.SYSTEM[:8]}.local"


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    told = demo.Story(tmp_path_factory.mktemp("https"), broker_kind="amqtt", say=lambda _text: None)
    identity = pki.server(told.pki.folder, told.pki.ca, "local-api", [NAME])
    try:
        told.start()
        document = told.provisioning()
        for name, path in (("https_cert_der", identity.cert_der), ("https_key_der", identity.key_der)):
            document["credentials"][name] = base64.b64encode(path.read_bytes()).decode()
        told.desk.provision(document)
        yield told
    finally:
        told.stop()


def get(story, path, token=None, host=NAME):
    context = ssl.create_default_context(cafile=story.pki.ca.cert_pem)
    headers = {"Host": f"{host}:{story.desk.tls_port}"} | ({"Authorization": f"Bearer {token}"} if token else {})
    with httpx.Client(verify=context, trust_env=False) as client:
        url = f"{story.desk.tls_url}{path}"
        return client.get(url, headers=headers, extensions={"sni_hostname": host})


def test_the_local_name_is_served_over_a_verified_connection(story):
    token = story.make(demo.SHORT_LIVED, "createLocalApiToken")
    story.expect("a token over HTTPS", 200, lambda: get(story, "/v1/state", token).status_code, within_s=15)
    assert story.rows[-1].ok, story.desk.log_text()[-2000:]
    assert get(story, "/v1/state").json()["code"] == "token_missing"


def test_plain_http_answers_only_info_and_426(story):
    assert httpx.get(f"{story.desk.url}/v1/info", trust_env=False).json()["state"] == "ready"
    answer = httpx.get(f"{story.desk.url}/v1/state", trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (426, "tls_required")


def test_a_client_that_expects_another_name_is_not_fooled(story):
    with pytest.raises(httpx.ConnectError, match="(?i)certificate|hostname"):
        get(story, "/v1/info", host="latchkey-00000000.local")
