"""`latchkey sim`: run the DRIVR simulator, and change how its cloud behaves."""

import asyncio
import contextlib
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from latchkey_tools.cli import ask, options, show
from latchkey_tools.cli.options import AsJson, Duration, Out, System
from latchkey_tools.desk import children
from latchkey_tools.device import cloud_api
from latchkey_tools.sim import pki, server, timespan
from latchkey_tools.sim.broker import Broker, kept_port
from latchkey_tools.sim.client import Client
from latchkey_tools.sim.cloud import published_key_set
from latchkey_tools.sim.publisher import parse_broker, tls_context

app = typer.Typer(no_args_is_help=True, help="A DRIVR simulator on this machine, for development only.")

HOME = Path(typer.get_app_dir("latchkey")) / "simulator"
Folder = Annotated[
    Path,
    typer.Option(
        envvar="LATCHKEY_SIM",
        metavar="FOLDER",
        help="Where the simulator keeps its keys, tokens and API key.",
        show_default="in the user's configuration folder",
    ),
]
UUID_HELP = "The token's uuid, as `latchkey sim list` shows it, or its beginning."
TokenUuid = Annotated[str, typer.Argument(metavar="UUID", help=UUID_HELP)]
SLUG_HELP = "The Domain's name in MQTT topics."
Slug = Annotated[str, typer.Option(metavar="NAME", help=SLUG_HELP, callback=options.checked(cloud_api.checked_slug))]
Systems = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SYSTEM",
        help="A System UUID that the cloud knows; repeat it.",
        callback=options.read_by(options.a_system),
    ),
]


@app.command()
def run(
    context: typer.Context,
    folder: Folder = HOME,
    slug: Slug = "company-example",
    system: Systems = None,
    broker: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Your own broker, mqtts://HOST:PORT, instead of a new one; repeat it."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CA of the broker's certificate (PEM), instead of this machine's."),
    ] = None,
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="The simulator's client certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Private key of --cert (PEM).")] = None,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="User at the broker; set LATCHKEY_BROKER_PASSWORD or type it.")
    ] = None,
    broker_kind: Annotated[Literal["mosquitto", "amqtt"] | None, typer.Option(help="Which broker to start.")] = None,
    broker_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, metavar="PORT", help="Port of the started broker; else the last one."),
    ] = None,
    algorithm: Annotated[Literal["RS512", "RS256"] | None, typer.Option(help="How tokens are signed.")] = None,
    issuer: Annotated[str | None, typer.Option(metavar="URL", help="Issuer (iss) of the tokens; else DRIVR's.")] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port of the GraphQL API; 0 for a free one.")
    ] = 0,
):
    """Run the simulator until Ctrl-C.

    It prints its addresses. It listens on this machine only (loopback), and refuses DRIVR's own hosts.

    \b
    Examples:
      latchkey sim run
      latchkey sim run --slug company-example --broker-port 8883
    """
    settings = {"algorithm": algorithm} if algorithm else {}
    own = [(name, "broker") for name in ("ca", "cert", "key", "user")] + [("key", "cert")]
    options.check_company(context, own, [("broker_kind", "broker"), ("broker_port", "broker")])
    children.stop_on_any_signal()
    targets = _targets(broker, (ca, cert, key), user) if broker else None
    with contextlib.ExitStack() as stack:
        stack.enter_context(server.sole_user(folder))
        targets = targets or [_own_broker(stack, folder, slug, broker_kind, broker_port)]
        asyncio.run(server.serve(folder, slug, targets, system or (), issuer, port, settings, _tell, show.say))


@app.command()
def create(
    context: typer.Context,
    system: System,
    duration: Duration = "1D",
    permanent: Annotated[str | None, typer.Option(metavar="NAME", help="Make a permanent token of this name.")] = None,
    device: Annotated[str, typer.Option(metavar="KIND", help="Kind of device (requestedDevice).")] = "smart-bulb",
    out: Out = None,
    folder: Folder = HOME,
    as_json: AsJson = False,
):
    """Make a token with DRIVR's mutation, and print it.

    \b
    Example:
      latchkey sim create 792b6149-1daa-488f-b07a-f684503b0586
    """
    options.refuse_both(out, as_json)
    options.check_company(context, excludes=[("duration", "permanent"), ("device", "permanent")])
    client = Client(folder)
    if permanent:
        token = client.create_permanent_token(system, permanent)
    else:
        token = client.create_token(system, duration, device)
    _deliver(token, out, as_json)


@app.command()
def revoke(
    context: typer.Context,
    uuid: TokenUuid,
    leave: Annotated[
        bool, typer.Option("--leave", help="Take the token off the list, instead of setting its status.")
    ] = False,
    status: Annotated[str, typer.Option(metavar="WORD", help="The new status in the list.")] = "DEACTIVATED",
    folder: Folder = HOME,
    as_json: AsJson = False,
):
    """Revoke a token.

    \b
    Example:
      latchkey sim revoke 023722c2
    """
    options.check_company(context, excludes=[("status", "leave")])
    uuid = Client(folder).revoke(uuid, leave, status)
    if as_json:
        return show.data({"uuid": uuid, "status": None if leave else status})
    show.say(f"{uuid} {'is off the list' if leave else 'is ' + status}")


@app.command()
def extend(
    uuid: TokenUuid,
    duration: Annotated[
        str,
        typer.Argument(
            metavar="TIME", help=f"From now, {options.SPAN_HELP}", callback=options.checked(timespan.parse_s)
        ),
    ],
    out: Out = None,
    folder: Folder = HOME,
    as_json: AsJson = False,
):
    """Move the end of a token, and print the new token.

    Its uuid stays the same.

    \b
    Example:
      latchkey sim extend 023722c2 30D
    """
    options.refuse_both(out, as_json)
    _deliver(Client(folder).extend(uuid, duration), out, as_json)


@app.command()
def rotate(
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Leave the old key in the key set.")] = False,
    folder: Folder = HOME,
    as_json: AsJson = False,
):
    """Sign with a new key from now on, and print its kid.

    \b
    Example:
      latchkey sim rotate --keep-old
    """
    kid = Client(folder).rotate(keep_old)
    return show.data({"kid": kid}) if as_json else print(kid)


@app.command()
def keys(folder: Folder = HOME):
    """Print the published key set (JWKS).

    It is for `latchkey token import`, or for the factory keys of a device.

    \b
    Example:
      latchkey sim keys > jwks.json
    """
    print(published_key_set(folder / server.STATE_NAME).decode())


@app.command("list")
def list_(system: System, folder: Folder = HOME, as_json: AsJson = False):
    """List the tokens of a System, newest first.

    The tokens themselves are not shown.

    \b
    Example:
      latchkey sim list 792b6149-1daa-488f-b07a-f684503b0586
    """
    records = [{name: value for name, value in r.items() if name != "token"} for r in Client(folder).tokens(system)]
    if as_json:
        return show.data(records)
    table = show.table("uuid", "status", "created", "ends", "roles", whole=("uuid", "status"))
    for r in records:
        roles = ", ".join(role["name"] for role in r["roles"])
        cells = (r["uuid"], r["status"], _when(r["createdAt"]), _when(r["expiresAt"]), roles)
        table.add_row(*map(show.clean, cells))
    show.console().print(table if records else f"no tokens for {show.clean(system)}")


@app.command("set")
def set_(
    changes: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="Fields of SimulationInput.")],
    folder: Folder = HOME,
    as_json: AsJson = False,
):
    """Change how the simulated cloud behaves.

    \b
    Example:
      latchkey sim set retainedLists=false createdAtOffset=-1
    """
    with show.usage():
        settings = dict(map(_setting, changes))
    Client(folder).configure(**settings)
    if as_json:
        return show.data(settings)
    show.say("now " + ", ".join(f"{name} is {value}" for name, value in settings.items()))


def _when(text):
    """A time of a record, in words; without a zone it is UTC."""
    if text is None:
        return "never"
    read = datetime.fromisoformat(text)
    return show.when((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp(), time.time())


def _setting(change):
    name, equals, text = change.partition("=")
    if not equals:
        raise ValueError(f"{change}: write NAME=VALUE")
    with contextlib.suppress(ValueError, RecursionError):
        return name, json.loads(text, parse_constant=str)
    return name, text


def _own_broker(stack, folder, slug, kind, port):
    """The broker's port stays the same over all runs, since devices are provisioned for it."""
    certificates = folder / "pki"
    if not pki.is_whole(certificates):
        pki.make(certificates, slug)
    kept = folder / "broker-port"
    broker = stack.enter_context(Broker(certificates, kind, port or kept_port(kept)))
    kept.write_text(f"{broker.port}\n")
    show.say(f"broker ({broker.kind}, a client certificate is required): mqtts://localhost:{broker.port}")
    show.say(f"certificates for a device: {certificates}/ca.cert.der, device.cert.der, device.key.der")
    identity = broker.pki.simulator
    return parse_broker(f"mqtts://localhost:{broker.port}", broker.pki.ca.cert_pem, identity.cert_pem, identity.key_pem)


def _targets(brokers, files, user):
    """Targets for the addresses; ``files``: CA, certificate and key, which are checked at once."""
    with show.usage():
        targets = [parse_broker(url, *files) for url in brokers]
        try:
            for target in targets:
                tls_context(target)
        except OSError as error:
            raise ValueError(f"--ca, --cert or --key cannot be used: {error.strerror or error}") from None
        user, password = _login(user)
    return [target._replace(user=user, password=password) for target in targets]


def _login(user):
    """(user, password): the password from the environment or a prompt, never from argv, where others see it."""
    if not user:
        return None, None
    without = "there is no password: set LATCHKEY_BROKER_PASSWORD, or run this at a terminal and type it"
    return user, os.environ.get("LATCHKEY_BROKER_PASSWORD") or ask.secret(f"Password of {show.plain(user)}", without)


def _deliver(token, out, as_json):
    if as_json:
        return show.data({"uuid": token.uuid, "jwt": token.jwt})
    # First: then somebody can revoke the token even if it is lost.
    show.say(token.uuid)
    if options.deliver(token.jwt, out):
        show.say(f"it is in {out}")


def _tell(line):
    address = json.loads(line)
    show.say(f"GraphQL: {address['url']}  API key in {address['bearer_file']}; Ctrl-C ends it")
