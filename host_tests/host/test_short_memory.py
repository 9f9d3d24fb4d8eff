"""A start for which memory is too short says so, and never restarts endlessly without a report (A9)."""

import on_desk
import pytest

# One start of the board, in a process of its own. `note`: memory that outlives a reset. The fault comes at `place`.
START = """
import builtins
place, text, note = sys.argv[1:4]
def restart():
    print("restarted")
    raise SystemExit
desk_options.note, desk_options.reset, desk_options.cause, desk_options.hurry = note, restart, "reset", 1000
from deskclock import DeskClock
DeskClock.sleep_ms = lambda _self, ms: print("paused", ms)
def fault(*_, **__):
    raise MemoryError() if text == "MemoryError" else OSError(text)
import main
if place == "radio":
    class Board(main.Board):
        def __getattr__(self, name):
            if name == "radio":
                fault()
            raise AttributeError(name)
        def __init__(self):
            super().__init__()
            del self.radio
    main.Board = Board
elif place:
    whole = builtins.__import__
    def __import__(name, *rest):
        return fault() if name == place else whole(name, *rest)
    builtins.__import__ = __import__
main.run()
print("at the prompt")
"""
LATE = ("program", "latchkey.device.app", "latchkey.net.server")


def starts(note, place, text):
    """The output of each start of a row until one stays at the prompt, at most six."""
    printed = []
    while len(printed) < 6 and not (printed and "at the prompt" in printed[-1]):
        done = on_desk.run(START, place, text, note)
        printed.append(done.stdout + done.stderr)
    return printed


@pytest.mark.parametrize(
    "place,text",
    [("radio", "WiFi Out of Memory"), *((name, "MemoryError") for name in LATE)],
)
def test_a_start_without_memory_says_so_and_the_fourth_one_stops(tmp_path, place, text):
    printed = starts(tmp_path / "note", place, text)
    assert len(printed) == 4, printed
    for words in printed:
        assert "memory is too short to start. free_bytes " in words and "What to do: use a frozen image" in words
    assert all("paused 2000\nrestarted" in words for words in printed[:3])
    assert "stopped. The serial cable works" in printed[3] and "restarted" not in printed[3]


def test_another_fault_says_nothing_of_memory_and_starts_anew(tmp_path):
    printed = starts(tmp_path / "note", "radio", "something else")
    assert len(printed) == 6
    assert all("paused 2000\nrestarted" in words and "memory is" not in words for words in printed)


# The desk's program, in which memory is too short for the first `count` turns; and how often the watchdog is fed.
TURNS = """
count = int(sys.argv[1])
desk_options.hurry = 1000
from latchkey.device import app
whole, said = app.Device.turn, []
def turn(self):
    said.append("turn")
    if len(said) > 50:
        raise KeyboardInterrupt
    if said.count("turn") <= count:
        raise MemoryError()
    whole(self)
app.Device.turn = turn
class Dog:
    def look(self, _turns):
        said.append("look")
import main
main.Board.watchdog = lambda _self: Dog()
try:
    main.run()
except KeyboardInterrupt:
    print("began with", *said[:5])
    print("looks", said.count("look"), "of turns", said.count("turn"))
"""


@pytest.mark.parametrize("count", [3, 1000])
def test_short_memory_in_a_turn_costs_no_restart_and_the_watchdog_is_not_fed(count):
    done = on_desk.run(TURNS, str(count))
    said = done.stdout + done.stderr
    assert said.count("turn failed: MemoryError") == 1, said
    assert ("began with turn turn turn turn look" in said) == (count == 3), said
    assert ("looks 0 of turns" in said) == (count == 1000), said
