"""`latchkey trip`: pack the data that devices need where there is no internet, and check it."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from latchkey_tools.cli import options, show, token_commands
from latchkey_tools.cli.renew_commands import Systems, alone, maker
from latchkey_tools.cli.sim_commands import HOME as SIMULATOR_HOME
from latchkey_tools.device import renewal, trip
from latchkey_tools.device.wallet import Wallet, claims_of, end_words
from latchkey_tools.sim import server
from latchkey_tools.sim.cloud import published_key_set

DAY_S = 86400
_WORDS = ("token", "roles", "key set", "label", "files")


class _PackByDefault(TyperGroup):
    """`latchkey trip SYSTEM...` is `latchkey trip pack SYSTEM...`."""

    def parse_args(self, ctx, args):
        if args and args[0] not in self.commands and args[0] not in ("--help", "--install-completion"):
            args = ["pack", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_PackByDefault,
    no_args_is_help=True,
    help="""Pack everything for a place without internet.

    That is: tokens, key set, labels and files. `latchkey trip SYSTEM... --until DATE` is short for
    `latchkey trip pack SYSTEM... --until DATE`.
    """,
)
UNTIL_HELP = "The last day of the trip, such as 2026-12-24."
Until = Annotated[
    str | None, typer.Option(metavar="DATE", help=UNTIL_HELP, callback=options.read_by(trip.day), show_default=False)
]
SITE_HELP = "A TOML file that names devices, roles and files; docs/tokens.md has its form."
SiteFile = Annotated[Path | None, typer.Option("--site", metavar="FILE", help=SITE_HELP)]


@app.command()
def pack(
    systems: Systems = None,
    until: Until = None,
    site: SiteFile = None,
    firmware: Annotated[Path | None, typer.Option(metavar="FILE", help="A release to take along.")] = None,
    signed_keys: Annotated[Path | None, typer.Option(metavar="FILE", help="A signed key set to take along.")] = None,
    device: token_commands.Requested = "smart-bulb",
    slug: token_commands.Slug = None,
    url: token_commands.Url = None,
    sim: token_commands.Sim = False,
    remember: token_commands.Remember = False,
    as_json: options.AsJson = False,
):
    """Pack tokens, key set, labels and files for a trip.

    Each device needs a token that lasts until DATE, its roles, a key set that verifies it, the label's passphrase, and
    the files that the site's file names. The command makes a token if none lasts long enough; older tokens stay. It
    copies the files into the wallet's folder. The exit status is 1 if something is missing.

    \b
    Examples:
      latchkey trip 792b6149-1daa-488f-b07a-f684503b0586 \\
        --until 2026-12-24 --slug company-example
      latchkey trip --site cellar.toml --slug company-example
    """
    wallet = Wallet()
    with show.usage():
        plan = _with_files(_plan(systems, until, site), site, {"firmware": firmware, "signed_keys": signed_keys})
        until_unix_s = _future(plan.until, wallet)
        cloud = token_commands.choose_cloud(slug, url, sim, remember)
    with alone(wallet), show.progress() as tell:
        # First: a file that cannot be read ends this before the first request to the cloud.
        taken = trip.packed(wallet, plan, until_unix_s)
        done = _make_tokens(wallet, plan, until_unix_s, maker(cloud, device), tell)
        if sim:
            done += _take_keys(wallet, taken)
    _report(trip.check(wallet, taken), wallet, as_json, done)


@app.command()
def check(
    systems: Systems = None,
    until: Until = None,
    site: SiteFile = None,
    as_json: options.AsJson = False,
):
    """Say what is missing for a trip, without a network.

    Without SYSTEM and --site it checks the newest trip that was packed. The exit status is 1 if something is missing.

    \b
    Example:
      latchkey trip check
    """
    wallet = Wallet()
    if systems or site:
        with show.usage():
            plan = _plan(systems, until, site)
            stops = [stop._asdict() for stop in plan.stops]
            wanted = {"until_unix_s": _future(plan.until, wallet), "stops": stops}
        return _report(trip.check(wallet, wanted), wallet, as_json)
    wanted = trip.kept(wallet)
    if until:
        with show.usage():
            wanted = wanted | {"until_unix_s": _future(until, wallet)}
    _report(trip.check(wallet, wanted), wallet, as_json)


def _plan(systems, until, site):
    """The Site that the command names; ValueError."""
    if bool(systems) == bool(site):
        raise ValueError("name the devices: SYSTEM..., or --site FILE with a site's devices")
    found = trip.read_site(site) if site else trip.Site(None, [trip.Stop(s) for s in dict.fromkeys(systems)])
    if not (until or found.until):
        raise ValueError("give the end of the trip: --until DATE, or until in the site's file")
    return found._replace(until=until or found.until)


def _with_files(plan, site, files):
    """The Site with the files that options name, for each of its devices; ValueError."""
    given = {name: str(path) for name, path in files.items() if path}
    if given and site:
        raise ValueError(f"the file of --site names {' and '.join(given)}; leave the options out")
    return plan._replace(stops=[stop._replace(files=given) for stop in plan.stops]) if given else plan


def _future(date, wallet):
    end_unix_s = trip.end_of(date)
    if end_unix_s <= wallet.clock():
        raise ValueError(f"the trip ends on {date}, which is past; give a later --until")
    return end_unix_s


def _make_tokens(wallet, plan, until_unix_s, make, tell):
    """Tokens for devices that have none that lasts; what was done and what failed, in words."""
    left_s = int(until_unix_s - wallet.clock())
    lacking = [stop.system for stop in plan.stops if trip.token_for(wallet, stop, until_unix_s) is None]
    results = renewal.make_new(wallet, lacking, left_s, make, left_s + DAY_S, tell, first=True)
    return [_made_words(result, wallet) for result in results]


def _made_words(result, wallet):
    if result.new is None:
        return f"no token was made for {result.system}: {result.words}"
    words = f"made the token {result.new.name} for {result.system}: it "
    return words + "; ".join(filter(None, (end_words(claims_of(result.new.token), wallet.clock()), result.words)))


def _take_keys(wallet, taken):
    """Take in the simulator's key set where none verifies a token; DRIVR documents no call that gives its own."""
    rows = trip.check(wallet, taken)
    if all(row.parts["key set"].good or not row.parts["token"].good for row in rows):
        return []
    folder = Path(os.environ.get("LATCHKEY_SIM") or SIMULATOR_HOME)
    wallet.keep_keys("simulator", json.loads(published_key_set(folder / server.STATE_NAME)))
    return ["took in the simulator's key set"]


def _report(rows, wallet, as_json, done=()):
    if as_json:
        show.data({"devices": [_as_data(row) for row in rows], "done": list(done), "whole": trip.is_whole(rows)})
    else:
        _print(rows, done)
    if not trip.is_whole(rows):
        raise typer.Exit(1)


def _as_data(row):
    parts = {name: part._asdict() for name, part in row.parts.items()}
    return {"system": row.stop.system, "name": row.stop.name, "parts": parts}


def _print(rows, done):
    for words in done:
        show.say(words)
    table = show.table("System", "name", *_WORDS, whole=("System",))
    for row in rows:
        table.add_row(row.stop.system, show.clean(row.stop.name), *map(_cell, row.parts.values()))
    out = show.console()
    out.print(table)
    missing = [part for row in rows for part in row.parts.values() if not part.good]
    for todo in dict.fromkeys(part.todo for part in missing if part.todo):
        names = [name for row in rows for name, part in row.parts.items() if part.todo == todo and not part.good]
        out.print(f"[bold]{', '.join(dict.fromkeys(names))}[/bold]: {show.clean(todo)}.")
    out.print(f"[red]{len(missing)} missing.[/red]" if missing else "[green]Nothing is missing.[/green]")


def _cell(part):
    return f"[{'green' if part.good else 'red'}]{show.clean(part.seen)}[/]"
