"""`latchkey device update` and `latchkey device keys`: signed files for devices in the field."""

import collections
import contextlib
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column

from latchkey_tools.cli import show
from latchkey_tools.cli.device_commands import HOST, HOST_VARIABLE, Ca, Host, TokenFile, TokenName
from latchkey_tools.cli.options import AsJson
from latchkey_tools.device import update
from latchkey_tools.device.local_api import Device
from latchkey_tools.release import manifest

_COLOURS = {update.GOOD: "green", update.HAD: "green", update.LEFT: "yellow"}
_KEYS_WITHIN_S = 30

Hosts = Annotated[list[str], typer.Argument(envvar=HOST_VARIABLE, **HOST)]
RELEASE_HELP = "A file of `latchkey release sign` or `new-key`."
# Eager: it is read before HOST, so that a word that is missing is known to be a host (latchkey_tools/cli/usage.py).
ReleaseFile = Annotated[Path, typer.Argument(metavar="FILE", help=RELEASE_HELP, is_eager=True)]
KeysFile = Annotated[Path, typer.Argument(metavar="FILE", help="A file of `latchkey release keys`.")]


def send(
    hosts: Hosts,
    file: ReleaseFile,
    at_once: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Update N devices at the same time.")] = 4,
    again: Annotated[
        bool, typer.Option("--again", help="Send it even if the device runs this release already.")
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Continue with further devices after one has gone back.")
    ] = False,
    token_file: TokenFile = None,
    token: TokenName = None,
    ca: Ca = None,
    as_json: AsJson = False,
):
    """Send a release to devices, and wait for the result.

    It waits until the release is good on each device, or the device has gone back to the one before. An interrupted
    upload continues where it ended, also with the same command after Ctrl-C. After one device has gone back, no further
    device gets the release. The exit status is 0 if every device runs the release.

    \b
    Examples:
      latchkey device update 192.168.4.1 bulb-1.2.0.latchkey
      latchkey device update --at-once 8 10.0.0.11 10.0.0.12 \\
        bulb-1.2.0.latchkey
    """
    found = manifest.whole(file, manifest.RELEASE, manifest.RELEASE_KEY)
    hosts, results, stop = list(dict.fromkeys(hosts)), {}, threading.Event()
    how = {"stop": stop, "ca": ca, "token_file": token_file, "token": token, "again": again}

    def one(host):
        return update.Update(host, found, lambda words, done: tell(host, words, done), **how).run()

    try:
        with _telling(hosts, len(found.payload)) as tell:
            for result in update.of_all(hosts, one, at_once, keep_going):
                results[result.host] = result
                tell(result.host, result.state, len(found.payload) if result.state in update.WELL else None)
    except KeyboardInterrupt:
        stop.set()
        show.say(f"stopped, {len(results)} of {len(hosts)} done; the same command continues here")
        raise
    _print([results[host] for host in hosts], as_json)
    if any(result.state not in update.WELL for result in results.values()):
        raise typer.Exit(1)


def keys(host: Host, file: KeysFile, ca: Ca = None, as_json: AsJson = False):
    """Send a key set that the maker signed.

    It is for a device that missed a change of the cloud's keys. No token is needed. Somebody has to press the device's
    button first (without one: switch it on five times).

    \b
    Example:
      latchkey device keys 192.168.4.1 keys.latchkey
    """
    found = manifest.whole(file, manifest.KEYS)
    content = found.line + b"\n" + found.payload
    with Device(host, ca) as device:
        answer = device.send("/v1/keys", None, iter([content]), len(content), _KEYS_WITHIN_S)
    if as_json:
        return show.data(answer)
    count = answer.get("keys")
    show.line(f"{host}: it has the key set, with {count} key{'s' * (count != 1)}")


@contextlib.contextmanager
def _telling(hosts, size):
    """A function that shows what goes on with a host: on a terminal a bar for each, elsewhere a line for new words."""
    if not sys.stderr.isatty():
        lines = collections.defaultdict(show.line_by_line)
        yield lambda host, words, _done: lines[host](f"{host}: {words}")
        return
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", max_width=28)),
        BarColumn(bar_width=12),
        TaskProgressColumn(),
        TextColumn("{task.fields[words]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=show.console(stderr=True), transient=True) as bars:
        tasks = {host: bars.add_task(show.clean(host), total=size or 1, words="waiting") for host in hosts}

        def tell(host, words, done):
            bars.update(tasks[host], completed=done, words=show.clean(words))

        yield tell


def _print(results, as_json):
    if as_json:
        return show.data([result._asdict() for result in results])
    table = show.table("host", "result", "what happened", whole=("host",))
    for result in results:
        colour = _COLOURS.get(result.state, "red")
        table.add_row(show.clean(result.host), f"[{colour}]{result.state}[/{colour}]", show.clean(result.words))
    show.console().print(table)
    for todo in dict.fromkeys(result.todo for result in results if result.todo):
        hosts = [result.host for result in results if result.todo == todo]
        show.say(f"{', '.join(hosts)}: {todo}." if len(results) > 1 else f"What to do: {todo}.")
