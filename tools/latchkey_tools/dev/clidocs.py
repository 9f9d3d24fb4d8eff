"""docs/cli.md, made from the help of the commands themselves.

    python -m latchkey_tools.dev.clidocs            write docs/cli.md anew

A test holds the file equal to what this makes.
"""

import inspect
import re

import typer

from latchkey_tools.boards.build import ROOT
from latchkey_tools.cli import main

TARGET = ROOT / "docs" / "cli.md"

HEAD = f"""# The command `latchkey`

Made from `latchkey --help` by `python -m latchkey_tools.dev.clidocs`; change the commands, not this page.

{inspect.cleandoc(main.__doc__).split(chr(10), 2)[2].strip()}

`latchkey --install-completion` teaches the shell to complete commands, options, and names from the wallet.
"""


def text():
    """The whole page."""
    root = typer.main.get_command(main.app)
    sections = [_section(command, words) for command, words in _commands(root, ["latchkey"])]
    return HEAD + "".join(sections)


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
    help_text = re.sub(r"\s+", " ", help_text)
    return f"- `{re.sub(' +', ' ', written).strip()}`: {help_text}".replace("\\[", "[")


def _context(command, words):
    return typer.Context(command, info_name=" ".join(words))


def _flow(help_text):
    """Paragraphs of a docstring, each on one line."""
    paragraphs = inspect.cleandoc(help_text or "").split("\n\n")
    return "\n\n".join(" ".join(p.split()) for p in paragraphs) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text())
