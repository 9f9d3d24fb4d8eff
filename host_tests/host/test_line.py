"""Provisioning over the wire with the real mpremote: one board, a line of several, power cuts, refusals."""

import contextlib
import copy
import csv
import datetime
import io
import json
import shutil
import ssl
import stat
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from typer.testing import CliRunner

import counts
from latchkey_tools import cli_board, desk, line, pki
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
    run.round(lambda device, result: heard.append(device["system_uuid"]))
    assert sorted(heard) == SYSTEMS[: len(row)] and len(run.left) == 1
    report = json.loads(paths[0].read_text())["devices"]
    states = [report[uuid]["state"] for uuid in SYSTEMS[: len(row)]]
    assert states == ["done", "failed", *["done"] * (len(row) - 2)]
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


def test_a_refused_document_and_a_board_without_firmware_are_told(boards, files, tmp_path, monkeypatch):
    (board,) = boards(1)
    lamp = device(files)
    monkeypatch.setattr(line.judge, "check_document", lambda document: None)
    with pytest.raises(line.LineError, match="the board refused: invalid_field ap_passphrase"):
        line.provision_one(lamp | {"ap_passphrase": "short"}, board.serial)
    tree = tmp_path / "bare"
    tree.mkdir()
    with desk.Desk(tmp_path / "empty", tree=tree) as bare:
        bare.power_on(wait=False)
        with pytest.raises(WireError, match="latchkey board deploy"):
            line.provision_one(device(files), bare.serial)


def test_of_what_broke_off_nothing_stays_on_the_board(boards, files, monkeypatch):
    (board,) = boards(1)
    real = Wire.json_lines

    def breaking(wire, script):
        if script == line._COMMIT:
            assert "provision.json" in wire.run("fs", "ls")
            raise KeyboardInterrupt
        return real(wire, script)

    monkeypatch.setattr(Wire, "json_lines", breaking)
    with pytest.raises(KeyboardInterrupt):
        line.provision_one(device(files), board.serial)
    assert board.wait_ready()["state"] == "unprovisioned"
    assert "provision.json" not in board.mpremote("fs", "ls")


def test_factory_keys_that_a_board_does_not_take_leave_no_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "board_config", SimpleNamespace(Board=dict))
    (tmp_path / "factory.json").write_bytes(b"{}")
    with pytest.raises(AttributeError):
        exec(line._FACTORY)
    assert not (tmp_path / "factory.json").exists()


class Bench:
    """Stands in for Wire: boards by port, each a function of the label's passphrase called at the commit."""

    def __init__(self, **boards):
        self.boards = boards

    def __call__(self, port, quiet_s=None):
        self = copy.copy(self)
        self.port = port
        return self

    def stopped(self, *refusals):
        return contextlib.nullcontext()

    def run(self, *arguments):
        if arguments[-1] == ":provision.json":
            self.document = json.loads(arguments[-2].read_text())

    def json_lines(self, script):
        if script != line._COMMIT:
            return [{"now": None}]
        self.boards[self.port](self.document["ap_passphrase"])
        return [{"ok": True}]


def fall_silent(passphrase):
    raise WireError("silent", "fell silent")


@pytest.fixture
def three(files, tmp_path, monkeypatch):
    """Begins a line of three devices at ports a, b, c, whose boards are functions."""
    monkeypatch.chdir(tmp_path)
    (files / "three.json").write_text(json.dumps([{"system_uuid": system} for system in SYSTEMS[:3]]))
    devices = line.read_devices(files / "three.json", files / "common.json")

    def begin(**boards):
        monkeypatch.setattr(line, "Wire", Bench(**boards))
        return line.Line(devices, list(boards), "report.json", "labels.csv")

    return begin


def passphrases():
    return {row["system_uuid"]: row["ap_passphrase"] for row in csv.DictReader(open("labels.csv"))}


def test_one_silent_board_holds_back_nobody_elses_result(three):
    heard, others_heard = [], threading.Event()

    def hear(device, result):
        heard.append(device["system_uuid"])
        assert json.loads(Path("report.json").read_text())["devices"][heard[-1]]["state"] == result["state"]
        if len(heard) == 2:
            others_heard.set()

    def wait(passphrase):
        assert others_heard.wait(10)
        fall_silent(passphrase)

    run = three(a=wait, b=str, c=str)
    run.round(hear)
    assert heard[-1] == SYSTEMS[0] and run.failed() == [SYSTEMS[0]]


def test_a_passphrase_is_on_a_label_before_it_goes_to_a_board_and_stays(three):
    brought = []

    def break_off(passphrase):
        assert passphrase in passphrases().values()
        brought.append(passphrase)
        fall_silent(passphrase)

    run = three(a=break_off, b=str, c=str)
    run.round(lambda *_: None)
    assert passphrases()[SYSTEMS[0]] == brought[0] and len(passphrases()) == 3
    again = three(a=brought.append)
    again.round(lambda *_: None)
    assert brought == [passphrases()[SYSTEMS[0]]] * 2 and again.failed() == []
    assert not any(passphrase in Path("report.json").read_text() for passphrase in passphrases().values())


def test_what_failed_in_another_line_does_not_count_here(three, tmp_path):
    stranger = {SYSTEMS[8]: {"state": "failed", "port": "a", "reason": "fell silent", "unix_s": 1}}
    (tmp_path / "report.json").write_text(json.dumps({"devices": stranger}))
    run = three(a=str, b=str, c=str)
    run.round(lambda *_: None)
    assert run.failed() == [] and list(run.results) == SYSTEMS[:3]
    assert json.loads((tmp_path / "report.json").read_text())["devices"].items() >= stranger.items()


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("report.json", "[]", "report.json is no report of a line"),
        ("report.json", "{}", "report.json is no report of a line"),
        ("report.json", '{"devices": []}', "report.json is no report of a line"),
        ("report.json", '{"devices": {"a": 1}}', "report.json is no report of a line"),
        ("report.json", "", "report.json is not JSON"),
        ("labels.csv", "system,passphrase\r\n", "labels.csv has not the columns of labels"),
        ("labels.csv", None, "Is a directory: .labels.csv"),
        ("report.json", None, "Is a directory: .report.json"),
    ],
)
def test_a_report_or_labels_that_cannot_be_used_are_told_before_any_board_is_touched(
    three, tmp_path, name, content, words
):
    if content is None:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text(content)
    with pytest.raises((line.LineError, OSError), match=words):
        three(a=str)


def test_labels_go_into_a_folder_that_is_there(files, tmp_path):
    with pytest.raises(line.LineError, match="l.csv cannot be written: No such file"):
        line.Line([device(files)], ["a"], tmp_path / "report.json", tmp_path / "nowhere" / "l.csv")


def csv_of(files, content):
    (files / "rows.csv").write_bytes(content)
    return line.read_devices(files / "rows.csv", files / "common.json")


def test_a_csv_without_names_is_told_without_its_values(files):
    with pytest.raises(line.LineError, match="name the columns.*column 1, 2, 3; known: .*wifi_passphrase") as refusal:
        csv_of(files, f"{SYSTEMS[0]},SECRETAP1234,lamp\n".encode())
    assert "SECRETAP" not in str(refusal.value) and SYSTEMS[0] not in str(refusal.value)


def test_a_csv_of_excel_is_read(files):
    assert csv_of(files, f"\ufeffsystem_uuid,name\r\n{SYSTEMS[0]},Käfer\r\n".encode())[0]["name"] == "Käfer"


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "must name the columns"),
        (b"system_uuid;name\n", "not so column 1;"),
        ("system_uuid,name\nx,Käfer\n".encode("latin-1"), "rows.csv is not UTF-8; save it as UTF-8"),
        (b"system_uuid,name\nx,y,SECRETAP\n", "more values than the first line has names"),
        (f"system_uuid,broker_host,broker_port\n{SYSTEMS[0]},a,abc\n".encode(), "broker_port is a number"),
        (f"system_uuid,broker_port\n{SYSTEMS[0]},1\n".encode(), "broker_host is not"),
        (f"system_uuid,dev\n{SYSTEMS[0]},ja\n".encode(), "dev is true or false"),
    ],
)
def test_a_csv_that_is_wrong_is_told_in_words(files, content, words):
    with pytest.raises(line.LineError, match=words) as refusal:
        csv_of(files, content)
    assert "SECRETAP" not in str(refusal.value)


@pytest.mark.parametrize(
    "options, words",
    [
        (["--port", "b"], "one board has one port"),
        (["--line", "l.csv", "--port", "a"], "each once"),
        (["--line", "l.csv", "--https-cert", "c.pem"], "--https-cert is a field of the line's file"),
        (["--labels", "l.csv"], "--labels is of a line"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(options, words):
    done = CliRunner().invoke(cli_board.app, ["provision", "--port", "a", *options])
    assert done.exit_code == 2 and words in " ".join(done.output.replace("│", " ").split()), done.output


def test_of_a_passphrase_file_only_the_end_of_its_line_is_left_out(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(line, "check", given.append)
    monkeypatch.setattr(line, "provision_one", lambda *_: {})
    (tmp_path / "wifi.txt").write_text(" open sesame \r\n")
    options = ["--port", "a", "--wifi-passphrase-file", str(tmp_path / "wifi.txt")]
    assert CliRunner().invoke(cli_board.app, ["provision", *options]).exit_code == 0
    assert given == [{"wifi_passphrase": " open sesame "}]


@pytest.mark.parametrize("typed, goes_on", [("\n", True), ("", False)])
def test_the_next_boards_are_begun_at_enter_and_not_at_ctrl_d(monkeypatch, typed, goes_on):
    keys = io.StringIO(typed)
    keys.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", keys)
    assert cli_board._next_round(3) is goes_on


def test_a_passphrase_file_in_another_encoding_is_told(tmp_path):
    (tmp_path / "wifi.txt").write_bytes("Käfer im Keller".encode("latin-1"))
    options = ["--port", "a", "--wifi-passphrase-file", str(tmp_path / "wifi.txt")]
    problem = CliRunner().invoke(cli_board.app, ["provision", *options]).exception
    assert isinstance(problem, line.LineError) and "wifi.txt is not UTF-8" in str(problem)


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
        ([{"system_uuid": SYSTEMS[0], "ca": "key.pem"}], "key.pem has no single certificate"),
        ([{"system_uuid": SYSTEMS[0], "ca": "cert.pem"}], "cert.pem is not that of an authority"),
        ([{"system_uuid": SYSTEMS[0], "factory_keys": "big.json"}], "big.json: .* bytes of factory keys, and .* 4096"),
        ([{"system_uuid": SYSTEMS[0], "key_set": "big.json"}], "and a device takes 16384 for its provisioning"),
        ([{"system_uuid": SYSTEMS[0], "ap_passphrase": "short"}], "would refuse this: invalid_field ap_passphrase"),
        ([{"system_uuid": SYSTEMS[0], "broker_host": "a", "broker_port": 70000}], "broker.port .not an integer"),
        ([{"system_uuid": "lamp"}], "would refuse this: invalid_field system_uuid"),
        ([{"config": "seven.json"}], "would refuse this: invalid_field system_uuid"),
        ([{"system_uuid": 5}], "system_uuid of a device is a text"),
        ([1], "a device is a JSON object"),
        ([], "names no device"),
        ({}, "not a JSON list"),
    ],
)
def test_a_file_of_devices_that_is_wrong_is_told_before_any_board_is_touched(files, rows, words):
    (files / "bad.json").write_text(json.dumps(rows))
    (files / "seven.json").write_text(json.dumps({"system_uuid": 7}))
    key_set = json.loads((files / "jwks.json").read_text())
    (files / "big.json").write_text(json.dumps(key_set | {"x": "x" * 16384}))
    with pytest.raises((line.LineError, ValueError), match=words):
        line.read_devices(files / "bad.json", files / "common.json")
