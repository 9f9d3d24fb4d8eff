"""Options and arguments that several commands share, with checks that end a command before it has done anything.

A refusal is wrong usage: exit status 2, as for an option that does not exist.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from latchkey_tools import uuids
from latchkey_tools.boards import flash
from latchkey_tools.cli import show
from latchkey_tools.device.wallet import Wallet
from latchkey_tools.sim import pki, timespan

EXAMPLE_SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"


def systems(incomplete: str):
    """For completion: the Systems that the wallet has tokens or labels for."""
    try:
        wallet = Wallet()
        return [one for one in sorted({*wallet.systems(), *wallet.labels()}) if one.startswith(incomplete)]
    except Exception:
        return []


def ports(incomplete: str):
    """For completion: the serial ports of this machine."""
    return [port["port"] for port in flash.serial_ports() if port["port"].startswith(incomplete)]


def checked(check):
    """A callback for an option or argument: ``check(value)`` raises ValueError for a value that is refused."""
    return read_by(lambda value: (check(value), value)[1])


def read_by(read):
    """The same, but the command gets ``read(value)``."""

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
        raise ValueError(f"{text[:80]} is not a System UUID; give one like {EXAMPLE_SYSTEM}") from None


def a_new_file(out):
    """ValueError unless a file of that name can be made and does not exist yet; "-" is standard output."""
    if str(out) == "-":
        return
    if os.path.lexists(out):
        raise ValueError(f"{out} exists already; name a new file")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise ValueError(f"no file can be written in {out.parent}; name another folder")


def check_longer(duration, before):
    """ValueError for a renewal after which the new one would be renewed at once."""
    if timespan.parse_s(duration) <= timespan.parse_s(before):
        raise ValueError(f"--duration {duration} is not longer than --before {before}: give a longer --duration")


def given(context):
    """Names of the parameters that were typed."""
    return {name for name in context.params if context.get_parameter_source(name).name == "COMMANDLINE"}


def check_company(context, needs=(), excludes=()):
    """BadParameter for an option that would have no effect.

    ``needs``: (name, name of the option that it needs); ``excludes``: (name, name of an option that it excludes).
    """
    typed = given(context)
    for name, other in needs:
        if name in typed and other not in typed:
            first, second = as_typed(context, name), as_typed(context, other)
            raise typer.BadParameter(f"{first} has no effect without {second}: give both, or neither")
    for name, other in excludes:
        if name in typed and other in typed:
            first, second = as_typed(context, name), as_typed(context, other)
            raise typer.BadParameter(f"{first} has no effect with {second}: give one of them")


def as_typed(context, name):
    """The option of a parameter, as it is typed."""
    return next(parameter.opts[0] for parameter in context.command.params if parameter.name == name)


def deliver(secret, out):
    """Write a secret to a new file of mode 0600, or to standard output for "-" and None; returns whether to a file."""
    if out is None or str(out) == "-":
        print(secret)
        return False
    pki.write_private(out, secret.encode(), replace=False)
    return True


def refuse_both(out, as_json):
    """--out and --json exclude each other."""
    with show.usage():
        if out and as_json:
            raise ValueError("give --out or --json, not both: the token goes to one place")


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
SYSTEM_HELP = "System UUID of the device."
System = Annotated[
    str, typer.Argument(metavar="SYSTEM", help=SYSTEM_HELP, callback=read_by(a_system), autocompletion=systems)
]
SPAN_HELP = "as 1D, P1D, PT1H or seconds."
LASTS_HELP = f"How long the token lasts, {SPAN_HELP}"
Duration = Annotated[str, typer.Option(metavar="TIME", help=LASTS_HELP, callback=checked(timespan.parse_s))]
BEFORE_HELP = f"Renew if the end is nearer than this, {SPAN_HELP}"
Before = Annotated[str, typer.Option(metavar="TIME", help=BEFORE_HELP, callback=checked(timespan.parse_s))]
OUT_HELP = "Write it to this new file, mode 0600; - for standard output."
Out = Annotated[Path | None, typer.Option(metavar="FILE", help=OUT_HELP, callback=checked(a_new_file))]
