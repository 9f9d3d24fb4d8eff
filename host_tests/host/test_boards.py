"""Every board's configuration drives its adapters over stand-ins of the chip's modules."""

import ast
import asyncio
import json
import re
import shutil
import subprocess
import sys

import esp32
import machine
import network
import on_board
import program_slots
import pytest
import radio_desk
from fake_clock import FakeClock

from latchkey.hw import battery, room, sht3x
from latchkey.hw.clock import Watchdog
from latchkey.products import fade
from latchkey_tools.boards import build, catalog

CHIPS = [name for name in catalog.names() if name != "desk"]


@pytest.fixture(autouse=True)
def file_system(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module in (fade, room):
        monkeypatch.setattr(module, "_BLINK_MS", 20)
    esp32._flash.clear()


class Sht:
    """The sensor's side of the bus: Sensirion's own example of a checksum is that of 0xBEEF."""

    answer = b"\xbe\xef\x92\xbe\xef\x92"

    def write(self, data):
        assert data == b"\x24\x00"

    def read(self):
        return self.answer


def names_used_of_a_board():
    """Attributes that the firmware asks of a board, by its sources."""
    found = set()
    for path, name in build.sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                owner = node.value
                word = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
                found |= {node.attr} if word in ("board", "_board") and "chip" not in name.stem else set()
    return found


@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_has_every_name_that_the_firmware_asks_of_a_board(name):
    used = names_used_of_a_board()
    assert {"store", "radio", "product", "factory_keys"} <= used
    made = on_board.board(name)
    assert [n for n in sorted(used) if not hasattr(made, n)] == []


def test_the_contract_of_a_board_has_every_name_that_the_firmware_asks_of_it():
    tree = ast.parse((catalog.FOLDER / "protocols.pyi").read_text())
    (contract,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Board"]
    names = {getattr(node, "name", None) or node.target.id for node in contract.body}
    assert names_used_of_a_board() - names == set()


def test_the_desk_has_every_name_that_the_firmware_asks_of_a_board():
    text = (catalog.FOLDER / "desk" / "board_config.py").read_text()
    missing = [n for n in names_used_of_a_board() if not re.search(rf"(self\.{n} =|def {n}\(|^    {n} =)", text, re.M)]
    assert missing == []


@pytest.mark.parametrize("name", CHIPS)
def test_a_board_tells_why_it_started_keeps_its_store_and_its_factory_keys(name):
    made = on_board.board(name, machine.WDT_RESET)
    assert made.reset_cause == "watchdog"
    file = made.store.create("x")
    file.write(b"kept")
    file.close()
    assert made.factory_keys() is None
    made.keep_factory_keys(b'{"keys":[]}')
    assert on_board.board(name).factory_keys() == b'{"keys":[]}'
    with pytest.raises(ValueError):
        made.keep_factory_keys(bytes(5000))
    made.restart()
    made.sleep(1000)
    assert machine._bench["calls"] == ["reset", ("deepsleep", 1000)]


@pytest.mark.parametrize("name", CHIPS)
def test_a_board_joins_a_network_and_has_its_address(name):
    made = on_board.board(name)
    made.clock = FakeClock()
    network._air.clock = made.clock
    network._air.put({"networks": [radio_desk.on_air("cellar")]})
    assert made.radio.addresses() == []
    made.radio.use("cellar", radio_desk.KEY)
    turns(made)
    assert made.radio.up() and made.radio.addresses() == ["127.7.0.7"]
    made.radio.use("cellar", "wrong key")
    turns(made)
    assert not made.radio.up() and made.radio.station()[1] == "wifi_wrong_passphrase"
    made.radio.open_ap("latchkey-792b6149", "on the label")
    assert made.radio.addresses() == ["127.4.0.1"]


def turns(made):
    for _ in range(30):
        made.clock.pass_s(0.1)
        made.radio.turn()


@pytest.mark.parametrize("name", CHIPS)
def test_a_board_s_note_outlives_everything_but_a_power_cut(name):
    on_board.board(name).note(b"kept")
    assert on_board.board(name, machine.HARD_RESET).note() == b"kept"


@pytest.mark.parametrize("name", CHIPS)
def test_a_release_goes_into_the_other_folder_or_slot_or_nowhere(name, tmp_path, monkeypatch):
    program_slots.Partition._chip = program_slots.Chip(first=program_slots.program(4096))
    program_slots.Partition._chip.start()
    made = on_board.board(name)
    assert (made.carrier().kind, made.carrier().running) == ("image", "ota_0")
    monkeypatch.setattr(esp32.Partition, "info", lambda _partition: (0, 0, 0x10000, 0x1F0000, "factory", False))
    assert made.carrier() is None
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "release").write_text("7\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "b"), *sys.path])
    assert (made.carrier().kind, made.carrier().running) == ("files", "b7")


@pytest.mark.parametrize("name", CHIPS)
def test_a_board_has_a_button_where_it_names_a_pin_for_it(name):
    made = on_board.board(name)
    assert (made.button is None) == (made.button_pin is None)
    if made.button:
        assert not made.button.down()
        machine._bench["pins"][made.button_pin] = 0
        assert made.button.down()


@pytest.mark.parametrize("name", CHIPS)
def test_a_board_s_product_is_what_it_says_and_tells_its_state(name):
    made = on_board.board(name)
    product = made.product()
    assert product.name == made.product_name and product.on_change is None
    json.dumps(product.state())
    assert callable(product.patch) and callable(product.identify)
    assert hasattr(product, "measure") == bool(made.measure_every_s or made.sleep_s)


def test_of_our_boards_the_sensors_have_a_button():
    pins = {"esp32-bulb": None, "esp32c3-bulb-rgb": None, "esp32s3-sensor": 0, "esp32c3-battery-sensor": 5}
    assert {name: on_board.board(name).button_pin for name in pins} == pins


def test_the_battery_sensor_is_woken_by_its_timer_or_its_button():
    made = on_board.board("esp32c3-battery-sensor")
    assert (made.sleep_s, made.wake()) == (300, None)
    made.sleep(5000)
    assert (esp32._wakes, machine._bench["calls"]) == ({"pins": (5,), "level": False}, [("deepsleep", 5000)])
    for reason, word in ((machine.TIMER_WAKE, "timer"), (7, "button")):
        made = on_board.board("esp32c3-battery-sensor", machine.DEEPSLEEP_RESET)
        machine._bench["wake"] = reason
        assert (made.reset_cause, made.wake()) == ("sleep", word)
    made = on_board.board("esp32s3-sensor")
    made.sleep(5000)
    assert (made.sleep_s, esp32._wakes["pins"]) == (None, ())


def test_a_sensor_that_only_measures_never_starts_its_wifi():
    made = on_board.board("esp32c3-battery-sensor")
    made.product()
    assert made._radio is None and made.radio is made.radio


@pytest.mark.parametrize("name", CHIPS)
def test_a_board_sets_its_clock_and_knows_no_time_before(name, monkeypatch):
    made = on_board.board(name)
    monkeypatch.setattr(made.clock, "unix_s", lambda: 946684800 + 5)
    assert made.now_unix_s() is None
    monkeypatch.setattr(made.clock, "unix_s", lambda: 1800000000)
    assert made.now_unix_s() == 1800000000
    made.clock.set_unix_s(1800000000)
    assert machine._bench["calls"][-1] == ("rtc", (2027, 1, 15, 4, 8, 0, 0, 0))


def test_the_white_bulb_mixes_warm_and_cold_and_never_more_than_one_at_full():
    made = on_board.board("esp32-bulb")
    bulb = made.product()
    light = bulb._light

    def duties(**fields):
        bulb.patch(dict(fields, on=True))
        return tuple(string._duty for string in light.strings)

    assert tuple(string._duty for string in light.strings) == (0, 0)
    assert duties(color_temp_k=2200) == (65535, 0)
    assert duties(color_temp_k=6500) == (0, 65535)
    for kelvin in range(2200, 6501, 50):
        assert sum(duties(color_temp_k=kelvin)) == 65535
    assert sum(duties(brightness_pct=50)) == 65535 // 4
    assert 0 < sum(duties(brightness_pct=1)) < 10
    bulb.patch({"on": False})
    assert tuple(string._duty for string in light.strings) == (0, 0)
    assert [string._pin._id for string in light.strings] == [25, 26]


def test_a_bulb_fades_to_where_it_was_sent_last():
    async def story():
        bulb = on_board.board("esp32-bulb").product()
        seen = watch(bulb._light)
        bulb.patch({"on": True, "transition_ms": 200})
        await asyncio.sleep(0.1)
        bulb.patch({"on": False, "transition_ms": 100})
        await asyncio.sleep(0.2)
        totals = [sum(levels) for levels in seen]
        top = totals.index(max(totals))
        assert 0 < totals[top] < 65535 and totals[-1] == 0 and len(totals) > 5
        assert totals == sorted(totals[:top]) + sorted(totals[top:], reverse=True)

    asyncio.run(story())


def test_a_bulb_that_blinks_ends_as_it_was_and_obeys_meanwhile():
    async def story():
        bulb = on_board.board("esp32c3-bulb-rgb").product()
        pixels = bulb._light.pixels
        bulb.patch({"on": True, "rgb": [255, 10, 0]})
        assert pixels._shown == [(255, 10, 0)]
        bulb.identify()
        await asyncio.sleep(0.01)
        assert pixels._shown == [(128, 128, 128)]
        await asyncio.sleep(0.3)
        assert pixels._shown == [(255, 10, 0)]
        bulb.identify()
        await asyncio.sleep(0.01)
        bulb.patch({"on": False})
        await asyncio.sleep(0.3)
        assert pixels._shown == [(0, 0, 0)]

    asyncio.run(story())


def watch(light):
    """Every pair of duties that ``light`` shows from now on."""
    seen, put = [], light.put
    light.put = lambda levels: (seen.append(levels), put(levels))
    return seen


def test_the_dimmest_colour_that_is_on_still_shows():
    bulb = on_board.board("esp32c3-bulb-rgb").product()
    bulb.patch({"on": True, "rgb": [1, 0, 255], "brightness_pct": 1})
    assert bulb._light.pixels._shown == [(1, 0, 1)]


def test_the_sensors_measure_and_no_or_a_broken_answer_changes_nothing():
    for name, percent in (("esp32s3-sensor", None), ("esp32c3-battery-sensor", 45)):
        made = on_board.board(name)
        assert made.measure_every_s >= 30
        product = made.product()
        machine._bench["adc_uv"][3] = 3790000 // 2
        with pytest.raises(OSError):
            product.measure()
        machine._bench["i2c"][0x44] = device = Sht()
        product.measure()
        state = product.state()
        assert (state["temperature_c"], state["humidity_pct"], state["battery_pct"]) == (85.5, 74.6, percent)
        device.answer = b"\xbe\xef\x93\xbe\xef\x92"
        with pytest.raises(OSError):
            product.measure()
        assert product.state() == state


def test_the_sensor_converts_as_its_datasheet_says():
    def answer(temperature, humidity):
        words = [value.to_bytes(2, "big") for value in (temperature, humidity)]
        return b"".join(word + bytes([sht3x.crc8(word)]) for word in words)

    def read(answer):
        device = Sht()
        device.answer = answer
        machine._bench["i2c"][0x44] = device
        return sht3x.Sht3x(machine.I2C(0, scl=machine.Pin(1), sda=machine.Pin(2), freq=100000), lambda _ms: None).read()

    assert sht3x.crc8(b"\xbe\xef") == 0x92
    assert read(answer(0, 0)) == (-45.0, 0.0)
    assert read(answer(65535, 65535)) == (130.0, 100.0)
    good = answer(0x6666, 0x8000)
    for bit in range(48):
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(OSError):
            read(flipped)


def test_a_sensor_s_lamp_blinks_and_ends_dark():
    async def story(name, dark):
        product = on_board.board(name).product()
        lamp = product._sensor._lamp
        assert lamp._value == dark
        product.identify()
        await asyncio.sleep(0.01)
        assert lamp._value == 1 - dark
        await asyncio.sleep(0.3)
        assert lamp._value == dark

    asyncio.run(story("esp32s3-sensor", 0))
    asyncio.run(story("esp32c3-battery-sensor", 1))


def test_a_battery_empties_along_its_curve():
    percents = [battery.percent_of(mv) for mv in range(3000, 4300, 5)]
    assert percents == sorted(percents) and percents[0] == 0 and percents[-1] == 100
    assert 40 <= battery.percent_of(3790) <= 50


def test_the_watchdog_is_fed_only_while_loop_and_link_make_progress():
    wdt = machine.WDT(timeout=60000)
    dog = Watchdog(wdt)
    for turns in (1, 2, 2, 2, 3):
        dog.look(turns)
    assert wdt._fed == 3
    dog.look(None)
    dog.look(None)
    assert wdt._fed == 5
    assert on_board.board("esp32-bulb").watchdog()._wdt._timeout >= 30000


def test_every_board_has_its_files():
    files = ("board.json", "mpconfigboard.h", "mpconfigboard.cmake", "manifest.py")
    for name in catalog.names():
        wanted = ("board_config.py", "board.md") + (files if name != "desk" else ("start.py",))
        assert [f for f in wanted if not (catalog.folder(name) / f).exists()] == [], name
        assert set(json.loads((catalog.folder(name) / "board.json").read_text())) >= {"mcu", "product", "features"}


@pytest.mark.parametrize("name", CHIPS)
def test_a_partition_table_fills_the_flash_without_gap_or_overlap(name):
    text = read(catalog.folder(name) / "partitions.csv") or read(catalog.COMMON / "partitions.csv")
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line and line[0] != "#"]
    at = 0x9000
    for _label, _kind, _sub, offset, size, *_ in rows:
        assert int(offset, 0) == at
        at += int(size, 0)
    # The board's own settings come last, and the last one counts.
    settings = read(catalog.COMMON / "sdkconfig.latchkey") + read(catalog.folder(name) / "sdkconfig.board")
    assert at == int(re.findall(r"FLASHSIZE_(\d+)MB=y", settings)[-1]) << 20
    assert rows[-1][0] == "vfs"


def read(path):
    return path.read_text() if path.exists() else ""


def test_what_all_boards_share_stands_once():
    """Two may be alike: a board of one's own begins as a copy."""

    def by_all(file):
        return set.intersection(*(set(read(catalog.folder(name) / file).splitlines()) for name in CHIPS))

    shared = "".join(read(catalog.COMMON / file) for file in ("sdkconfig.latchkey", "partitions.csv", "latchkey.h"))
    lines = [line for name in CHIPS for line in read(catalog.folder(name) / "sdkconfig.board").splitlines()]
    assert [line for line in lines if line.startswith("CONFIG_") and line in shared.splitlines()] == []
    assert [line for line in by_all("mpconfigboard.h") if line.startswith("#define") and "_NAME" not in line] == []
    tables = [path.read_bytes() for path in catalog.FOLDER.glob("*/partitions.csv") if path.parent != catalog.COMMON]
    assert (catalog.COMMON / "partitions.csv").read_bytes() not in tables


def test_the_board_headers_define_nothing_that_the_port_defines_anyway():
    """Each of these is guarded by #ifndef, or not there at all, in MicroPython 1.29's ports/esp32/mpconfigport.h."""
    guarded = {"MICROPY_PY_ESPNOW", "MICROPY_PY_BLUETOOTH", "MICROPY_HW_ENABLE_UART_REPL"}
    guarded |= {"MICROPY_HW_BOARD_NAME", "MICROPY_HW_MCU_NAME", "MICROPY_GC_INITIAL_HEAP_SIZE"}
    defined = {name for path in catalog.FOLDER.glob("*/*.h") for name in re.findall(r"#define (\w+)", path.read_text())}
    assert defined == guarded


def test_a_copy_of_a_board_passes_the_tests_of_boards_as_it_is(tmp_path):
    """As boards/README.md promises; every name is found by glob."""
    shutil.copytree(catalog.FOLDER, tmp_path / "boards")
    for name in CHIPS:
        shutil.copytree(catalog.folder(name), tmp_path / "boards" / f"a-{name[5:]}")
    (tmp_path / "firmware").symlink_to(build.FIRMWARE)
    (tmp_path / "build").symlink_to(build.BUILD)
    files = [f"host_tests/host/test_{name}.py" for name in ("boards", "manifests", "chip_names")]
    chosen = "a- or our_boards or every_board or share or headers or left_out or every_name"
    options = ["-q", "-x", "-p", "no:cacheprovider", "-k", chosen]
    script = f"""
import sys, pytest
from pathlib import Path
from latchkey_tools.boards import catalog
catalog.FOLDER = Path({str(tmp_path / "boards")!r})
catalog.COMMON = catalog.FOLDER / "common"
sys.exit(pytest.main({[*options, *files]!r}))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=build.ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0 and int(done.stdout.split(" passed")[0].split()[-1]) > 8 * len(CHIPS), done.stdout
