"""`latchkey device`: the everyday calls to a device's local API."""

import json
import queue
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from latchkey_tools.cli import show, streams, token_commands
from latchkey_tools.cli.advice import link_advice
from latchkey_tools.cli.options import AsJson
from latchkey_tools.device import access, answer_shapes
from latchkey_tools.device.local_api import ACCESS_POINT, Device, Refusal, Unreachable, local_name, parse_host
from latchkey_tools.device.wallet import Wallet

app = typer.Typer(
    no_args_is_help=True,
    help="""Call a device: read it, switch it, configure it.

    The token is --token or --token-file, else LATCHKEY_TOKEN, else the wallet's newest for the device's System.
    LATCHKEY_HOST is used if HOST is left out, except where NAME=VALUE follows. LATCHKEY_SOURCE names the address of
    this machine to call from.
    """,
)
FIND_WITHIN_S = 5
_MOST_TOKENS = 10000  # more than any device holds
# A device sends its members in any order.
INFO_ORDER = ("name", "product", "model", "version", "state", "system_uuid", "dev")
PARTS_ORDER = ("uptime_s", "reset_cause", "cloud", "keys", "ledger", "clock", "server", "refusals")
_TIMES = ("since", "cert_not_after", "broker_cert_not_after", "ca_not_after", "https_cert_not_after")


def hosts(incomplete: str):
    """For completion: names of the Systems in the wallet."""
    try:
        return [name for name in map(local_name, Wallet().systems()) if name.startswith(incomplete)]
    except Exception:
        return []


def is_host(context: typer.Context, value):
    """For typer: refuse what is not an address of a device, before anything is done; not while a shell completes."""
    if context.resilient_parsing or value is None:
        return value
    with show.usage():
        return _host(value) if isinstance(value, str) else [_host(one) for one in value]


def _host(text):
    parse_host(text)
    return text.strip()


HOST_HELP = "Name, IP address, URL or System UUID of the device."
HOST = {"metavar": "HOST", "help": HOST_HELP, "autocompletion": hosts, "callback": is_host}
HOST_VARIABLE = "LATCHKEY_HOST"
Host = Annotated[str, typer.Argument(envvar=HOST_VARIABLE, **HOST)]
# Without the variable: with it the first NAME=VALUE would be taken for the host.
HostFirst = Annotated[str, typer.Argument(**HOST)]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="File with the token; - for standard input.")
]
TokenName = Annotated[
    str | None,
    typer.Option("--token", metavar="NAME", help=token_commands.NAME_HELP, autocompletion=token_commands.names),
]
Ca = Annotated[
    Path | None,
    typer.Option(envvar="LATCHKEY_CA", metavar="FILE", help="CA of the device's HTTPS certificate (PEM)."),
]


@app.command()
def find(
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Look here too; repeat it.", callback=is_host, autocompletion=hosts),
    ] = None,
    as_json: AsJson = False,
):
    """Look for devices, for 5 seconds.

    It looks at the names of all Systems in the wallet, at the address of an access point, and at --host. It sends no
    token.

    \b
    Example:
      latchkey device find --host 192.168.1.40
    """
    wallet = Wallet()
    places = list(dict.fromkeys([*map(local_name, wallet.systems()), ACCESS_POINT, *(host or ())]))
    found = sorted(ask_all(places))
    if as_json:
        show.data([{"host": place, **info} for place, info in found])
    elif found:
        _print_found(found, wallet)
    if not found:
        show.say(f"no device answered at {', '.join(places)}; give its address with --host")
        raise typer.Exit(1)


@app.command()
def info(host: Host, ca: Ca = None, as_json: AsJson = False):
    """Show what the device is; no token is needed.

    \b
    Example:
      latchkey device info latchkey-792b6149.local
    """
    with Device(host, ca) as device:
        facts = device.info()
    if as_json:
        return show.data(facts)
    show.facts([(name, _words(name, value)) for name, value in _ordered(facts, INFO_ORDER)])


@app.command()
def state(host: Host, token_file: TokenFile = None, token: TokenName = None, ca: Ca = None, as_json: AsJson = False):
    """Show the state of the bulb or sensor.

    \b
    Example:
      latchkey device state latchkey-792b6149.local
    """
    _print_state(_call(host, "GET", "/v1/state", None, token_file, token, ca), as_json)


@app.command("set")
def set_(
    host: HostFirst,
    changes: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE", help="on, off, brightness_pct=40, rgb=255,120,0 and others.")
    ],
    token_file: TokenFile = None,
    token: TokenName = None,
    ca: Ca = None,
    as_json: AsJson = False,
):
    """Change the state of the bulb.

    \b
    Examples:
      latchkey device set latchkey-792b6149.local on brightness_pct=40
      latchkey device set latchkey-792b6149.local rgb=255,120,0
    """
    with show.usage():
        body = dict(map(_change, changes))
    with Device(host, ca) as device:
        try:
            answer, _here = access.call(device, "PATCH", "/v1/state", body, token_file, token)
        except Refusal as refusal:
            if refusal.code == "invalid_field" and refusal.field:
                _say_bounds(device, refusal.field, token_file, token)
            raise
    _print_state(answer, as_json)


def _say_bounds(device, field, token_file, token):
    """Print the bounds of ``field``, or the fields that there are, if the device describes them."""
    try:
        described, here = access.call(device, "GET", "/v1/state/fields", None, token_file, token)
        names = [name for name in device.call("GET", "/v1/state", here.token) if name in described]
    except (Refusal, Unreachable):
        return
    bounds = described.get(field) or {}
    if field not in names:
        show.say(f"the state has no field {field}; its fields are {', '.join(names)}")
    elif "min" in bounds and "max" in bounds:
        show.say(f"{field} is a number from {bounds['min']} to {bounds['max']}")


@app.command()
def identify(host: Host, token_file: TokenFile = None, token: TokenName = None, ca: Ca = None):
    """Make the device blink, so that you see which one it is.

    \b
    Example:
      latchkey device identify latchkey-792b6149.local
    """
    _call(host, "POST", "/v1/identify", None, token_file, token, ca)
    show.say("it blinks")


@app.command()
def diagnostics(
    host: Host, token_file: TokenFile = None, token: TokenName = None, ca: Ca = None, as_json: AsJson = False
):
    """Show details: cloud link, keys, clock, memory, refusals.

    \b
    Example:
      latchkey device diagnostics latchkey-792b6149.local
    """
    facts = _call(host, "GET", "/v1/diagnostics", None, token_file, token, ca)
    if as_json:
        return show.data(facts)
    for part, value in _ordered(facts, PARTS_ORDER):
        if isinstance(value, dict):
            show.console().print(f"[bold]{show.clean(part)}[/bold]")
            show.facts([(f"  {name}", _words(name, one)) for name, one in sorted(value.items())])
        else:
            show.facts([(part, _words(part, value))])
    _print_link_advice(facts.get("cloud"))


@app.command()
def log(host: Host, token_file: TokenFile = None, token: TokenName = None, ca: Ca = None, as_json: AsJson = False):
    """Show the newest lines of the device's log, oldest first.

    \b
    Example:
      latchkey device log latchkey-792b6149.local
    """
    lines = _call(host, "GET", "/v1/log", None, token_file, token, ca).get("lines") or []
    if as_json:
        return show.data(lines)
    for line in lines:
        show.line(f"{line.get('uptime_s') or 0:>8} s  {line.get('text') or ''}")


@app.command()
def tokens(host: Host, token_file: TokenFile = None, token: TokenName = None, ca: Ca = None, as_json: AsJson = False):
    """Show the device's token list, and compare the wallet.

    \b
    Example:
      latchkey device tokens latchkey-792b6149.local
    """
    with Device(host, ca) as device:
        found, here = access.call(device, "GET", "/v1/tokens", None, token_file, token)
        rows = _all_tokens(device, here, found)
    mine = {entry.uuid: entry.name for entry in Wallet().fitting(here.system)}
    missing = sorted(mine.keys() - {row.get("jti") for row in rows})
    if as_json:
        return show.data({"tokens": rows, "only_in_wallet": missing})
    _print_tokens(rows, mine, missing)


def _all_tokens(device, here, found):
    """Rows of all answers, the first of which is ``found``; a device that answers endlessly is not followed."""
    rows = []
    while True:
        some = found.get("tokens") or []
        rows += some
        last = some[-1].get("jti") if some else None
        if not (found.get("more") and last) or len(rows) > _MOST_TOKENS:
            return rows
        found = device.call("GET", f"/v1/tokens?after={last}", here.token)


def _print_tokens(rows, mine, missing):
    table = show.table("jti", "in the wallet", "admitted", "ends", "changed", whole=("jti",))
    for row in rows:
        jti, end, changed = row.get("jti"), row.get("end_unix_s"), row.get("changed_unix_s")
        times = [_words("x_unix_s", one) for one in (end, changed)]
        table.add_row(*map(show.clean, (jti, mine.get(jti, "-"), _words("", bool(row.get("admits"))), *times)))
    show.console().print(table)
    for jti in missing:
        show.say(f"{mine[jti]} ({jti}) is in the wallet, but not in the device's list")


@app.command()
def uses(host: Host, token_file: TokenFile = None, token: TokenName = None, ca: Ca = None, as_json: AsJson = False):
    """Show who did what lately, and who was refused.

    \b
    Example:
      latchkey device uses latchkey-792b6149.local
    """
    found = _call(host, "GET", "/v1/uses", None, token_file, token, ca)
    if as_json:
        return show.data(found)
    table = show.table("ago", "who", "jti", "role", "what", "status", "count")
    for use in (found.get("changes") or []) + (found.get("reads") or []):
        what = f"{use.get('method')} {use.get('path')}"
        who = (show.span(use.get("ago_s") or 0), use.get("name") or "-", use.get("jti") or "-", use.get("role") or "-")
        table.add_row(*map(show.clean, (*who, what, str(use.get("status")), str(use.get("count")))))
    show.console().print(table)
    for peer in found.get("peers") or []:
        ago = show.span(peer.get("ago_s") or 0)
        show.line(f"refused: {peer.get('peer')}, {peer.get('count')} times, the last {ago} ago")


@app.command()
def events(
    host: Host,
    count: Annotated[int, typer.Option(min=0, metavar="N", help="Stop after N events; 0 for never.")] = 0,
    token_file: TokenFile = None,
    token: TokenName = None,
    ca: Ca = None,
    as_json: AsJson = False,
):
    """Print the state now and at every change, until Ctrl-C.

    It also ends when the device no longer accepts the token.

    \b
    Example:
      latchkey device events latchkey-792b6149.local
    """
    streams.end_with_reader()
    seen = 0
    with Device(host, ca) as device:
        # The smallest call finds out which of several tokens the device accepts.
        passed = access.call(device, "GET", "/v1/state", None, token_file, token)[1]
        for event, data in device.events(passed.token):
            if event == "end":
                raise Refusal(401, data.get("code") or "unknown", "The device ended the stream.")
            _print_event(data, as_json)
            seen += 1
            if seen == count:
                return
    raise Unreachable("the stream ended early; the device may be restarting: try again")


def _call(host, method, path, body, token_file, token, ca):
    with Device(host, ca) as device:
        return access.call(device, method, path, body, token_file, token)[0]


def ask_all(places):
    """[(place, info)] of those that answer. A name look-up cannot be interrupted, so threads are left to themselves."""
    answers = queue.Queue()
    for place in places:
        threading.Thread(target=_ask_one, args=(place, answers), daemon=True).start()
    deadline, found = time.monotonic() + FIND_WITHIN_S, []
    for _ in places:
        try:
            place, info = answers.get(timeout=max(0.01, deadline - time.monotonic()))
        except queue.Empty:
            break
        if info:
            found.append((place, info))
    return found


def _ask_one(place, answers):
    try:
        with Device(place, timeout_s=FIND_WITHIN_S, connect_s=3) as device:
            answers.put((place, device.info()))
    except (Unreachable, Refusal, ValueError, OSError):
        answers.put((place, None))


def _print_found(found, wallet):
    table = show.table("host", "what", "name", "state", "System", "token", whole=("host", "System"))
    for place, info in found:
        system = info.get("system_uuid")
        fitting = wallet.fitting(system)
        what = f"{info.get('product')} {info.get('model') or ''}"
        cells = (place, what, info.get("name") or "", info.get("state"), system, fitting[0].name if fitting else "none")
        table.add_row(*map(show.clean, cells))
    show.console().print(table)


def _change(word):
    name, equals, text = word.partition("=")
    if not equals and name in ("on", "off"):
        return "on", name == "on"
    if not equals or not name:
        raise ValueError(f"{word[:80]}: write NAME=VALUE, or on, or off")
    return name, _value(text)


def _value(text):
    """on, off, JSON, numbers with commas between, or a text."""
    if text in ("on", "off"):
        return text == "on"
    for written in (text, f"[{text}]" if "," in text else text):
        value = answer_shapes.parse(written)
        if value is not None or written == "null":
            return value
    return text


def _print_state(state, as_json):
    if as_json:
        return show.data(state)
    show.facts([(name, _words(name, value)) for name, value in state.items()])


def _print_event(state, as_json):
    if as_json:
        return print(json.dumps(state), flush=True)
    words = "  ".join(f"{name} {_words(name, value)}" for name, value in state.items())
    show.line(f"{time.strftime('%H:%M:%S')}  {words}")


def _ordered(facts, order):
    """Items of a dict: those of ``order`` first, then the others by name."""
    return [(n, facts[n]) for n in order if n in facts] + sorted(i for i in facts.items() if i[0] not in order)


def _key_words(key):
    return f"{key.get('kid') or 'without kid'} ({key.get('bits')} bits, {key.get('alg') or 'any algorithm'})"


def _words(name, value):
    """A value for a person: times in words, flags as yes and no, nothing as a dash."""
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if (name.endswith("_unix_s") or name in _TIMES) and isinstance(value, int):
        return show.moment(value, time.time())
    if name.endswith("uptime_s") and isinstance(value, int):
        return show.span(value)
    if name == "keys" and isinstance(value, list) and all(isinstance(key, dict) for key in value):
        return "; ".join(map(_key_words, value))
    if isinstance(value, list | dict):
        return json.dumps(value)
    return str(value)


def _print_link_advice(link):
    reason = link.get("reason") if isinstance(link, dict) else None
    if reason and link.get("state") != "online":
        happened, todo = link_advice(str(reason))
        show.say(f"the cloud link is {link.get('state')}: {happened}. What to do: {todo}.")
