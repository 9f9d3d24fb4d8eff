"""The demo's story, with amqtt on every machine: as `latchkey demo` prints it, and with the clock unset."""

import io
import re
import shlex
import subprocess

import pytest
from rich.console import Console

from latchkey_tools.desk import demo


@pytest.fixture
def story_of(tmp_path):
    """Makes a Story, and ends it."""
    made = []

    def make(**how):
        made.append(demo.Story(tmp_path, broker_kind="amqtt", **how))
        return made[0]

    yield make
    made[0].stop()


def told_by(story, verbose=False):
    """The lines that the demo prints of ``story`` on a terminal of 80 columns."""
    screen = io.StringIO()
    console = Console(file=screen, width=80, highlight=False, soft_wrap=True)
    teller = demo.Teller(console, verbose)
    story.say = teller.say
    assert demo.tell(story, teller, console), screen.getvalue() + story.desk.log_text()[-3000:]
    return screen.getvalue().splitlines()


def test_the_demo_prints_seven_claims_their_checks_and_the_next_step(story_of):
    story = story_of()
    lines = told_by(story)
    assert max(map(len, lines)) <= 80
    steps = [re.fullmatch(r"(\d)\. (.*\S) +(\d+) of \3 +[\d.]+ m?s", line) for line in lines]
    steps = [match for match in steps if match]
    assert [int(match[1]) for match in steps] == list(range(1, 8)), lines
    checks = [sum(row.step == number for row in story.rows) for number in range(1, 8)]
    assert [int(match[3]) for match in steps] == checks and min(checks) >= 2
    assert re.fullmatch(r"(\d+) of \1 checks passed, in \d+ s\.", lines[-2])
    assert lines[-1].endswith("latchkey practice")
    assert story.tech.diagnostics(story.day)["clock"]["trusted"] is True
    first = next(line for line in demo.hints(story).splitlines() if "latchkey " in line)
    doctor = subprocess.run(shlex.split(first), capture_output=True, text=True, timeout=60)
    assert doctor.returncode == 0 and "Local calls work" in doctor.stdout, (first, doctor)


def test_with_v_each_check_is_a_line_and_a_clock_that_is_unset_changes_none(story_of):
    story = story_of(clock="unset")
    lines = told_by(story, verbose=True)
    assert sum("as expected" in line for line in lines) == len(story.rows) > 40
    assert sum(line == f"{number}. {step.__doc__}" for number, step in enumerate(demo.STEPS, 1) for line in lines) == 7
    assert story.tech.diagnostics(story.day)["clock"]["trusted"] is False


@pytest.mark.parametrize("verbose", [False, True])
def test_a_check_that_failed_is_printed_with_what_was_expected(verbose):
    screen = io.StringIO()
    teller = demo.Teller(Console(file=screen, width=80, soft_wrap=True), verbose)
    rows = [demo.Row(1, "a token [old]", "200", "200", 0.5), demo.Row(1, "a forged one", "401 bad_signature", "200", 2)]
    teller.begin(1, "Claim.")
    for row in rows:
        teller.say(demo.check_line(row))
    teller.end(rows)
    assert re.search(r"1 of 2 +2\.0 s", screen.getvalue())
    assert "a forged one: 200, expected was 401 bad_signature" in screen.getvalue()
    assert ("a token [old]: 200, as expected" in screen.getvalue()) is verbose
