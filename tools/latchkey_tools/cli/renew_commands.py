"""`latchkey token renew`: new tokens before the old ones end."""

import contextlib
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from latchkey_tools import filelock
from latchkey_tools.cli import ask, options, show, token_commands
from latchkey_tools.cli.device_commands import Ca, ask_all, hosts, is_host
from latchkey_tools.device import renewal
from latchkey_tools.device.local_api import ACCESS_POINT, Device, Unreachable, local_name
from latchkey_tools.device.wallet import Wallet, WalletError, claims_of, end_words
from latchkey_tools.sim import timespan

_COLOURS = {renewal.RENEWED: "green", renewal.WAITING: "yellow", renewal.REFUSED: "red", renewal.FAILED: "red"}

SYSTEMS_HELP = "System UUIDs of the devices."
Systems = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SYSTEM",
        help=SYSTEMS_HELP,
        callback=options.read_by(options.a_system),
        autocompletion=options.systems,
    ),
]
HOSTS_HELP = "Look for devices here too; repeat it."
Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", help=HOSTS_HELP, callback=is_host, autocompletion=hosts),
]


def renew(
    systems: Systems = None,
    every: Annotated[bool, typer.Option("--all", help="Every System that the wallet has a token for.")] = False,
    before: options.Before = "14D",
    duration: Annotated[
        str | None,
        typer.Option(metavar="TIME", help=f"{options.LASTS_HELP} By default as long as the old one."),
    ] = None,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Remove old tokens even if the device was not reached.")
    ] = False,
    host: Hosts = None,
    device: token_commands.Requested = "smart-bulb",
    slug: token_commands.Slug = None,
    url: token_commands.Url = None,
    sim: token_commands.Sim = False,
    remember: token_commands.Remember = False,
    ca: Ca = None,
    as_json: token_commands.AsJson = False,
):
    """Replace tokens that end soon, and try the new ones.

    The old token stays in the wallet until the device accepts the new one, you confirm, or it ends. In the cloud it
    stays valid until it ends. The next run tries again the devices that did not answer. The exit status is 1 if a token
    could not be made, or a device refuses the new one.

    For cron set LATCHKEY_CLOUD_KEY, and use --json.

    \b
    Examples:
      latchkey token renew --all --before 14D --slug company-example
      latchkey token renew --all --slug company-example --json
    """
    with show.usage():
        duration_s = _duration_s(systems, every, before, duration)
        cloud = token_commands.choose_cloud(slug, url, sim, remember)
    wallet = Wallet()
    with alone(wallet), show.progress() as tell:
        make = maker(cloud, device)
        chosen = wallet.systems() if every else list(dict.fromkeys(systems))
        results = renewal.make_new(wallet, chosen, timespan.parse_s(before), make, duration_s, tell)
        renewal.settle(wallet, results, trying(renewal.pending(results), host, ca, tell), drop_old)
    _report(wallet, results, as_json)
    if any(result.state in renewal.BAD for result in results):
        raise typer.Exit(1)


def _report(wallet, results, as_json):
    if not as_json:
        _confirm(wallet, results)
        _print(results)
    for result in results:
        for old in result.gone:
            show.say(renewal.gone_words(old, time.time()))
    if as_json:
        show.data([renewal.as_data(result) for result in results])


@contextlib.contextmanager
def alone(wallet):
    """WalletError where another renewal runs over this wallet: both would make a token for the same device."""
    wallet.check_writable()
    refusal = WalletError(f"another renewal runs over the wallet in {wallet.folder}; wait until it has ended")
    with filelock.user(Path(wallet.folder) / "renewal.lock", refusal):
        yield


def maker(cloud, device):
    """The ``make`` of renewal.make_new, over a Cloud; ``device``: its requestedDevice."""

    def make(system, duration_s, keep):
        with token_commands.named_if_lost(cloud):
            entry = keep(cloud.create(system, str(duration_s), device))
        cloud.remember_key()
        return entry

    return make


def trying(systems, hosts, ca, tell):
    """The ``attempt`` of renewal.settle: looks for the devices of ``systems`` at once, and calls each that answers."""
    places = {}
    if systems:
        tell(f"looking for {len(systems)} device{'s' * (len(systems) > 1)}")
        found = ask_all([*map(local_name, systems), ACCESS_POINT, *(hosts or ())])
        places = {info.get("system_uuid"): place for place, info in found}

    def attempt(system, token):
        if system not in places:
            raise Unreachable("it does not answer; run the same command again where it can be reached, or give --host")
        with Device(places[system], ca) as device:
            device.choose_channel()
            if device.info()["system_uuid"] != system:
                raise Unreachable("another device answers there now; run the same command again")
            device.call("GET", "/v1/whoami", token)

    return attempt


def _duration_s(systems, every, before, duration):
    """Seconds that a new token lasts, or None; ValueError for a command that makes no sense."""
    if bool(systems) == every:
        raise ValueError("name the tokens: SYSTEM, or --all for every System of the wallet")
    if duration is None:
        return None
    options.check_longer(duration, before)
    return timespan.parse_s(duration)


def _confirm(wallet, results):
    """At a terminal, ask about the old tokens of devices that were not reached."""
    waiting = [result for result in results if result.state == renewal.WAITING and result.old]
    if not waiting or not sys.stdin.isatty():
        return
    names = ", ".join(show.plain(old.name) for result in waiting for old in result.old)
    with ask.ends():
        answer = typer.confirm(f"No device has tried the successors of {names} yet. Remove the old tokens?", err=True)
    if answer:
        renewal.settle(wallet, waiting, _nobody, confirmed=True)


def _nobody(_system, _token):
    raise Unreachable("it was not tried")


def _print(results):
    table, now = show.table("System", "", "token", "ends", "what happened", whole=("System",)), time.time()
    told = [result for result in results if result.state != renewal.LASTS or result.old or result.gone]
    for result in told:
        name = result.new.name if result.new else "none"
        end = end_words(claims_of(result.new.token) or {}, now) if result.new else ""
        stays = result.old if result.state in (renewal.WAITING, renewal.REFUSED) else ()
        words = [result.words, *(f"{old.name} stays until the device accepts {name}" for old in stays)]
        colour = _COLOURS.get(result.state, "dim")
        cells = map(show.clean, (name, end, "; ".join(filter(None, words))))
        table.add_row(result.system, f"[{colour}]{result.state}[/{colour}]", *cells)
    if told:
        show.console().print(table)
    for todo in dict.fromkeys(result.todo for result in told if result.todo):
        show.say(f"What to do: {todo}.")
    rest = len(results) - len(told)
    if rest:
        show.say(f"{rest} last{'s' * (rest == 1)} long enough")
