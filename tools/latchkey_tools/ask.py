"""Questions to whoever sits at the terminal; data and answers stay apart, so they go to standard error."""

import contextlib
import sys

import typer

from latchkey_tools import show


def require_yes(question, yes):
    """Go on only with the option --yes or a yes at the terminal; else the command ends here."""
    if yes:
        return
    if not sys.stdin.isatty():
        show.say("there is no terminal to ask at: give --yes")
        raise typer.Exit(2)
    with _ctrl_c():
        if not typer.confirm(question, err=True):
            raise typer.Exit(1)


@contextlib.contextmanager
def _ctrl_c():
    """Ctrl-C at a question ends as it does everywhere; click makes exit status 1 of it."""
    try:
        yield
    except typer.Abort as abort:
        print(file=sys.stderr)
        raise typer.Exit(130 if isinstance(abort.__context__, KeyboardInterrupt) else 1) from None


def word(question):
    """What is typed, without blanks around it."""
    with _ctrl_c():
        return typer.prompt(question, err=True).strip()
