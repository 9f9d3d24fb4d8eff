"""A sensor on battery on the unix port: sleeps between measurements, opens its API by hand and on schedule."""

import time

import pytest
from test_commissioning import CABLE, GONE, LAPTOP, Cellar


@pytest.fixture
def cellar(tmp_path, request):
    made = Cellar(tmp_path, hurry=1, battery=True)
    made.desk.hurry = request.param  # from its next start on: hurried, it may sleep before mpremote gets to run
    yield made
    made.close()


def hurried(times):
    """300 s between measurements and of API after the button, 60 s at every twelfth measurement, divided."""
    return pytest.mark.parametrize("cellar", [times], indirect=True)


def asleep(cellar):
    return cellar.desk.asleep


@hurried(50)
def test_a_sensor_sleeps_wakes_by_its_button_and_keeps_its_network_time_and_ledger(cellar):
    cellar.unbox().pair()
    cellar.until("online", cellar.cloud_state, 40)
    cellar.until(2, lambda: cellar.diagnostics()["ledger"]["tokens"])
    before = cellar.diagnostics()
    assert before["sleep"]["misses_live_lists"] is True
    assert cellar.call(LAPTOP, "GET", "/v1/state")[1]["temperature_c"] == 21.5
    cellar.until(True, lambda: asleep(cellar), 60)
    assert cellar.call(CABLE, "GET", "/v1/info") == GONE
    cellar.sim.revoke(cellar.other.uuid, leave=True)
    cellar.desk.press(0.2)
    cellar.until(200, lambda: cellar.call(LAPTOP, "GET", "/v1/state")[0])
    after = cellar.diagnostics()
    assert after["reset_cause"] == "sleep" and after["crashes"] == 0
    assert after["clock"]["floor_unix_s"] >= before["clock"]["floor_unix_s"]
    state = cellar.call(LAPTOP, "GET", "/v1/state")[1]
    assert state["measured_unix_s"] >= time.time() - 30
    cellar.until((401, "revoked"), lambda: cellar.code(CABLE, "GET", "/v1/state", token=cellar.other.jwt), 40)


def times_opened(cellar):
    """How often its API was; a window of a second is easily missed by calling."""
    return cellar.desk.log_text().count("started: ")


@hurried(150)
def test_most_measurements_open_nothing_and_the_twelfth_does(cellar):
    cellar.unbox()
    cellar.until(True, lambda: asleep(cellar), 60)
    starts, opened = cellar.desk.starts, times_opened(cellar)
    cellar.until(opened + 1, lambda: times_opened(cellar), 120)
    assert cellar.desk.starts - starts == 12
    cellar.until(True, lambda: asleep(cellar), 30)


@hurried(150)
def test_who_is_connected_keeps_it_awake(cellar):
    cellar.unbox()
    end = time.monotonic() + 8
    while time.monotonic() < end:
        assert cellar.call(CABLE, "GET", "/v1/state")[0] == 200
        time.sleep(0.2)
    assert not asleep(cellar)
