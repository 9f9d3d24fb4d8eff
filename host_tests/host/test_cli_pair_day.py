"""A technician at an unboxed device: the firmware on the unix port, a stand-in for its radio, a token of yesterday.

The laptop is in two networks, or left behind in one; no cloud is there until the end.
"""

import json
import re

import pytest
from technician import Keyboard
from test_commissioning import CABLE, LAPTOP, PHONE, Cellar, with_button

from latchkey_tools.cli import advice
from latchkey_tools.device import pairing
from latchkey_tools.sim import pki

PASSPHRASE = "secret of the house"
BOTH = f"{PHONE},{LAPTOP}"


@pytest.fixture
def cellar(tmp_path, request):
    made = Cellar(tmp_path, **getattr(request, "param", {}))
    made.unbox()
    made.broker.stop()
    made.until(200, lambda: made.call(PHONE, "GET", "/v1/info")[0])
    yield made
    made.close()


@pytest.fixture
def tech(cellar, tmp_path, monkeypatch):
    monkeypatch.setattr(pairing, "EVERY_S", 0.3)
    folder = tmp_path / "laptop"
    folder.mkdir()
    keyboard = Keyboard(folder, LATCHKEY_SOURCE=BOTH, LATCHKEY_WIFI_PASSPHRASE=PASSPHRASE)
    keyboard.secrets += [PASSPHRASE, "wrong secret", cellar.owner.jwt.split(".")[2]]
    keyboard.ok("token", "import", "-", "--name", "owner", given=cellar.owner.jwt)
    keyboard.ok("token", "import", "-", given=json.dumps(cellar.sim.key_set()))
    yield keyboard
    keyboard.seen.append(cellar.desk.log_text())
    assert keyboard.spilt() == [] and keyboard.open_files() == []


def test_from_the_box_to_the_network_by_the_command(cellar, tech):
    url = cellar.desk.url
    wrong = tech.run("pair", url, "--ssid", "Home", LATCHKEY_WIFI_PASSPHRASE="wrong secret")
    assert wrong.status == 1 and advice.pairing_advice("wifi_wrong_passphrase")[0] in wrong.err
    assert tech.run("pair", url, "--status").status == 1
    none = tech.run("pair", url, "--ssid", "Nowhere")
    assert none.status == 1 and "did not see Nowhere" in none.err
    assert advice.pairing_advice("wifi_not_found")[1] in none.err
    done = tech.run("pair", url, "--ssid", "Home", "--name", "Hall")
    assert done.status == 0 and "Yes: the device is in the network Home." in done.out and "127.7.0.7" in done.out
    assert "its signature is good by the key set default" in done.err
    assert "127.7.0.7" in tech.ok("pair", url, "--status", LATCHKEY_SOURCE=CABLE)
    assert tech.data("device", "info", url)["name"] == "Hall"
    assert "Broken: cloud link." in tech.run("doctor", url, LATCHKEY_SOURCE=CABLE).out
    cellar.broker.start()
    cellar.until("online", cellar.cloud_state, 40)
    assert "No link is broken" in tech.ok("doctor", url, LATCHKEY_SOURCE=CABLE)


def test_a_laptop_on_the_network_is_told_what_plain_http_may_tell(cellar, tech):
    cellar.pair()
    refused = tech.run("pair", cellar.desk.url, "--ssid", "Home", LATCHKEY_SOURCE=LAPTOP)
    assert refused.status == 1 and "plain_http" in refused.err
    status = tech.run("pair", cellar.desk.url, "--status", LATCHKEY_SOURCE=LAPTOP)
    assert status.status == 0 and "in its network" in status.err


def test_leaving_opens_the_access_point_again(cellar, tech):
    cellar.pair()
    assert "opens its access point" in tech.run("pair", cellar.desk.url, "--leave", "--yes", LATCHKEY_SOURCE=CABLE).err
    cellar.until("pairing", cellar.state)
    cellar.until(200, lambda: cellar.call(PHONE, "GET", "/v1/info")[0])
    assert tech.run("pair", cellar.desk.url, "--ssid", "Home").status == 0


@with_button
def test_configuration_changes_by_the_command_and_trust_only_with_somebody_there(cellar, tech):
    cellar.pair()
    cellar.broker.start()
    cellar.until("online", cellar.cloud_state, 40)
    tech.env["LATCHKEY_SOURCE"] = CABLE
    config = ["device", "config", cellar.desk.url]
    assert re.search(r"hosts +- +a\.example", tech.ok(*config, "hosts=a.example"))
    absent = tech.run(*config, "policy.plain_http=read")
    assert absent.status == 1 and advice.advice("presence_needed") in absent.err
    cellar.desk.press(0.3)
    assert re.search(r"policy.plain_http +control +read", tech.ok(*config, "policy.plain_http=read"))
    out = tech.run(*config, "roles={}")
    assert out.status == 1 and advice.advice("locks_out") in out.err
    away = tech.run(*config, "broker.port=9")
    assert away.status == 1 and advice.pairing_advice("refused")[0] in away.err
    told = tech.ok(*config)
    assert str(cellar.broker.port) in told and "by the token owner" in told


@with_button
def test_a_new_certificate_goes_over_by_the_command(cellar, tech):
    cellar.pair()
    cellar.broker.start()
    fresh = pki.client(cellar.pki.folder, cellar.pki.ca, "fresh", "792b6149-1daa-488f-b07a-f684503b0586")
    words = ["device", "certificate", cellar.desk.url, "--cert", fresh.cert_pem, "--key", fresh.key_pem]
    alone = tech.run(*words, LATCHKEY_SOURCE=CABLE)
    assert alone.status == 1 and advice.advice("presence_needed") in alone.err, alone
    cellar.desk.press(0.3)
    cellar.until(True, lambda: cellar.call(CABLE, "GET", "/v1/pairing")[1]["presence_s"] > 0)
    done = tech.run(*words, LATCHKEY_SOURCE=CABLE)
    assert done.status == 0 and "the broker accepted the new certificate" in done.err, done
