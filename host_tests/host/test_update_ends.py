"""Updates of the desk from end to end, with the real firmware: what is good stays, and everything else comes back."""

import functools
import random
import threading
import time

import pytest
import releases
import updated_desk
from updated_desk import call, firmware, good, send, until

import counts
from latchkey_tools.desk import unix_board

BAD = {
    "crashes at import": "import nothing_of_this_name",
    "crashes at the first request": """
import machine, real
from latchkey.api import handlers
inner = handlers.Api.answer
def answer(self, request, body=b""):
    if request.grant:
        machine.reset()
    return inner(self, request, body)
handlers.Api.answer = answer
run = real.run
""",
    "crashes after a minute": """
import real
from latchkey.device import app
inner = app.Device.turn
def turn(self):
    inner(self)
    if self.uptime_s() > 2:
        raise ValueError("after a minute")
app.Device.turn = turn
run = real.run
""",
    "answers nobody and reaches no broker": """
import real
from latchkey import verifier
from latchkey.errors import TokenError
def verify(self, token, *more, **others):
    raise TokenError("bad_signature")
verifier.Verifier.verify = verify
run = real.run
""",
}


def version(desk):
    """The running version, read without a token, which proves nothing."""
    try:
        return desk.info()["version"]
    except unix_board.httpx.HTTPError:
        return None


@pytest.fixture(scope="module")
def maker():
    return releases.Maker()


@pytest.fixture(scope="module")
def files():
    return releases.files_of("9.0.0")


@pytest.fixture(scope="module")
def desk(tmp_path_factory, maker):
    with updated_desk.running(tmp_path_factory.mktemp("updates"), maker) as desk:
        yield desk


def kept(desk):
    """The data that an update must keep."""
    found = call(desk, "GET", "/v1/diagnostics")[1]
    return [found["keys"], found["ledger"], found["https_cert_not_after"], call(desk, "GET", "/v1/config")[1]]


def test_a_release_arrives_runs_is_good_and_takes_nothing_with_it(desk, maker, files):
    until(desk, lambda: good(desk))
    before, then = firmware(desk), kept(desk)
    counter = before["counter"] + 2
    release = maker.file(releases.payload(files), "9.0.0", counter)
    assert send(desk, release) == (202, {"state": "restarting", "version": "9.0.0"})
    until(desk, lambda: firmware(desk).get("running", before["running"]) != before["running"])
    # These requests carry a valid token.
    until(desk, lambda: good(desk))
    after = firmware(desk)
    assert (after["version"], after["counter"], after["last"]) == ("9.0.0", counter, None)
    assert kept(desk) == then
    desk.restart()
    assert firmware(desk)["running"] == after["running"] and kept(desk) == then
    older = maker.file(releases.payload(files), "9.0.1", counter - 1)
    assert send(desk, older)[1]["code"] == "counter_low"


@pytest.mark.parametrize("fault", BAD)
def test_a_release_that_does_not_work_gives_way_to_the_one_before(desk, maker, files, tmp_path, fault):
    until(desk, lambda: good(desk))
    before, then = firmware(desk), kept(desk)
    # Its own version, to be seen without a token.
    bad = releases.with_main(files | of_version("6.6.6"), BAD[fault], tmp_path)
    release = maker.file(releases.payload(bad), "6.6.6", before["counter"] + 1)
    assert send(desk, release)[0] == 202
    if fault == "crashes at import":
        until(desk, lambda: "nothing_of_this_name" in desk.log_text())
    else:
        until(desk, lambda: version(desk) == "6.6.6")
    asks = fault in ("crashes at the first request", "answers nobody and reaches no broker")
    until(desk, lambda: (firmware(desk) or {}).get("state") if asks else version(desk) not in (None, "6.6.6"))
    until(desk, lambda: good(desk))
    after = firmware(desk)
    reason = "not_good" if "nobody" in fault else "crashed"
    assert after["last"] == {"result": "went_back", "version": "6.6.6", "reason": reason}
    assert after == before | {"last": after["last"], "upload": None} and kept(desk) == then
    assert call(desk, "GET", "/v1/diagnostics")[1]["crashes"] == 0


@functools.cache
def of_version(number):
    files = releases.files_of(number)
    return {"latchkey/__init__.mpy": files["latchkey/__init__.mpy"]}


def test_a_power_cut_at_any_moment_leaves_the_old_or_the_new_release(desk, maker, files):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(counts.get("update_power_cuts")):
        until(desk, lambda: good(desk))
        before, then = firmware(desk), kept(desk)
        release = maker.file(releases.payload(files), "9.0.0", before["counter"] + 1)
        upload = threading.Thread(target=quietly, args=(send, desk, release))
        upload.start()
        time.sleep(chance.uniform(0, 6))
        desk.power_cut()
        upload.join()
        desk.power_on()
        now = firmware(desk)
        assert now["running"] == before["running"] or now["version"] == "9.0.0", now
        assert kept(desk) == then


def quietly(act, *parts):
    try:
        act(*parts)
    except OSError:
        pass
