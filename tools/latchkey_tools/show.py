"""How commands speak: tables and colour for people on a terminal, JSON for programs, times in words.

Data goes to standard output, everything else to standard error. What came from a network is never printed raw: a
terminal obeys control characters.
"""

import json
import sys
from datetime import UTC, datetime

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_PIPE_WIDTH = 240
_UNITS = ((86400 * 365, "year"), (86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def console():
    """For data. Colour only on a terminal (rich minds NO_COLOR); a pipe gets lines that are not cut."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def say(text):
    """One line beside the data."""
    print(text, file=sys.stderr, flush=True)


def data(value):
    """JSON on standard output, in ASCII."""
    print(json.dumps(value, indent=2))


def clean(text):
    """``text`` for a terminal and for rich: no control characters, no markup."""
    return escape(plain(text))


def plain(text):
    """``text`` without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in str(text))


def table(*columns, whole=()):
    """An empty table whose cells fold rather than lose their ends; those of ``whole`` stay on one line to be copied."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in whole)
    return made


def facts(rows):
    """Print (name, value) rows; None is left out."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        if value is not None:
            made.add_row(clean(name), clean(value))
    console().print(made)


def span(seconds):
    """The largest unit that fits, in words: "3 hours"; what is nearly a day is a day."""
    seconds = abs(int(seconds))
    for unit_s, unit in _UNITS:
        count = (seconds + unit_s // 20) // unit_s
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "0 seconds"


def when(unix_s, now_unix_s):
    """ "in 3 hours", "2 days ago", "now"."""
    difference = int(unix_s) - int(now_unix_s)
    if not difference:
        return "now"
    return f"in {span(difference)}" if difference > 0 else f"{span(difference)} ago"


def moment(unix_s, now_unix_s):
    """ "in 3 hours (2026-11-24 07:00 UTC)"; what is no time is said to be none."""
    try:
        text = datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "no time"
    return f"{when(unix_s, now_unix_s)} ({text})"
