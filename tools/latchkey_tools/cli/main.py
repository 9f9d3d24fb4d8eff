"""The command `latchkey`: devices, their tokens and boards, the DRIVR simulator, and the demo.

Data goes to standard output, everything else to standard error. Exit status: 0 done, 1 it did not work (the last line
says what to do), 2 wrong usage, 3 refused for safety, 130 interrupted. With --json, too, an error is text on standard
error.
"""

import _thread
import signal
import sys
import threading
import time
from typing import Annotated, Literal

import typer
from typer.exceptions import TyperException

from latchkey_tools import __version__
from latchkey_tools.cli import (
    board_commands,
    certificate_commands,
    config_commands,
    device_commands,
    doctor_commands,
    label_commands,
    pair_commands,
    practice_commands,
    release_commands,
    renew_commands,
    show,
    sim_commands,
    streams,
    token_commands,
    trip_commands,
    update_commands,
    usage,
    vboard_commands,
)
from latchkey_tools.device.wallet import Unsafe, holds_token
from latchkey_tools.problems import PROBLEMS, REFUSALS, words

# Without rich: its panels leave no room for text at 80 columns, and keep the line breaks of the source.
app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, help="Tools for Latchkey devices."
)
app.add_typer(board_commands.app, name="board")
app.add_typer(sim_commands.app, name="sim")
app.add_typer(token_commands.app, name="token")
app.add_typer(device_commands.app, name="device")
app.add_typer(certificate_commands.app, name="certificate")
app.add_typer(label_commands.app, name="label")
app.add_typer(trip_commands.app, name="trip")
app.add_typer(release_commands.app, name="release")
device_commands.app.command("config")(config_commands.config)
device_commands.app.command("certificate")(config_commands.put_certificate)
device_commands.app.command("update")(update_commands.send)
device_commands.app.command("keys")(update_commands.keys)
token_commands.app.command("renew")(renew_commands.renew)
app.command("pair")(pair_commands.pair)
app.command("doctor")(doctor_commands.run)
app.command("practice")(practice_commands.run)
app.command("vboard")(vboard_commands.vboard)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running, and print commands to try.")] = False,
    broker: Annotated[
        Literal["mosquitto", "amqtt"] | None, typer.Option(help="Which broker; by default the first that is installed.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print every check.")] = False,
):
    """Run the main job from start to end, on real MicroPython.

    The demo starts a broker, the DRIVR simulator and a device, and shows what the device accepts and refuses.

    \b
    Examples:
      latchkey demo
      latchkey demo --keep
    """
    from latchkey_tools.desk import demo as story

    raise typer.Exit(story.main(keep=keep, broker_kind=broker, verbose=verbose))


@app.callback(invoke_without_command=True)
def version(wanted: Annotated[bool, typer.Option("--version", help="Print the version.")] = False):
    if wanted:
        print(__version__)
        raise typer.Exit


def main():
    """Entry point: every expected failure is one line on standard error."""
    streams.make_ready()
    sys.unraisablehook = _dropped
    sys.exit(streams.finish(_status(), _say))


def _status():
    """Exit status of the command."""
    try:
        refuse_tokens(sys.argv[1:])
        status = app(standalone_mode=False)
        return status if type(status) is int else 0
    except SystemExit as end:
        return end.code
    except TyperException as problem:
        return _say_usage(problem)
    except typer.Abort:
        show.say("latchkey: there was no answer, so nothing was changed")
        return 1
    except REFUSALS as problem:
        _say(problem)
        return 3
    except BrokenPipeError:
        return 1
    except PROBLEMS as problem:
        _say(problem)
        return 1
    except KeyboardInterrupt:
        return 130


def _dropped(exception):
    """An exception from a finalizer, which Python would drop: a Ctrl-C is raised once more, outside of it."""
    if exception.exc_type is KeyboardInterrupt:
        _thread.start_new_thread(_interrupt_again, ())
    else:
        sys.__unraisablehook__(exception)


def _interrupt_again():
    # The main thread has left the finalizer by then; if it is in another one, the hook is called again.
    time.sleep(0.05)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def refuse_tokens(arguments):
    """Raises Unsafe for a token on the command line, before a command could print it."""
    if any(map(holds_token, arguments)):
        raise Unsafe("other users can see a token on the command line; give a file, or - for standard input")


def _say_usage(problem):
    """Its exit status, after what is wrong in the command line is printed."""
    for line in usage.lines(problem):
        show.say(line)
    return problem.exit_code


def _say(problem):
    for line in f"latchkey: {words(problem)}".split("\n"):
        show.say(line)


if __name__ == "__main__":
    main()
