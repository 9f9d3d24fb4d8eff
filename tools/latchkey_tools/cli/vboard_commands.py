"""`latchkey vboard`: the desk board in the foreground, as a board on a serial port."""

import ast
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from latchkey_tools import filelock, folders, problems, reading
from latchkey_tools.boards.mpremote import LINK, LOCK
from latchkey_tools.cli import options
from latchkey_tools.desk import children
from latchkey_tools.desk.unix_board import Desk, DeskError
from latchkey_tools.device.wallet import Unsafe
from latchkey_tools.sim import broker

HELP = "commands: cut, on, reset, press [SECONDS], air, pins, offline, online, log, quit"


def _check_air(air):
    """ValueError unless the file says what is on air."""
    try:
        [one["ssid"] for one in json.loads(reading.content(air))["networks"]]
    except OSError as e:
        raise ValueError(f"{air}: {e.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f'{air} is not of the form {{"networks": [{{"ssid": ...}}]}}') from None


def _check_product_file(path):
    """ValueError unless it is a Python file that makes a product; its mistakes are on the device's console."""
    try:
        tree = ast.parse(reading.content(path), str(path))
    except OSError as e:
        raise ValueError(f"{path}: {e.strerror}") from None
    except (SyntaxError, ValueError) as e:
        raise ValueError(f"{path} is not a Python file: {e}") from None
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    if path.suffix != ".py" or "product" not in names:
        raise ValueError(f"{path} is not a .py file with a function product(board); see docs/new-product.md")


def _check_heapsize(text):
    if not re.fullmatch(r"[1-9]\d*w?[KkMm]?", text):
        raise ValueError("write a number of bytes, with K or M after it")


HEAP_HELP = "Heap of the device, such as 320K; by default 352K."
HeapSize = Annotated[
    str | None, typer.Option(metavar="SIZE", help=HEAP_HELP, callback=options.checked(_check_heapsize))
]
FILE_HELP = "Python file with another product; read at every start. See docs/new-product.md."
ProductFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help=FILE_HELP, callback=options.checked(_check_product_file))
]
AIR_HELP = "JSON file with the Wi-Fi networks in reach."
Air = Annotated[Path | None, typer.Option(metavar="FILE", help=AIR_HELP, callback=options.checked(_check_air))]


def vboard(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where its flash and log are kept.")] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port of its API; 0: the last, or a free one.")
    ] = 0,
    clock: Annotated[
        Literal["host", "unset"], typer.Option(help="This machine's clock, or unset: each power-on starts in 2000.")
    ] = "host",
    heapsize: HeapSize = None,
    air: Air = None,
    hurry: Annotated[int, typer.Option(min=1, metavar="N", help="Divide pauses and time windows by N.")] = 1,
    product: Annotated[Literal["bulb", "sensor"], typer.Option(help="Kind of device.")] = "bulb",
    product_file: ProductFile = None,
    battery: Annotated[bool, typer.Option("--battery", help="A sensor that sleeps between measurements.")] = False,
    button: Annotated[bool | None, typer.Option(help="Default: all have one, except a bulb with --air.")] = None,
):
    """Run a virtual board on this machine, until Ctrl-C.

    It is the firmware on MicroPython's unix port, with a pseudo-terminal as its serial port.

    With --air it has Wi-Fi: the file is {"networks": [{"ssid", "passphrase", "channel", "rssi", "fault"}]}. Only ssid
    is required, and changes of the file count at once. A fault is no_address, no_route, or the code of a failed join.

    Type while it runs: `cut` and `on` switch its power, `reset` does both; `press 6` holds its button for six seconds;
    `offline` and `online` switch its uplink; `air`, `pins` and `log` show its state; `quit` ends it.

    \b
    Examples:
      latchkey vboard --folder lamp
      latchkey vboard --folder lamp --air air.json
    """
    _refuse_products("product" in options.given(context) and product, product_file, battery)
    air = air and air.resolve()
    os.umask(0o077)  # flash, NVS and log hold keys and passphrases
    children.stop_on_any_signal()
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="latchkey-vboard-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(_sole_user(folder))
        port = _its_port(folder, port, "" if air else "127.0.0.1")
        what = {"product": product, "product_file": product_file, "battery": battery, "button": button}
        board = stack.enter_context(Desk(folder, port, clock, heapsize, air=air, hurry=hurry, pins=True, **what))
        serial = stack.enter_context(_link(board.folder / LINK, board.serial))
        board.power_on()
        _say_where(board, serial)
        stack.callback(children.clean_up_undisturbed)
        _follow_commands(board)


def _refuse_products(typed, file, battery):
    """BadParameter for two products at once. ``typed``: the --product that was typed, or False."""
    if battery and typed == "bulb":
        raise typer.BadParameter("--battery is for a sensor: give --product sensor, or leave one of them out")
    if file and (battery or typed):
        raise typer.BadParameter("--product-file says itself what the product is: leave out --product and --battery")


def _say_where(board, serial):
    print(f"serial port: {serial}\nlocal API:   {board.url}\nconsole log: {board.log_path}", flush=True)
    if board.air:
        print(f"on Wi-Fi:    {board.ap_url} (access point), {board.lan_url} (joined)", flush=True)
    else:
        print(f"HTTPS:       {board.tls_url} (once it has a certificate for HTTPS)", flush=True)


def _sole_user(folder):
    """Two boards on one flash image would destroy it, and other users must not read it."""
    folders.make(folder)
    if folder.stat().st_mode & 0o077:
        raise Unsafe(f"others can read {folder}, where keys and passphrases will be; `chmod 700` it, or name another")
    refusal = DeskError(f"a vboard runs in {folder} already; stop it, or give another --folder")
    return filelock.user(folder / LOCK, refusal)


def _its_port(folder, port, host):
    """Of the local API: ``port``, else the folder's, which stays over all runs; DeskError if somebody else has it."""
    kept = folder / "port"
    port = port or broker.kept_port(kept) or broker.free_port()
    if broker.taken(port, host):
        raise DeskError(f"port {port} is in use by another program: end that, or give another --port")
    kept.write_text(f"{port}\n")
    return port


@contextlib.contextmanager
def _link(path, port):
    """``path`` leads to the serial port ``port`` meanwhile, whose number changes with every run."""
    part = path.with_name(f"{LINK}.part")
    part.unlink(missing_ok=True)
    part.symlink_to(port)
    part.replace(path)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _follow_commands(board):
    """Until `quit`. At the end of standard input (a script, no terminal) the board goes on until it is killed."""
    print(HELP, flush=True)
    actions = {
        "press": lambda *seconds: _press(board, *seconds),
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
        word, *arguments = line.split() or [""]
        if word == "quit":
            return
        if word not in actions:
            print(HELP, flush=True)
            continue
        try:
            _refuse_words(word, arguments)
            actions[word](*arguments)
        except (DeskError, ValueError, OSError) as problem:
            print(problems.words(problem))
        print(f"{word}: {_power(board)}", flush=True)
    _wait_for_signal()


def _refuse_words(command, words):
    if len(words) > (command == "press"):
        raise ValueError(f"write `{'press 3' if command == 'press' else command}`, and nothing after it")


def _press(board, seconds="0.3"):
    try:
        seconds = float(seconds)
    except ValueError:
        raise ValueError("a button is held for a number of seconds: write `press 3`") from None
    board.press(seconds)


def _power(board):
    if board.asleep:
        return "it sleeps"
    return "power is on" if board.running else "power is off"


def _print_air(board):
    """Never a passphrase."""
    if board.air:
        _check_air(board.air)
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
    with contextlib.suppress(AttributeError):
        signal.pause()
