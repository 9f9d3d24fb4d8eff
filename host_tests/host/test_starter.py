"""The two files that start a board's release: which folder runs, what counts as a crash, and who comes back."""

import re
import shutil
import time

import pytest

from latchkey_tools.desk import unix_board

# A release of a few lines: it prints where it runs, and ends as the test wants.
MAIN = """
import desk_options, machine, sys, time
print("runs in", sys.path[0], open(sys.path[0] + "/release").read().strip(), "-", machine.reset_cause())
def run():
    {ends}
"""
HANGS = "while True: pass"
# To say what it has to say takes a release less, also on a busy machine.
BRIEF_MS = 1500
WAITS = "while True: time.sleep_ms(20); desk_options.console.look()"
ENDS = {
    "raises": "raise ValueError('at work')",
    "returns": "return",
    "resets": "machine.reset()",
    "does_not_import": "pass\nimport nothing",
    "exits": "raise SystemExit",
    "exits_at_import": "pass\nraise SystemExit",
    "is_cancelled": "import asyncio\n    raise asyncio.CancelledError",
    "hangs_at_import": "pass\n" + HANGS,
    "interrupts_itself": "raise KeyboardInterrupt",
}


def board(folder, a, b, pause=0.01, watchdog_ms=60000):
    """A desk without power whose folders hold pairs of ``release`` and what the release does."""
    tree = folder / "tree"
    for name, (mark, ends) in {"a": a, "b": b}.items():
        (tree / name).mkdir(parents=True, exist_ok=True)
        (tree / name / "release").write_text(mark)
        (tree / name / "main.py").write_text(MAIN.format(ends=ends))
    for path in unix_board.STARTER.glob("*.py"):
        shutil.copy(path, tree / path.name)
    text = (tree / "main.py").read_text()
    assert "sleep(2)" in text and "timeout=60000" in text
    text = text.replace("sleep(2)", f"sleep({pause})").replace("timeout=60000", f"timeout={watchdog_ms}")
    (tree / "main.py").write_text(text)
    return unix_board.Desk(folder / "desk", tree=tree)


def runs(desk):
    """Of each run the words that it said, the folder first."""
    return [line.split() for line in re.findall(r"runs in (.+)\n", desk.log_text())]


def until(desk, count, end):
    """Wait for ``count`` runs at least, the last of them with ``end`` in its words."""
    deadline = time.monotonic() + 30
    while len(runs(desk)) < count or end not in runs(desk)[-1]:
        assert time.monotonic() < deadline, desk.last_words()
        time.sleep(0.02)
    return runs(desk)


@pytest.mark.parametrize("ends", ENDS)
def test_a_release_that_crashes_three_times_gives_way_to_the_one_before(tmp_path, ends):
    with board(tmp_path, ("1\n", WAITS), ("2 new\n", ENDS[ends]), watchdog_ms=BRIEF_MS) as desk:
        desk.power_on(wait=False)
        seen = until(desk, 4, "/flash/a")
        # The first run and two more; the third restart does not run it.
        assert [words[:3] for words in seen] == [["/flash/b", "2", str(n)] for n in range(3)] + [["/flash/a", "1", "-"]]
        assert "crashed three times" in desk.log_text()
        assert desk.mpremote("exec", "print(open('/flash/b/release').read())").strip() == "0 crashed"
        desk.restart(wait=False)
        until(desk, 5, "/flash/a")


def test_power_ons_of_an_unproven_release_do_not_count(tmp_path):
    with board(tmp_path, ("1\n", WAITS), ("2 new\n", WAITS)) as desk:
        desk.power_on(wait=False)
        for count in range(1, 6):
            assert until(desk, count, "/flash/b")[-1][1:3] == ["2", "0"]
            desk.restart(wait=False)


def test_a_power_on_between_crashes_forgives_none_of_them(tmp_path):
    with board(tmp_path, ("1\n", WAITS), ("2 1\n", WAITS)) as desk:
        desk.power_on(wait=False)
        assert until(desk, 1, "/flash/b")[-1][1:3] == ["2", "1"]
        desk.mpremote("reset")
        assert until(desk, 2, "/flash/b")[-1][1:3] == ["2", "2"]
        desk.mpremote("reset")
        assert until(desk, 3, "/flash/a")


def test_a_good_release_is_neither_counted_nor_given_up(tmp_path):
    with board(tmp_path, ("1\n", WAITS), ("2\n", "machine.reset()")) as desk:
        desk.power_on(wait=False)
        assert {tuple(words[:3]) for words in until(desk, 6, "/flash/b")} == {("/flash/b", "2", "-")}


@pytest.mark.parametrize(
    "a, b, wanted",
    [
        ("1\n", "2", "a"),
        ("1\n", "0 crashed\n", "a"),
        ("1\n", "", "a"),
        ("12\n", "9 2\n", "a"),
        ("x y\n", "2 new\n", "b"),
    ],
)
def test_the_highest_whole_number_starts(tmp_path, a, b, wanted):
    with board(tmp_path, (a, WAITS), (b, WAITS)) as desk:
        desk.power_on(wait=False)
        assert until(desk, 1, "/flash/" + wanted)


@pytest.mark.parametrize("ends", ["raise ValueError('in boot')", "raise SystemExit", "machine.reset()", HANGS])
def test_a_release_whose_boot_does_not_work_gives_way_to_the_one_before(tmp_path, ends):
    (tmp_path / "tree" / "b").mkdir(parents=True)
    (tmp_path / "tree" / "b" / "boot.py").write_text("import machine\nprint('runs in boot')\n" + ends)
    with board(tmp_path, ("1\n", WAITS), ("2 new\n", WAITS), watchdog_ms=BRIEF_MS) as desk:
        desk.power_on(wait=False)
        assert [words[0] for words in until(desk, 4, "/flash/a")] == ["boot"] * 3 + ["/flash/a"]
