"""`latchkey practice`: the first ten minutes, with a prompt that shows what to type and looks whether it worked."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from latchkey_tools.cli import show
from latchkey_tools.desk import children, practice

PROMPT = "practice> "
HELP = "Type the line, or press Enter to run it as it is shown. `again` shows the step again, `quit` ends."
_ENDED = {130: "You stopped the command. "}
_SHELL = {"|", ">", ">>", "<", "&", "&&", "||", ";"}
# Variables of the user's own that would change what the lines do.
_NOT_PASSED = ("TOKEN", "HOST", "SLUG", "ENDPOINT", "CA", "WIFI_PASSPHRASE")


PORT_HELP = "Port of the bulb's API; 0: 8080, or a free one."


def run(port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help=PORT_HELP)] = 0):
    """Practise on this machine, at a prompt, for ten minutes.

    A simulated cloud, a Wi-Fi network and a new bulb start. The prompt shows a line to type, runs the line that you
    type, and looks at the bulb and the cloud to see whether it worked. The practice has a wallet of its own. At its
    end, or after Ctrl-C, nothing is left.

    \b
    Example:
      latchkey practice
    """
    children.stop_on_any_signal()
    try:
        with _world(port) as world:
            _say_first(world)
            for number, step in enumerate(practice.STEPS, 1):
                _take(world, step, f"{number} of {len(practice.STEPS)}. {step.title}")
        _say_next()
    except (EOFError, KeyboardInterrupt) as end:
        print()
        show.line("The practice has ended, and its files are removed.")
        show.line(f"To begin again: {show.latchkey()} practice")
        raise typer.Exit(130 if isinstance(end, KeyboardInterrupt) else 0) from None


def _say_first(world):
    print(_wrapped("A cloud, a Wi-Fi network and a new bulb run on this machine, in the folder"))
    print(f"{world.folder}.\n\n{_wrapped(HELP)}")


@contextlib.contextmanager
def _world(port):
    folder = Path(tempfile.mkdtemp(prefix="latchkey-practice-"))
    world = None
    # Inside it, so that a signal in the middle of any step leaves nothing.
    tempfile.tempdir = str(folder)
    try:
        with show.progress() as tell:
            tell("a cloud, a Wi-Fi network and a bulb start")
            world = practice.World(folder, port)
            world.start()
        yield world
    finally:
        children.clean_up_undisturbed()
        if world:
            world.stop()
        tempfile.tempdir = None
        shutil.rmtree(folder, ignore_errors=True)


def _take(world, step, title):
    """One step, until it is done; EOFError for `quit`."""
    step.prepare(world)
    _show(world, step, title)
    while True:
        line = _ask(world, step)
        if line == "again":
            _show(world, step, title)
        elif line is not None and _run_and_look(world, step, line):
            return


def _show(world, step, title):
    out = show.console()
    out.print(f"\n[bold]{title}[/bold]")
    print(_wrapped(step.text), end="\n\n")
    _show_line(step, world)
    print()


def _ask(world, step):
    """What to do next: "again", a list of words to run, or None after a word of help."""
    typed = _typed(PROMPT)
    if typed in ("quit", "exit", "q"):
        raise EOFError
    if typed in ("again", "help", "?"):
        return "again"
    if not typed:
        typed = step.line_for(world)
        _show_line(step, world)
    try:
        return _checked(typed)
    except ValueError as problem:
        print(_wrapped(str(problem)))
    return None


def _typed(prompt):
    """A line without blanks around it; one that ends in a backslash goes on in the next."""
    typed = input(prompt).strip()
    return f"{typed[:-1].strip()} {_typed('> ')}" if typed.endswith("\\") else typed


def _show_line(step, world):
    line = show.shell_line(step.line_for(world), _width())
    show.console().print(f"[cyan]{escape(line)}[/cyan]", soft_wrap=True)


def _checked(typed):
    """The words of a line; ValueError says in words what is wrong with it."""
    try:
        words = shlex.split(typed)
    except ValueError:
        raise ValueError("A quotation mark (' or \") has no second one. Type the line again.") from None
    if _SHELL & set(words):
        raise ValueError(f"This prompt is not a shell: leave {' and '.join(sorted(_SHELL & set(words)))} out.")
    if not words or Path(words[0]).name != "latchkey":
        raise ValueError(f"A line begins with `latchkey`. {HELP}")
    if words[1:2] == ["practice"]:
        raise ValueError("The practice is running. `again` shows what to type, `quit` ends it.")
    return words[1:]


def _run_and_look(world, step, words):
    """Whether the step is done after this line; says so."""
    status = _run(world, words)
    meant = words[:2] == shlex.split(step.line_for(world))[1:3]
    out = show.console()
    if status == step.status and meant and _look(world, step):
        out.print(f"[green]Done.[/green] {step.proof}")
        return True
    step.prepare(world)
    missing = step.missing if meant else "This step needs another line."
    ended = "" if status in (0, step.status) else _ENDED.get(status, "The command failed. ")
    out.print(f"[yellow]Not done.[/yellow] {ended}{missing}\n")
    _show_line(step, world)
    print()
    return False


def _run(world, words):
    """Exit status of `latchkey` with these words. Ctrl-C is the command's own meanwhile."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        command = Path(sys.executable).with_name("latchkey")
        return subprocess.run([command, *words], cwd=world.folder, env=_environment(world, words)).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _environment(world, words):
    kept = {name: value for name, value in os.environ.items() if name.removeprefix("LATCHKEY_") not in _NOT_PASSED}
    return kept | world.environment(words)


def _look(world, step):
    with show.progress() as tell:
        tell("looking at the bulb and the cloud")
        return practice.seen(lambda: step.done(world), step.within_s)


def _say_next():
    print(
        f"""
What next:
  docs/quickstart.md    the same to read, and without the practice's prompt
  docs/boards.md        the firmware on a board of your own
  docs/new-product.md   a product of your own
  {show.latchkey()} --help"""
    )


def _wrapped(text):
    return textwrap.fill(text, min(_width(), 80), break_long_words=False, break_on_hyphens=False)


def _width():
    return shutil.get_terminal_size().columns
