"""docs/cli.md, made from the help of the commands themselves.

    python -m latchkey_tools.dev.clidocs            write docs/cli.md anew

A test holds the file equal to what this makes.
"""

import inspect
import re
import textwrap

import typer

from latchkey_tools.boards.build import ROOT
from latchkey_tools.cli import main

TARGET = ROOT / "docs" / "cli.md"

HEAD = "# The command `latchkey`\n\n"
INTRO = """For whom: everybody who uses the command, to look something up.

Made from `latchkey --help` by `python -m latchkey_tools.dev.clidocs`; change the commands, not this page.

"""
MORE = """
`latchkey --install-completion` makes the shell complete commands, options, boards, serial ports, and the hosts,
Systems and tokens of the wallet.

`make wheel` and `pipx install --pip-args "-c constraints.txt" dist/latchkey_tools-*.whl` install the command outside a
checkout. It then builds in the user's cache folder, and fetches umqtt.simple at first use.
"""
_WIDTH = 100


def text():
    """The whole page."""
    root = typer.main.get_command(main.app)
    sections = [_section(command, words) for command, words in _commands(root, ["latchkey"])]
    return HEAD + _flow(INTRO + main.__doc__.split("\n\n", 1)[1] + MORE) + "".join(sections)


def _commands(command, words):
    """(command, its words) in the order of the help, a group before its commands."""
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield child, [*words, name]
        yield from _commands(child, [*words, name])


def _section(command, words):
    title = "#" * len(words) + " " + " ".join(words)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help" and not p.hidden]
    parts = [f"\n{title}\n", _flow(command.help)]
    if not hasattr(command, "commands"):
        parts.append(f"```\n{_usage(command, words)}\n```\n")
        parts.append("\n".join(_row(parameter, command, words) for parameter in arguments + options))
    return "\n".join(part for part in parts if part).rstrip() + "\n"


def _usage(command, words):
    pieces = command.collect_usage_pieces(_context(command, words))
    return " ".join([*words, *pieces])


def _row(parameter, command, words):
    """A list item: how it is written, and what it is."""
    written, help_text = parameter.get_help_record(_context(command, words)) or (parameter.name, "")
    item = f"- `{re.sub(' +', ' ', written).strip()}`: {help_text}".replace("\\[", "[")
    return _filled(item, subsequent_indent="  ")


def _filled(text, **options):
    return textwrap.fill(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False, **options)


def _context(command, words):
    return typer.Context(command, info_name=" ".join(words))


def _flow(help_text):
    """Paragraphs of a docstring, wrapped at 100 columns; examples, which a \\b begins, as code."""
    return "\n\n".join(map(_paragraph, inspect.cleandoc(help_text or "").split("\n\n"))) + "\n"


def _paragraph(text):
    if not text.startswith("\b"):
        return _filled(text)
    title, lines = text.removeprefix("\b\n").split("\n", 1)
    return f"{title}\n\n```\n{textwrap.dedent(lines)}\n```"


if __name__ == "__main__":
    TARGET.write_text(text())
