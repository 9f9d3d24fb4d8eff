"""The power pulled at every program and erase of a whole update, on real LittleFS and on two program slots."""

import json

import program_slots
import pytest
import releases
from on_mpy import stories

import counts
from latchkey_tools.desk import unix_board

SMALL = {
    "1.0.0": {"main.mpy": b"one" * 2000, "latchkey/__init__.mpy": b"1", "latchkey/api/old.gz": b"o" * 700},
    "2.0.0": {"main.mpy": b"two" * 3000, "latchkey/__init__.mpy": b"2", "latchkey/new/n.mpy": b"n" * 5000},
    "3.0.0": {"main.mpy": b"three" * 1000, "latchkey/__init__.mpy": b"3"},
}


def facts(folder, files, blocks, slot_blocks):
    """Path of what the script reads: releases of ``files`` (version to name to bytes) and programs, all signed."""
    maker = releases.Maker()
    found = {"releases": {}, "programs": {}, "blocks": blocks, "slot_blocks": slot_blocks}
    keys = maker.update_keys()
    found["keys"] = [keys["release"], keys["recovery"]]
    found["starter"] = [(unix_board.STARTER / name).read_text() for name in ("boot.py", "main.py")]
    for number, version in enumerate(files, 1):
        program = program_slots.program(slot_blocks * 4096 - 16 * number, number)
        for kind, place, data in (
            ("files", "releases", releases.payload(files[version])),
            ("image", "programs", program),
        ):
            path = folder / f"{kind}-{version}"
            path.write_bytes(data)
            line = maker.file(data, version, number, kind).partition(b"\n")[0].decode()
            found[place][version] = {"line": line, "payload": str(path)}
    path = folder / "facts.json"
    path.write_text(json.dumps(found))
    return path


def told(found):
    for story in found:
        print(story)
    print("power cuts:", sum(s["cuts"] for s in found), "lost:", sum(s["lost"] for s in found))
    return found


def test_a_power_cut_at_any_step_of_an_update_leaves_a_whole_release_that_answers(tmp_path):
    path = facts(tmp_path, SMALL, 96, 3)
    found = told(stories(f"import update_cuts; update_cuts.main({str(path)!r}, 5)", heapsize="32M"))
    ends = {story["story"]: story["ends"] for story in found}
    assert ends == {
        "files good": "2.0.0",
        "files crashed": "1.0.0",
        "files not_good": "1.0.0",
        "image good": "2.0.0",
        "image not_good": "1.0.0",
    }
    assert [story for story in found if story["lost"]] == []
    assert all(story["cuts"] > 5 and story["old"] + story["new"] == story["cuts"] for story in found)
    assert sum(story["cuts"] for story in found) > 350


def test_a_release_that_counts_before_it_is_whole_is_lost_by_cuts(tmp_path):
    path = facts(tmp_path, SMALL, 96, 3)
    code = f"import update_cuts; update_cuts.main({str(path)!r}, 1000, step=5, control=True)"
    found = told(stories(code, heapsize="32M"))
    assert found[0]["lost"] > 10


def test_on_a_full_flash_a_release_that_crashes_gives_way_all_the_same(tmp_path):
    path = facts(tmp_path, SMALL, 96, 3)
    assert stories(f"import update_cuts; update_cuts.full({str(path)!r})", heapsize="32M") == ["1.0.0"]


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_the_same_of_a_release_of_full_size(tmp_path):
    """The desk's own firmware on a flash of 2 MB, and programs of 1,900,544 bytes: an hour at every operation."""
    files = {version: releases.files_of(version) for version in SMALL}
    path, step = facts(tmp_path, files, 512, 464), counts.get("update_cut_step")
    code = f"import update_cuts; update_cuts.main({str(path)!r}, 20, {step})"
    found = told(stories(code, heapsize="512M", timeout_s=7000))
    assert [story for story in found if story["lost"]] == []
    assert sum(story["cuts"] for story in found) * step > 3000
