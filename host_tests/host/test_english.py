"""Texts are free of patterns that readers stumbled over (english.py); english_left.json counts what is left to mend."""

import json
from pathlib import Path

import english
import pytest

# Folder to how many its files may still have: a count may only fall. A folder that is not in it has none.
LEFT = json.loads(Path(__file__).with_name("english_left.json").read_text())


@pytest.mark.parametrize("folder", sorted({path.parent.as_posix() for path in english.files()}))
def test_texts_have_none_of_the_banned_patterns(folder):
    found = [
        f"{path}:{line}: {words!r}: write {better}"
        for path in english.files()
        if path.parent.as_posix() == folder
        for line, better, words in english.faults(path)
    ]
    assert len(found) <= LEFT.get(folder, 0), "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "It waits. Who cancels this puts levels.",
        "What is asked for\nis sent.",
        "It is no change.",
        "The ledger, from before, is none.",
        "It stands in the file.",
        "The device is told so.",
        "The list was heard.",
        "The purse refills.",
        "A PUT asks for presence.",
        "By the wire.",
        "It is on trial.",
        "waiting since 6 seconds",
        "It lets nobody in.",
        "files in its way",
        "A line that shall be kept.",
        "First.\n\nWhatever fits is kept.",
        "The port stays open, whatever came of one caller.",
        "What to do: nothing. Put out one of them.",
        "It is for who takes a body.",
        "Names (text) that are ours.",
        "Loaded once and let go again.",
        "Tokens, one a line.",
        "A full queue holds up neither a stop nor a start.",
    ],
)
def test_each_pattern_is_found(text):
    assert len(list(english.found(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "There is no key, and there are none. It is no longer there, and is no more than that.",
        "It is None. What is it? What to do: nothing.",
        "It stands for a device; it stands in for one. A stand-in.",
        'It prints `what was told` and "Who stands there".',
    ],
)
def test_plain_words_are_not_taken_for_patterns(text):
    assert list(english.found(text)) == []


def test_comments_docstrings_and_messages_of_programs_are_read(tmp_path):
    source = '"""Doc. Who asks."""\nsay(f"the {x} is told")\nx = "told"\n# It is no\n# change.\ny = 1  # heard\n'
    pieces = english._python(source, docstrings_only=False)
    assert sorted(line + at for line, text in pieces for at, _better, _words in english.found(text)) == [1, 2, 5, 6]
