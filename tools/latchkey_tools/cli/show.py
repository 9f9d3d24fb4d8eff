"""The output of commands: tables and colour for people on a terminal, JSON for programs, times in words.

Data goes to standard output, everything else to standard error. Text from a network is never printed raw: a terminal
obeys control characters. ``say``, ``line`` and ``facts`` remove them; texts for a table or a console go through
``clean``.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import stat
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

# In a pipe nothing folds, and nothing is cut.
_PIPE_WIDTH = 10_000
# A column whose cells fold into less is not read any more.
_LEAST_WIDTH = 12
# A command in a sentence, up to punctuation or a bracket. It is copied, so no line ends inside it.
_COMMAND = re.compile(r"`[^`]+`|\blatchkey (?:(?!\()\S*[^\s;,.:)] )*(?!\()\S+")
_UNITS = ((86400 * 365, "year"), (86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def console(stderr=False):
    """A Console for data, or for remarks. Colour only on a terminal (rich minds NO_COLOR); a pipe gets whole lines
    without blanks at their ends."""
    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        return Console(highlight=False, stderr=stderr)
    return Console(highlight=False, file=_Trimmed(stream), width=_PIPE_WIDTH)


class _Trimmed:
    """A stream without what rich pads lines with."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        return self._stream.write(re.sub(r" +((?:\x1b\[[0-9;]*m)*)$", r"\1", text, flags=re.M))

    def __getattr__(self, name):
        return getattr(self._stream, name)


def say(text):
    """One line beside the data; on a terminal it is folded at blanks."""
    print(folded(plain(text), sys.stderr), file=sys.stderr, flush=True)


def say_if_open(path):
    """Say that others can read the file ``path``, if they can; "-" is standard input. It comes after all checks of the
    file: a refusal is enough."""
    mode = os.stat(path).st_mode if str(path) != "-" and os.path.exists(path) else 0
    # A pipe is nobody else's, whatever its mode says.
    if stat.S_ISREG(mode) and mode & 0o077:
        say(f"others can read {path}: chmod 600 {shlex.quote(str(path))}")


def folded(text, stream):
    """``text`` in lines that fit the terminal ``stream``, or as it is. Words and commands stay whole."""
    width = shutil.get_terminal_size().columns
    if not stream.isatty() or cell_len(text) <= width:
        return text
    kept = _COMMAND.sub(lambda match: _unbroken(match.group(), width), text)
    return textwrap.fill(kept, width, break_long_words=False, break_on_hyphens=False).replace("\xa0", " ")


def _unbroken(command, width):
    return command.replace(" ", "\xa0") if len(command) < width else command


def shell_line(text, width):
    """A command to copy: one that is too long goes on after a backslash, as in a shell."""
    if len(text) + 2 <= width:
        return f"  {text}"
    lines = textwrap.wrap(text, width - 6, break_long_words=False, break_on_hyphens=False)
    return "  " + " \\\n    ".join(lines)


def line(text):
    """One line of data; on a terminal it is folded at blanks."""
    print(folded(plain(text), sys.stdout), flush=True)


@contextlib.contextmanager
def usage():
    """A ValueError in this block is wrong usage: it is printed, and the exit status is 2."""
    try:
        yield
    except ValueError as problem:
        say(f"latchkey: {problem}")
        raise typer.Exit(2) from None


@contextlib.contextmanager
def progress():
    """A function that shows progress: on a terminal a line that moves, elsewhere a line for each new text."""
    if not sys.stderr.isatty():
        yield line_by_line()
        return
    words = TextColumn("{task.description}", table_column=Column(overflow="fold"))
    moving = Progress(SpinnerColumn("line"), words, TimeElapsedColumn(), console=console(stderr=True), transient=True)
    with moving:
        task = moving.add_task("", total=None)
        yield lambda text: moving.update(task, description=clean(text))


def wait(words):
    """A spinner on a terminal; nothing in a file."""
    return Console(stderr=True, quiet=not sys.stderr.isatty()).status(clean(words))


def latchkey():
    """The command as it can be typed here: make puts it into .venv, which is not on the shell's PATH."""
    return "latchkey" if shutil.which("latchkey") else os.path.relpath(Path(sys.executable).with_name("latchkey"))


def line_by_line():
    """A function that says a text, unless it was the one before."""
    told = []

    def tell(text):
        if text not in told[-1:]:
            told.append(text)
            say(text)

    return tell


def data(value):
    """JSON on standard output, in ASCII."""
    print(json.dumps(value, indent=2))


def clean(text):
    """``text`` for a terminal and for rich: no control characters, no markup."""
    return escape(plain(text))


def lines(texts):
    """A cell with one clean line for each text."""
    return "\n".join(map(clean, texts))


def plain(text):
    """``text`` without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in str(text))


class _Rows(Table):
    """A table; where a terminal is too narrow for its columns, a block of lines for each row."""

    def __rich_console__(self, console, options):
        if sum(map(self._least, self.columns)) + 2 * len(self.columns) <= options.max_width:
            yield from super().__rich_console__(console, options)
            return
        room = options.max_width - 1 - max(cell_len(column.header) for column in self.columns)
        for row, *cells in zip(self.rows, *(column.cells for column in self.columns), strict=True):
            block = _pairs()
            for column, cell in zip(self.columns, cells, strict=True):
                if column.no_wrap and _width(_seen(cell)) > room:
                    # It would fold beside its name.
                    yield Text.from_markup(cell, overflow="fold")
                else:
                    block.add_row(column.header, cell, style=row.style)
            yield block
            yield ""

    @staticmethod
    def _least(column):
        longest = max(map(_width, [column.header, *map(_seen, column.cells)]))
        return longest if column.no_wrap else min(longest, _LEAST_WIDTH)


def table(*columns, whole=()):
    """An empty table whose cells fold rather than lose their ends; those of ``whole`` stay on one line to be copied,
    without their name if that leaves no room."""
    made = _Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in whole)
    return made


def facts(rows):
    """Print (name, value) rows; None is left out."""
    made = _pairs()
    for name, value in rows:
        if value is not None:
            made.add_row(clean(name), clean(value))
    console().print(made)


def _pairs():
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    return made


def _width(text):
    return max(map(cell_len, text.split("\n")))


def _seen(cell):
    return Text.from_markup(cell).plain


def span(seconds):
    """The largest unit that fits, in words: "3 hours"; what is nearly a day is a day."""
    seconds = abs(int(seconds))
    for unit_s, unit in _UNITS:
        count = (seconds + unit_s // 20) // unit_s
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "0 seconds"


def when(unix_s, now_unix_s):
    """Such as "in 3 hours", "2 days ago", "now"."""
    difference = int(unix_s) - int(now_unix_s)
    if not difference:
        return "now"
    return f"in {span(difference)}" if difference > 0 else f"{span(difference)} ago"


def moment(unix_s, now_unix_s):
    """Such as "in 3 hours (2026-11-24 07:00 UTC)"; "no time" for a value out of range."""
    try:
        text = datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "no time"
    return f"{when(unix_s, now_unix_s)} ({text})"
