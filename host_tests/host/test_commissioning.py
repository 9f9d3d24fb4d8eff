"""From the box to the owner's network on the unix port, over a stand-in of ESP32's radio, with a stored token.

A phone on the access point calls from 127.4.0.2, a laptop on the network from 127.7.0.20, and neither reaches a device
whose network is down. Windows are divided by HURRY.
"""

import base64
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from latchkey_tools.desk import demo
from latchkey_tools.desk.unix_board import DOCUMENT, Desk
from latchkey_tools.sim import Simulator, pki
from latchkey_tools.sim.broker import Broker
from latchkey_tools.sim.client import NO_TLS

HURRY = 30
PHONE, LAPTOP, CABLE = "127.4.0.2", "127.7.0.20", "127.0.0.1"
HOME = {"ssid": "Home", "passphrase": "secret of the house", "channel": 11, "rssi": -50}
AIR = {
    "networks": [
        HOME,
        {"ssid": "Silent", "passphrase": "secret of nobody", "channel": 1, "rssi": -60, "fault": "no_address"},
        {"ssid": "Island", "passphrase": "secret of an island", "channel": 6, "rssi": -70, "fault": "no_route"},
    ]
}
JOIN = {"wifi": {"ssid": "Home", "passphrase": "secret of the house"}}
GONE = (0, "unreachable")


class Cellar:
    """A provisioned device in its box, with a cloud that may be far away; two tokens were stored in the morning."""

    def __init__(self, folder, hurry=HURRY, **how):
        self.pki = pki.make(folder / "pki", demo.SLUG, demo.SYSTEM)
        self.broker = Broker(self.pki.folder, "amqtt")
        self.sim = Simulator(folder / "sim", demo.SLUG, self.broker, systems=[demo.SYSTEM])
        self.broker.start()
        self.sim.start()
        self.owner = self.sim.create_permanent_token(demo.SYSTEM)
        self.other = self.sim.create_token(demo.SYSTEM)
        self.desk = Desk(folder / "desk", air=AIR, hurry=hurry, **how)
        self.desk.power_on()

    def close(self):
        self.desk.close()
        self.sim.stop()
        self.broker.stop()

    def unbox(self, **others):
        """Provision it as a factory does: factory keys and the label's passphrase, no network."""
        self.desk.provision(self.document(**others))
        return self

    def document(self, unix_s=None, **others):
        config = {"system_uuid": demo.SYSTEM, "slug": demo.SLUG, "issuer": self.sim.issuer, "name": "Cellar light"}
        config |= {"broker": {"host": "localhost", "port": self.broker.port}, "dev": True} | others
        return {
            "config": config,
            "credentials": demo.credentials(self.pki),
            "time_unix_s": unix_s or int(time.time()),
            "key_set": self.sim.key_set(),
            "ap_passphrase": "on the label",
        }

    def call(self, source, method, path, body=None, token=None):
        """(status, answer) as somebody at ``source`` gets it; GONE if the device is not there for them."""
        headers = {"Authorization": f"Bearer {token or self.owner.jwt}"}
        transport = httpx.HTTPTransport(NO_TLS, local_address=source)
        try:
            with httpx.Client(transport=transport, base_url=self.desk.url, timeout=5, headers=headers) as client:
                response = client.request(method, path, json=body)
        except httpx.HTTPError:
            return GONE
        return response.status_code, response.json()

    def code(self, *call, **more):
        status, answer = self.call(*call, **more)
        return status, answer if status == 0 else answer.get("code")

    def until(self, wanted, look, within_s=20):
        deadline = time.monotonic() + within_s
        seen = look()
        while seen != wanted and time.monotonic() < deadline:
            time.sleep(0.1)
            seen = look()
        assert seen == wanted, self.desk.log_text()[-3000:]

    def ended(self, state, reason="", within_s=20):
        """Wait for the attempt's end, as whoever holds the cable sees it."""

        def look():
            answer = self.call(CABLE, "GET", "/v1/pairing")[1]
            return (answer["state"], answer["reason"]) if "state" in answer else answer

        self.until((state, reason), look, within_s)

    def pair(self):
        assert self.call(CABLE, "POST", "/v1/pairing", JOIN)[0] == 202
        self.ended("joined")
        return self

    def diagnostics(self):
        return self.call(CABLE, "GET", "/v1/diagnostics")[1]

    def state(self):
        """None while it is not there."""
        answer = self.call(CABLE, "GET", "/v1/info")
        return None if answer == GONE else answer[1]["state"]

    def cloud_state(self):
        """None while it has not begun to connect."""
        return self.diagnostics().get("cloud", {}).get("state")


@pytest.fixture
def cellar(tmp_path, request):
    made = Cellar(tmp_path, **getattr(request, "param", {}))
    yield made
    made.close()


with_button = pytest.mark.parametrize("cellar", [{"button": True}], indirect=True, ids=["with a button"])


@pytest.mark.parametrize("clock", ["unset", "host"])
def test_from_the_box_to_the_network_without_a_cloud_and_then_the_first_meeting(tmp_path, clock):
    cellar = Cellar(tmp_path, clock=clock)
    try:
        cellar.unbox()
        cellar.broker.stop()
        assert cellar.desk.info()["state"] == "pairing"
        cellar.until(200, lambda: cellar.call(PHONE, "GET", "/v1/info")[0])
        assert cellar.call(LAPTOP, "GET", "/v1/info") == GONE
        assert cellar.call(PHONE, "PATCH", "/v1/state", {"on": True})[0] == 200
        networks = cellar.call(PHONE, "GET", "/v1/pairing/networks")[1]["networks"]
        assert networks[0] == {"ssid": "Home", "rssi_dbm": -50, "secured": True}
        status, answer = cellar.call(PHONE, "POST", "/v1/pairing", JOIN | {"name": "Hall"})
        assert (status, answer["state"]) == (202, "joining")
        cellar.ended("joined")
        # The access point has moved to the network's channel; the phone comes back there.
        cellar.until(200, lambda: cellar.call(PHONE, "GET", "/v1/pairing")[0])
        address = cellar.call(PHONE, "GET", "/v1/pairing")[1]["address"]
        assert address == "127.7.0.7" and cellar.desk.info() | {"name": "Hall", "state": "ready"} == cellar.desk.info()
        assert cellar.call(LAPTOP, "GET", "/v1/state")[0] == 200
        cellar.until(GONE, lambda: cellar.code(PHONE, "GET", "/v1/info"))
        assert cellar.code(LAPTOP, "POST", "/v1/pairing", JOIN) == (403, "plain_http")
        cellar.desk.restart()
        cellar.until(200, lambda: cellar.call(LAPTOP, "GET", "/v1/state")[0])
        assert cellar.diagnostics()["keys"]["source"] == "flash"
        cellar.broker.start()
        cellar.until("online", cellar.cloud_state, 40)
        cellar.until(2, lambda: cellar.diagnostics()["ledger"]["tokens"])
    finally:
        cellar.close()


@pytest.mark.parametrize(
    "ssid, passphrase, reason",
    [
        ("Home", "wrong secret", "wifi_wrong_passphrase"),
        ("Nowhere", "secret of nowhere", "wifi_not_found"),
        ("Silent", "secret of nobody", "no_address"),
        ("Island", "secret of an island", "no_route"),
    ],
)
def test_a_join_that_fails_says_why_and_the_access_point_is_back(cellar, ssid, passphrase, reason):
    cellar.unbox()
    body = {"wifi": {"ssid": ssid, "passphrase": passphrase}}
    assert cellar.call(PHONE, "POST", "/v1/pairing", body)[0] == 202
    cellar.ended("failed", reason)
    cellar.until(200, lambda: cellar.call(PHONE, "GET", "/v1/pairing")[0])
    assert cellar.call(PHONE, "GET", "/v1/pairing")[1]["reason"] == reason
    assert cellar.desk.info()["state"] == "pairing"
    cellar.desk.restart()
    assert cellar.call(CABLE, "GET", "/v1/pairing")[1]["reason"] == reason
    assert passphrase not in cellar.desk.log_text() and passphrase.encode() not in cellar.desk.image.read_bytes()
    cellar.pair()


@pytest.mark.parametrize("cellar", [{"hurry": 90}], indirect=True, ids=["in ten seconds"])
def test_the_access_point_closes_after_a_while_and_power_opens_it_again(cellar):
    cellar.unbox()
    cellar.until(200, lambda: cellar.call(PHONE, "GET", "/v1/info")[0])
    cellar.until(GONE, lambda: cellar.code(PHONE, "GET", "/v1/info"), 60)
    cellar.desk.restart()
    cellar.until(200, lambda: cellar.call(PHONE, "GET", "/v1/info")[0])


def test_of_two_technicians_one_tries_and_a_power_cut_in_it_brings_the_last_good_network_back(cellar):
    cellar.unbox().pair()
    body = {"wifi": {"ssid": "Silent", "passphrase": "secret of nobody"}}
    with ThreadPoolExecutor() as technicians:
        at_once = [technicians.submit(cellar.code, CABLE, "POST", "/v1/pairing", body) for _ in range(2)]
        assert sorted(one.result() for one in at_once) == [(202, None), (409, "attempt_running")]
    cellar.until(GONE, lambda: cellar.code(LAPTOP, "GET", "/v1/info"))
    cellar.desk.restart()
    cellar.ended("failed", "power_cut")
    cellar.until(200, lambda: cellar.call(LAPTOP, "GET", "/v1/info")[0])


@with_button
def test_a_reset_by_the_button_leaves_owner_in_and_revoked_tokens_out(cellar):
    cellar.unbox().pair()
    cellar.until("online", cellar.cloud_state, 40)
    cellar.sim.revoke(cellar.other.uuid, leave=True)
    cellar.until((401, "revoked"), lambda: cellar.code(CABLE, "GET", "/v1/state", token=cellar.other.jwt))
    cellar.broker.stop()
    starts = cellar.desk.starts
    cellar.desk.press(11)
    cellar.until(True, lambda: cellar.desk.starts > starts)
    cellar.desk.wait_ready()
    assert cellar.desk.info() | {"name": "", "state": "pairing"} == cellar.desk.info()
    cellar.until(200, lambda: cellar.call(PHONE, "GET", "/v1/state")[0])
    assert cellar.code(PHONE, "GET", "/v1/state", token=cellar.other.jwt) == (401, "revoked")
    cellar.pair()
    assert secrets_in_flash(cellar) == "['Home', passphrase]"
    cellar.desk.restart()
    cellar.desk.press(11)
    cellar.until("pairing", cellar.state)
    assert secrets_in_flash(cellar) == "[]"


def secrets_in_flash(cellar):
    """Which of the network's name and passphrase are in files of the device."""
    look = f"""
import os
files = [open("/flash/state/" + name, "rb").read() for name in os.listdir("/flash/state")]
print([word for word in ("Home", {HOME["passphrase"]!r}) if any(word.encode() in data for data in files)])
"""
    return cellar.desk.mpremote("exec", look).strip().replace("'secret of the house'", "passphrase")


def test_power_cycles_stand_for_the_button(cellar):
    cellar.unbox().pair()
    cellar.until(GONE, lambda: cellar.code(PHONE, "GET", "/v1/info"))
    cellar.until(True, lambda: cellar.diagnostics()["uptime_s"] > 10)
    for _ in range(5):
        cellar.desk.restart()
    cellar.until(200, lambda: cellar.call(PHONE, "GET", "/v1/info")[0])
    answer = cellar.call(PHONE, "GET", "/v1/pairing")[1]
    assert answer["presence_s"] > 0 and cellar.desk.info()["state"] == "ready"
    assert "light: blinks" in cellar.desk.log_text()
    for _ in range(5):
        cellar.desk.restart()
    assert cellar.desk.info()["state"] == "pairing"
    cellar.pair()
    cellar.desk.restart()
    assert cellar.desk.info()["state"] == "ready"


@pytest.mark.device_dies
def test_three_crashes_boot_a_safe_state_which_a_restart_leaves(cellar):
    cellar.unbox().pair()
    for _ in range(3):
        pid = cellar.desk.pid
        os.kill(pid, signal.SIGSEGV)
        cellar.until(True, lambda pid=pid: cellar.desk.pid not in (None, pid))
        cellar.desk.wait_ready()
    assert cellar.code(CABLE, "GET", "/v1/state") == (503, "safe_boot")
    assert cellar.code(CABLE, "GET", "/v1/events") == (503, "safe_boot")
    facts = cellar.diagnostics()
    assert facts["safe_boot"] is True and facts["crashes"] == 3 and "cloud" not in facts
    cellar.until(200, lambda: cellar.call(PHONE, "GET", "/v1/log")[0])
    forged = demo.flip_a_signature_bit(cellar.owner.jwt)
    assert cellar.code(PHONE, "GET", "/v1/log", token=forged) == (401, "bad_signature")
    assert cellar.call(CABLE, "POST", "/v1/restart")[0] == 202
    cellar.until(200, lambda: cellar.call(LAPTOP, "GET", "/v1/state")[0])


def test_the_cable_sets_a_wrong_time_back_though_memory_outlives_the_reset(cellar, tmp_path):
    cellar.desk.provision(cellar.document(int(time.time()) + 15 * 365 * 86400))
    assert cellar.code(CABLE, "GET", "/v1/state", token=cellar.other.jwt) == (401, "expired")
    assert cellar.call(CABLE, "POST", "/v1/restart")[0] == 202
    cellar.until(2, lambda: cellar.desk.log_text().count("started: pairing"))
    path = tmp_path / "document"
    path.write_text(json.dumps(cellar.document()))
    action = f"import cable; cable.provision({DOCUMENT!r})"
    cellar.desk.mpremote("fs", "cp", path, f":{DOCUMENT}", "+", "exec", action)
    cellar.desk.mpremote("reset")
    cellar.until(200, lambda: cellar.call(CABLE, "GET", "/v1/state", token=cellar.other.jwt)[0])


@pytest.mark.device_dies
@pytest.mark.parametrize("cellar", [{"battery": True, "hurry": 40}], indirect=True, ids=["on battery"])
def test_a_sensor_leaves_its_safe_state_by_sleeping(cellar):
    cellar.unbox()
    for _ in range(3):
        pid = cellar.desk.pid
        os.kill(pid, signal.SIGSEGV)
        cellar.until(True, lambda pid=pid: cellar.desk.pid not in (None, pid))
        cellar.desk.wait_ready()
    assert cellar.code(CABLE, "GET", "/v1/state") == (503, "safe_boot")
    cellar.until(True, lambda: cellar.desk.asleep, 60)
    cellar.desk.press(0.2)
    cellar.until(200, lambda: cellar.call(CABLE, "GET", "/v1/state")[0])
    assert cellar.call(CABLE, "GET", "/v1/pairing")[1]["presence_s"] > 0


@with_button
def test_a_configure_token_alone_takes_over_nothing(cellar):
    cellar.unbox().pair()
    broker = {"host": "localhost", "port": 1}
    for method, path, body, expected in (
        ("PATCH", "/v1/config", {"broker": broker}, (403, "presence_needed")),
        ("POST", "/v1/pairing", JOIN | {"broker": broker}, (403, "presence_needed")),
        ("PATCH", "/v1/config", {"issuer": "https://evil.example"}, (403, "presence_needed")),
        ("PATCH", "/v1/config", {"roles": {"Visitor": "configure"}}, (403, "presence_needed")),
        ("PATCH", "/v1/config", {"policy": {"unlisted": "refuse"}}, (403, "presence_needed")),
        ("PATCH", "/v1/config", {"system_uuid": demo.OTHER_SYSTEM}, (403, "serial_only")),
        ("PATCH", "/v1/config", {"ca_der": "MAA="}, (422, "invalid_field")),
    ):
        assert cellar.code(CABLE, method, path, body) == expected
    said = str([cellar.call(CABLE, "GET", f"/v1/{name}") for name in ("config", "pairing", "diagnostics", "log")])
    key = base64.b64encode(cellar.pki.device.key_der.read_bytes()).decode()
    for secret in ("secret of the house", "on the label", key[:60], cellar.owner.jwt):
        assert secret not in said and secret not in cellar.desk.log_text()
    cellar.desk.press(0.3)
    cellar.until(True, lambda: cellar.call(CABLE, "GET", "/v1/pairing")[1]["presence_s"] > 0)
    assert cellar.code(CABLE, "PATCH", "/v1/config", {"roles": {"Visitor": "configure"}}) == (409, "locks_out")
    assert cellar.call(CABLE, "PATCH", "/v1/config", {"broker": broker})[0] == 202
    cellar.ended("failed", "refused")
    cellar.until("online", cellar.cloud_state, 40)
    assert cellar.call(CABLE, "GET", "/v1/config")[1]["trust"]["changes"] == 0


@with_button
def test_a_new_certificate_over_the_api_is_tried_and_the_old_one_comes_back(cellar):
    cellar.unbox().pair()
    cellar.until("online", cellar.cloud_state, 40)
    stranger = pki.make(cellar.desk.folder / "stranger", demo.SLUG, demo.SYSTEM).device
    renewed = pki.client(cellar.pki.folder, cellar.pki.ca, "renewed", demo.SYSTEM)
    cellar.desk.press(0.3)
    cellar.until(True, lambda: cellar.call(CABLE, "GET", "/v1/pairing")[1]["presence_s"] > 0)
    for identity, came in ((stranger, "refused"), (renewed, "kept")):
        text = {n: base64.b64encode(getattr(identity, n).read_bytes()).decode() for n in ("cert_der", "key_der")}
        assert cellar.call(CABLE, "PUT", "/v1/config/certificate", text)[0] == 202
        cellar.until(True, lambda came=came: f"new certificate {came}" in cellar.desk.log_text(), 60)
        cellar.until("online", cellar.cloud_state, 60)
