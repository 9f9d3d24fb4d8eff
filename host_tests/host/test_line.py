"""Provisioning over the wire with the real mpremote: one board, a line of several, power cuts, refusals."""

import csv
import datetime
import json
import shutil
import ssl
import stat
import threading
import time

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import counts
from latchkey_tools import desk, line, pki
from latchkey_tools.overwire import Wire, WireError
from latchkey_tools.sim.signing import jwk, new_key

SYSTEMS = [f"792b6149-1daa-488f-b07a-f684503b058{n}" for n in range(9)]
SECRETS = ("open sesame", "label of three")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with certificates, key sets and the file of what all devices share."""
    folder = tmp_path_factory.mktemp("files")
    certs = pki.make(folder / "pki", "company-example", SYSTEMS[0])
    for name, path in (("ca", certs.ca.cert_pem), ("cert", certs.device.cert_pem), ("key", certs.device.key_pem)):
        shutil.copy(path, folder / f"{name}.pem")
    shutil.copy(certs.broker.key_pem, folder / "other.pem")
    (folder / "jwks.json").write_text(json.dumps({"keys": [jwk(*new_key())]}))
    common = {"slug": "company-example", "issuer": "https://test.api.drivr.cloud", "ca": "ca.pem", "cert": "cert.pem"}
    common |= {"key": "key.pem", "factory_keys": "jwks.json", "dev": "true", "wifi_passphrase": SECRETS[0]}
    (folder / "common.json").write_text(json.dumps(common))
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    with desk.Desk(folder) as board:
        return board.image


@pytest.fixture
def boards(image, tmp_path):
    """Makes boards with the firmware on, running."""
    made = []

    def make(count):
        for _ in range(count):
            folder = tmp_path / f"desk{len(made)}"
            folder.mkdir()
            shutil.copy(image, folder / "flash.img")
            made.append(desk.Desk(folder).power_on())
        return made

    yield make
    for board in made:
        board.close()


def device(files, number=0, **others):
    path = files / f"device{number}.json"
    path.write_text(json.dumps([{"system_uuid": SYSTEMS[number], "name": f"lamp {number}", **others}]))
    return line.read_devices(path, files / "common.json")[0]


def test_a_board_becomes_a_system_with_factory_keys_and_a_label(boards, files):
    (board,) = boards(1)
    label = line.provision_one(device(files, ap_passphrase=SECRETS[1]), board.serial)
    assert board.info()["system_uuid"] == SYSTEMS[0] and board.info()["name"] == "lamp 0"
    assert label["ap_passphrase"] == SECRETS[1] and label["host"] == "latchkey-792b6149.local"
    assert (board.folder / "nvs.json").read_bytes() == (files / "jwks.json").read_bytes()
    status = Wire(board.serial).json_lines("import json, wire; print(json.dumps(wire.status()))")[-1]
    assert status["keys"]["held"] == 1 if "held" in status["keys"] else status["keys"]
    listing = board.mpremote("fs", "ls")
    assert "provision.json" not in listing and "factory.json" not in listing
    assert not any(secret in board.log_text() for secret in SECRETS)


def test_a_board_with_a_certificate_of_its_own_serves_https(boards, files, tmp_path):
    certs = pki.make(tmp_path / "pki", "company-example", SYSTEMS[1])
    name = f"latchkey-{SYSTEMS[1][:8]}.local"
    api = pki.server(tmp_path / "pki", certs.ca, "api", [name])
    (made,) = boards(1)
    line.provision_one(device(files, 1, https_cert=str(api.cert_pem), https_key=str(api.key_pem)), made.serial)
    made.restart()
    answer = httpx.get(made.url + "/v1/state", trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (426, "tls_required")
    context = ssl.create_default_context(cafile=str(certs.ca.cert_pem))
    with httpx.Client(verify=context, trust_env=False) as client:
        told = client.get(made.tls_url + "/v1/info", extensions={"sni_hostname": name})
    assert told.json()["system_uuid"] == SYSTEMS[1]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"https_cert": "cert.pem"}, "go together"),
        ({"https_cert": "cert.pem", "https_key": "other.pem"}, "is not that of the certificate"),
        ({"https_cert": "rsa.pem", "https_key": "rsa.key"}, "P-256"),
    ],
)
def test_https_takes_only_a_pair_on_p_256(files, changes, words):
    rsa_pair(files)
    with pytest.raises((line.LineError, ValueError), match=words):
        device(files, 1, **changes)


def rsa_pair(folder):
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "latchkey")])
    now = datetime.datetime.now(datetime.UTC)
    cert = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    cert = cert.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = serialization.Encoding.PEM
    (folder / "rsa.pem").write_bytes(cert.sign(key, hashes.SHA256()).public_bytes(pem))
    (folder / "rsa.key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))


def test_a_board_that_is_another_system_stays_it_unless_told(boards, files):
    (board,) = boards(1)
    line.provision_one(device(files), board.serial)
    with pytest.raises(line.LineError, match=f"is System {SYSTEMS[0]} already"):
        line.provision_one(device(files, 1), board.serial)
    assert board.wait_ready()["system_uuid"] == SYSTEMS[0]
    line.provision_one(device(files, 1), board.serial, replace=True)
    assert board.wait_ready()["system_uuid"] == SYSTEMS[1]


@pytest.mark.parametrize("cut", ["copied", 0.15])
def test_power_lost_in_the_middle_and_a_second_run_puts_it_right(boards, files, monkeypatch, cut):
    (board,) = boards(1)
    real = Wire.json_lines

    def cutting(wire, script):
        if script == line._COMMIT:
            threading.Timer(0 if cut == "copied" else 0.5 + cut, board.power_cut).start()
            time.sleep(0.1 if cut == "copied" else 0)
        return real(wire, script)

    monkeypatch.setattr(Wire, "json_lines", cutting)
    try:
        line.provision_one(device(files), board.serial, quiet_s=2)
    except WireError:
        pass
    monkeypatch.undo()
    time.sleep(0.7)
    board.power_on()
    assert board.info()["state"] in ("unprovisioned", "ready")
    line.provision_one(device(files), board.serial)
    assert board.wait_ready()["system_uuid"] == SYSTEMS[0]
    assert "provision.json" not in board.mpremote("fs", "ls")


def test_a_line_goes_on_past_a_failing_board_and_a_second_run_does_only_what_is_left(boards, files, tmp_path):
    row = boards(counts.get("line_boards"))
    bad = row[1]
    names = [[system, f"lamp {n}", "cellar"] for n, system in enumerate(SYSTEMS[: len(row) + 1])]
    with open(files / "line.csv", "w", newline="") as file:
        csv.writer(file).writerows([["system_uuid", "name", "wifi_ssid"], *names])
    devices = line.read_devices(files / "line.csv", files / "common.json")
    paths = (tmp_path / "report.json", tmp_path / "labels.csv")
    bad.power_cut()
    heard = []
    run = line.Line(devices, [board.serial for board in row], *paths, quiet_s=3 if len(row) < 4 else 20)
    run.round(lambda device, result: heard.append(result["state"]))
    assert heard == ["done", "failed", *["done"] * (len(row) - 2)] and len(run.left) == 1
    report = json.loads(paths[0].read_text())["devices"]
    assert [report[uuid]["state"] for uuid in SYSTEMS[: len(row)]] == heard
    assert "fell silent" in report[SYSTEMS[1]]["reason"] and run.failed() == [SYSTEMS[1]]
    assert [board.wait_ready()["name"] for board in (row[0], row[-1])] == ["lamp 0", f"lamp {len(row) - 1}"]

    bad.power_on()
    again = line.Line(devices, [bad.serial], *paths)
    assert [d["system_uuid"] for d in again.left] == [SYSTEMS[1], SYSTEMS[len(row)]]
    again.round(lambda device, result: heard.append(result["state"]))
    assert heard[-1] == "done" and not again.failed() and bad.wait_ready()["name"] == "lamp 1"
    labels = list(csv.DictReader(paths[1].open()))
    assert sorted(row["system_uuid"] for row in labels) == SYSTEMS[: len(row)]
    assert len({row["ap_passphrase"] for row in labels}) == len(row)
    assert stat.S_IMODE(paths[1].stat().st_mode) == 0o600
    text = paths[0].read_text()
    assert SECRETS[0] not in text and not any(row["ap_passphrase"] in text for row in labels)


def test_a_refused_document_and_a_board_without_firmware_are_told(boards, files, tmp_path):
    (board,) = boards(1)
    with pytest.raises(line.LineError, match="the board refused: invalid_field ap_passphrase"):
        line.provision_one(device(files, ap_passphrase="short"), board.serial)
    tree = tmp_path / "bare"
    tree.mkdir()
    with desk.Desk(tmp_path / "empty", tree=tree) as bare:
        bare.power_on(wait=False)
        with pytest.raises(WireError, match="latchkey board deploy"):
            line.provision_one(device(files), bare.serial)


@pytest.mark.parametrize(
    "rows, words",
    [
        ([{"system_uuid": SYSTEMS[0], "colour": "blue"}], "no device has colour"),
        ([{"name": "lamp"}], "has no system_uuid"),
        ([{"system_uuid": SYSTEMS[0]}, {"system_uuid": SYSTEMS[0].upper()}], "twice"),
        ([{"system_uuid": SYSTEMS[0], "cert": "nowhere.pem"}], "there is no .*nowhere.pem"),
        ([{"system_uuid": SYSTEMS[0], "key": "other.pem"}], "other.pem is not that of the certificate in .*cert.pem"),
        ([{"system_uuid": SYSTEMS[0], "key": "cert.pem"}], "cert.pem has no private key"),
        ([{"system_uuid": SYSTEMS[0], "factory_keys": "common.json"}], "common.json: this is not a key set"),
        ([{"system_uuid": SYSTEMS[0], "dev": "false"}], "jwks.json: this is not a key set with a usable RSA key"),
        ([{"system_uuid": SYSTEMS[0], "config": "cert.pem"}], "cert.pem is not JSON"),
        ([], "names no device"),
        ({}, "not a JSON list"),
    ],
)
def test_a_file_of_devices_that_is_wrong_is_told_before_any_board_is_touched(files, rows, words):
    (files / "bad.json").write_text(json.dumps(rows))
    with pytest.raises((line.LineError, ValueError), match=words):
        line.read_devices(files / "bad.json", files / "common.json")
