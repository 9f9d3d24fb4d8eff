"""`latchkey token`: make tokens, keep them in the wallet, and explain them."""

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from latchkey_tools import problems
from latchkey_tools.cli import ask, options, qr, show
from latchkey_tools.cli.advice import advice
from latchkey_tools.cli.sim_commands import HOME as SIMULATOR_HOME
from latchkey_tools.device import access, answer_shapes, cloud_api, offline_check, pasted
from latchkey_tools.device.wallet import (
    PREFIX,
    Wallet,
    WalletError,
    claims_of,
    end_words,
    is_for,
    lives,
    roles_of,
    systems_of,
)
from latchkey_tools.sim.client import Client

app = typer.Typer(
    no_args_is_help=True,
    help="""Make tokens, keep them in a wallet, and explain them.

    The wallet is a file of mode 0600 in the user's data folder, or in the folder that LATCHKEY_WALLET names.
    """,
)


def names(incomplete: str):
    """For completion: the names of the wallet's tokens."""
    try:
        return [e.name for e in Wallet().entries() if e.name.startswith(incomplete)]
    except Exception:
        return []


NAME_HELP = "The token's name in the wallet, or the beginning of its uuid."
Name = Annotated[str, typer.Argument(metavar="NAME", help=NAME_HELP, autocompletion=names)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts; never the token itself.")]
SLUG_HELP = "Name of the Domain at DRIVR."
Slug = Annotated[
    str | None,
    typer.Option(
        envvar="LATCHKEY_SLUG", metavar="NAME", help=SLUG_HELP, callback=options.checked(cloud_api.checked_slug)
    ),
]
Sim = Annotated[bool, typer.Option("--sim", help="Use the simulator that runs here (LATCHKEY_SIM).")]
REQUESTED_HELP = "Kind of device (requestedDevice)."
Requested = Annotated[str, typer.Option(metavar="KIND", help=REQUESTED_HELP)]
URL_HELP = "The cloud's GraphQL endpoint, instead of --slug."
Url = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="LATCHKEY_ENDPOINT",
        metavar="URL",
        help=URL_HELP,
        callback=options.read_by(cloud_api.checked_endpoint),
    ),
]
REMEMBER_HELP = "Keep the typed API key in the keyring if the cloud accepts it."
Remember = Annotated[bool, typer.Option("--remember", help=REMEMBER_HELP)]


@app.command()
def create(
    system: options.System,
    duration: options.Duration = "1D",
    permanent: Annotated[str | None, typer.Option(metavar="NAME", help="Make a permanent token of this name.")] = None,
    device: Requested = "smart-bulb",
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name in the wallet.")] = None,
    slug: Slug = None,
    url: Url = None,
    sim: Sim = False,
    remember: Remember = False,
    as_json: AsJson = False,
):
    """Make a token in the cloud, and keep it in the wallet.

    The cloud's API key comes from LATCHKEY_CLOUD_KEY, from the keyring (if the Python package of that name is
    installed and works), or you type it.

    \b
    Example:
      latchkey token create 792b6149-1daa-488f-b07a-f684503b0586 \\
        --duration 30D --slug company-example
    """
    Wallet().check_writable()  # a token that cannot be kept is not made
    with show.usage():
        cloud = choose_cloud(slug, url, sim, remember)
    with named_if_lost(cloud):
        token = cloud.create_permanent(system, permanent) if permanent else cloud.create(system, duration, device)
        entry = Wallet().add(token, name or permanent or device)
    cloud.remember_key()
    if as_json:
        return show.data(summary(entry))
    show.say(f"{entry.name} is in the wallet: {_ends(entry)}")
    if len(token) > 2048:
        show.say("it is over 2,048 bytes, which devices refuse; fewer roles make it shorter")


@app.command("list")
def list_(
    system: Annotated[
        str | None,
        typer.Option(
            metavar="SYSTEM",
            help="Only tokens for this System UUID.",
            callback=options.read_by(options.a_system),
            autocompletion=options.systems,
        ),
    ] = None,
    as_json: AsJson = False,
):
    """List the tokens of the wallet, the newest last.

    \b
    Example:
      latchkey token list
    """
    entries = [e for e in Wallet().entries() if not system or is_for(claims_of(e.token) or {}, system)]
    if as_json:
        return show.data([summary(e) for e in entries])
    if not entries:
        return show.say("the wallet has no token; `latchkey token create` makes one, `latchkey token import` adds one")
    whole, now = ("System", "ends", "uuid"), time.time()
    table = show.table("name", "System", "roles", "ends", "uuid", whole=whole)
    for e in entries:
        claims = claims_of(e.token) or {}
        systems, roles = show.lines(systems_of(claims)), ", ".join(roles_of(claims))
        name, roles, end = map(show.clean, (e.name, roles, end_words(claims, now)))
        table.add_row(name, systems, roles, end, show.clean(e.uuid[:8]), style=None if lives(claims, now) else "dim")
    show.console().print(table)


@app.command("show")
def show_(
    name: Name,
    out: options.Out = None,
    code: Annotated[
        Path | None,
        typer.Option("--qr", metavar="FILE", help="Draw it as a QR code: .png or .svg; - for this terminal."),
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="With --qr: the code opens the device's page with it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --qr: do not ask for a confirmation.")] = False,
    as_json: AsJson = False,
):
    """Explain a token of the wallet; --out or --qr gives the token.

    Everybody who sees a QR code of a token can use the token. With --link the token is in the address of the page on a
    device's access point: the device at that address gets it, and a browser may remember it. So it must end within 7
    days.

    \b
    Examples:
      latchkey token show cellar
      latchkey token show cellar --qr cellar.png --link
    """
    options.refuse_both(out, as_json)
    with show.usage():
        if code and (out or as_json) or (link or yes) and not code:
            raise ValueError("give --qr without --out and --json; give --link and --yes with --qr only")
        if code:
            qr.check_file(code)
    entry = Wallet().find(name)
    if code:
        return _draw(entry, code, link, yes)
    if out:
        return _hand_out(entry, out)
    _explain(entry.token, Wallet().key_sets(), as_json, entry.name)


@app.command()
def inspect(
    token: Annotated[
        str | None, typer.Argument(metavar="NAME|FILE", help="- for standard input; without it you type the token.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check with this key set (JWKS), not with imported ones.")
    ] = None,
    as_json: AsJson = False,
):
    """Explain any token, offline: claims, end, signature.

    The exit status is 1 if a device would refuse the token for a reason that is visible here, or if no key set verifies
    it although there are some. Revocation is not visible: only the device and the cloud have the token list.

    \b
    Example:
      latchkey token inspect token.txt --keys jwks.json
    """
    text = access.read_token(token) if token else pasted.token(_ask_for_token())
    key_sets = {str(keys): _key_set(pasted.read(keys), keys)} if keys else Wallet().key_sets()
    if not _explain(text, key_sets, as_json):
        raise typer.Exit(1)


@app.command()
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for a confirmation.")] = False,
    as_json: AsJson = False,
):
    """Remove a token from the wallet.

    The token stays valid: only the cloud can revoke it.

    \b
    Example:
      latchkey token remove cellar
    """
    entry = Wallet().find(name)
    ask.require_yes(f"Remove {show.plain(entry.name)} ({entry.uuid}) from the wallet?", yes)
    Wallet().remove(entry)
    if as_json:
        return show.data(summary(entry))
    show.say(f"{entry.name} is removed")


@app.command("import")
def import_(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="- for standard input; without it you type the token.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name in the wallet.")] = None,
    as_json: AsJson = False,
):
    """Add a token or a key set (JWKS) to the wallet.

    `latchkey token inspect` checks tokens with the key sets.

    \b
    Examples:
      latchkey token import token.txt --name cellar
      latchkey token import jwks.json
    """
    text = pasted.read(file) if file else _ask_for_token()
    token = pasted.token(text)
    if token.startswith(PREFIX):
        entry = Wallet().add(token, name)
        if as_json:
            return show.data(summary(entry))
        return show.say(f"{entry.name} is in the wallet: {_ends(entry)}")
    name, key_set = name or "default", _key_set(text, file)
    usable = offline_check.usable_keys(json.dumps(key_set).encode())
    Wallet().keep_keys(name, key_set)
    if as_json:
        return show.data({"key_set": name, "usable_keys": usable})
    show.say(f"the key set {name} is in the wallet: {usable} usable key{'s' * (usable != 1)}")


def choose_cloud(slug, url, sim, remember):
    """The Cloud that the options name; ValueError where they name none."""
    if sim:
        client = Client(os.environ.get("LATCHKEY_SIM") or SIMULATOR_HOME)
        return cloud_api.Cloud(client.url, cloud_api.Key(client.bearer, "of the simulator"))
    if not slug and not url:
        raise ValueError("name the cloud: --slug NAME, --endpoint URL, or --sim for the simulator")
    url = url or cloud_api.endpoint(slug)
    return cloud_api.Cloud(url, cloud_api.find_key(url, remember))


@contextlib.contextmanager
def named_if_lost(cloud):
    """Name the token that the cloud made in the block, however the block ends: somebody has to revoke it."""
    try:
        yield
    except Exception as problem:
        if cloud.made() is None:
            raise
        words = f"the token {cloud.made()} was made and is lost ({problems.words(problem)}); revoke it in the cloud"
        raise WalletError(words) from None
    except BaseException:
        if cloud.made() is not None:
            show.say(f"the token {cloud.made()} was made; if it is not in the wallet, revoke it in the cloud")
        raise


def _ask_for_token():
    if not sys.stdin.isatty():
        return pasted.read("-")
    return ask.secret("Token", "there is no token; type one, or name a file")


def _key_set(text, file):
    try:
        key_set = json.loads(pasted.bare(text))
    except (ValueError, RecursionError):
        key_set = None
    if not isinstance(key_set, dict) or "keys" not in key_set:
        what = "standard input" if file == "-" else file or "what was given"
        raise ValueError(f"{what} is neither a CLOUD- token nor a key set (JWKS); check which file it is")
    return key_set


def _hand_out(entry, out):
    if options.deliver(entry.token, out):
        show.say(f"{entry.name} is in {out}")


def _draw(entry, file, link, yes):
    text = qr.content(entry.token, link)
    where = "this terminal" if str(file) == "-" else file
    ask.require_yes(f"Everybody who sees the code can use this token: it {_ends(entry)}. Draw it in {where}?", yes)
    qr.write(text, file)
    if str(file) != "-":
        show.say(f"the QR code of {entry.name} is in {file}; remove it after use")


def _ends(entry):
    return end_words(claims_of(entry.token), time.time())


def summary(entry):
    """An entry without the token itself, for scripts."""
    claims = claims_of(entry.token) or {}
    return {
        "uuid": entry.uuid,
        "name": entry.name,
        "systems": systems_of(claims),
        "roles": roles_of(claims),
        "exp_unix_s": claims.get("exp"),  # as the token has it: null is without an end
        "added_unix_s": entry.added_unix_s,
    }


def _explain(token, key_sets, as_json, name=None):
    """Explain a token; True if there is nothing against it."""
    verdict, now = offline_check.judge(token, key_sets), int(time.time())
    if as_json:
        show.data(_as_data(verdict, name))
    else:
        show.facts([("name", name), *_fact_rows(verdict, token, now)])
        _print_verdict(verdict, key_sets)
    return not verdict.problems and verdict.signature != "bad"


def _as_data(verdict, name):
    return {
        "name": name,
        "header": verdict.header,
        "claims": verdict.claims,
        "signature": verdict.signature,
        "key": verdict.key and {"key_set": verdict.key[0], "kid": verdict.key[1]},
        "problems": verdict.problems,
    }


def _fact_rows(verdict, token, now):
    claims = verdict.claims
    if claims is None:
        return [("what it is", "not a local API token: those begin with CLOUD- and have three parts")]
    algorithm = f"signed with {verdict.header['alg']}" if verdict.header else "with a header that devices refuse"
    return [
        ("what it is", f"a local API token of {len(token):,} bytes, {algorithm}"),
        ("opens", ", ".join(f"the System {system}" for system in systems_of(claims)) or "nothing"),
        ("whose", _subject(claims)),
        ("roles", ", ".join(roles_of(claims)) or "none"),
        ("made", _time_words(claims.get("iat"), now)),
        ("begins", _time_words(claims.get("nbf"), now)),
        ("ends", "never" if claims.get("exp") is None else _time_words(claims["exp"], now)),
        ("issuer", claims.get("iss")),
        ("uuid", claims.get("jti")),
    ]


def _subject(claims):
    known = [claims.get(part) for part in ("name", "typename", "sub")]
    return ", ".join(str(part) for part in known if part) or "nobody's"


def _time_words(value, now):
    if value is None:
        return None
    return show.moment(value, now) if answer_shapes.time(value) else "not a time"


def _print_verdict(verdict, key_sets):
    out = show.console()
    if verdict.signature == "good":
        name, kid = map(show.clean, (verdict.key[0], verdict.key[1] or "without kid"))
        out.print(f"[green]The signature is good[/green]: key {kid} of the key set {name}.")
    elif verdict.signature == "bad":
        out.print("[yellow]No key set here verifies it[/yellow]: they are old or another Domain's, or it is forged.")
    elif not key_sets and verdict.header:
        out.print("The signature is not checked: there is no key set (`latchkey token import` adds one).")
    for code in verdict.problems:
        out.print(f"[red]A device refuses it[/red]: {code}. What to do: {show.clean(advice(code))}.")
    if not verdict.problems and verdict.signature != "bad":
        out.print("Nothing here is against it. Only the device and the cloud know whether it was revoked.")
