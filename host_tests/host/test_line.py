"""Provisioning over the serial cable with the real mpremote: one board, a line of several, power cuts, refusals."""

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
import releases
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from typer.testing import CliRunner

import counts
from latchkey_tools.boards import build, production
from latchkey_tools.boards.mpremote import CableError, SerialCable
from latchkey_tools.cli import board_commands, main
from latchkey_tools.desk import unix_board
from latchkey_tools.sim import pki
from latchkey_tools.sim.signing import jwk, new_key

SYSTEMS = [f"792b614{n}-1daa-488f-b07a-f684503b0586" for n in range(9)]
# Another System of the same name in a network.
NAMESAKE = "792b6140-2222-4333-8444-555555555555"
SECRETS = ("open sesame", "label of three")
STATE = ("report.json", "labels.csv")
NEEDED = [part for name in ("config", "ca", "cert", "key") for part in (f"--{name}", f"{name}.pem")]


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
    common |= {"key": "key.pem", "factory_keys": "jwks.json", "dev": "true", "wifi_ssid": "cellar"}
    common |= {"wifi_passphrase": SECRETS[0]}
    (folder / "common.json").write_text(json.dumps(common))
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    with unix_board.Desk(folder) as board:
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
            made.append(unix_board.Desk(folder).power_on())
        return made

    yield make
    for board in made:
        board.close()


def device(files, number=0, **others):
    path = files / f"device{number}.json"
    path.write_text(json.dumps([{"system_uuid": SYSTEMS[number], "name": f"lamp {number}", **others}]))
    return production.read_devices(path, files / "common.json")[0]


def test_a_board_becomes_a_system_with_factory_keys_and_a_label(boards, files):
    (board,) = boards(1)
    label = production.provision_one(device(files, ap_passphrase=SECRETS[1]), board.serial)
    assert board.info()["system_uuid"] == SYSTEMS[0] and board.info()["name"] == "lamp 0"
    assert label["ap_passphrase"] == SECRETS[1] and label["host"] == "latchkey-792b6140.local"
    assert (board.folder / "nvs.json").read_bytes() == (files / "jwks.json").read_bytes()
    status = SerialCable(board.serial).json_lines("import json, cable; print(json.dumps(cable.status()))")[-1]
    assert status["keys"]["held"] == 1 if "held" in status["keys"] else status["keys"]
    listing = board.mpremote("fs", "ls")
    assert "provision.json" not in listing and "factory.json" not in listing
    assert not any(secret in board.log_text() for secret in SECRETS)


def test_a_board_with_a_certificate_of_its_own_serves_https(boards, files, tmp_path):
    certs = pki.make(tmp_path / "pki", "company-example", SYSTEMS[1])
    name = f"latchkey-{SYSTEMS[1][:8]}.local"
    api = pki.server(tmp_path / "pki", certs.ca, "api", [name])
    (made,) = boards(1)
    production.provision_one(device(files, 1, https_cert=str(api.cert_pem), https_key=str(api.key_pem)), made.serial)
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
    with pytest.raises((production.LineError, ValueError), match=words):
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
    production.provision_one(device(files), board.serial)
    with pytest.raises(production.LineError, match=f"is System {SYSTEMS[0]} already"):
        production.provision_one(device(files, 1), board.serial)
    assert board.wait_ready()["system_uuid"] == SYSTEMS[0]
    production.provision_one(device(files, 1), board.serial, replace=True)
    assert board.wait_ready()["system_uuid"] == SYSTEMS[1]


def test_a_board_provisioned_again_keeps_the_passphrase_on_its_label_unless_a_new_one_is_asked_for(boards, files):
    (board,) = boards(1)
    first = production.provision_one(device(files), board.serial)
    again = production.provision_one(device(files, name="another name"), board.serial)
    assert again == first | {"name": "another name"} and board.info()["name"] == "another name"
    new = production.provision_one(device(files), board.serial, new_passphrase=True)
    assert new["ap_passphrase"] != first["ap_passphrase"]
    assert production.provision_one(device(files), board.serial) == new
    other = production.provision_one(device(files, 1), board.serial, replace=True)
    assert other["ap_passphrase"] != new["ap_passphrase"]
    made = [label["ap_passphrase"] for label in (first, new, other)]
    assert not any(passphrase in board.log_text() for passphrase in made)


@pytest.mark.parametrize("cut", ["copied", 0.15])
def test_power_lost_in_the_middle_and_a_second_run_puts_it_right(boards, files, monkeypatch, cut):
    (board,) = boards(1)
    real = SerialCable.json_lines

    def cutting(cable, script):
        if script == production._COMMIT:
            threading.Timer(0 if cut == "copied" else 0.5 + cut, board.power_cut).start()
            time.sleep(0.1 if cut == "copied" else 0)
        return real(cable, script)

    monkeypatch.setattr(SerialCable, "json_lines", cutting)
    try:
        production.provision_one(device(files), board.serial, quiet_s=2)
    except CableError:
        pass
    monkeypatch.undo()
    time.sleep(0.7)
    board.power_on()
    assert board.info()["state"] in ("unprovisioned", "ready")
    production.provision_one(device(files), board.serial)
    assert board.wait_ready()["system_uuid"] == SYSTEMS[0]
    assert "provision.json" not in board.mpremote("fs", "ls")


def test_a_line_goes_on_past_a_failing_board_and_a_second_run_does_only_what_is_left(boards, files, tmp_path):
    row = boards(counts.get("line_boards"))
    bad = row[1]
    names = [[system, f"lamp {n}", "cellar"] for n, system in enumerate(SYSTEMS[: len(row) + 1])]
    with open(files / "line.csv", "w", newline="") as file:
        csv.writer(file).writerows([["system_uuid", "name", "wifi_ssid"], *names])
    devices = production.read_devices(files / "line.csv", files / "common.json")
    paths = (tmp_path / "report.json", tmp_path / "labels.csv")
    bad.power_cut()
    heard = []
    run = production.Line(devices, [board.serial for board in row], *paths, quiet_s=8 if len(row) < 4 else 20)
    run.round(lambda device, result: heard.append(device["system_uuid"]))
    assert sorted(heard) == SYSTEMS[: len(row)] and len(run.left) == 1
    report = json.loads(paths[0].read_text())["devices"]
    states = [report[uuid]["state"] for uuid in SYSTEMS[: len(row)]]
    assert states == ["done", "failed", *["done"] * (len(row) - 2)]
    assert "fell silent" in report[SYSTEMS[1]]["reason"] and run.failed() == [SYSTEMS[1]]
    assert [board.wait_ready()["name"] for board in (row[0], row[-1])] == ["lamp 0", f"lamp {len(row) - 1}"]

    bad.power_on()
    again = production.Line(devices, [bad.serial], *paths)
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
    monkeypatch.setattr(production.offline_check, "check_document", lambda document: None)
    with pytest.raises(production.LineError, match="the board refused: invalid_field ap_passphrase"):
        production.provision_one(lamp | {"ap_passphrase": "short"}, board.serial)
    tree = tmp_path / "bare"
    tree.mkdir()
    with unix_board.Desk(tmp_path / "empty", tree=tree) as bare:
        bare.power_on(wait=False)
        with pytest.raises(CableError, match="latchkey board deploy"):
            production.provision_one(device(files), bare.serial)


def test_of_what_broke_off_nothing_stays_on_the_board(boards, files, monkeypatch):
    (board,) = boards(1)
    real = SerialCable.json_lines

    def breaking(cable, script):
        if script == production._COMMIT:
            assert "provision.json" in cable.run("fs", "ls")
            raise KeyboardInterrupt
        return real(cable, script)

    monkeypatch.setattr(SerialCable, "json_lines", breaking)
    with pytest.raises(KeyboardInterrupt):
        production.provision_one(device(files), board.serial)
    assert board.wait_ready()["state"] == "unprovisioned"
    assert "provision.json" not in board.mpremote("fs", "ls")


def test_factory_keys_that_a_board_does_not_take_leave_no_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "board_config", SimpleNamespace(Board=dict))
    (tmp_path / "factory.json").write_bytes(b"{}")
    with pytest.raises(AttributeError):
        exec(production._FACTORY)
    assert not (tmp_path / "factory.json").exists()


class Bench:
    """Stands in for SerialCable: boards by port, each a function of the label's passphrase called at the commit."""

    small = False

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
        if script != production._COMMIT:
            return [{"now": None, "masked": [], "small": self.small}]
        self.boards[self.port](self.document["ap_passphrase"])
        return [{"ok": True}]


def fall_silent(passphrase):
    raise CableError("silent", "fell silent")


@pytest.fixture
def three(files, tmp_path, monkeypatch):
    """Begins a line of three devices at ports a, b, c, whose boards are functions."""
    monkeypatch.chdir(tmp_path)
    (files / "three.json").write_text(json.dumps([{"system_uuid": system} for system in SYSTEMS[:3]]))
    devices = production.read_devices(files / "three.json", files / "common.json")

    def begin(**boards):
        monkeypatch.setattr(production, "SerialCable", Bench(**boards))
        return production.Line(devices, list(boards), "report.json", "labels.csv")

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
        ("report.json", "[]", "report.json is not the report of a line"),
        ("report.json", "{}", "report.json is not the report of a line"),
        ("report.json", '{"devices": []}', "report.json is not the report of a line"),
        ("report.json", '{"devices": {"a": 1}}', "report.json is not the report of a line"),
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
    with pytest.raises((production.LineError, OSError), match=words):
        three(a=str)


def test_labels_go_into_a_folder_that_is_there(files, tmp_path):
    with pytest.raises(production.LineError, match="l.csv cannot be written: No such file"):
        production.Line([device(files)], ["a"], tmp_path / "report.json", tmp_path / "nowhere" / "l.csv")


def csv_of(files, content):
    (files / "rows.csv").write_bytes(content)
    return production.read_devices(files / "rows.csv", files / "common.json")


def test_a_csv_without_names_is_told_without_its_values(files):
    words = "name the columns.*column 1, 2, 3; known: .*wifi_passphrase"
    with pytest.raises(production.LineError, match=words) as refusal:
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
        (b"system_uuid,name\nx,y,SECRETAP\n", "rows.csv, line 2: it has more values than the first line has names"),
        (f"system_uuid,broker_host,broker_port\n{SYSTEMS[0]},a,abc\n".encode(), "line 2: broker_port must be a number"),
        (f"system_uuid,broker_port\n{SYSTEMS[0]},1\n".encode(), "broker_host is not"),
        (f"system_uuid,dev\n{SYSTEMS[0]},ja\n".encode(), "rows.csv, line 2: dev must be true or false"),
    ],
)
def test_a_csv_that_is_wrong_is_told_in_words(files, content, words):
    with pytest.raises(production.LineError, match=words) as refusal:
        csv_of(files, content)
    assert "SECRETAP" not in str(refusal.value)


@pytest.mark.parametrize(
    "options, words",
    [
        (["--port", "b"], "give one --port for one board"),
        (["--line", "l.csv", "--port", "a"], "each once"),
        (["--line", "l.csv", "--https-cert", "c.pem"], "--https-cert is for one board: with --line"),
        (["--line", "l.csv", "--new-ap-passphrase"], "--new-ap-passphrase is for one board"),
        (["--labels", "l.csv"], "--labels has no effect without --line"),
        ([], "give --config, --ca, --cert, --key too, or --line"),
        (["--config", "c.json", "--ca", "ca.pem"], "give --cert, --key too, or --line"),
        ([*NEEDED, "--https-cert", "c.pem"], "--https-cert has no effect without --https-key: give both"),
        ([*NEEDED, "--https-key", "c.pem"], "--https-key has no effect without --https-cert: give both"),
        ([*NEEDED, "--recovery-key", "c.pem"], "--recovery-key has no effect without --release-key: give both"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(options, words):
    done = CliRunner().invoke(main.app, ["board", "provision", "--port", "a", *options])
    assert done.exit_code == 2 and words in done.output, done.output


def test_of_a_passphrase_file_only_the_end_of_its_line_is_left_out(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(production, "check", lambda device: given.append(device) or {})
    monkeypatch.setattr(production, "provision_one", lambda *_, **__: {})
    monkeypatch.setattr(production, "need_files", lambda *_: None)
    (tmp_path / "wifi.txt").write_text(" open sesame \r\n")
    options = ["--port", "a", *NEEDED, "--wifi-passphrase-file", str(tmp_path / "wifi.txt")]
    assert CliRunner().invoke(board_commands.app, ["provision", *options]).exit_code == 0
    assert given[0]["wifi_passphrase"] == " open sesame "


@pytest.mark.parametrize("typed, goes_on", [("\n", True), ("", False)])
def test_the_next_boards_are_begun_at_enter_and_not_at_ctrl_d(monkeypatch, typed, goes_on):
    keys = io.StringIO(typed)
    keys.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", keys)
    assert board_commands._next_round(3) is goes_on


def test_a_passphrase_file_in_another_encoding_is_told(tmp_path):
    (tmp_path / "wifi.txt").write_bytes("Käfer im Keller".encode("latin-1"))
    options = ["--port", "a", *NEEDED, "--wifi-passphrase-file", str(tmp_path / "wifi.txt")]
    problem = CliRunner().invoke(board_commands.app, ["provision", *options]).exception
    assert isinstance(problem, production.LineError) and "wifi.txt is not UTF-8" in str(problem)


def test_a_passphrase_for_no_network_is_refused(files):
    """Whether by options or in a line's file."""
    (files / "lonely.json").write_text(json.dumps([{"system_uuid": SYSTEMS[0]}]))
    common = json.loads((files / "common.json").read_text())
    del common["wifi_ssid"]
    (files / "no_ssid.json").write_text(json.dumps(common))
    with pytest.raises(production.LineError, match="a Wi-Fi passphrase, and no network: give --wifi-ssid"):
        production.read_devices(files / "lonely.json", files / "no_ssid.json")
    (files / "settings.json").write_text(json.dumps({"wifi": {"ssid": "cellar"}}))
    (files / "no_ssid.json").write_text(json.dumps(common | {"config": "settings.json"}))
    assert production.read_devices(files / "lonely.json", files / "no_ssid.json")


def test_a_system_may_be_written_in_any_form_of_a_uuid(files):
    for text in (SYSTEMS[0].upper(), SYSTEMS[0].replace("-", ""), f"{{{SYSTEMS[0]}}}", f"urn:uuid:{SYSTEMS[0]}"):
        (files / "forms.json").write_text(json.dumps([{"system_uuid": text}]))
        assert production.read_devices(files / "forms.json", files / "common.json")[0]["system_uuid"] == SYSTEMS[0]


@pytest.mark.parametrize("field", ["key_set", "factory_keys"])
def test_a_key_set_of_an_editor_that_marks_its_files_is_read(files, field, monkeypatch):
    (files / "marked.json").write_bytes(b"\xef\xbb\xbf" + (files / "jwks.json").read_bytes())
    sent = []
    monkeypatch.setattr(Bench, "run", lambda _, *words: sent.extend(Path(w).read_bytes() for w in words if is_file(w)))
    monkeypatch.setattr(production, "SerialCable", Bench(a=str))
    monkeypatch.setattr(Bench, "document", {"ap_passphrase": ""}, raising=False)
    production.provision_one(device(files, **{field: "marked.json"}), "a")
    assert b"\xef\xbb\xbf" not in b"".join(sent) and b'"n": ' in sent[0]


@pytest.mark.parametrize("small", [True, False])
def test_https_on_a_chip_without_psram_is_warned_of(files, monkeypatch, capsys, tmp_path, small):
    ca = pki.make(tmp_path / "pki").ca
    api = pki.server(tmp_path / "pki", ca, "api", [f"latchkey-{SYSTEMS[0][:8]}.local"])
    board = Bench(a=str)
    board.small = small
    monkeypatch.setattr(production, "SerialCable", board)
    production.provision_one(device(files, https_cert=str(api.cert_pem), https_key=str(api.key_pem)), "a")
    assert ("too little memory for HTTPS" in capsys.readouterr().err) is small


def is_file(word):
    return isinstance(word, Path) and word.is_file()


def test_what_the_schema_lets_a_device_do_without_need_not_be_given(files, capsys):
    (files / "free.json").write_text(json.dumps([{"system_uuid": SYSTEMS[0]}]))
    common = json.loads((files / "common.json").read_text())
    required = json.loads((build.ROOT / "docs" / "config.schema.json").read_text())["required"]
    settings = {"slug", "issuer", "dev"}
    least = {name: value for name, value in common.items() if name not in settings or name in required}
    (files / "least.json").write_text(json.dumps(least | {"dev": True}))
    assert production.read_devices(files / "free.json", files / "least.json")
    assert "1 without an issuer take tokens of any issuer" in capsys.readouterr().err


def test_two_systems_of_one_name_are_refused_over_several_runs_too(three, tmp_path, files):
    run = three(a=str, b=str, c=str)
    run.round(lambda *_: None)
    namesake = dict(device(files), system_uuid=NAMESAKE)
    for state in ("report.json", "labels.csv"):
        with pytest.raises(production.LineError, match=f"{NAMESAKE} and System {SYSTEMS[0]} .*{state}. begin alike"):
            state_files = [tmp_path / n if n == state else tmp_path / f"other_{n}" for n in STATE]
            production.Line([namesake], ["a"], *state_files)
    assert production.Line([device(files)], ["a"], *STATE).left == []


@pytest.mark.parametrize(
    "rows, words",
    [
        ([{"system_uuid": SYSTEMS[0], "colour": "blue"}], "no device has colour"),
        ([{"name": "lamp"}], "bad.json, device 1: this device has no system_uuid"),
        ([{"system_uuid": SYSTEMS[0]}, {"system_uuid": SYSTEMS[0].upper()}], "device 2: .* twice; .*, device 1 has"),
        ([{"system_uuid": SYSTEMS[0]}, {"system_uuid": SYSTEMS[0].replace("-", "")}], "device 2: .* twice"),
        ([{"system_uuid": SYSTEMS[0]}, {"system_uuid": NAMESAKE}], "device 2: .*latchkey-792b6140.local"),
        ([{"system_uuid": SYSTEMS[0], "cert": "nowhere.pem"}], "there is no file .*nowhere.pem"),
        ([{"system_uuid": SYSTEMS[0], "key": "other.pem"}], "other.pem is not that of the certificate in .*cert.pem"),
        ([{"system_uuid": SYSTEMS[0], "key": "cert.pem"}], "cert.pem has no private key"),
        ([{"system_uuid": SYSTEMS[0], "factory_keys": "common.json"}], "common.json: this is not a key set"),
        ([{"system_uuid": SYSTEMS[0], "dev": "false"}], "jwks.json: these keys are the simulator's"),
        ([{"system_uuid": SYSTEMS[0], "config": "cert.pem"}], "cert.pem is not JSON"),
        ([{"system_uuid": SYSTEMS[0], "ca": "key.pem"}], "key.pem has no single certificate"),
        ([{"system_uuid": SYSTEMS[0], "ca": "cert.pem"}], "cert.pem is not that of an authority"),
        ([{"system_uuid": SYSTEMS[0], "factory_keys": "big.json"}], "big.json: .* bytes of factory keys, and .* 4096"),
        ([{"system_uuid": SYSTEMS[0], "key_set": "big.json"}], "and a device takes 16384 for its provisioning"),
        ([{"system_uuid": SYSTEMS[0], "ap_passphrase": "short"}], "would refuse this: invalid_field ap_passphrase"),
        ([{"system_uuid": SYSTEMS[0], "broker_host": "a", "broker_port": 70000}], "broker.port .not an integer"),
        ([{"system_uuid": "lamp"}], "would refuse this: invalid_field system_uuid"),
        ([{"config": "seven.json"}], "device 1: .*seven.json and what is .* refuse this: invalid_field system_uuid"),
        ([{"config": "empty.json"}], "device 1: .*empty.json has no system_uuid"),
        ([{"system_uuid": 5}], "device 1: system_uuid must be a text"),
        ([{"system_uuid": SYSTEMS[0], "config": {"slug": "a"}}], "config must be the path of a JSON file"),
        ([{"system_uuid": SYSTEMS[0], "ca": ["ca.pem"]}], "ca must be the path of a file"),
        ([{"system_uuid": SYSTEMS[0], "broker_port": 1.5}], "broker_port must be a number"),
        ([{"system_uuid": SYSTEMS[0], "dev": 1}], "device 1: dev must be true or false"),
        ([1], "a device is a JSON object"),
        ([], "names no device"),
        ({}, "not a JSON list"),
    ],
)
def test_a_file_of_devices_that_is_wrong_is_told_before_any_board_is_touched(files, rows, words):
    (files / "bad.json").write_text(json.dumps(rows))
    (files / "empty.json").write_text("{}")
    (files / "seven.json").write_text(json.dumps({"system_uuid": 7}))
    key_set = json.loads((files / "jwks.json").read_text())
    (files / "big.json").write_text(json.dumps(key_set | {"x": "x" * 16384}))
    with pytest.raises((production.LineError, ValueError), match=words):
        production.read_devices(files / "bad.json", files / "common.json")


@pytest.fixture(scope="module")
def maker(files):
    """(release key, recovery key): PEM files of public keys beside the others."""
    made = releases.Maker()
    pairs = releases.pems(files, "release", made.release), releases.pems(files, "recovery", made.recovery)
    return [public.name for _private, public in pairs]


def update_keys(board):
    """Which keys for updates a board has."""
    script = "import json; from board_config import Board; from latchkey.update import record; "
    script += "print(json.dumps({'bytes': [key.public_key.size for key in record.keys(Board().store)]}))"
    return SerialCable(board.serial).json_lines(script)[-1]["bytes"]


def test_a_board_gets_the_maker_s_keys_and_keeps_them_when_provisioned_without(boards, files, maker):
    (board,) = boards(1)
    production.provision_one(device(files, release_key=maker[0], recovery_key=maker[1]), board.serial)
    assert update_keys(board) == [256, 256]
    production.provision_one(device(files), board.serial)
    assert update_keys(board) == [256, 256]
    production.provision_one(device(files, release_key=maker[1]), board.serial)
    assert update_keys(board) == [256]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"recovery_key": "recovery.pub.pem"}, "there is a recovery_key and no release_key"),
        ({"release_key": "release.pub.pem", "recovery_key": "release.pub.pem"}, "are the same key"),
        ({"release_key": "release.pem"}, "is a private key; make its public one"),
        ({"release_key": "cert.pem"}, "is not an RSA key"),
        ({"release_key": "none.pem"}, "there is no file"),
    ],
)
def test_keys_for_updates_that_a_device_cannot_have_are_refused(files, maker, changes, words):
    with pytest.raises(production.LineError, match=words):
        device(files, **changes)
