"""`latchkey device config` and `latchkey device certificate`: the settings and the client certificate of a device."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from latchkey_tools import uuids
from latchkey_tools.boards import certificate
from latchkey_tools.cli import show
from latchkey_tools.cli.advice import link_advice
from latchkey_tools.cli.device_commands import Ca, Host, HostFirst, TokenFile, TokenName
from latchkey_tools.cli.options import AsJson
from latchkey_tools.cli.pair_commands import WAIT_S, Wait, as_data, say_why
from latchkey_tools.device import access, pairing
from latchkey_tools.device.local_api import Device, Refusal, Unreachable
from latchkey_tools.device.settings import SETTABLE, body_of, changes_between, flat
from latchkey_tools.device.wallet import Unsafe, Wallet

_POLL_S = 2
_ORDER = ("system_uuid", "name", "model", "dev", "slug", "issuer", "broker", "policy", "roles", "wifi", "hosts")
_BY_CABLE = ("system_uuid", "model", "dev")
_WITH_PRESENCE = ("slug", "issuer", "broker", "policy", "roles", "ntp")

CHANGES_HELP = "name=Cellar, policy.plain_http=read, roles.Installer=control and others."


def names(incomplete: str):
    """For completion: the settings that can be changed."""
    return [f"{name}=" for name in SETTABLE if name.startswith(incomplete)]


Changes = Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE", help=CHANGES_HELP, autocompletion=names)]


def config(
    host: HostFirst,
    changes: Changes = None,
    wait: Wait = WAIT_S,
    token_file: TokenFile = None,
    token: TokenName = None,
    ca: Ca = None,
    as_json: AsJson = False,
):
    """Show the settings of a device; NAME=VALUE changes them.

    A list has commas between its values. Roles are JSON, or one by one; `roles.Installer=` removes a role. `issuer=`
    accepts every issuer. `latchkey pair` changes the Wi-Fi. A new broker or slug is tried before it is kept.

    \b
    Examples:
      latchkey device config latchkey-792b6149.local
      latchkey device config latchkey-792b6149.local name=Cellar
    """
    with Device(host, ca) as device:
        before, here = access.call(device, "GET", "/v1/config", None, token_file, token)
        if not changes:
            return show.data(before) if as_json else _print_config(before)
        with show.usage():
            body = body_of(changes, before.get("config") or {})
        answer = device.call("PATCH", "/v1/config", here.token, body)
        if "config" not in answer:
            _follow(host, ca, here, wait, as_json)
            answer = device.call("GET", "/v1/config", here.token)
    changed = changes_between(before.get("config") or {}, answer.get("config") or {})
    if as_json:
        return show.data(answer | {"changed": [{"name": n, "before": b, "now": v} for n, b, v in changed]})
    _print_changes(changed)


def put_certificate(
    host: Host,
    cert: Annotated[Path, typer.Option(metavar="FILE", help="The new client certificate, PEM or DER.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="Private key of --cert, not encrypted.")],
    wait: Wait = WAIT_S,
    token_file: TokenFile = None,
    token: TokenName = None,
    ca: Ca = None,
    as_json: AsJson = False,
):
    """Give the device a new client certificate.

    The device tries the certificate on its broker, and goes back to the old one if the broker refuses it. Somebody has
    to press the device's button first. Over plain HTTP others on that network could read the key: use HTTPS or the
    access point.

    \b
    Example:
      latchkey device certificate 192.168.4.1 \\
        --cert lamp.pem --key lamp.key
    """
    with Device(host, ca) as device:
        attempt = try_certificate(device, certificate.body(cert, key), wait, token_file, token)
    if as_json:
        show.data({"attempt": attempt})
    else:
        show.say(attempt_words(attempt))
    if attempt != "kept":
        raise typer.Exit(1)


def try_certificate(device, body, wait_s, token_file=None, token=None):
    """Send a pair (dict) to the device, and wait: "kept", a reason of the cloud link, or "running" if it is not known.

    Unsafe where others could read the key on its way.
    """
    device.choose_channel()
    if not device.is_private:
        raise Unsafe(
            f"{device.url} is plain HTTP, so others in that network could read the key: "
            "join the device's access point, use HTTPS, or the serial cable"
        )
    here = access.call(device, "PUT", "/v1/config/certificate", body, token_file, token)[1]
    with show.progress() as tell:
        tell("the device is trying the new certificate on its broker")
        return _await_certificate(device, here.token, wait_s)


def attempt_words(attempt):
    """How the attempt of a certificate ended, and what to do."""
    if attempt == "kept":
        return "yes: the broker accepted the new certificate, and it is kept"
    if attempt == "running":
        return "not known: the attempt is still running; later, see cloud.attempt in `latchkey device diagnostics`"
    happened, todo = link_advice(attempt)
    return f"the attempt failed: {happened}; the old certificate is back. What to do: {todo}."


def _follow(host, ca, here, wait_s, as_json):
    """Wait for the end of an attempt; Exit if the new settings are not kept."""
    with pairing.Search(host, here, ca) as search, show.progress() as tell:
        outcome = pairing.Following(search, None, False, tell).follow(wait_s)
    if outcome.state == pairing.JOINED:
        return
    if as_json:
        show.data(as_data(outcome, here.system))
    else:
        say_why(outcome)
    raise typer.Exit(1)


def _await_certificate(device, token, wait_s):
    """How the attempt ended: "kept", a reason of the cloud link, or "running" if it is still not known."""
    deadline_s = time.monotonic() + wait_s
    attempt = "running"
    while attempt == "running" and time.monotonic() < deadline_s:
        time.sleep(min(_POLL_S, wait_s))
        try:
            cloud = device.call("GET", "/v1/diagnostics", token, patient=False).get("cloud") or {}
        except Unreachable:
            continue
        except Refusal as refusal:
            if access.is_of_one_token(refusal):
                raise
            continue
        attempt = cloud.get("attempt") or attempt
    return attempt


def _print_config(answer):
    settings, trust = answer.get("config") or {}, answer.get("trust") or {}
    table = show.table("setting", "value", "changes")
    for name, value in sorted(flat(settings).items(), key=lambda item: _place(item[0])):
        table.add_row(show.clean(name), show.clean(_words(value)), _who(name))
    show.console().print(table)
    _print_trust(trust)


def _place(name):
    """The place of a setting in the table: a device sends its members in any order."""
    top = name.split(".")[0]
    return _ORDER.index(top) if top in _ORDER else len(_ORDER), name


def _who(name):
    """How a setting changes."""
    top = name.split(".")[0]
    if top in _BY_CABLE:
        return "by serial cable"
    if top == "wifi":
        return "by latchkey pair"
    return "at the device" if top in _WITH_PRESENCE else "here"


def _print_trust(trust):
    out, now = show.console(), time.time()
    count = trust.get("changes") or 0
    out.print(f"Trust settings were changed {count} time{'s' * (count != 1)} over this API.")
    names = _token_names()
    for change in trust.get("last") or []:
        fields, jti = ", ".join(change.get("fields") or []), uuids.folded(change.get("jti") or "nobody")
        whose = f"{names[jti]} ({jti})" if jti in names else jti
        out.print(show.clean(f"  {show.moment(change.get('unix_s') or 0, now)}: {fields}, by the token {whose}"))


def _token_names():
    """{jti: name in the wallet}."""
    return {entry.uuid: entry.name for entry in Wallet().entries()}


def _print_changes(changed):
    if not changed:
        return show.say("nothing has changed: it was set so before")
    table = show.table("setting", "before", "now")
    for name, before, now in changed:
        table.add_row(*map(show.clean, (name, _words(before), _words(now))))
    show.console().print(table)


def _words(value):
    if value is None or value == "" or value == [] or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)
