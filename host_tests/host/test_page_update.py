"""The page's part "Update" in a real browser: what it sends of a file, and what it says of each end.

First a stand-in answers /v1/firmware and /v1/keys, since its ends take minutes; then it is the real firmware alone.
"""

import base64
import json
import time

import pytest
import releases
import technician
from api_process import running
from phone import Phone
from test_server_flood import b64, document, token

from latchkey_tools.boards import build, page
from latchkey_tools.cli import advice
from latchkey_tools.desk import unix_board
from latchkey_tools.release import manifest
from latchkey_tools.sim import signing
from needs import needs

pytestmark = [needs("chromium"), needs("chromedriver")]

PAGE = "http://127.0.0.1/"
ISSUER = "https://company-example.api.drivr.cloud"
JSON = {"Content-Type": "application/json"}
MANIFEST = {"version": "2.0", "counter": 8, "size": 50000, "sha256": "ab" * 32}
PAYLOAD = bytes(range(250)) * 200
NOW = {"version": "1.0", "state": "good", "goes_back_s": None, "counter": 7, "upload": None, "last": None}
UNPROVEN = NOW | {"version": "2.0", "state": "unproven", "goes_back_s": 840}


def signed(typ, manifest, payload):
    header = b64(json.dumps({"alg": "RS256", "typ": typ}).encode())
    return f"{header}.{b64(json.dumps(manifest).encode())}.AAAA\n".encode() + payload


FILE = signed("latchkey-release", MANIFEST, PAYLOAD)
LINE = FILE[: FILE.index(b"\n") + 1]
# A connection that breaks in the answer: the browser sends a request again by itself where no byte of one came.
BROKEN = 200, JSON | {"Content-Length": "99"}, b"{"


class Releases:
    """Answers for a device: ``now`` to GET /v1/firmware; to PUT one of ``answers`` after the other, each (status,
    answer). None breaks the connection."""

    def __init__(self):
        self.now, self.answers = dict(NOW), []

    def __call__(self, _network, method, _host, path):
        if path.partition("?")[0] not in ("/v1/firmware", "/v1/keys"):
            return None
        answer = self.answers.pop(0) if method == "PUT" else self.now and (200, self.now)
        if method == "PUT" and answer and answer[0] == 202:
            self.now = self.now | {"upload": {"running": True}}  # until it restarts
        return (answer[0], JSON, json.dumps(answer[1]).encode()) if answer else BROKEN


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    folder = tmp_path_factory.mktemp("device")
    (folder / "page.gz").write_bytes(page.compressed())
    (folder / "verifier.json").write_text(json.dumps(document([])))
    with running("768K", page=folder / "page.gz", verifier=folder / "verifier.json") as process:
        yield process


@pytest.fixture(scope="module")
def browser(device):
    with Phone(device) as made:
        made.join("bench")
        yield made


@pytest.fixture
def phone(browser):
    browser.answer = Releases()
    browser.sent.clear()
    browser.show("en-GB", "light")
    yield browser
    browser.open("about:blank")
    assert browser.complaints() == []


def enter(phone):
    phone.open("about:blank")
    phone.open(f"{PAGE}#token={token(signing.new_uuid())}")
    phone.until(lambda: phone.find("#update").is_displayed())


def choose(phone, folder, data=FILE):
    (folder / "some.latchkey").write_bytes(data)
    phone.find("#update-file").send_keys(str(folder / "some.latchkey"))


def test_a_release_is_sent_as_it_is_goes_on_after_a_break_and_proves_itself(phone, tmp_path):
    device = phone.answer
    enter(phone)
    assert phone.text("#runs") == "This device runs version 1.0."
    device.answers = [None, (503, {"code": "no_memory"}), (202, {"state": "restarting", "version": "2.0"})]
    device.now["upload"] = {"sha256": MANIFEST["sha256"], "size": 50000, "received": 8192, "running": False}
    choose(phone, tmp_path)
    phone.until(lambda: len(phone.sent), 3)
    assert phone.sent[0] == ("PUT", "/v1/firmware", FILE)
    assert phone.sent[1:] == [("PUT", "/v1/firmware?from=8192", LINE + PAYLOAD[8192:])] * 2
    device.now = None
    phone.reads("#update-note", "This page then goes on by itself.")
    device.now = UNPROVEN
    phone.reads("#update-note", "The device tries version 2.0, for at most 14 minutes more.")
    device.now = NOW | {"version": "2.0", "counter": 8}
    phone.reads("#update-note", "The device keeps version 2.0: it works.")


def test_another_upload_that_the_device_holds_is_not_gone_on_with(phone, tmp_path):
    enter(phone)
    phone.answer.answers = [None, (200, {})]
    phone.answer.now["upload"] = {"sha256": "cd" * 32, "size": 50000, "received": 8192, "running": False}
    choose(phone, tmp_path)
    phone.until(lambda: [path for _, path, _ in phone.sent], ["/v1/firmware", "/v1/firmware"])
    phone.reads("#update-note", "Saved.")


def test_a_break_that_happens_again_and_again_ends(phone, tmp_path):
    enter(phone)
    phone.run("window.setTimeout = ((later) => (deed) => later(deed, 0))(window.setTimeout)")
    phone.answer.answers = [None] * 6
    choose(phone, tmp_path)
    phone.reads("#update-note", "The device does not answer.")
    assert phone.answer.answers == []


@pytest.mark.parametrize(
    "reason, words", [("crashed", "it crashed three"), ("not_good", "for 15 minutes"), ("reset", "the power went")]
)
def test_a_release_that_came_back_says_why(phone, tmp_path, reason, words):
    enter(phone)
    phone.answer.answers = [(202, {"state": "restarting", "version": "2.0"})]
    choose(phone, tmp_path)
    phone.until(lambda: phone.answer.now != NOW)
    phone.answer.now = NOW | {"last": {"result": "went_back", "version": "2.0", "reason": reason}}
    phone.reads("#update-note", "Version 2.0 did not work: " + words)
    enter(phone)
    phone.reads("#runs", "This device runs version 1.0. Version 2.0 did not work: " + words)


def test_a_page_that_is_opened_while_a_release_is_unproven_waits_for_its_end(phone):
    phone.answer.now = UNPROVEN
    enter(phone)
    phone.reads("#update-note", "for at most 14 minutes more")
    phone.answer.now = NOW | {"version": "2.0"}
    phone.reads("#update-note", "The device keeps version 2.0")


@pytest.mark.parametrize("code", ["presence_needed", "manifest_signature", "counter_low", "payload_refused", "no_room"])
def test_a_refusal_is_said_in_words(phone, tmp_path, code):
    enter(phone)
    phone.answer.answers = [(advice.CODES[code][0], {"code": code})]
    choose(phone, tmp_path)
    phone.reads("#update-note", f"What to do: {advice.advice(code)}.")


def test_what_is_not_a_release_file_is_not_sent(phone, tmp_path):
    enter(phone)
    for data in (b"", b"\x1f\x8b\0\xff" * 3000, b"Dear Marie,\n", base64.b64encode(b"{}") + b".e30.AA\n"):
        choose(phone, tmp_path, data)
        phone.reads("#update-note", "not a release file" if data[:1] != b"e" else "Saved.")
        phone.run("document.getElementById('update-note').textContent = ''")
        phone.answer.answers = [(200, {})]
    assert [path for _, path, _ in phone.sent] == ["/v1/firmware"]


def test_a_missed_key_set_goes_by_file_without_a_token(phone, tmp_path):
    phone.open("about:blank")
    phone.open(PAGE + "#token=" + token(signing.new_uuid())[:-8] + "AAAAAAAA")
    phone.reads("#runs", "If the device has missed new keys of the cloud")
    keys = signed("latchkey-keys", {"counter": 3}, b'{"keys": []}')
    phone.answer.answers = [(403, {"code": "presence_needed"}), (200, {"keys": 2})]
    choose(phone, tmp_path, keys)
    phone.reads("#update-note", "press the button")
    choose(phone, tmp_path, keys)
    phone.reads("#update-note", "The device has taken 2 keys. Use your token now.")
    assert phone.sent == [("PUT", "/v1/keys", keys)] * 2 and phone.find("#token-form").is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
def test_every_step_is_accessible_and_drawn(phone, tmp_path, language, scheme):
    def look(step):
        assert phone.run("return document.documentElement.scrollWidth") <= 390
        phone.picture(build.BUILD / "page" / f"{language[:2]}-{scheme}-update-{step}.png")
        assert phone.violations() == [] and phone.untranslated() == [], step

    phone.show(language, scheme)
    enter(phone)
    phone.run("document.getElementById('update-progress').hidden = false")  # a picture of what takes a moment
    look("1-sending")
    phone.answer.answers = [(202, {"state": "restarting", "version": "2.0"})]
    choose(phone, tmp_path)
    phone.until(lambda: phone.answer.now != NOW)
    phone.answer.now = UNPROVEN
    phone.reads("#update-note", "2.0")
    look("2-unproven")
    phone.answer.now = NOW | {"last": {"result": "went_back", "version": "2.0", "reason": "not_good"}}
    phone.until(lambda: "bad" in phone.find("#update-note").get_attribute("class"))
    look("3-back")


# The real firmware

HURRY = 30  # A release is good after two seconds instead of a minute, and a press counts for twenty.


@pytest.fixture(scope="module")
def maker():
    return releases.Maker()


@pytest.fixture(scope="module")
def desk(tmp_path_factory, maker):
    """With a button. ``desk.document``: that it was provisioned with."""
    folder = tmp_path_factory.mktemp("desk")
    document = maker.provisioning(folder, technician.key_set(), issuer=ISSUER)
    # 283 KB of words of 64 bits are in use before anybody calls; upload, stream and page take 30 more.
    with unix_board.Desk(folder / "desk", hurry=HURRY, button=True, heapsize="352K") as desk:
        desk.document = document
        desk.power_on().provision(document)
        yield desk


@pytest.fixture
def at_desk(desk, browser, device):
    browser.desk, browser.answer = desk, lambda *_: None
    browser.sent.clear()
    browser.show("en-GB", "light")
    yield browser
    browser.open("about:blank")
    browser.desk = device
    assert browser.complaints() == []


def test_a_device_that_missed_a_key_set_takes_it_from_the_phone_and_accepts_the_token(at_desk, desk, maker, tmp_path):
    phone = at_desk
    other = {"keys": [signing.jwk(*signing.new_key())]}
    desk.provision(desk.document | {"key_set": other, "time_unix_s": int(time.time())})
    phone.open(f"{PAGE}#token={technician.make_token()}")
    phone.reads("#runs", "If the device has missed new keys of the cloud")
    payload = json.dumps(technician.key_set()).encode()
    facts = {"slug": "company-example", "issuer": ISSUER, "iat": int(time.time()) + 9, "counter": 1}
    file = manifest.signed(manifest.KEYS, facts | manifest.described(payload), maker.sign, "RS256", payload)
    choose(phone, tmp_path, file)
    phone.reads("#update-note", "press the button")
    desk.press()
    choose(phone, tmp_path, file)
    phone.reads("#update-note", "The device has taken 1 keys.")
    choose(phone, tmp_path, file)
    phone.reads("#update-note", "newer file")
    phone.open("about:blank")
    phone.open(f"{PAGE}#token={technician.make_token()}")
    phone.reads("#token-verdict", "The device accepts this token.")


def test_the_real_firmware_takes_a_release_from_the_phone_over_a_connection_that_breaks(at_desk, desk, maker, tmp_path):
    phone = at_desk
    enter_with(phone, technician.make_token())
    release = maker.file(releases.payload(releases.files_of("9.0.0")), "9.0.0", int(time.time()))
    desk.press()
    phone.sent.clear()
    phone.cuts.append(len(release) // 2)
    choose(phone, tmp_path, release)
    phone.reads("#update-note", "The device keeps version 9.0.0: it works.", 90)
    assert desk.info()["version"] == "9.0.0"
    phone.reads("#about", "9.0.0")
    paths = [path for _, path, _ in phone.sent]
    assert paths[0] == "/v1/firmware" and paths[1].startswith("/v1/firmware?from=") and len(paths) == 2
    assert 0 < len(phone.sent[1][2]) < len(release) * 2 // 3


def test_the_real_firmware_goes_back_and_the_page_says_why(at_desk, desk, maker, tmp_path):
    phone = at_desk
    enter_with(phone, technician.make_token())
    before = desk.info()
    bad = releases.with_main(releases.files_of("6.6.6"), "import nothing_of_this_name", tmp_path)
    desk.press()
    choose(phone, tmp_path, maker.file(releases.payload(bad), "6.6.6", int(time.time())))
    phone.reads("#update-note", "Version 6.6.6 did not work: it crashed three times. The version before is back.", 90)
    assert desk.info() == before


def enter_with(phone, jwt):
    phone.open("about:blank")
    phone.open(f"{PAGE}#token={jwt}")
    phone.until(lambda: phone.find("#update").is_displayed())
    phone.reads("#token-verdict", "The device accepts this token.")
