"""The desk's button, memory, sleep, pins and air, with a small program in the firmware's place."""

import os
import signal
import time

import httpx
import pytest
from test_desk import wait_until

from latchkey_tools.desk import unix_board

# Says what board_config gives, and does the action of a path.
MAIN = """
import asyncio, json
from board_config import Board

board = Board()

def told():
    return {
        "cause": board.reset_cause, "wake": board.wake(), "down": board.button.down() if board.button else None,
        "note": board.note().decode(), "sleep_s": board.sleep_s, "hurry": board.hurry,
        "product": board.product_name, "addresses": list(board.radio.addresses()), "networks": board.radio.networks,
        "station": board.radio.station(), "ap": board.radio.ap_open,
        "came": [board.radio.channel(p) for p in ("127.0.0.1", "127.4.0.2", "127.7.0.20", "192.0.2.9")],
    }

def do(path):
    word, _, rest = path[1:].partition("/")
    if word == "note":
        board.note(rest.encode())
    elif word == "sleep":
        board.sleep(int(rest))
    elif word == "moving":
        import network
        network._air.move_ms = int(rest)
    elif word == "use":
        board.radio.use(rest, "open sesame")
    elif word == "close":
        board.radio.close_ap()
    elif word == "ap":
        board.radio.use(None, None)
        board.radio.scan()
        board.radio.open_ap("latchkey-1", "on the label")
    elif word == "light":
        product.patch({"on": True, "brightness_pct": 100})

product = board.product()

async def answer(reader, writer):
    try:
        line = await reader.readline()
        while await reader.readline() not in (b"\\r\\n", b""):
            pass
        do(line.decode().split()[1])
        await writer.awrite(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + json.dumps(told()).encode())
    finally:
        await writer.wait_closed()

async def serve():
    await asyncio.start_server(answer, *board.listen[:2])
    while True:
        board.radio.turn()
        board.watchdog().look()
        await asyncio.sleep(0.02)

def run():
    asyncio.run(serve())
"""
HOME = {"ssid": "home", "passphrase": "open sesame", "channel": 11}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = unix_board.firmware_tree(tmp_path_factory.mktemp("tree"))
    (folder / "main.py").unlink()
    (folder / "main.py").write_text(MAIN)
    return folder


@pytest.fixture
def boards(tree, tmp_path):
    """Makes desks with ``how``, switched on."""
    made = []

    def make(**how):
        made.append(unix_board.Desk(tmp_path / f"desk{len(made)}", tree=tree, **how))
        return made[-1].power_on()

    yield make
    for board in made:
        board.close()


def ask(board, path="/", source="127.0.0.1", host="127.0.0.1"):
    with httpx.Client(transport=httpx.HTTPTransport(local_address=source), timeout=5) as client:
        return client.get(f"http://{host}:{board.port}{path}").json()


def woken(board, wake):
    try:
        return ask(board)["wake"] == wake
    except httpx.HTTPError:
        return False


def test_a_wired_desk_is_what_it_was(boards):
    told = ask(boards())
    assert (told["product"], told["hurry"], told["sleep_s"], told["wake"]) == ("bulb", 1, None, None)
    assert (told["addresses"], told["station"]) == (["127.0.0.1", "localhost"], [True, "", None, None, 0])
    assert told["came"] == ["loopback", "loopback", "loopback", "lan"]


def test_the_button_is_down_while_it_is_pressed(boards):
    board = boards()
    assert ask(board)["down"] is False
    board.press(0.6, wait=False)
    assert ask(board)["down"] is True and board.button_state() == "down"
    wait_until(lambda: ask(board)["down"] is False)
    bulb = boards(air={"networks": []})
    assert ask(bulb)["down"] is None
    with pytest.raises(unix_board.DeskError, match="no button"):
        bulb.press()
    assert ask(boards(air={"networks": []}, button=True))["down"] is False


@pytest.mark.device_dies
def test_the_note_outlives_resets_and_crashes_but_no_power_cut(boards):
    board = boards()
    ask(board, "/note/kept")
    for number, starts in ((signal.SIGKILL, 2), (signal.SIGSEGV, 3)):
        os.kill(board.pid, number)
        wait_until(lambda starts=starts: board.starts == starts)
        board.wait_ready()
        assert (ask(board)["note"], ask(board)["cause"]) == ("kept", "reset")
    board.restart()
    assert (ask(board)["note"], ask(board)["cause"]) == ("", "power")


def test_the_power_can_be_cut_five_times_in_a_row(boards):
    board = boards()
    for _ in range(5):
        board.power_cut()
        board.power_on(wait=False)
    board.wait_ready()
    assert (board.starts, ask(board)["cause"]) == (6, "power")


def fall_asleep(board, ms):
    with pytest.raises(httpx.HTTPError):
        ask(board, f"/sleep/{ms}")
    wait_until(lambda: board.asleep)


def test_deep_sleep_ends_by_timer_button_or_power_cut(boards):
    board = boards(battery=True, hurry=100)
    told = ask(board, "/note/kept")
    assert (told["product"], told["sleep_s"], told["hurry"]) == ("sensor", 3, 100)
    since = time.monotonic()
    fall_asleep(board, 800)
    assert board.pid is None
    wait_until(lambda: woken(board, "timer"))
    assert time.monotonic() - since >= 0.8
    assert (ask(board)["cause"], ask(board)["note"]) == ("sleep", "kept")
    fall_asleep(board, 60000)
    board.press(0.2)
    wait_until(lambda: woken(board, "button"))
    fall_asleep(board, 60000)
    board.power_cut()
    assert not board.asleep
    board.power_on()
    assert (ask(board)["cause"], ask(board)["wake"], ask(board)["note"]) == ("power", None, "")


def test_switching_on_what_sleeps_does_not_wake_it(boards):
    board = boards(battery=True)
    fall_asleep(board, 60000)
    since = time.monotonic()
    board.power_on(wait=False)
    assert board.asleep and time.monotonic() - since < 5


def test_the_light_drives_its_pins(boards):
    board = boards(pins=True)
    assert board.pin_levels() == {"25": 0, "26": 0}
    ask(board, "/light")
    wait_until(lambda: sum(board.pin_levels().values()) == 65535)
    wait_until(lambda: "light:" in board.log_text())


def test_on_air_a_phone_and_a_laptop_each_reach_it_by_their_own_network(boards):
    board = boards(air={"networks": [HOME]})
    told = ask(board, "/ap")
    assert (told["ap"], told["networks"]) == (True, [["home", -50, True]])
    assert ask(board, source="127.4.0.2", host="127.4.0.1")["addresses"] == ["127.0.0.1", "localhost", "127.4.0.1"]
    assert ask(board)["came"] == ["loopback", "ap", None, None]
    state = {"joined": None, "address": False, "access_point": "latchkey-1", "channel": 1}
    assert board.radio_state() == state
    ask(board, "/moving/600000")
    ask(board, "/use/home")
    wait_until(lambda: ask(board)["station"][0])
    assert ask(board, source="127.7.0.20", host="127.7.0.7")["station"][2:4] == ["127.7.0.7", "127.7.0.1"]
    wait_until(lambda: board.radio_state() == state | {"joined": "home", "address": True, "channel": 11})
    assert ask(board)["came"] == ["loopback", None, "lan", None]  # phones dropped off, and follow to its channel
    ask(board, "/moving/1")
    wait_until(lambda: ask(board)["came"] == ["loopback", "ap", "lan", None])
    assert ask(board, "/close")["came"] == ["loopback", None, "lan", None]
    board.cut_uplink()
    wait_until(lambda: ask(board)["station"][0] is False)
    board.restore_uplink()
    wait_until(lambda: ask(board)["station"][0])
    board.set_air({"networks": []})
    wait_until(lambda: ask(board)["station"][0] is False)
    assert ask(board)["came"] == ["loopback", None, None, None]
    board.set_air({"networks": [HOME]})
    wait_until(lambda: ask(board)["station"][0], within_s=30)


def test_what_is_on_air_may_stand_in_a_file_of_one_s_own(boards, tmp_path):
    file = tmp_path / "house.json"
    file.write_text('{"networks": [{"ssid": "guests"}]}')
    board = boards(air=file)
    assert board.on_air() == [{"ssid": "guests"}]
    assert ask(board, "/ap")["networks"] == [["guests", -50, False]]
    for broken in ("", "{}", '{"networks": [{}]}', "[]"):
        file.write_text(broken)
        time.sleep(0.15)
        assert ask(board, "/ap")["networks"] == [["guests", -50, False]]


def test_a_wired_desk_has_no_air(boards):
    board = boards()
    for what in (board.on_air, lambda: board.set_air({"networks": []})):
        with pytest.raises(unix_board.DeskError, match="no Wi-Fi"):
            what()
    assert board.radio_state() is None
