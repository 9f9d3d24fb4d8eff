"""`latchkey certificate`: the cloud signs certificates of a device, and the device gets them."""

import time
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509

from latchkey_tools.boards.certificate_cable import Cable
from latchkey_tools.cli import options, show, token_commands
from latchkey_tools.cli.config_commands import attempt_words, try_certificate
from latchkey_tools.cli.device_commands import Ca, TokenFile, TokenName, hosts, is_host
from latchkey_tools.cli.pair_commands import WAIT_S, Wait
from latchkey_tools.device import access, certificate_request
from latchkey_tools.device.certificate_request import CLIENT, HTTPS, Request
from latchkey_tools.device.doctor import ENDS_SOON_S
from latchkey_tools.device.local_api import Device
from latchkey_tools.device.wallet import Unsafe, Wallet
from latchkey_tools.sim import timespan

app = typer.Typer(
    no_args_is_help=True,
    help="""Certificates of a device, for its broker and its HTTPS.

    The private key is made here and goes only to the device; the cloud gets a signing request. After an interruption
    the next run continues.
    """,
)

Https = Annotated[bool, typer.Option("--https", help="The certificate for HTTPS, by serial cable only.")]
Duration = Annotated[
    str,
    typer.Option(
        metavar="TIME", help=f"How long it lasts, {options.SPAN_HELP}", callback=options.checked(timespan.parse_s)
    ),
]
Issuer = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Name or UUID of the signing issuer at DRIVR; needed if there are several."),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Keep certificate and key here (PEM, mode 0600).")
]
PORT_HELP = "Send it over this serial port."
Port = Annotated[str | None, typer.Option(metavar="PORT", help=PORT_HELP, autocompletion=options.ports)]
Host = Annotated[
    str | None,
    typer.Option("--host", metavar="HOST", help="Send it to this device.", callback=is_host, autocompletion=hosts),
]
DURATION = "P365D"


@app.command()
def request(
    system: options.System,
    https: Https = False,
    port: Port = None,
    host: Host = None,
    out: Out = None,
    duration: Duration = DURATION,
    issuer: Issuer = None,
    slug: token_commands.Slug = None,
    url: token_commands.Url = None,
    sim: token_commands.Sim = False,
    remember: token_commands.Remember = False,
    wait: Wait = WAIT_S,
    token_file: TokenFile = None,
    token: TokenName = None,
    ca: Ca = None,
    as_json: options.AsJson = False,
):
    """Make a key, get a certificate for it, and send both.

    --port sends them over the serial cable, --host over the device's API (the client certificate only). Without either
    the files stay in --out, or beside the wallet, for `latchkey board provision`.

    \b
    Examples:
      latchkey certificate request 792b6149-1daa-488f-b07a-f684503b0586 \\
        --out certs --slug company-example
      latchkey certificate request 792b6149-1daa-488f-b07a-f684503b0586 \\
        --https --port /dev/ttyUSB0 --sim
    """
    with show.usage():
        _check_way(https, port, host, needed=False)
        cloud = token_commands.choose_cloud(slug, url, sim, remember)
    asked = Request(out or _folder(), system, HTTPS if https else CLIENT)
    if port:
        with Cable(port) as board:
            _check_system(board.held()[0], system, port)
    _fulfil(asked, cloud, duration, issuer)
    _finish(asked, port, host, out, as_json, (wait, token_file, token, ca))


@app.command()
def renew(
    port: Port = None,
    host: Host = None,
    https: Https = False,
    before: options.Before = "60D",
    out: Out = None,
    duration: Duration = DURATION,
    issuer: Issuer = None,
    slug: token_commands.Slug = None,
    url: token_commands.Url = None,
    sim: token_commands.Sim = False,
    remember: token_commands.Remember = False,
    wait: Wait = WAIT_S,
    token_file: TokenFile = None,
    token: TokenName = None,
    ca: Ca = None,
    as_json: options.AsJson = False,
):
    """Renew a device's certificate if it ends soon.

    It does the same as `latchkey certificate request`. Over the API the device tries a new client certificate on its
    broker, and goes back to the old one if the broker refuses it.

    \b
    Examples:
      latchkey certificate renew --host 192.168.4.1 --slug company-example
      latchkey certificate renew --port /dev/ttyUSB0 --https \\
        --before 90D --slug company-example
    """
    with show.usage():
        _check_way(https, port, host, needed=True)
        options.check_longer(duration, before)
        cloud = token_commands.choose_cloud(slug, url, sim, remember)
    kind = HTTPS if https else CLIENT
    system, end = _by_cable(port, kind) if port else _over_api(host, token_file, token, ca)
    until_unix_s = int(time.time()) + timespan.parse_s(before)
    if end is not None and end > until_unix_s:
        if as_json:
            return show.data({"system": system, "kind": kind.word, "attempt": None, "end_unix_s": end})
        return show.say(f"the {kind.word} certificate of {system} ends {show.moment(end, time.time())}: nothing to do")
    asked = Request(out or _folder(), system, kind)
    _fulfil(asked, cloud, duration, issuer, until_unix_s)
    _finish(asked, port, host, out, as_json, (wait, token_file, token, ca))


def filler(folder, cloud, https, issuer):
    """A function that gives a device of a line (dict) the certificates that it lacks, as files in ``folder``.

    ``https``: whether the one of its local API too.
    """

    def fill(device):
        for kind, prefix in ((CLIENT, ""), (HTTPS, "https_"))[: 1 + https]:
            names = prefix + "cert", prefix + "key"
            if "system_uuid" in device and not device.keys() & set(names):
                asked = Request(folder, options.a_system(device["system_uuid"]), kind)
                _fulfil(asked, cloud, DURATION, issuer)
                device |= dict(zip(names, (str(asked.cert_path), str(asked.key_path)), strict=True))

    return fill


def _fulfil(asked, cloud, duration, issuer, until_unix_s=0):
    with show.progress() as tell:
        tell(f"waiting for the cloud to sign the {asked.kind.word} certificate of {asked.system}")
        asked.fulfil(cloud, duration, lambda: certificate_request.choose_issuer(cloud.issuers(), issuer), until_unix_s)
    cloud.remember_key()


def _finish(asked, port, host, out, as_json, over_api):
    """Send it to the device, and say how that ended; Exit if the device does not keep it."""
    attempt = _put(asked, port, host, over_api)
    end = certificate_request.end_of(x509.load_pem_x509_certificate(asked.cert_path.read_bytes()))
    facts = {"system": asked.system, "kind": asked.kind.word, "attempt": attempt, "end_unix_s": end}
    on_device = attempt in ("kept", "stored")
    if on_device and not out:
        # The device has the key now; a second copy would only be a risk.
        asked.forget()
    else:
        facts |= {"cert": str(asked.cert_path), "key": str(asked.key_path)}
    if as_json:
        show.data(facts)
    else:
        show.say(_words(attempt, asked.kind))
        show.facts((name.replace("_unix_s", ""), value) for name, value in _readable(facts).items())
    if attempt and not on_device:
        raise typer.Exit(1)


def _put(asked, port, host, over_api):
    """How it ended: None for files alone, "stored" by cable, or the result of try_certificate."""
    if port:
        with Cable(port) as board:
            _check_system(board.held()[0], asked.system, port)
            board.put(asked.pair())
        return "stored"
    if host is None:
        return None
    wait, token_file, token, ca = over_api
    with Device(host, ca) as device:
        _check_system(device.info()["system_uuid"], asked.system, host)
        return try_certificate(device, asked.pair(), wait, token_file, token)


def _words(attempt, kind):
    if attempt is None:
        return "the certificate and its key are in these files"
    if attempt == "stored" and kind == CLIENT:
        return "the board has the certificate, tries it on its broker now, and keeps it if the broker accepts it"
    if attempt == "stored":
        return f"the board has the certificate and uses it from now on ({kind.word})"
    return attempt_words(attempt)


def _readable(facts):
    shown = {name: value for name, value in facts.items() if name != "attempt"}
    return shown | {"end_unix_s": show.moment(facts["end_unix_s"], time.time())}


def _check_way(https, port, host, needed):
    if port and host or (needed and not port and not host):
        raise ValueError("name the device: --port for the serial cable, or --host for its API")
    if https and host:
        raise ValueError("a certificate for HTTPS goes over the serial cable only: give --port")


def _check_system(there, system, where):
    if there != system:
        seen = f"System {there}" if there else "not provisioned"
        raise Unsafe(f"the device at {where} is {seen}, and the certificate is for {system}; name the right device")


def _by_cable(port, kind):
    """(System UUID, end of its certificate of that kind in Unix seconds, None if it has none)."""
    with Cable(port) as board:
        system, held = board.held()
    ends = {name: der and certificate_request.end_of(x509.load_der_x509_certificate(der)) for name, der in held.items()}
    if ends["ca_der"] and ends["ca_der"] < time.time() + ENDS_SOON_S:
        words = f"the certificate of the broker's CA on {system} ends {show.moment(ends['ca_der'], time.time())}"
        show.say(f"{words}: provision it again with the new one (latchkey board provision --ca)")
    return system, ends["https_cert_der" if kind == HTTPS else "cert_der"]


def _over_api(host, token_file, token, ca):
    """The same of a device's client certificate, as the device reports it."""
    with Device(host, ca) as device:
        facts, here = access.call(device, "GET", "/v1/diagnostics", None, token_file, token)
    return here.system, (facts.get("cloud") or {}).get("cert_not_after")


def _folder():
    wallet = Wallet()
    wallet.check_writable()
    return wallet.folder / "certificates"
