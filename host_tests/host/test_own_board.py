"""A maker's own board: a mistake in one of its files is named, with what to do, by every command that reads it."""

import json
import shutil

import pytest
from technician import Keyboard

from latchkey_tools.boards import build, catalog

GOOD = json.loads((build.BOARDS / "desk" / "board.json").read_text())

# File of the board, its content, the words of the error.
MISTAKES = [
    ("board.json", "", "board.json is not JSON: "),
    ("board.json", "{", "board.json is not JSON: "),
    ("board.json", '{"a":' * 5000, "board.json is not JSON: "),
    ("board.json", "[]", "board.json: mcu has to be one of esp32, "),
    ("board.json", json.dumps(GOOD | {"mcu": "esp99"}), "board.json: mcu has to be one of esp32, "),
    ("board.json", json.dumps(GOOD | {"mcu": ["esp32"]}), "board.json: mcu has to be one of esp32, "),
    ("board.json", json.dumps(GOOD | {"takes": "mpyy"}), "board.json: takes has to be image or mpy; "),
    ("board.json", json.dumps(GOOD | {"heap_kb": "88"}), "board.json: heap_kb has to be a whole number, or left out; "),
    ("board.json", json.dumps(GOOD | {"deploy_options": None}), "board.json: deploy_options has to be an object"),
    ("board_config.py", "class Board(:\n", "board_config.py is not Python: invalid syntax (board_config.py, line 1)"),
    ("manifest.py", "modules()\n", "manifest.py: NameError: name 'modules' is not defined"),
    ("manifest.py", "", "the manifest.py of mine does not include ../common/manifest.py; add it"),
    ("plug.py", "def f(:\n", "plug.py was not compiled: File "),
]


@pytest.fixture
def board(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    shutil.copytree(build.BOARDS / "desk", folder)
    for path in folder.glob("*.py"):
        path.write_text(path.read_text().replace('"../', f'"{build.BOARDS}/'))
    with open(folder / "manifest.py", "a") as manifest:
        manifest.write('module("plug.py")\n')
    (folder / "plug.py").write_text("x = 1\n")
    monkeypatch.setattr(catalog, "FOLDER", tmp_path)
    return folder


def built(board):
    out = board.parent / "x.payload"
    return Keyboard(board.parent).run("release", "build", "--board", "mine", "--version", "1", "-o", out)


def test_a_board_of_one_s_own_is_built(board):
    done = built(board)
    assert done.status == 0 and (board.parent / "x.payload").exists(), done


@pytest.mark.parametrize("name, content, words", MISTAKES)
def test_a_mistake_in_a_file_of_a_board_is_named(board, name, content, words):
    (board / name).write_text(content)
    done = built(board)
    assert done.status == 1 and words in done.err and done.err.startswith("latchkey: "), done
    assert "Traceback" not in done.err


def test_a_mistake_in_a_board_json_is_named_by_the_list_too(board):
    (board / "board.json").write_text("{}")
    assert "board.json: mcu has to be" in Keyboard(board.parent).run("board", "list").err
