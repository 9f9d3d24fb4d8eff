"""`latchkey certificate`: a key made here, a certificate that the simulator signs as the cloud does, on a device."""

import base64
import datetime
import json
import ssl
import time

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from renewing import attempt, ends, online
from technician import INFO, OTHER_SYSTEM, SYSTEM, Keyboard, Stub, device, make_token, refusal

from latchkey_tools.boards import production
from latchkey_tools.cli import advice, certificate_commands, config_commands
from latchkey_tools.device import certificate_request, cloud_api
from latchkey_tools.device.certificate_request import CLIENT, HTTPS
from latchkey_tools.sim import pki
from latchkey_tools.sim.cloud import Cloud, CloudError

DAY_S = 86400


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    with online(tmp_path_factory.mktemp("certificates")) as made:
        yield made


@pytest.fixture
def tech(story, tmp_path, monkeypatch):
    monkeypatch.setattr(config_commands, "_POLL_S", 0.05)
    story.sim.configure(certificateDelay=0)
    return Keyboard(tmp_path, LATCHKEY_SIM=str(story.sim.folder))


def kept(tech, folder=None):
    """Names of the files of certificates that stayed here."""
    folder = folder or tech.wallet / "certificates"
    return sorted(path.name.split(".", 1)[1] for path in folder.iterdir()) if folder.exists() else []


def load(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_without_a_device_certificate_and_key_lie_where_they_are_wanted(tech, story, tmp_path):
    done = tech.run("certificate", "request", SYSTEM, "--sim", "--out", tmp_path / "out", "--duration", "30D")
    assert done.status == 0 and "ends" not in done.err
    cert = load(tmp_path / "out" / f"{SYSTEM}.client.cert.pem")
    left = cert.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert 29 <= left.days <= 30 and cert.subject.rfc4514_string() == f"CN={SYSTEM}"
    cert.verify_directly_issued_by(load(story.pki.ca.cert_pem))
    assert kept(tech, tmp_path / "out") == ["client.cert.pem", "client.key.pem"]
    key = (tmp_path / "out" / f"{SYSTEM}.client.key.pem").read_text()
    tech.secrets += [line for line in key.splitlines() if "--" not in line]
    again = tech.data("certificate", "request", SYSTEM, "--sim", "--out", tmp_path / "out")
    assert again["end_unix_s"] == certificate_request.end_of(cert)  # it is there already
    assert tech.spilt() == []


def test_a_request_that_was_not_answered_is_waited_for_again_and_not_made_twice(tech, story, monkeypatch):
    monkeypatch.setattr(certificate_request, "POLL_S", 60)
    story.sim.configure(certificateDelay=3600)
    folder = tech.wallet / "certificates"
    asked = certificate_request.Request(folder, SYSTEM, CLIENT)
    cloud = cloud_api.Cloud(story.sim.url, cloud_api.Key(story.sim.bearer, "of the simulator"))
    issuer = certificate_request.choose_issuer(cloud.issuers())
    waited = []
    with pytest.raises(cloud_api.CloudRefusal, match="has not signed the certificate .* run the same again later"):
        asked.fulfil(cloud, "P1D", lambda: issuer, sleep=waited.append)
    assert sum(waited) == 120 and kept(tech) == ["client.asked.json", "client.key.pem"]
    before = asked.key_path.read_bytes()
    story.sim.configure(certificateDelay=0)
    asked.fulfil(cloud, "P1D", lambda: pytest.fail("it was asked for twice"))
    assert asked.key_path.read_bytes() == before and kept(tech) == ["client.cert.pem", "client.key.pem"]


def test_by_cable_the_board_tries_it_and_keeps_it_since_the_broker_takes_it(tech, story):
    port = story.desk.serial
    before = story.tech.diagnostics(story.day)["cloud"]["cert_not_after"]
    done = tech.run("certificate", "renew", "--port", port, "--sim")
    assert done.status == 0 and "nothing to do" in done.err
    words = ("--before", "370D", "--duration", "500D", "--sim")
    answer = tech.data("certificate", "renew", "--port", port, *words)
    assert answer["attempt"] == "stored" and answer["system"] == SYSTEM and kept(tech) == []
    ends(story, lambda: attempt(story), "kept")
    story.desk.restart()
    ends(story, story.link_state, "online")
    after = story.tech.diagnostics(story.day)["cloud"]["cert_not_after"]
    assert after == answer["end_unix_s"] > before + 100 * DAY_S
    done = tech.run("certificate", "request", OTHER_SYSTEM, "--port", port, "--sim")
    assert done.status == 3 and "name the right device" in done.err


def test_by_cable_a_device_gets_https(tech, story):
    assert tech.run("certificate", "request", SYSTEM, "--https", "--host", story.desk.url, "--sim").status == 2
    done = tech.run("certificate", "request", SYSTEM, "--https", "--port", story.desk.serial, "--sim")
    assert done.status == 0, done
    name = f"latchkey-{SYSTEM[:8]}.local"
    context = ssl.create_default_context(cafile=str(story.pki.ca.cert_pem))

    def product():
        try:
            with httpx.Client(verify=context, trust_env=False) as client:
                return client.get(story.desk.tls_url + "/v1/info", extensions={"sni_hostname": name}).json()["product"]
        except httpx.HTTPError as error:
            return repr(error)

    ends(story, product, "bulb")
    assert "nothing to do" in tech.run("certificate", "renew", "--https", "--port", story.desk.serial, "--sim").err


def ending(days, *attempts):
    """A device whose client certificate ends so soon, and that reports its attempts in turn."""
    cloud = {"state": "online", "reason": "", "cert_not_after": int(time.time()) + days * DAY_S}
    answers = device(diagnostics=[(200, {"cloud": cloud | {"attempt": one}}, {}) for one in (None, *attempts)])
    answers[("PUT", "/v1/config/certificate")] = (202, {"accepted": True}, {})
    return answers


def sent(stub):
    return [json.loads(body) for method, _path, _headers, body in stub.requests if method == "PUT"]


def test_over_the_api_it_is_renewed_when_it_ends_soon_and_the_key_is_gone_here_then(tech):
    tech.ok("token", "import", "-", given=make_token())
    with Stub(ending(59, "running", "kept")) as bulb:
        done = tech.run("certificate", "renew", "--host", bulb.url, "--sim")
        assert done.status == 0 and "the broker accepted the new certificate" in done.err
        (body,) = sent(bulb)
        tech.secrets.append(body["key_der"])
        x509.load_der_x509_certificate(base64.b64decode(body["cert_der"]))
    with Stub(ending(61)) as bulb:
        assert "nothing to do" in tech.run("certificate", "renew", "--host", bulb.url, "--sim").err and not sent(bulb)
    assert kept(tech) == [] and tech.spilt() == []


def test_one_that_the_broker_refuses_stays_here_for_another_try(tech):
    tech.ok("token", "import", "-", given=make_token())
    with Stub(ending(5, "cert_refused")) as bulb:
        done = tech.run("certificate", "renew", "--host", bulb.url, "--sim")
        assert done.status == 1 and "the old certificate is back" in done.err
    with Stub(ending(5) | {("PUT", "/v1/config/certificate"): refusal(403, "presence_needed")}) as alone:
        done = tech.run("certificate", "renew", "--host", alone.url, "--sim")
        assert done.status == 1 and advice.advice("presence_needed") in done.err
    with Stub(ending(5, "kept")) as again:
        assert tech.run("certificate", "renew", "--host", again.url, "--sim").status == 0
        assert sent(again) == sent(bulb)
    assert kept(tech) == [] and tech.open_files() == []


@pytest.mark.parametrize("command", ["renew", "device"])
def test_a_key_is_not_sent_where_others_can_read_it(tech, story, command):
    tech.ok("token", "import", "-", given=make_token())
    with Stub(ending(5, "kept"), at=("127.0.0.2", 0)) as bulb:
        words = ("certificate", "renew", "--host", bulb.url, "--sim")
        if command == "device":
            files = ("--cert", story.pki.device.cert_pem, "--key", story.pki.device.key_pem)
            words = ("device", "certificate", bulb.url, *files)
        done = tech.run(*words)
        assert done.status == 3 and "others in that network could read the key" in done.err and not sent(bulb)


def test_a_device_that_is_another_gets_nothing(tech):
    tech.ok("token", "import", "-", given=make_token(OTHER_SYSTEM))
    with Stub(ending(5) | {("GET", "/v1/info"): (200, INFO | {"system_uuid": OTHER_SYSTEM}, {})}) as bulb:
        done = tech.run("certificate", "request", SYSTEM, "--host", bulb.url, "--sim")
        assert done.status == 3 and OTHER_SYSTEM in done.err and not sent(bulb)


@pytest.mark.parametrize(
    "words",
    [
        ("renew", "--sim"),
        ("renew", "--port", "x", "--host", "192.168.4.1", "--sim"),
        ("renew", "--port", "x", "--before", "60D", "--duration", "30D", "--sim"),
        ("renew", "--port", "x"),
        ("request", SYSTEM, "--duration", "x", "--sim"),
        ("request", "x", "--sim"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_before_anything_is_done(tech, words):
    assert tech.run("certificate", *words).status == 2


def test_a_line_has_the_certificates_signed_that_it_lacks_and_a_second_run_asks_for_none(tech, story, tmp_path):
    rows = [{"system_uuid": SYSTEM.upper()}, {"system_uuid": OTHER_SYSTEM}]
    rows.append({"system_uuid": "33333333-2222-4333-8444-555555555555", "cert": "c.pem", "key": "k.pem"})
    for name, path in (("c.pem", story.pki.device.cert_pem), ("k.pem", story.pki.device.key_pem)):
        (tmp_path / name).write_bytes(path.read_bytes())
    (tmp_path / "line.json").write_text(json.dumps(rows))
    common = {"slug": "company-example", "ca": str(story.pki.ca.cert_pem), "issuer": "https://a.example"}
    (tmp_path / "common.json").write_text(json.dumps(common))
    line = ("board", "provision", "--line", tmp_path / "line.json", "--common", tmp_path / "common.json")
    files = ("--report", tmp_path / "report.json", "--labels", tmp_path / "labels.csv", "--port", tmp_path / "none")
    made = ("--certificates", tmp_path / "certs")
    done = tech.run(*line, *files, *made, "--https", "--sim")
    assert done.status == 1 and "2 not begun" in done.err  # there is no such port
    assert len(kept(tech, tmp_path / "certs")) == 2 * 2 + 3 * 2
    cloud = cloud_api.Cloud("https://nobody.example/graphql", cloud_api.Key("x", "x"))
    fill = certificate_commands.filler(tmp_path / "certs", cloud, True, None)
    devices = production.read_devices(tmp_path / "line.json", tmp_path / "common.json", fill)
    assert [load(tmp_path / d["cert"]).subject.rfc4514_string() for d in devices[:2]] == [
        f"CN={SYSTEM}",
        f"CN={OTHER_SYSTEM}",
    ]
    for one in devices:
        assert production.document(one)[0]["credentials"].keys() >= {"cert_der", "https_cert_der", "https_key_der"}
    assert devices[2]["cert"] == str(tmp_path / "c.pem")
    done = tech.run(*line, *files, "--sim")
    assert done.status == 2 and "--sim has no effect without --certificates" in done.err
    one = ("--config", "x", "--ca", "x", "--cert", "x", "--key", "x", "--port", "x")
    refused = tech.run("board", "provision", *one, "--endpoint", "https://a.example/graphql").err
    assert "--endpoint has no effect without --line" in refused
    assert "--endpoint" in tech.run(*line, *files, "--endpoint", "https://a.example/graphql").err


@pytest.fixture
def simulated(tmp_path):
    now = [time.time()]
    certs = pki.make(tmp_path / "pki")
    cloud = Cloud(tmp_path / "cloud.json", "company-example", clock=lambda: now[0], authority=certs.ca)
    cloud.now = now
    return cloud


def request_of(kind=CLIENT):
    return certificate_request.signing_request(ec.generate_private_key(ec.SECP256R1()), SYSTEM, kind)


def ask(cloud, csr=None, usage="CLIENT_AUTH", name="a", issuer=None, duration_s=DAY_S):
    issuer = issuer or cloud.issuers()[0]["uuid"]
    return cloud.create_certificate(csr or request_of(), duration_s, SYSTEM, issuer, name, [usage])


def test_the_simulator_signs_as_the_cloud_does(simulated, tmp_path):
    record = ask(simulated, request_of(HTTPS), "SERVER_AUTH")
    name, pem = simulated.certificate(record["uuid"])
    cert = x509.load_pem_x509_certificate(pem.encode())
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"latchkey-{SYSTEM[:8]}.local"] and name == "a"
    assert abs(certificate_request.end_of(cert) - simulated.now[0] - DAY_S) < 2
    simulated.set(certificateDelay=5)
    late = ask(simulated, name="b")["uuid"]
    assert simulated.certificate(late)[1] is None
    simulated.now[0] += 5
    assert simulated.certificate(late)[1]
    again = Cloud(tmp_path / "cloud.json", "company-example", clock=simulated.clock, authority=simulated.authority)
    assert again.certificate(late)[1] and again.issuers() == simulated.issuers()


def test_the_simulator_refuses_what_the_cloud_refuses(simulated, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    names = x509.SubjectAlternativeName([x509.DNSName("lamp.example.org")])
    public = builder.add_extension(names, False).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    ask(simulated)
    for changes, words in (
        ({"csr": public.decode(), "usage": "SERVER_AUTH", "name": "b"}, "end in .local"),
        ({"usage": "SERVER_AUTH", "name": "b"}, "end in .local"),
        ({"csr": "nonsense", "name": "b"}, "not a signing request"),
        ({"name": "a"}, "cannot have the name"),
        ({"name": "a b"}, "cannot have the name"),
        ({"name": "b", "issuer": OTHER_SYSTEM}, "no issuer"),
    ):
        with pytest.raises(CloudError, match=words):
            ask(simulated, **changes)
    simulated.authority = None
    with pytest.raises(CloudError, match="no authority"):
        ask(simulated, name="b")


def test_of_several_issuers_none_is_guessed():
    both = [("uuid-a", "a"), ("uuid-b", "b")]
    assert certificate_request.choose_issuer(both[:1]) == "uuid-a"
    assert certificate_request.choose_issuer(both, "b") == certificate_request.choose_issuer(both, "uuid-b") == "uuid-b"
    for issuers, wanted, words in (
        (both, None, "2 issuers; give --issuer .*: a, b"),
        (both, "c", "no issuer c"),
        ([], None, "0"),
    ):
        with pytest.raises(cloud_api.CloudRefusal, match=words):
            certificate_request.choose_issuer(issuers, wanted)
