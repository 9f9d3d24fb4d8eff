"""Questions at the terminal. They go to standard error, so that standard output has the data alone."""

import contextlib
import getpass
import sys
import termios

import typer

from latchkey_tools.cli import show


def require_yes(question, yes):
    """Return after the option --yes or a yes at the terminal; else the command ends here."""
    if yes:
        return
    if not sys.stdin.isatty():
        show.say("this needs a yes, and there is no terminal to ask at: give --yes")
        raise typer.Exit(2)
    with ends():
        if not typer.confirm(question, err=True):
            raise typer.Exit(1)


def word(question):
    """The typed text, without blanks around it."""
    with ends():
        return typer.prompt(question, err=True).strip()


def secret(question, without):
    """The typed text, which is not shown; ValueError if nothing is typed, and ValueError(``without``) if there is no
    terminal."""
    if not sys.stdin.isatty():
        raise ValueError(without)
    with ends():
        typed = getpass.getpass(f"{question} (not shown): ")
    if not typed:
        raise ValueError(f"{question}: nothing was typed; run the same again, and type it")
    return typed


@contextlib.contextmanager
def nothing_typed():
    """While it works, a terminal does not show what is typed, and the next question does not get it: somebody may type
    a passphrase before its question."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    quiet = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    try:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)


@contextlib.contextmanager
def ends():
    """Ctrl-C at a question gives exit status 130, as everywhere (click makes it 1). Ctrl-D counts as no answer."""
    try:
        yield
    except (typer.Abort, EOFError, KeyboardInterrupt) as end:
        print(file=sys.stderr)
        if isinstance(end, KeyboardInterrupt) or isinstance(end.__context__, KeyboardInterrupt):
            raise typer.Exit(130) from None
        show.say("there was no answer, so nothing was changed")
        raise typer.Exit(1) from None
