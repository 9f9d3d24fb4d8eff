"""What options and arguments of several commands share: checks that end a command before it has done anything.

What they refuse is wrong usage: exit status 2, as for an option that there is not.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from latchkey_tools import uuids
from latchkey_tools.cli import show
from latchkey_tools.sim import pki, timespan


def checked(check):
    """A callback for an option or argument: ``check(value)`` raises ValueError for what it cannot be."""
    return read_by(lambda value: (check(value), value)[1])


def read_by(read):
    """The same where ``read(value)`` is what the command gets in its place."""

    def callback(value):
        try:
            if isinstance(value, list):
                return [read(one) for one in value]
            return None if value is None else read(value)
        except ValueError as problem:
            raise typer.BadParameter(show.plain(problem)) from None

    return callback


def a_system(text):
    """The UUID in ``text``, however it is written; ValueError."""
    try:
        return uuids.canonical(text)
    except ValueError:
        raise ValueError(f"{text[:80]} is not a System UUID") from None


def a_new_file(out):
    """ValueError unless a file of that name can be made and is not there yet; "-" is standard output."""
    if str(out) == "-":
        return
    if os.path.lexists(out):
        raise ValueError(f"{out} is there already; name a file that is not")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise ValueError(f"no file can be made in {out.parent}; name another folder")


def check_longer(duration, before):
    """ValueError for a renewal whose successor would have to be renewed at once."""
    if timespan.parse_s(duration) <= timespan.parse_s(before):
        raise ValueError(f"--duration {duration} is not longer than --before {before}: give a longer --duration")


def given(context):
    """Names of the parameters that were typed."""
    return {name for name in context.params if context.get_parameter_source(name).name == "COMMANDLINE"}


def check_company(context, needs=(), excludes=()):
    """What would not be looked at is a mistake: BadParameter for it.

    ``needs``: (name, name that it is nothing without); ``excludes``: (name, name that it is nothing beside).
    """
    typed = given(context)
    for name, other in needs:
        if name in typed and other not in typed:
            first, second = as_typed(context, name), as_typed(context, other)
            raise typer.BadParameter(f"{first} does nothing without {second}: give both, or neither")
    for name, other in excludes:
        if name in typed and other in typed:
            first, second = as_typed(context, name), as_typed(context, other)
            raise typer.BadParameter(f"{first} does nothing beside {second}: give one of them")


def as_typed(context, name):
    """The option of a parameter, as it is typed."""
    return next(parameter.opts[0] for parameter in context.command.params if parameter.name == name)


def deliver(secret, out):
    """A secret's text to a new file of mode 0600; or to standard output for "-" and None. Whether it is in a file."""
    if out is None or str(out) == "-":
        print(secret)
        return False
    pki.write_private(out, secret.encode(), replace=False)
    return True


def refuse_both(out, as_json):
    """With --json there is no --out."""
    with show.usage():
        if out and as_json:
            raise ValueError("give --out or --json, not both: a token is handed out in one way")


AsJson = Annotated[bool, typer.Option("--json", help="Print data for scripts.")]
System = Annotated[str, typer.Argument(metavar="SYSTEM", help="System UUID of the device.", callback=read_by(a_system))]
SPAN_HELP = "1D, P1D, PT1H or seconds."
Duration = Annotated[str, typer.Option(help=SPAN_HELP, callback=checked(timespan.parse_s))]
BEFORE_HELP = f"Renew what ends sooner: {SPAN_HELP}"
Before = Annotated[str, typer.Option(help=BEFORE_HELP, callback=checked(timespan.parse_s))]
OUT_HELP = "Write the token itself to this new file, mode 0600; - for standard output."
Out = Annotated[Path | None, typer.Option(metavar="FILE", help=OUT_HELP, callback=checked(a_new_file))]
