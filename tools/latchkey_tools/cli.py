"""The command `latchkey`: devices, their tokens and boards, the DRIVR simulator, and the demo.

Data goes to standard output, everything else to standard error. Exit status: 0 done, 1 it did not work (the last line
says what to do), 2 wrong usage, 3 refused for safety, 130 interrupted. With --json, too, an error is text on standard
error, and the exit status tells it.
"""

import sys
from typing import Annotated, Literal

import typer

from latchkey_tools import (
    __version__,
    cli_board,
    cli_config,
    cli_device,
    cli_doctor,
    cli_pair,
    cli_sim,
    cli_token,
    cli_vboard,
    streams,
)
from latchkey_tools.problems import PROBLEMS, REFUSALS, words
from latchkey_tools.wallet import Unsafe, holds_token

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Tools for Latchkey devices.")
app.add_typer(cli_board.app, name="board")
app.add_typer(cli_sim.app, name="sim")
app.add_typer(cli_token.app, name="token")
app.add_typer(cli_device.app, name="device")
cli_device.app.command("config")(cli_config.config)
cli_device.app.command("certificate")(cli_config.put_certificate)
app.command("pair")(cli_pair.pair)
app.command("doctor")(cli_doctor.run)
app.command("vboard")(cli_vboard.vboard)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running and print lines to try.")] = False,
    broker: Annotated[
        Literal["mosquitto", "amqtt"] | None, typer.Option(help="The first that is there by default.")
    ] = None,
):
    """Run the main job from end to end: broker, simulator, and the firmware on real MicroPython."""
    from latchkey_tools import demo as story

    raise typer.Exit(story.main(keep=keep, broker_kind=broker))


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False):
    if show:
        print(__version__)
        raise typer.Exit


def main():
    """Entry point: every failure that is foreseen is one line on standard error."""
    streams.make_ready()
    sys.exit(streams.finish(_status(), _say))


def _status():
    """Exit status of the command."""
    try:
        refuse_tokens(sys.argv[1:])
        app()
    except SystemExit as end:
        return end.code
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


def refuse_tokens(arguments):
    """Raises Unsafe for a token on the command line, before any command could repeat it."""
    if any(map(holds_token, arguments)):
        raise Unsafe("a token on the command line is seen by others; give a file, or - for standard input")


def _say(problem):
    print(f"latchkey: {words(problem)}", file=sys.stderr)


if __name__ == "__main__":
    main()
