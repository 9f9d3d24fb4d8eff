"""The firmware stays within its budgets, and the mip package works on a heap of a board's size."""

import json

from latchkey_tools.boards import build
from latchkey_tools.desk import unix_board
from latchkey_tools.dev import size

MIP = """
import json
from latchkey import jwk, jws
rows = [json.loads(line) for line in open("rows.json")]
keys = [jwk.parse_key(rows[0]["jwk"])]
header, payload, key = jws.verify_compact(rows[1]["token"].encode(), keys)
print(header["alg"], len(payload))
"""


def test_nothing_is_beyond_its_ratchet():
    budgets = json.loads(size.BUDGETS.read_text())
    sizes, modules = size.all_sizes()
    assert list(size.beyond(sizes, budgets)) == []
    assert all("latchkey/verifier.mpy" in found and "board_config.mpy" in found for found in modules.values())
    verifier, bulb = sizes["ram_bytes"]["verifier"], sizes["ram_bytes"]["bulb"]
    assert all(verifier[place] < bulb[place] for place in ("mpy", "romfs")) and bulb["romfs"] < bulb["mpy"]
    # The goals stand beside the ratchets until they are met.
    assert budgets["mpy_bytes"]["bulb"]["goal"] == 48 * 1024 and budgets["mpy_bytes"]["verifier"]["goal"] == 16 * 1024


def test_names_constants_and_code_add_up_to_the_whole():
    whole = size.measure("xtensawin")[1]
    names, constants, code = size.bulb_parts("xtensawin")
    assert names + constants + code == whole and min(names, constants, code) > 5000


def test_what_is_beyond_a_ratchet_is_named():
    sizes = {"mpy_bytes": {"bulb": {"xtensawin": 11, "rv32imc": 10}}, "ram_bytes": {"bulb": {"mpy": 21, "romfs": 20}}}
    budgets = {"mpy_bytes": {"bulb": {"ratchet": 10}}, "ram_bytes": {"bulb": {"ratchet": {"mpy": 20, "romfs": 20}}}}
    assert [line.split(":")[0] for line in size.beyond(sizes, budgets)] == ["bulb, xtensawin", "bulb, mpy"]


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
