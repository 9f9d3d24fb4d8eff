"""`latchkey label` and `latchkey trip`: what is packed while there is internet is there when there is none."""

import csv
import datetime
import json
import socket
import time

import pytest
from technician import OTHER_SYSTEM, SYSTEM, Keyboard, asked, cloud, keep, key_set, token_asked
from updatable import keys_file, release_file

from latchkey_tools.boards import production
from latchkey_tools.device import trip, wallet
from latchkey_tools.sim import server
from latchkey_tools.sim.cloud import Cloud

DAY_S = 86400
PASSPHRASE = "plantedphrase"
NEXT_WEEK = datetime.date.today() + datetime.timedelta(days=7)


@pytest.fixture
def tech(tmp_path):
    keyboard = Keyboard(tmp_path, LATCHKEY_CLOUD_KEY="planted-key-0123456789")
    keyboard.secrets += ["planted-key-0123456789", PASSPHRASE]
    return keyboard


def labels(folder, *rows, names=production._LABEL):
    path = folder / "labels.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
    path.chmod(0o600)
    return path


def label(system=SYSTEM, passphrase=PASSPHRASE):
    name = f"latchkey-{system[:8]}"
    return (system, "Cellar light", f"{name}.local", name, passphrase)


def hold(tech, system=SYSTEM, lasts_s=30 * DAY_S, name=None):
    keep(tech, name or f"held-{system[:4]}", system=system, lasts_s=lasts_s)


def hold_keys(tech):
    tech.ok("token", "import", "-", "--name", "domain", given=json.dumps(key_set()))


def pack(tech, stub, *words, status=0):
    done = tech.run("trip", *words, "--endpoint", stub.url + "/graphql", "--json")
    assert done.status == status, done
    return json.loads(done.out)


def parts(answer, system=SYSTEM):
    (row,) = [row for row in answer["devices"] if row["system"] == system]
    return {name: part["good"] for name, part in row["parts"].items()}


def test_labels_are_kept_in_the_wallet_and_a_passphrase_is_shown_only_when_it_is_asked_for(tech, tmp_path):
    file = labels(tmp_path, label(), label(OTHER_SYSTEM.upper(), "another one"))
    assert "2 labels in the wallet, 0 of them changed" in tech.run("label", "import", file).err
    assert SYSTEM in tech.ok("label", "list") and tech.data("label", "list")[1]["system"] == OTHER_SYSTEM
    assert tech.open_files() == [] and tech.spilt() == []
    assert tech.run("label", "show", OTHER_SYSTEM).out == "another one\n"
    tech.ok("label", "show", SYSTEM, "--out", tmp_path / "out")
    assert (tmp_path / "out").read_text() == PASSPHRASE and tech.spilt() == []
    assert tech.data("label", "import", labels(tmp_path, label(passphrase="newer one")))["changed"] == [SYSTEM]
    assert len(tech.data("label", "list")) == 2 and tech.run("label", "show", SYSTEM).out == "newer one\n"


@pytest.mark.parametrize(
    "rows, names, words",
    [
        ([], production._LABEL, "has no label"),
        ([label("x")], production._LABEL, "label 1: its system_uuid is not a UUID"),
        ([label(), label(OTHER_SYSTEM, PASSPHRASE[:7])], production._LABEL, "label 2: its ap_passphrase has not 8"),
        ([label()], ("a", *production._LABEL[1:]), "has not the columns of labels"),
    ],
    ids="none system passphrase columns".split(),
)
def test_a_file_that_is_no_labels_changes_nothing_and_its_values_are_not_shown(tech, tmp_path, rows, names, words):
    done = tech.run("label", "import", labels(tmp_path, *rows, names=names))
    assert done.status == 1 and words in done.err and "Traceback" not in done.err
    assert tech.data("label", "list") == [] and PASSPHRASE[:7] not in done.err


def test_a_labels_file_that_others_can_read_is_told(tech, tmp_path):
    file = labels(tmp_path, label())
    file.chmod(0o644)
    assert f"chmod 600 {file}" in tech.run("label", "import", file).err
    assert "check how it is written" in tech.run("label", "import", tmp_path / "none.csv").err


def test_a_trip_makes_what_can_be_made_and_says_what_is_missing(tech, tmp_path):
    with cloud() as stub:
        answer = pack(tech, stub, SYSTEM, OTHER_SYSTEM, "--until", NEXT_WEEK, status=1)
        assert parts(answer) == {"token": True, "roles": True, "key set": False, "label": False, "files": True}
        assert len(stub.requests) == 2 and len(answer["done"]) == 2
        hold_keys(tech)
        tech.ok("label", "import", labels(tmp_path, label(), label(OTHER_SYSTEM)))
        answer = pack(tech, stub, SYSTEM, OTHER_SYSTEM, "--until", NEXT_WEEK)
        assert answer["whole"] and answer["done"] == [] and len(stub.requests) == 2  # it lasts already
    for entry in tech.data("token", "list"):
        assert entry["exp_unix_s"] > trip.end_of(NEXT_WEEK)
    assert tech.open_files() == [] and tech.spilt() == []


def test_a_token_that_ends_during_the_trip_gets_a_successor_and_stays(tech, tmp_path):
    hold(tech, lasts_s=2 * DAY_S, name="cellar")
    with cloud() as stub:
        pack(tech, stub, SYSTEM, "--until", NEXT_WEEK, status=1)
    assert [entry["name"] for entry in tech.data("token", "list")] == ["cellar", "cellar-2"]


@pytest.mark.parametrize("failure", [(502, b"", {}), (200, {"errors": [{"message": "no such System"}]}, {})])
def test_a_cloud_that_fails_leaves_a_table_that_says_so(tech, failure):
    answers = [token_asked, failure]
    with cloud(lambda request: answers.pop(0)(request) if callable(answers[0]) else failure) as stub:
        answer = pack(tech, stub, SYSTEM, OTHER_SYSTEM, "--until", NEXT_WEEK, status=1)
    assert parts(answer)["token"] and not parts(answer, OTHER_SYSTEM)["token"]
    assert f"no token was made for {OTHER_SYSTEM}" in answer["done"][1]


def site(folder, text):
    path = folder / "site.toml"
    path.write_text(text)
    return path


def test_a_site_s_file_names_devices_roles_and_files_and_the_files_are_packed(tech, tmp_path):
    file, _ = release_file(tmp_path)
    release = file.rename(tmp_path / "bulb.latchkey").read_bytes()
    text = f"""
        until = {NEXT_WEEK}
        firmware = "bulb.latchkey"
        [[device]]
        system = "{SYSTEM}"
        name = "Cellar"
        roles = ["System Maintainer"]
        [[device]]
        system = "{OTHER_SYSTEM.upper()}"
        roles = ["Domain Owner"]
    """
    hold_keys(tech)
    tech.ok("label", "import", labels(tmp_path, label(), label(OTHER_SYSTEM)))
    with cloud() as stub:
        answer = pack(tech, stub, "--site", site(tmp_path, text), status=1)
    assert answer["devices"][0]["name"] == "Cellar" and all(parts(answer).values())
    other = answer["devices"][1]["parts"]
    assert not other["roles"]["good"] and "Domain Owner" in other["roles"]["todo"] and other["files"]["good"]
    (tmp_path / "bulb.latchkey").unlink()  # a share that is away
    assert tech.run("trip", "check").status == 1 and tech.open_files() == []
    (copy,) = (tech.wallet / "trip").iterdir()
    assert copy.read_bytes() == release and str(copy) in tech.run("trip", "check").out
    copy.write_bytes(release[:-1])
    done = tech.run("trip", "check")
    assert "no firmware" in done.out and "pack it again" in done.out
    with cloud() as stub:
        tech.ok("token", "remove", tech.data("token", "list")[0]["name"], "--yes")
        done = tech.run("trip", "--site", tmp_path / "site.toml", "--endpoint", stub.url + "/graphql")
        assert not stub.requests
    assert done.status == 1 and "bulb.latchkey" in done.err and "check how it is written" in done.err


def test_files_may_be_named_without_a_site_and_only_whole_ones_of_their_kind_are_packed(tech, tmp_path):
    (file, _), keys = release_file(tmp_path), keys_file(tmp_path)
    words = (SYSTEM, "--until", NEXT_WEEK)
    with cloud() as stub:
        answer = pack(tech, stub, *words, "--firmware", file, "--signed-keys", keys, status=1)
        assert answer["devices"][0]["parts"]["files"]["seen"].count(".latchkey") == 2
        for given, why in (
            (("--firmware", keys), "is a signed key set"),
            (("--signed-keys", file), "is a release"),
            (("--firmware", tmp_path / "none"), "No such file"),
        ):
            done = tech.run("trip", *words, *given, "--endpoint", stub.url + "/graphql")
            assert done.status == 1 and why in done.err
        file.write_bytes(file.read_bytes()[:-1])
        done = tech.run("trip", *words, "--firmware", file, "--endpoint", stub.url + "/graphql")
        assert done.status == 1 and "is damaged" in done.err
        text = f"until = {NEXT_WEEK}\n[[device]]\nsystem = '{SYSTEM}'"
        done = tech.run("trip", "--site", site(tmp_path, text), "--firmware", file, "--endpoint", stub.url + "/graphql")
        assert done.status == 2 and "the file of --site names firmware" in done.err


@pytest.mark.parametrize(
    "text, words",
    [
        ("until = ", "is not TOML"),
        ("until = 2030-01-01", "names no device"),
        ("[[device]]\nsystem = 'x'", "device 1: system must be the UUID"),
        (f"[[device]]\nsystem = '{SYSTEM}'\nrole = 'x'", "device 1 has role, which means nothing"),
        (f"[[device]]\nsystem = '{SYSTEM}'\nroles = 'x'", "roles must be a list"),
        (f"[[device]]\nsystem = '{SYSTEM}'\nfirmware = 7", "firmware must be a text"),
        (f"until = 7\n[[device]]\nsystem = '{SYSTEM}'", "until must be a day"),
        (f"[[device]]\nsystem = '{SYSTEM}'", "give the end of the trip"),
        (f"until = 2020-01-01\n[[device]]\nsystem = '{SYSTEM}'", "which is past"),
    ],
)
def test_a_site_s_file_that_is_wrong_is_told_before_the_cloud_is_asked(tech, tmp_path, text, words):
    with cloud() as stub:
        done = tech.run("trip", "--site", site(tmp_path, text), "--endpoint", stub.url + "/graphql")
        assert done.status == 2 and words in done.err and not stub.requests


def test_a_check_touches_no_network_and_sees_what_the_wallet_lost(tech, tmp_path, monkeypatch):
    hold_keys(tech)
    hold(tech)
    tech.ok("label", "import", labels(tmp_path, label()))
    assert "no trip was packed" in tech.run("trip", "check").err
    with cloud() as stub:
        pack(tech, stub, SYSTEM, "--until", NEXT_WEEK)

    def refuse(*_):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert "Nothing is missing" in tech.ok("trip", "check")
    assert parts(tech.data("trip", "check", SYSTEM, "--until", NEXT_WEEK)) == parts(tech.data("trip", "check"))
    assert tech.run("trip", "check", "--until", NEXT_WEEK + datetime.timedelta(days=60)).status == 1
    tech.ok("token", "remove", "held-792b", "--yes")
    done = tech.run("trip", "check")
    assert done.status == 1 and "token import FILE" in done.out and tech.spilt() == []
    for damaged in (
        {},
        {"until_unix_s": 1},
        {"until_unix_s": 1, "stops": [{"x": 1}]},
        {"until_unix_s": "", "stops": []},
    ):
        wallet.Wallet(tech.wallet).keep_trip(damaged)
        assert tech.run("trip", "check").status == 1


def test_the_simulator_s_key_set_is_taken_in(tech, tmp_path):
    folder = tmp_path / "sim"
    folder.mkdir()
    simulated = Cloud(folder / server.STATE_NAME, "company-example")
    (folder / server.BEARER_NAME).write_text("planted-key-0123456789")

    def make(request):
        record = simulated.create(*asked(request))
        return 200, {"data": {"createLocalApiToken": {"jwt": record["token"], "uuid": record["uuid"]}}}, {}

    with cloud(make) as stub:
        (folder / server.ADDRESS_NAME).write_text(json.dumps({"url": stub.url + "/graphql"}))
        words = ("trip", SYSTEM, "--until", NEXT_WEEK, "--sim", "--json")
        answer = json.loads(tech.run(*words, LATCHKEY_SIM=str(folder)).out)
    assert parts(answer)["key set"] and "took in the simulator's key set" in answer["done"]


def test_a_day_ends_at_its_midnight_here():
    assert time.localtime(trip.end_of(datetime.date(2026, 12, 24)))[:6] == (2026, 12, 24, 23, 59, 59)
