"""`latchkey release` and `latchkey device update` against the real firmware on two desks, end to end."""

import contextlib
import json
import shutil
import socket
import threading

import pytest
import releases
from technician import OTHER_SYSTEM, SYSTEM, Keyboard, keep, key_set, make_token

from latchkey_tools.desk.unix_board import Desk
from latchkey_tools.device import update
from latchkey_tools.release import payload
from latchkey_tools.sim import signing

ISSUER = "https://company-example.api.drivr.cloud"
# A minute of running is two seconds, and a release that is not good goes back after half a minute.
HURRY = 30


class Cable:
    """A network cable to a device: ``cut_after`` bytes (a list, one for each upload) it breaks, or with ``holds`` set
    it carries no more of the upload that has come so far. Looks at a device pass."""

    def __init__(self, port, cut_after=(), holds=False):
        self.cut_after, self.held = list(cut_after), threading.Event()
        self._port, self._holds = port, holds
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._server.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                near.close()
                continue
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()
            threading.Thread(target=self._answer, args=(far, near), daemon=True).start()

    def _carry(self, near, far):
        passed, most = 0, None
        while data := self._received(near):
            if data.startswith(b"PUT") and self.cut_after:
                most = self.cut_after.pop(0)
            passed += len(data)
            if most is None or passed < most:
                with contextlib.suppress(OSError):
                    far.sendall(data)
            elif self._holds:
                self.held.set()
            else:
                break  # The last bytes are lost.
        self._end(near, far)

    def _answer(self, far, near):
        with contextlib.suppress(OSError):
            while data := self._received(far):
                near.sendall(data)
        self._end(near, far)

    @staticmethod
    def _end(*ends):
        # close() alone says nothing to the peer while the other thread waits here.
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _received(end):
        try:
            return end.recv(4096)
        except OSError:
            return b""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    with Desk(tmp_path_factory.mktemp("image")) as board:
        return board.image


@pytest.fixture(scope="module")
def maker():
    return releases.Maker()


@pytest.fixture
def rig(image, tmp_path, maker, monkeypatch):
    """A maker and technician at a keyboard, with two ``desks`` that have the maker's keys and no broker."""
    monkeypatch.setattr(update, "POLL_S", 0.2)
    rig = Keyboard(tmp_path)
    rig.key, _ = releases.pems(tmp_path, "release", maker.release)
    rig.other_key, _ = releases.pems(tmp_path, "other", maker.recovery)
    rig.desks = []
    for system in (SYSTEM, OTHER_SYSTEM):
        folder = tmp_path / system
        folder.mkdir()
        shutil.copy(image, folder / "flash.img")
        desk = Desk(folder, hurry=HURRY).power_on()
        rig.desks.append(desk)
        desk.provision(maker.provisioning(tmp_path, key_set(), system, ISSUER, updates="configure_plain"))
        keep(rig, system[:8], system=system)
    yield rig
    for desk in rig.desks:
        desk.close()


def signed(rig, version, counter, main=None):
    """A release file of what a desk runs; ``main``: the source of its main module instead of its own."""
    path, out = rig.folder / f"{version}.payload", rig.folder / f"{version}.latchkey"
    rig.ok("release", "build", "--board", "desk", "--version", version, "-o", path)
    if main:
        files = releases.with_main(releases.unpacked(path.read_bytes()), main, rig.folder)
        path = releases.small(rig.folder, files, version=version, room=payload.room("files", releases.payload(files)))
    rig.ok("release", "sign", path, "--counter", counter, "--key", rig.key, "-o", out)
    return out


def send(rig, file, *hosts, status=0, more=()):
    """[(state, words)] for each host."""
    done = rig.run("device", "update", *hosts, file, "--json", *more)
    assert done.status == status, (done, [desk.last_words() for desk in rig.desks])
    assert rig.spilt() == []
    return [(result["state"], result["words"]) for result in json.loads(done.out)]


def test_two_devices_get_a_release_over_connections_that_break_and_after_ctrl_c(rig):
    first, second = rig.desks
    file = signed(rig, "1.2.0", 12)
    held = Cable(first.port, [60_000], holds=True)
    with rig.terminal("device", "update", held.url, file) as screen:
        assert held.held.wait(60)
        screen.sendintr()
        screen.expect("the same command continues here")
    assert screen.exitstatus == 130 and first.info()["version"] == "0.1.0"
    held.close()
    cables = [Cable(first.port, [90_000]), Cable(second.port, [30_000, 50_000])]
    results = send(rig, file, *(cable.url for cable in cables))
    assert results == [("good", "it runs 1.2.0")] * 2 and all(not cable.cut_after for cable in cables)
    assert [desk.info()["version"] for desk in rig.desks] == ["1.2.0", "1.2.0"]
    assert first.log_text().count("1.2.0 begins") == 1  # it went on, and did not begin anew
    assert send(rig, file, first.url, second.url) == [("has it", "it runs 1.2.0 already")] * 2
    for cable in cables:
        cable.close()


def test_a_release_that_crashes_is_back_on_one_device_and_goes_to_no_other(rig):
    first, second = rig.desks
    file = signed(rig, "1.4.0", 14, "raise ValueError('a mistake')\n")
    went, left = send(rig, file, first.url, second.url, "--at-once", "1", status=1)
    assert went == ("went back", "1.4.0 went back to 0.1.0: it crashed") and left[0] == "not begun"
    assert [desk.info()["version"] for desk in rig.desks] == ["0.1.0", "0.1.0"]
    assert "1.4.0 went back: it crashed" in rig.run("doctor", first.url).out
    assert "1.4.0" not in second.log_text()
    assert send(rig, signed(rig, "1.5.0", 15), first.url) == [("good", "it runs 1.5.0")]
    assert "went back" not in rig.run("doctor", first.url).out


def test_a_new_release_key_takes_the_place_of_one_that_leaked(rig):
    first, _ = rig.desks
    new, out = rig.folder / "new.latchkey", rig.folder / "again.latchkey"
    next_key, next_public = releases.pems(rig.folder, "next", releases.Maker().release)
    rig.ok("release", "new-key", next_public, "--counter", 1, "--key", rig.other_key, "-o", new)
    old = signed(rig, "1.2.0", 12)
    assert send(rig, new, first.url) == [("good", "it has the new release key, counter 1")]
    ((state, words),) = send(rig, old, first.url, status=1)
    assert state == "failed" and words.startswith("manifest_signature: ")
    payload = rig.folder / "1.2.0.payload"
    rig.ok("release", "sign", payload, "--counter", 13, "--key", next_key, "-o", out)
    assert send(rig, out, first.url) == [("good", "it runs 1.2.0")]


def test_a_device_that_missed_a_change_of_keys_takes_them_signed_after_a_press_of_its_button(rig):
    first, _ = rig.desks
    kid, key = signing.new_key()
    (rig.folder / "jwks.json").write_text(json.dumps({"keys": [signing.jwk(kid, key)]}))
    out, how = rig.folder / "keys.latchkey", ("--counter", 1, "--key", rig.key)
    words = ("release", "keys", rig.folder / "jwks.json", "--slug", "company-example", "--issuer", ISSUER)
    rig.ok(*words, *how, "-o", out)
    done = rig.run("device", "keys", first.url, out)
    assert done.status == 1 and "presence_needed" in done.err
    while "button: " not in first.log_text():
        first.press()  # A desk on a busy machine may miss one.
    assert "it has the key set, with 1 key" in rig.ok("device", "keys", first.url, out)
    assert "bad_signature" in rig.run("device", "state", first.url).err
    rig.ok("token", "import", "-", "--name", "new", given=make_token(key=key))
    assert rig.run("device", "state", first.url).status == 0
