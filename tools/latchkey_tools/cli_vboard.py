"""`latchkey vboard`: the desk board in the foreground, as a board on a serial port."""

import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from latchkey_tools import children, options, sole
from latchkey_tools.desk import Desk, DeskError
from latchkey_tools.wallet import Unsafe

HELP = "commands: cut, on, reset, press [SECONDS], air, pins, offline, online, log, quit"


def _check_air(air):
    """ValueError unless the file says what is on air."""
    try:
        [one["ssid"] for one in json.loads(air.read_text())["networks"]]
    except OSError as e:
        raise ValueError(f"{air}: {e.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f'{air} is not of the form {{"networks": [{{"ssid": ...}}]}}') from None


def _check_heapsize(text):
    if not re.fullmatch(r"[1-9]\d*w?[KkMm]?", text):
        raise ValueError("write a number of bytes, with K or M behind it")


HEAP_HELP = "As MicroPython takes it; by default 352K."
HeapSize = Annotated[str | None, typer.Option(help=HEAP_HELP, callback=options.checked(_check_heapsize))]
AIR_HELP = "JSON file that says which Wi-Fi networks there are."
Air = Annotated[Path | None, typer.Option(help=AIR_HELP, callback=options.checked(_check_air))]


def vboard(
    folder: Annotated[Path | None, typer.Option(help="Keeps flash, with its firmware, and log.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of its local API; 0 for a free one.")] = 0,
    clock: Annotated[
        Literal["host", "unset"], typer.Option(help="This machine's, or unset: it starts in 2000 at every power-on.")
    ] = "host",
    threads: Annotated[bool, typer.Option(help="Whether the port has threads.")] = True,
    heapsize: HeapSize = None,
    air: Air = None,
    hurry: Annotated[int, typer.Option(min=1, help="By which pauses and time windows are divided.")] = 1,
    product: Annotated[Literal["bulb", "sensor"], typer.Option(help="What it is.")] = "bulb",
    battery: Annotated[bool, typer.Option("--battery", help="A sensor that sleeps between measurements.")] = False,
    button: Annotated[bool | None, typer.Option(help="By default all have one but a bulb with Wi-Fi.")] = None,
):
    """Run the firmware on the unix port behind a pseudo-terminal, until Ctrl-C.

    With --air it has Wi-Fi: the file is {"networks": [{"ssid", "passphrase", "channel", "rssi", "fault"}]}, of which
    only ssid must be there, and is read again and again. A fault is no_address, no_route, or the code of a failed join.

    What is typed while it runs: `cut` and `on` are its power, `reset` both; `press 6` holds its button for six seconds;
    `offline` and `online` are its uplink; `air`, `pins` and `log` show what it does; `quit` ends it.
    """
    air = air and air.resolve()
    os.umask(0o077)  # flash, NVS and log hold keys and passphrases
    children.stop_on_any_signal()
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="latchkey-vboard-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(_sole_user(folder))
        more = {"air": air, "hurry": hurry, "product": product, "battery": battery, "button": button}
        board = stack.enter_context(Desk(folder, port, clock, threads, heapsize, pins=True, **more))
        board.power_on()
        print(f"serial port: {board.serial}\nlocal API:   {board.url}\nconsole log: {board.log_path}", flush=True)
        if air:
            print(f"on Wi-Fi:    {board.ap_url} (access point), {board.lan_url} (joined)", flush=True)
        _follow_commands(board)


def _sole_user(folder):
    """Two boards over one flash image would ruin it, and others must not read it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        raise Unsafe(f"others can read {folder}, where keys and passphrases will be; `chmod 700` it, or name another")
    refusal = DeskError(f"a vboard runs in {folder} already; stop it, or give another --folder")
    return sole.user(folder / "vboard.lock", refusal)


def _follow_commands(board):
    """Until `quit`. At the end of standard input (a script, no terminal) the board goes on until it is killed."""
    print(HELP, flush=True)
    actions = {
        "press": lambda *seconds: board.press(*map(float, seconds)),
        "air": lambda: _print_air(board),
        "pins": lambda: print(_pins(board)),
        "cut": board.power_cut,
        "on": lambda: board.power_on(wait=False),
        "reset": lambda: board.restart(wait=False),
        "offline": board.cut_uplink,
        "online": board.restore_uplink,
        "log": lambda: print(board.log_text()),
    }
    for line in sys.stdin:
        word, *arguments = line.split() or ["."]
        if word == "quit":
            return
        try:
            actions.get(word, lambda *_: print(HELP))(*arguments)
        except (DeskError, ValueError, TypeError) as e:
            print(e)
        print(f"{word}: {_power(board)}", flush=True)
    _wait_for_signal()


def _power(board):
    if board.asleep:
        return "it sleeps"
    return "power is on" if board.running else "power is off"


def _print_air(board):
    """Never a passphrase."""
    for one in board.on_air():
        words = [f"channel {one.get('channel', 6)}", f"{one.get('rssi', -50)} dBm"]
        words += [] if one.get("passphrase") else ["open"]
        words += [f"fault {one['fault']}"] if one.get("fault") else []
        print(f"on air:       {one['ssid']}: {', '.join(words)}")
    state = board.radio_state() or {}
    address = "" if state.get("address") else ", no address" if state.get("joined") else ""
    print(f"joined:       {state.get('joined') or '-'}{address}")
    print(f"access point: {state.get('access_point') or '-'}, channel {state.get('channel', '-')}")


def _pins(board):
    levels = sorted(board.pin_levels().items(), key=lambda pin: int(pin[0]))
    shown = [f"GPIO {number}: {level / 65535:.0%}" for number, level in levels]
    return ", ".join(shown + [f"button: {board.button_state()}"])


def _wait_for_signal():
    import signal

    with contextlib.suppress(AttributeError):
        signal.pause()
