"""`latchkey vboard`: the desk board in the foreground, as a board on a serial port."""

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from latchkey_tools import children
from latchkey_tools.desk import Desk

HELP = "commands: cut, on, reset, offline, online, log, quit"


def vboard(
    folder: Annotated[Path | None, typer.Option(help="Keeps flash, with its firmware, and log.")] = None,
    port: Annotated[int, typer.Option(help="Port of its local API; 0 for a free one.")] = 0,
    clock: Annotated[str, typer.Option(help="host, or unset: it starts in 2000 at every power-on.")] = "host",
    threads: Annotated[bool, typer.Option(help="Whether the port has threads.")] = True,
    heapsize: Annotated[str, typer.Option(help="As MicroPython takes it.")] = "256K",
):
    """Run the firmware on the unix port behind a pseudo-terminal, until Ctrl-C."""
    if clock not in ("host", "unset"):
        raise ValueError("--clock is host or unset")
    children.stop_on_any_signal()
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="latchkey-vboard-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        board = stack.enter_context(Desk(folder, port, clock, threads, heapsize))
        board.power_on()
        print(f"serial port: {board.serial}\nlocal API:   {board.url}\nconsole log: {board.log_path}", flush=True)
        _follow_commands(board)


def _follow_commands(board):
    """Until `quit`. At the end of standard input (a script, no terminal) the board goes on until it is killed."""
    print(HELP, flush=True)
    actions = {
        "cut": board.power_cut,
        "on": lambda: board.power_on(wait=False),
        "reset": lambda: board.restart(wait=False),
        "offline": board.cut_uplink,
        "online": board.restore_uplink,
        "log": lambda: print(board.log_text()),
    }
    for line in sys.stdin:
        word = line.strip()
        if word == "quit":
            return
        actions.get(word, lambda: print(HELP))()
        print(f"{word or '.'}: {'power is on' if board.running else 'power is off'}", flush=True)
    _wait_for_signal()


def _wait_for_signal():
    import signal

    with contextlib.suppress(AttributeError):
        signal.pause()
