"""The device's page in a real browser at a phone's size, before the firmware on the unix port and its radio stand-in.

Screenshots are left in build/page; look at them after a change of the page.
"""

import base64
import hashlib
import json
import os
import re
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from phone import AP_HOST, LAN_HOST, LOCAL_HOST, REBOUND_HOST, Phone
from PIL import Image
from test_commissioning import AIR, HOME, JOIN, LAPTOP, PHONE, Cellar

from latchkey_tools.boards import build
from latchkey_tools.desk import demo
from latchkey_tools.sim import pki, signing
from needs import needs

pytestmark = [needs("chromium"), needs("chromedriver")]

# An access point lasts 90 s, an attempt 12 s.
HURRY = 10
AP, LOCAL, LAN = f"http://{AP_HOST}/", f"http://{LOCAL_HOST}/", f"http://{LAN_HOST}/"
OTHER_SYSTEM = "11111111-2222-4333-8444-555555555555"
MARKUP = "<img src=x onerror=alert(1)>"
SUBMIT = " button:not([type=button])"
PICTURES = build.BUILD / "page"
# picture of a step: (its name in docs/pictures, its greatest height); drawn anew by `make pictures`
IN_DOCS = {
    "en-light-1-token": ("page-token.png", 844),
    "en-light-2-open": ("page-open.png", 10000),
    "de-dark-2-open": ("page-open-de.png", 10000),
    "en-light-4-failed": ("page-failed.png", 750),
}


@pytest.fixture(scope="module")
def cellar(tmp_path_factory):
    made = Cellar(tmp_path_factory.mktemp("page"), hurry=HURRY)
    yield made.unbox()
    made.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory, cellar):
    """Of a device, for its .local name."""
    return pki.server(tmp_path_factory.mktemp("certificate"), cellar.pki.ca, "local-api", [LOCAL_HOST])


@pytest.fixture(scope="module")
def browser(cellar, certificate):
    PICTURES.mkdir(parents=True, exist_ok=True)
    with Phone(cellar.desk, trusted=hash_of_key(certificate.cert_der)) as made:
        yield made


def hash_of_key(cert_der):
    """Of the public key of the certificate at this path, as Chromium takes it."""
    key = x509.load_der_x509_certificate(cert_der.read_bytes()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


@pytest.fixture
def phone(cellar, browser):
    """On the access point of a device that is in no network, whatever the test before has left."""
    cellar.desk.restart()
    if cellar.desk.info()["state"] != "pairing":
        cellar.unbox()
    browser.answer = lambda *_: None
    browser.join("ap")
    browser.show("en-GB", "light")
    browser.open("about:blank")
    browser.asked(), browser.complaints()
    yield browser
    assert browser.complaints() == []


def give(phone, token):
    phone.until(lambda: phone.find("#state").is_displayed() and phone.find("#token-form").is_displayed())
    phone.type("#token", token)
    phone.press("#token-form" + SUBMIT)


def enter(phone, token, url=AP):
    phone.open(url)
    give(phone, token)
    phone.reads("#token-verdict", "accepts")
    phone.until(lambda: bool(phone.find_all(".field")))


def choose_network(phone, ssid, passphrase=None):
    phone.until(lambda: phone.find("#wifi").is_displayed())
    [one] = [one for one in phone.find_all("[name=network]") if one.get_attribute("data-ssid") == ssid]
    phone.run("arguments[0].click()", one)
    if passphrase:
        phone.type("#passphrase", passphrase)


def join(phone, ssid, passphrase=None):
    choose_network(phone, ssid, passphrase)
    phone.press("#wifi-form" + SUBMIT)


def token_of(cellar, **claims):
    """A token that the cloud has signed, with other claims."""
    return cellar.sim.make_token(demo.SYSTEM, **claims)


def test_a_phone_takes_a_device_from_its_access_point_into_the_owners_network(cellar, phone):
    phone.open(AP)
    phone.reads("#state", "Waiting for a network")
    assert phone.asked() == [("GET", AP), ("GET", AP + "v1/info")]
    give(phone, cellar.owner.jwt)
    phone.reads("#token-verdict", "The device accepts this token. You may read, control and configure.")
    assert "Marie Curie" in phone.text("#claims") and "this device" in phone.text("#claims")
    phone.press("#identify")
    phone.reads("#product-note", "The device blinks now.")
    phone.type("#new-name", "Hall light")
    phone.press("#name-form" + SUBMIT)
    phone.reads("#name", "Hall light")
    join(phone, "Home", HOME["passphrase"])
    phone.reads("#attempt-title", "Joining Home")
    phone.join(None)  # The access point moves to the network's channel.
    phone.reads("#attempt-todo", "Join latchkey-792b6149 again and switch mobile data off.")
    phone.join("ap")
    phone.reads("#attempt-title", "The device has joined Home")
    assert phone.text("#attempt-links") == "http://latchkey-792b6149.local\nhttp://127.7.0.7"
    assert phone.run("return document.activeElement.id") == "attempt-title"
    assert {url.split("/")[2] for _, url in phone.asked()} == {AP_HOST}
    phone.join("home")
    phone.open(LOCAL)
    phone.reads("#news", "The device is ready. It is in this network.")
    assert "not encrypted" in phone.text("#plain-warning") and phone.text("#wifi") == ""
    give(phone, cellar.owner.jwt)
    phone.reads("#token-verdict", "accepts")
    phone.reads("#care-note", "use the access point")  # A2: no configuring over plain HTTP
    phone.reads("#live", "at once")
    phone.press("#field-on")
    phone.until(lambda: cellar.call("127.7.0.20", "GET", "/v1/state")[1]["on"])
    cellar.call("127.7.0.20", "PATCH", "/v1/state", {"on": False})
    phone.until(lambda: phone.run("return document.getElementById('field-on').checked"), False)


def test_a_token_that_the_cloud_revokes_is_refused_with_its_reason(cellar, phone):
    cellar.pair()
    cellar.until("online", cellar.cloud_state)
    record = cellar.sim.create_token(demo.SYSTEM)
    cellar.until(200, lambda: cellar.call("127.0.0.1", "GET", "/v1/whoami", token=record.jwt)[0])
    cellar.sim.revoke(record.uuid)
    cellar.until("revoked", lambda: cellar.call("127.0.0.1", "GET", "/v1/whoami", token=record.jwt)[1].get("code"))
    phone.join("home")
    phone.open(LOCAL)
    give(phone, record.jwt)
    phone.reads("#token-verdict", "The device refuses this token.")
    assert "The cloud's list refuses the token" in phone.text("#token-verdict")
    assert "What to do: make a new token." in phone.text("#token-verdict")


@pytest.fixture
def secured(tmp_path, certificate):
    """Another device, in the owner's network, with a certificate for its name."""
    made = Cellar(tmp_path, hurry=HURRY)
    document = made.document()
    for name, path in (("https_cert_der", certificate.cert_der), ("https_key_der", certificate.key_der)):
        document["credentials"][name] = base64.b64encode(path.read_bytes()).decode()
    made.desk.provision(document)
    made.until(202, lambda: made.call(PHONE, "POST", "/v1/pairing", JOIN)[0])
    made.until(200, lambda: made.call(LAPTOP, "GET", "/v1/info")[0])
    yield made
    made.close()


def test_with_a_certificate_the_page_in_the_owners_network_is_led_to_https_and_works_there(cellar, phone, secured):
    secure = f"https://{LOCAL_HOST}:{secured.desk.tls_port}/"
    phone.desk = secured.desk
    try:
        phone.join("home")
        phone.answers.clear()
        enter(phone, secured.owner.jwt, LOCAL)
        assert phone.run("return location.href") == secure and phone.text("#plain-warning") == ""
        phone.reads("#live", "at once")
        phone.press("#field-on")
        phone.type("#new-name", "Over HTTPS")
        phone.press("#name-form" + SUBMIT)
        phone.reads("#name", "Over HTTPS")
        assert ("GET", LOCAL_HOST, "/", 302) in phone.answers and len(phone.answers) == 1
        assert all(url.startswith(secure) for _, url in phone.asked() if url != LOCAL)
    finally:
        phone.open("about:blank")
        phone.desk = cellar.desk


# The attempts of a stranger's page; "" is the result of a request that the browser hides from it.
TRIES = """
const [base, jwt, done] = arguments;
const one = (path, how) => fetch(base + path, how).then((got) => got.text(), () => "");
const bearer = { headers: { Authorization: "Bearer " + jwt } };
Promise.all([
  one("v1/info", {}),
  one("v1/state", bearer),
  one("v1/state", { ...bearer, method: "PATCH", body: '{"on": true}' }),
  one("v1/identify", { method: "POST", mode: "no-cors" }),
  one("v1/pairing", { method: "POST", mode: "no-cors", body: "{}" }),
]).then(done)
"""


def stranger(phone, host):
    """Open a page of a stranger at ``host``, whose other paths are the device's if the name leads there."""
    page = 200, {"Content-Type": "text/html"}, b"<!doctype html><title>stranger</title>"
    phone.answer = lambda _network, _method, name, path: page if (name, path) == (host, "/") else None
    phone.open(f"http://{host}/")
    phone.answers.clear()


@pytest.mark.parametrize("network, base", [("ap", AP), ("home", LAN)])
def test_a_page_from_another_origin_reads_nothing_and_changes_nothing(cellar, phone, network, base):
    if network == "home":
        cellar.pair()
    phone.join(network)
    stranger(phone, "other.example")
    before = cellar.call("127.0.0.1", "GET", "/v1/state")
    assert phone.driver.execute_async_script(TRIES, base, cellar.owner.jwt) == [""] * 5
    refused = {(method, path): status for method, _, path, status in phone.answers}
    assert refused[("OPTIONS", "/v1/state")] == refused[("POST", "/v1/identify")] == 403
    assert set(refused.values()) == {403} and ("PATCH", "/v1/state") not in refused
    assert cellar.call("127.0.0.1", "GET", "/v1/state") == before
    assert all("CORS" in text for text in phone.complaints())


def test_a_strangers_name_that_leads_to_the_device_is_refused(cellar, phone):
    cellar.pair()
    phone.join("home")
    stranger(phone, REBOUND_HOST)
    read = phone.driver.execute_async_script(TRIES, f"http://{REBOUND_HOST}/", cellar.owner.jwt)
    assert [json.loads(text) if text else "" for text in read] == [{"code": "wrong_host"}] * 5
    assert {status for *_, status in phone.answers} == {421}


def refused_tokens(cellar):
    """name: (token, what is read, whether the device was asked)"""
    now = int(time.time())
    good = token_of(cellar)
    head, payload, signature = good.split(".")
    forged = ".".join((head, payload, signature[:-8] + ("AAAAAAAA" if signature[-8:] != "AAAAAAAA" else "BBBBBBBB")))
    return {
        "expired": (token_of(cellar, exp=now - 3600, iat=now - 7200, nbf=now - 7200), "is past", True),
        "forged": (forged, "No key on the device verifies", True),
        "not yet valid": (token_of(cellar, nbf=now + 90000, exp=now + 99000), "is in the future", True),
        "without a role": (token_of(cellar, roles=[]), "No role in the token is in this device's role table", True),
        "of another System": (token_of(cellar, aud=OTHER_SYSTEM), "It was not sent.", False),
        "no token": ("Dear Marie, see below.", "There is no token in it", False),
        "two": (good + "\n\n" + token_of(cellar, jti=signing.new_uuid()), "more than one token", False),
        "broken": ("CLOUD-a.b.c", "The token is not CLOUD-", False),
    }


def test_a_token_that_does_not_open_says_why_and_is_sent_only_to_its_system(cellar, phone):
    phone.open(AP)
    for name, (token, words, is_sent) in refused_tokens(cellar).items():
        phone.asked()
        give(phone, token)
        phone.reads("#token-verdict", words)
        assert bool([url for _, url in phone.asked() if "whoami" in url]) == is_sent, name
        assert phone.text("#product") == phone.text("#care") == ""


def test_a_token_is_read_as_mail_programs_and_files_leave_it(cellar, phone, tmp_path):
    jwt = token_of(cellar)
    wrapped = re.sub("(.{72})", "\\1\r\n", jwt)
    phone.open(AP)
    for text in (f"Hello,\n\n{wrapped}\nRegards,\nMarie", f"Bearer {jwt}", f'"{jwt}",'):
        give(phone, text)
        phone.reads("#token-verdict", "accepts")
        phone.press("#token-forget")
    (tmp_path / "token.txt").write_text(jwt + "\n")
    phone.find("#token-file").send_keys(str(tmp_path / "token.txt"))
    phone.reads("#token-verdict", "accepts")


def test_a_fragment_gives_the_token_and_leaves_the_address_bar_and_no_request(cellar, phone):
    phone.open(f"{AP}#token={cellar.owner.jwt}")
    phone.reads("#token-verdict", "accepts")
    assert phone.run("return location.href") == AP
    assert [url for _, url in phone.asked() if "CLOUD" in url] == []
    assert cellar.owner.jwt not in phone.run("return document.documentElement.outerHTML")
    assert phone.run("return sessionStorage.length + localStorage.length + document.cookie.length") == 0


def test_a_wrong_passphrase_ends_clearly_and_the_next_one_works(cellar, phone):
    enter(phone, cellar.owner.jwt)
    join(phone, "Home", "not the passphrase")
    phone.reads("#attempt-title", "The device has not joined Home")
    assert "the network refuses the passphrase" in phone.text("#attempt-words")
    assert "What to do: type it again." in phone.text("#attempt-todo")
    assert phone.find("#passphrase").get_attribute("value") == "not the passphrase"
    join(phone, "Home", HOME["passphrase"])
    phone.reads("#attempt-title", "The device has joined Home")


def test_a_hidden_network_is_joined_by_its_name(cellar, phone):
    enter(phone, cellar.owner.jwt)
    phone.until(lambda: phone.find("#wifi").is_displayed())
    phone.press("#hidden-network")
    phone.type("#ssid", "Home")
    phone.type("#passphrase", HOME["passphrase"])
    phone.press("#wifi-form" + SUBMIT)
    phone.reads("#attempt-title", "The device has joined Home")


def test_a_device_that_goes_away_in_the_middle_is_missed_and_tells_why_when_it_is_back(cellar, phone):
    enter(phone, cellar.owner.jwt)
    join(phone, "Silent", "secret of nobody")
    phone.reads("#attempt-title", "Joining Silent")
    cellar.until("joining", lambda: cellar.call("127.0.0.1", "GET", "/v1/pairing")[1]["state"])
    cellar.desk.power_cut()
    phone.reads("#attempt-todo", "The phone does not reach the device.")
    cellar.desk.power_on()
    phone.reads("#attempt-title", "The device has not joined Silent")
    assert "switched off or restarted" in phone.text("#attempt-words")


def test_a_reload_at_any_step_goes_on_where_the_device_is(cellar, phone):
    phone.open(AP)
    phone.driver.refresh()
    give(phone, cellar.owner.jwt)
    phone.reads("#token-verdict", "accepts")
    phone.driver.refresh()
    phone.until(lambda: phone.find("#token-form").is_displayed())  # It was in memory only.
    phone.press("#remember")
    give(phone, cellar.owner.jwt)
    phone.reads("#token-verdict", "accepts")
    phone.driver.refresh()
    phone.reads("#token-verdict", "accepts")
    join(phone, "Silent", "secret of nobody")
    phone.reads("#attempt-title", "Joining Silent")
    phone.driver.refresh()
    phone.reads("#attempt-title", "Silent")
    phone.reads("#attempt-title", "The device has not joined Silent")
    phone.driver.refresh()
    phone.reads("#attempt-title", "The device has not joined Silent")
    phone.press("#token-forget")
    phone.driver.refresh()
    phone.until(lambda: phone.find("#token-form").is_displayed())


def test_what_loads_by_itself_appears_though_a_request_for_it_was_lost(cellar, phone):
    lost = ["/v1/pairing", "/v1/pairing/networks", "/v1/state/fields"]

    def half(_network, method, _host, path):
        if method == "GET" and path in lost:
            lost.remove(path)
            # Where no answer came at all, the browser sends the request again by itself.
            return 200, {"Content-Length": "99"}, b"{"
        return None

    phone.answer = half
    enter(phone, cellar.owner.jwt)
    phone.until(lambda: phone.find("#wifi").is_displayed())
    assert lost == [] and phone.text("#care-note") == ""
    phone.complaints()


@pytest.fixture
def hostile_air(cellar):
    cellar.desk.set_air(AIR | {"networks": [*AIR["networks"], {"ssid": MARKUP, "channel": 3, "rssi": -80}]})
    yield
    cellar.desk.set_air(AIR)


def test_names_from_the_air_and_the_device_stay_text(cellar, hostile_air, phone):
    enter(phone, cellar.owner.jwt)
    phone.type("#new-name", MARKUP)
    phone.press("#name-form" + SUBMIT)
    phone.until(lambda: phone.text("#name"), MARKUP)
    phone.until(lambda: phone.find("#wifi").is_displayed())
    assert MARKUP in phone.text("#networks") and phone.find_all("img") == []
    phone.press("#log-box summary")
    phone.reads("#log", "started")


def test_a_token_that_only_reads_sees_no_switches(cellar, phone):
    roles = [{"uuid": signing.new_uuid(), "name": "Domain Viewer"}]
    cellar.call(
        "127.0.0.1", "PATCH", "/v1/config", {"roles": {"Domain Viewer": "read", "System Maintainer": "configure"}}
    )
    phone.open(AP)
    give(phone, token_of(cellar, roles=roles))
    phone.reads("#product-note", "This token may read, but not control.")
    assert phone.find_all("#controls input") == [] and phone.text("#wifi") == phone.text("#identify") == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
def test_every_step_is_accessible_and_drawn(cellar, phone, language, scheme):
    """axe-core finds nothing, nothing is wider than the phone, and pictures are left."""
    name = f"{language[:2]}-{scheme}"

    def look(step):
        assert phone.run("return document.documentElement.scrollWidth") <= 390
        phone.picture(PICTURES / f"{name}-{step}.png")
        if "LATCHKEY_PICTURES" in os.environ and f"{name}-{step}" in IN_DOCS:
            file, most_px = IN_DOCS[f"{name}-{step}"]
            path = build.ROOT / "docs" / "pictures" / file
            phone.picture(path, 0.5, most_px)
            Image.open(path).quantize(128).save(path, optimize=True)  # a third of the bytes
        assert phone.violations() == [], step

    phone.show(language, scheme)
    phone.open(AP)
    phone.until(lambda: phone.find("#state").is_displayed())
    assert phone.run("return document.documentElement.lang") == language[:2]
    look("1-token")
    phone.open(AP)
    give(phone, token_of(cellar))
    phone.until(lambda: phone.find("#wifi").is_displayed() and bool(phone.find_all(".field")))
    choose_network(phone, "Home")
    look("2-open")
    assert phone.untranslated() == []
    attempt = {"state": "joining", "what": "wifi", "ssid": "Home", "address": None, "reason": ""}
    phone.answer = pairing_stands_at(attempt)
    join(phone, "Home", "not the passphrase")
    phone.until(lambda: phone.find("#attempt-progress").is_displayed())
    look("3-joining")
    attempt.update(state="failed", reason="wifi_wrong_passphrase")
    phone.until(lambda: phone.find("#attempt-close").is_displayed())
    look("4-failed")
    assert phone.untranslated() == []


def pairing_stands_at(attempt):
    """The device's answers but for its attempt, for which nobody waits here."""

    def answer(_network, _method, _host, path):
        if path == "/v1/pairing":
            return 202, {"Content-Type": "application/json"}, json.dumps(attempt).encode()

    return answer
