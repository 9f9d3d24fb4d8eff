"""The self-test of a board, on the desk board: the firmware as .mpy on LittleFS, a small heap, the real mpremote."""

import contextlib
import os

import pytest

from latchkey_tools.boards import mpremote, selftest
from latchkey_tools.desk import unix_board


@pytest.fixture
def board(tmp_path):
    with unix_board.Desk(tmp_path / "board") as board:
        yield board.power_on()


def test_every_row_comes_out_right_on_the_desk_board_which_answers_again_after_it(board):
    rows = []
    found = selftest.run(board.serial, lambda *row: rows.append(row))
    assert found == {"rows": 284, "differ": [], "power": "pow", "sha512": "viper"}
    assert len(rows) > 20 and rows == sorted(rows) and rows[-1] == (284, 284)
    assert board.wait_ready()["product"]
    assert "selftest.json" not in board.mpremote("fs", "ls", ":/flash")


def test_a_board_that_is_not_there_is_an_error_with_words(tmp_path):
    with pytest.raises(mpremote.WireError, match="there is no .*`latchkey board list`"):
        selftest.run(str(tmp_path / "no-such-port"))


def test_a_board_that_says_nothing_is_given_up_soon():
    ours, theirs = os.openpty()
    try:
        with pytest.raises(mpremote.WireError, match="fell silent"):
            selftest.run(os.ttyname(theirs), quiet_s=0.7)
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("printed", ["", '{"rows": 3, "differ": [], "power": "pow", "sha512": "viper"}'])
def test_a_table_that_was_not_walked_to_its_end_is_no_success(monkeypatch, printed):
    monkeypatch.setattr(mpremote.Wire, "stopped", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(mpremote.Wire, "run", lambda *_, **__: printed)
    with pytest.raises(selftest.SelftestError, match="did not walk all 284 rows"):
        selftest.run("P")
