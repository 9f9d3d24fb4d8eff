"""The tools and the documents say the same; docs/cli.md is made from the help; the shell completes."""

import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from pages import ROOT, table_rows

from latchkey.api import codes
from latchkey_tools.cli import advice, main
from latchkey_tools.dev import clidocs
from latchkey_tools.device.wallet import Wallet

LATCHKEY = Path(sys.executable).parent / "latchkey"


def test_the_code_table_in_codes_md_is_the_one_of_the_tools():
    rows = table_rows((ROOT / "docs/codes.md").read_text(), "| code | status |")
    assert [(row[0].strip("`"), (int(row[1]), row[2], row[3])) for row in rows] == list(advice.CODES.items())


def test_the_statuses_of_the_codes_are_those_of_the_firmware():
    assert {code: codes.status(code) for code in advice.CODES} == {c: row[0] for c, row in advice.CODES.items()}
    assert {word for word in codes._TABLE.split() if word[0] != "|"} == set(advice.CODES)
    for code in ("", "surprise", "expire", "xpired"):
        assert codes.status(code) is None, code


def test_what_commands_show_of_a_code_has_no_markup_and_no_numbers_of_rules():
    for code in advice.CODES:
        shown = advice.meaning(code) + advice.advice(code)
        assert "`" not in shown and not re.search(r"\b[VKLTA]\d", shown), shown


def test_reasons_of_the_cloud_link_are_told_as_in_cloud_md():
    rows = table_rows((ROOT / "docs/cloud.md").read_text(), "| reason | what happened |")
    assert advice.REASONS == {row[0].strip("`"): (row[1], row[2]) for row in rows}
    for reason in advice.REASONS:
        assert "`" not in "".join(advice.link_advice(reason))
        assert not advice.link_advice(reason)[1].startswith("as for")


def test_reasons_of_pairing_are_told_as_in_pairing_md():
    rows = table_rows((ROOT / "docs/pairing.md").read_text(), "| reason | what happened |")
    assert rows[-1] == ["another", "of the broker, where one was tried", "[cloud.md](cloud.md)"]
    assert advice.PAIRING_REASONS == {row[0].strip("`"): (row[1], row[2]) for row in rows[:-1]}
    assert advice.pairing_advice("dns") == advice.link_advice("dns")


def test_cli_md_is_what_the_help_makes_of_it():
    assert clidocs.TARGET.read_text() == clidocs.text(), "run python -m latchkey_tools.dev.clidocs"


def test_every_command_and_option_says_what_it_is():
    mute = [line for line in clidocs.text().splitlines() if line.startswith("- `") and not line.split("`: ", 1)[1]]
    assert mute == []


def commands(command=None, words=()):
    """(its words, command) of every command that is not a group."""
    command = command or typer.main.get_command(main.app)
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*words, name))
    if not hasattr(command, "commands"):
        yield words, command


def helps(command=None, words=()):
    """(words, help at 80 columns) of every command and group."""
    command = command or typer.main.get_command(main.app)
    yield words, command.get_help(typer.Context(command, info_name="latchkey", terminal_width=80))
    for name, child in getattr(command, "commands", {}).items():
        yield from helps(child, (*words, name))


def test_every_help_fits_80_columns_and_cuts_nothing():
    for words, text in helps():
        assert all(len(line) <= 80 for line in text.splitlines()), words
        cut = [line for line in text.splitlines() if line.endswith("...") and not line.startswith("Usage:")]
        assert cut == [] and not re.search(r"<bool|--\S+ <(list|int range)", text), words


@pytest.mark.parametrize(
    "words, command", list(commands()), ids=lambda part: " ".join(part) if isinstance(part, tuple) else ""
)
def test_every_command_has_an_example_of_options_that_it_has(words, command):
    blocks = [text for text in inspect.cleandoc(command.help).split("\n\n") if text.startswith("\b\nExample")]
    lines = "".join(blocks).replace("\\\n", "").splitlines()[2:]
    assert lines and all(line.split()[0] == "latchkey" for line in lines)
    known = {name for parameter in command.params for name in parameter.opts}
    for line in lines:
        given = shlex.split(line)[1:]
        # `latchkey trip SYSTEM` is `latchkey trip pack SYSTEM`.
        assert given[: len(words)] == list(words) or words == ("trip", "pack"), line
        assert {word for word in given if word.startswith("--")} <= known, line


def completed(folder, words, shell="bash"):
    """The words that the installed command offers after ``words``, asked as the shell's completion asks."""
    env = dict(os.environ, _LATCHKEY_COMPLETE=f"complete_{shell}", LATCHKEY_WALLET=str(folder))
    env |= {"COMP_WORDS": "latchkey " + " ".join(words), "COMP_CWORD": str(len(words))}
    env |= {"_TYPER_COMPLETE_ARGS": "latchkey " + " ".join(words)}
    return subprocess.run([LATCHKEY], env=env, capture_output=True, text=True, timeout=30).stdout.split()


def test_while_a_shell_completes_nothing_is_said_of_what_stands_there_already():
    env = dict(os.environ, _LATCHKEY_COMPLETE="complete_bash", COMP_WORDS="latchkey doctor a..b --tok", COMP_CWORD="3")
    done = subprocess.run([LATCHKEY], env=env, capture_output=True, text=True, timeout=30)
    assert done.stderr == "" and "--token-file" in done.stdout


def test_the_shell_completes_commands_options_names_and_hosts(tmp_path):
    import technician

    Wallet(tmp_path / "w").add(technician.make_token(), "cellar")
    for words, offered in (
        (["dev"], "device"),
        (["token", "ins"], "inspect"),
        (["token", "show", "ce"], "cellar"),
        (["device", "state", "latch"], f"latchkey-{technician.SYSTEM[:8]}.local"),
        (["doctor", "--tok"], "--token-file"),
        (["pair", "latch"], f"latchkey-{technician.SYSTEM[:8]}.local"),
        (["device", "config", "192.168.4.1", "policy.pl"], "policy.plain_http="),
        (["board", "deploy", "--board", "esp32-"], "esp32-bulb"),
        (["board", "image", "--board", "esp32s3"], "esp32s3-sensor"),
        (["certificate", "renew", "--host", "latch"], f"latchkey-{technician.SYSTEM[:8]}.local"),
        (["token", "create", technician.SYSTEM[:4]], technician.SYSTEM),
        (["vboard", "--product", "sen"], "sensor"),
    ):
        assert offered in completed(tmp_path / "w", words), words


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown_for_each_shell(shell, tmp_path):
    env = dict(os.environ, _LATCHKEY_COMPLETE=f"source_{shell}")
    done = subprocess.run([LATCHKEY], env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "_LATCHKEY_COMPLETE" in done.stdout
