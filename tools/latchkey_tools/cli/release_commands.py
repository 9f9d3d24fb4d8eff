"""`latchkey release`: what a maker builds and signs for devices, and a look at such a file."""

import shlex
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from latchkey_tools.boards import build as boards_build
from latchkey_tools.boards import production
from latchkey_tools.cli import options, show
from latchkey_tools.device import offline_check
from latchkey_tools.device.wallet import WalletError
from latchkey_tools.image import command
from latchkey_tools.release import build, keys, manifest

app = typer.Typer(
    no_args_is_help=True,
    help="""Build and sign releases for devices in the field.

    A maker also signs key sets and new release keys here.
    docs/updates.md says how keys are made and kept. `latchkey device update` sends what is signed here.
    """,
)
# The bound of a device (firmware/latchkey/api/keys.py).
_KEY_SET_BYTES = 8192

COUNTER_HELP = "A whole number; devices accept only a higher one."
Counter = Annotated[int, typer.Option(min=1, max=manifest.MOST_COUNTER, metavar="N", help=COUNTER_HELP)]
KEY_HELP = "The private key (PEM); you type the passphrase of an encrypted one."
PrivateKey = Annotated[Path | None, typer.Option("--key", metavar="FILE", help=KEY_HELP)]
COMMAND_HELP = "A program that signs its standard input, instead of --key."
Command = Annotated[str | None, typer.Option("--sign-command", metavar="COMMAND", help=COMMAND_HELP)]
Algorithm = Annotated[Literal["RS256", "RS512"], typer.Option("--alg", help="RSA with SHA-256 or SHA-512.")]
PUBLIC_HELP = "The public key (PEM or JWK) that the signature must fit."
Public = Annotated[Path | None, typer.Option("--public", metavar="FILE", help=PUBLIC_HELP)]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The file to write.")]


@app.command("build")
def build_(
    board: command.Board,
    version: Annotated[str, typer.Option(metavar="TEXT", help="The version, such as 1.2.0.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.payload", help="Beside it goes FILE.json.")],
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An image, official or yours, if the board runs one.")
    ] = None,
    product: Annotated[
        str | None, typer.Option(metavar="NAME", help="The product's name, if board_config.py has another.")
    ] = None,
    module: command.Modules = None,
    heap_kb: command.HeapKb = None,
    unlisted: command.Unlisted = False,
    as_json: options.AsJson = False,
):
    """Build the files of a board, or the program of an image.

    Nothing is signed yet: FILE.payload has the bytes for the device, FILE.json describes them.

    \b
    Example:
      latchkey release build --board esp32s3-sensor --version 1.2.0 \\
        -o sensor.payload
    """
    how = {"own": command.own_modules(module), "heap_kb": heap_kb, "unlisted": unlisted}
    with show.wait(f"building {version} for {board}"):
        facts, members = build.make(board, version, out, image, product, **how)
    if as_json:
        return show.data(members)
    show.line(f"{out}: {_what(members)}, {members['size']:,} bytes")
    show.line(f"{facts}: the facts to sign")
    signed = out.with_name(f"{out.stem}-{version}.latchkey")
    files = [shlex.quote(str(one)) for one in (out, signed)]
    show.say("next: `latchkey release sign {} --counter N --key release.pem -o {}`".format(*files))


@app.command()
def sign(
    payload: Annotated[Path, typer.Argument(metavar="FILE.payload", help="A payload of `latchkey release build`.")],
    counter: Counter,
    out: Out,
    key: PrivateKey = None,
    sign_command: Command = None,
    alg: Algorithm = "RS256",
    public: Public = None,
):
    """Sign a payload with the release key: one file for devices.

    --sign-command gets the bytes to sign on its standard input, and writes the bare signature to its output.

    \b
    Examples:
      latchkey release sign sensor.payload --counter 12 \\
        --key release.pem -o sensor-1.2.0.latchkey
      latchkey release sign sensor.payload --counter 12 \\
        --sign-command ./sign-in-hsm --public release.pub.pem \\
        -o sensor-1.2.0.latchkey
    """
    members, data = build.built(payload)
    how = (key, sign_command, alg, public)
    _write(out, manifest.RELEASE, members | {"counter": counter}, data, how, payload, build.facts_path(payload))


@app.command("keys")
def keys_(
    key_set: Annotated[Path, typer.Argument(metavar="JWKS.json", help="The cloud's key set, as it publishes it.")],
    slug: Annotated[str, typer.Option(metavar="NAME", help="The Domain of the devices, as they are provisioned.")],
    counter: Counter,
    out: Out,
    issuer: Annotated[
        str | None, typer.Option(metavar="URL", help="The issuer of the devices, if they have one.")
    ] = None,
    key: PrivateKey = None,
    sign_command: Command = None,
    alg: Algorithm = "RS256",
    public: Public = None,
):
    """Sign the cloud's key set with the release key.

    It is for a device that missed a change of the cloud's keys.

    \b
    Example:
      latchkey release keys jwks.json --slug company-example \\
        --issuer https://company-example.api.drivr.cloud \\
        --counter 3 --key release.pem -o keys.latchkey
    """
    data = production.text_of(key_set).encode()
    if len(data) > _KEY_SET_BYTES:
        raise ValueError(f"{key_set} has {len(data):,} bytes, and a device takes {_KEY_SET_BYTES:,}")
    try:
        offline_check.usable_keys(data)
    except WalletError as problem:
        raise ValueError(f"{key_set}: {problem}; give the set that the cloud publishes") from None
    for name, value in {"--slug": slug, "--issuer": issuer}.items():
        manifest.text(name, value or "none")
    members = {"slug": slug, "issuer": issuer, "iat": int(time.time()), "counter": counter}
    _write(out, manifest.KEYS, members | manifest.described(data), data, (key, sign_command, alg, public), key_set)


@app.command()
def new_key(
    new: Annotated[Path, typer.Argument(metavar="PUBLIC.pem", help="The new release key, public: PEM or JWK.")],
    counter: Counter,
    out: Out,
    key: PrivateKey = None,
    sign_command: Command = None,
    alg: Algorithm = "RS256",
    public: Public = None,
):
    """Sign a new release key with the recovery key.

    Devices that get it no longer accept the old release key.

    \b
    Example:
      latchkey release new-key release-2.pub.pem --counter 1 \\
        --key recovery.pem -o new-key.latchkey
    """
    theirs = keys.public(new)
    taken = keys.jwk(theirs)
    members = {"counter": counter, "n": taken["n"], "e": taken["e"]}
    _write(out, manifest.RELEASE_KEY, members, b"", (key, sign_command, alg, public), new, other=theirs)


@app.command("show")
def show_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that was signed here.")],
    public: Public = None,
    as_json: options.AsJson = False,
):
    """Show a signed file, and whether it is complete.

    With --public it also checks the signature with that key. The exit status is 1 if something is wrong.

    \b
    Example:
      latchkey release show sensor-1.2.0.latchkey \\
        --public release.pub.pem
    """
    found = manifest.read(file)
    fault = manifest.fault(found)
    good = manifest.is_of(found, keys.public(public)) if public else None
    if as_json:
        show.data({"typ": found.typ, "manifest": found.members, "alg": found.alg, "fault": fault, "signature": good})
    else:
        show.facts(_facts(found, fault, good))
    if fault or good is False:
        raise typer.Exit(1)


def _facts(found, fault, good):
    yield "what", _KINDS[found.typ]
    if found.typ == manifest.RELEASE_KEY:
        yield "new key", keys.thumbprint(found.members)
    for name, value in found.members.items():
        if name not in ("n", "e"):
            yield name, ", ".join(map(str, value)) if isinstance(value, list) else _moment(name, value)
    yield "payload", f"damaged: {fault}" if fault else "whole"
    yield "signature", {None: "not checked: give --public", True: "good", False: "not of that key"}[good]


def _moment(name, value):
    return show.moment(value, time.time()) if name == "iat" else value


_KINDS = {
    manifest.RELEASE: "a release of the firmware",
    manifest.KEYS: "a signed key set of the cloud",
    manifest.RELEASE_KEY: "a new release key",
}


def _write(out, typ, members, data, how, *read, other=None):
    key, command, alg, public = how
    if bool(key) == (command is not None):
        raise typer.BadParameter("give --key FILE or --sign-command COMMAND, one of them")
    theirs = keys.public(public) if public else None
    signer = keys.by_key(key, alg) if key else keys.by_command(command, alg)
    content = manifest.signed(typ, members, signer, alg, data, theirs, other)
    boards_build.write(out, content, key, public, *read)
    what = _what(members) if typ == manifest.RELEASE else _KINDS[typ]
    show.line(f"{out}: {what}, counter {members['counter']}, {out.stat().st_size:,} bytes")
    if command and not public:
        show.say("nobody has checked the signature: give --public with the key that devices have")


def _what(members):
    kind = "the program of an image" if members["kind"] == "image" else "files"
    return f"{members['product']} {members['version']} for {', '.join(members['boards'])}, {kind}"
