"""The self-test of a board, on the desk board: the firmware as .mpy on LittleFS, a small heap, the real mpremote."""

import pytest

from latchkey_tools import desk, selftest


@pytest.fixture
def board(tmp_path):
    with desk.Desk(tmp_path / "board") as board:
        yield board.power_on()


def test_every_row_comes_out_right_on_the_desk_board_which_answers_again_after_it(board):
    lines = []
    assert selftest.run(board.serial, lines.append) == 0
    assert lines == ["self-test: 271 rows, 0 differ, sha512 viper"]
    assert "selftest.json" not in board.mpremote("fs", "ls", ":/flash")
    board.restart()
    assert board.info()["product"]


def test_a_board_that_is_not_there_is_an_error_with_words(tmp_path):
    with pytest.raises(selftest.SelftestError):
        selftest.run(str(tmp_path / "no-such-port"))
