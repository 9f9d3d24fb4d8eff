"""The firmware stays within its budgets, and the mip package works on a heap of a board's size."""

import json

import pytest

from latchkey_tools.boards import build
from latchkey_tools.desk import unix_board
from latchkey_tools.dev import frozen, size

MIP = """
import json
from latchkey import jwk, jws
rows = [json.loads(line) for line in open("rows.json")]
keys = [jwk.parse_key(rows[0]["jwk"])]
header, payload, key = jws.verify_compact(rows[1]["token"].encode(), keys)
print(header["alg"], len(payload))
"""


@pytest.fixture(scope="module")
def sizes():
    return size.all_sizes()


def test_nothing_is_beyond_its_ratchet(sizes):
    budgets = json.loads(size.BUDGETS.read_text())
    assert sizes.keys() == budgets.keys()
    assert size.beyond(sizes, budgets) == []


def test_what_is_measured_is_there(sizes):
    assert sizes["verifier_ram_romfs"] < sizes["bulb_ram_romfs"] < sizes["bulb_ram_mpy"]
    assert sizes["verifier_ram_mpy"] < sizes["bulb_ram_mpy"] and sizes["verifier_mpy_bytes"] < sizes["bulb_mpy_bytes"]
    # A connection's buffer alone has 3 KB; settings, certificates and 20 records of 65 bytes come to it.
    assert sizes["bulb_held_beside_modules"] > 8 * 1024
    assert sizes["functions"] > 100 and sizes["longest_function_lines"] > 10 and sizes["firmware_lines"] > 1000
    assert all({"latchkey/verifier.mpy", "board_config.mpy"} <= size.bulb(arch).keys() for arch in size.BULBS)


def test_names_constants_and_code_add_up_to_the_whole():
    whole = sum(size.modules("xtensawin").values())
    names, constants, code = size.bulb_parts("xtensawin")
    assert names + constants + code == whole and min(names, constants, code) > 5000


def test_what_is_frozen_is_the_bulb_without_its_machine_code(tmp_path):
    frozen.lay_out(tmp_path / "bulb")
    laid = {
        path.relative_to(tmp_path / "bulb").with_suffix(".mpy").as_posix() for path in tmp_path.rglob("bulb/**/*.py")
    }
    assert size.bulb("xtensawin").keys() - laid == {"latchkey/montgomery.mpy", "latchkey/sha512_viper.mpy"}
    assert laid < size.bulb("xtensawin").keys()


def test_what_is_beyond_a_ratchet_is_named():
    budgets = {"a": {"ratchet": 10}, "b": {"ratchet": 10, "goal": 5}}
    assert size.beyond({"a": 11, "b": 10}, budgets) == ["a: 11, 10 allowed"]


def test_mpremote_installs_the_mip_package_and_it_verifies_a_token_on_a_board(tmp_path):
    rows = json.loads((build.ROOT / "host_tests" / "vectors" / "selftest.json").read_text())
    good = next(r for r in rows if r["op"] == "jws" and not r.get("want"))
    key = next(r for r in rows if r["op"] == "key" and r["name"] == good["keys"].split()[0])
    (tmp_path / "tree" / "lib").mkdir(parents=True)
    (tmp_path / "tree" / "rows.json").write_text(json.dumps(key) + "\n" + json.dumps(good) + "\n")
    with unix_board.Desk(tmp_path / "desk", tree=tmp_path / "tree") as board:
        board.power_on(wait=False)
        board.mpremote("mip", "install", "--target", "lib", build.FIRMWARE / "package.json")
        alg, length = board.mpremote("exec", MIP).split()
    assert alg in ("RS256", "RS512") and int(length) >= 0
