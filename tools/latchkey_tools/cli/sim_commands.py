"""`latchkey sim`: run the DRIVR simulator, and change what its cloud says."""

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

app = typer.Typer(no_args_is_help=True, help="The DRIVR simulator: a cloud on this machine, for development only.")

HOME = Path(typer.get_app_dir("latchkey")) / "simulator"
Folder = Annotated[
    Path,
    typer.Option(
        envvar="LATCHKEY_SIM",
        help="Where the simulator keeps keys, tokens and bearer.",
        show_default="in the user's configuration folder",
    ),
]
UUID_HELP = "The token's uuid, as `latchkey sim list` shows it, or its beginning."
TokenUuid = Annotated[str, typer.Argument(metavar="UUID", help=UUID_HELP)]
SLUG_HELP = "The Domain's name in topics."
Slug = Annotated[str, typer.Option(help=SLUG_HELP, callback=options.checked(cloud_api.checked_slug))]
Systems = Annotated[
    list[str] | None,
    typer.Option(help="System UUID to list for; may be repeated.", callback=options.read_by(options.a_system)),
]


@app.command()
def run(
    context: typer.Context,
    folder: Folder = HOME,
    slug: Slug = "company-example",
    system: Systems = None,
    broker: Annotated[
        list[str] | None,
        typer.Option(help="mqtts://host:port of your own broker, repeated for a cluster's nodes; else one is started."),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="PEM of the CA that signed the broker's certificate; else this machine's CAs.")
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="PEM of the simulator's client certificate.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM of its private key.")] = None,
    user: Annotated[
        str | None, typer.Option(help="User name at the broker; LATCHKEY_BROKER_PASSWORD, or a prompt, has the rest.")
    ] = None,
    broker_kind: Annotated[
        Literal["mosquitto", "amqtt"] | None, typer.Option(help="Of the broker that is started.")
    ] = None,
    broker_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of the broker that is started; else the one of the last time.")
    ] = None,
    algorithm: Annotated[Literal["RS512", "RS256"] | None, typer.Option(help="What tokens are signed with.")] = None,
    issuer: Annotated[str | None, typer.Option(help="The tokens' iss; else https://SLUG.api.drivr.cloud.")] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the GraphQL API on 127.0.0.1; 0 for a free one.")
    ] = 0,
):
    """Run until Ctrl-C. Prints where it listens; binds loopback only; refuses DRIVR's own hosts."""
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
    device: Annotated[str, typer.Option(help="requestedDevice, as the mutation wants it.")] = "smart-bulb",
    out: Out = None,
    folder: Folder = HOME,
    as_json: AsJson = False,
):
    """Make a token with DRIVR's mutation and print it."""
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
    leave: Annotated[bool, typer.Option("--leave", help="By leaving the list, instead of by status.")] = False,
    status: Annotated[str, typer.Option(help="The status that the list shows then.")] = "DEACTIVATED",
    folder: Folder = HOME,
    as_json: AsJson = False,
):
    """Revoke a token."""
    options.check_company(context, excludes=[("status", "leave")])
    uuid = Client(folder).revoke(uuid, leave, status)
    if as_json:
        return show.data({"uuid": uuid, "status": None if leave else status})
    show.say(f"{uuid} {'has left the list' if leave else 'is ' + status}")


@app.command()
def extend(
    uuid: TokenUuid,
    duration: Annotated[
        str, typer.Argument(help=f"From now: {options.SPAN_HELP}", callback=options.checked(timespan.parse_s))
    ],
    out: Out = None,
    folder: Folder = HOME,
    as_json: AsJson = False,
):
    """Move a token's end; its uuid stays, and the new jwt is printed."""
    options.refuse_both(out, as_json)
    _deliver(Client(folder).extend(uuid, duration), out, as_json)


@app.command()
def rotate(
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Leave the old key in the key set.")] = False,
    folder: Folder = HOME,
    as_json: AsJson = False,
):
    """Sign with a new key from now on; prints its kid."""
    kid = Client(folder).rotate(keep_old)
    return show.data({"kid": kid}) if as_json else print(kid)


@app.command()
def keys(folder: Folder = HOME):
    """The key set (JWKS) as it is published, for `latchkey token import` or a device's factory keys."""
    print(published_key_set(folder / server.STATE_NAME).decode())


@app.command("list")
def list_(system: System, folder: Folder = HOME, as_json: AsJson = False):
    """The tokens of a System, newest first; the tokens themselves are not shown."""
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
    """Change how the cloud behaves, e.g. retainedLists=false createdAtOffset=-1 omitUpdatedAt=true."""
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
    """Its port stays over all runs, since devices are provisioned for it."""
    certificates = folder / "pki"
    if not (certificates / "broker.key.pem").exists():
        pki.make(certificates, slug)
    kept = folder / "broker-port"
    broker = stack.enter_context(Broker(certificates, kind, port or kept_port(kept)))
    kept.write_text(f"{broker.port}\n")
    show.say(f"broker ({broker.kind}, a client certificate is required): mqtts://localhost:{broker.port}")
    show.say(f"certificates for a device: {certificates}/ca.cert.der, device.cert.der, device.key.der")
    identity = broker.pki.simulator
    return parse_broker(f"mqtts://localhost:{broker.port}", broker.pki.ca.cert_pem, identity.cert_pem, identity.key_pem)


def _targets(brokers, files, user):
    """Targets for the addresses; ``files``: CA, certificate and key, which are tried at once."""
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
    without = "no password: set LATCHKEY_BROKER_PASSWORD, or run this at a terminal to be asked for it"
    return user, os.environ.get("LATCHKEY_BROKER_PASSWORD") or ask.secret(f"Password of {show.plain(user)}", without)


def _deliver(token, out, as_json):
    if as_json:
        return show.data({"uuid": token.uuid, "jwt": token.jwt})
    # First: whatever becomes of the token itself, somebody can revoke it.
    show.say(token.uuid)
    if options.deliver(token.jwt, out):
        show.say(f"it is in {out}")


def _tell(line):
    address = json.loads(line)
    show.say(f"GraphQL: {address['url']}  bearer in {address['bearer_file']}; Ctrl-C ends it")
