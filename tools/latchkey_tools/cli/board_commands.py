"""`latchkey board`: commands for a board on a serial port."""

import dataclasses
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from latchkey_tools.boards import build, catalog, deploy, flash, mpremote, production, selftest
from latchkey_tools.boards import labels as printed
from latchkey_tools.cli import ask, certificate_commands, options, show, streams, token_commands
from latchkey_tools.image import command, recipe

app = typer.Typer(no_args_is_help=True, help="Boards on a serial port: flash, deploy, provision, test.")


PORTS_HELP = "Serial port; a line may have several: repeat it."
PORT_HELP = "Serial port of the board, such as /dev/ttyUSB0."
Port = Annotated[str, typer.Option(metavar="PORT", help=PORT_HELP, autocompletion=options.ports)]
Board = command.Board
Json = options.AsJson


def _file(words, *names):
    return typer.Option(*names, metavar="FILE", help=words)


_OF_THE_CLOUD = {"https", "issuer", "slug", "url", "sim", "remember"}
_OF_A_LINE = {"line_file", "common", "report", "labels", "certificates", *_OF_THE_CLOUD}
_OF_BOTH = {"port", "replace", "as_json"}
_STARTS = {
    "started: ": ", and its program runs",
    ">>> ": ", and it has no program: copy one to it with `latchkey board deploy`",
    None: "; it has said nothing yet: see `latchkey board logs`",
}
_TOGETHER = (("https_cert", "https_key"), ("https_key", "https_cert"), ("recovery_key", "release_key"))
# Of one board.
_NEEDED = ("config", "ca", "cert", "key")


@app.command("list")
def list_(as_json: Json = False):
    """List the boards, and the serial ports of this machine.

    \b
    Example:
      latchkey board list
    """
    found = [catalog.board(name) for name in catalog.names()]
    ports = flash.serial_ports()
    if as_json:
        show.data({"boards": [vars(b) | {"arch": b.arch} for b in found], "ports": ports})
        return
    table = show.table("board", "chip", "code", "takes", "product")
    for b in found:
        table.add_row(b.name, b.mcu, b.arch, b.takes, b.product)
    show.console().print(table)
    for port in ports:
        print(f"{port['port']}  {show.plain(port['description'])}")
    if not ports:
        show.say("this machine has no serial port: plug a board in, or run `latchkey vboard`")


@app.command("deploy")
def deploy_(
    board: Board,
    port: Port,
    replace: Annotated[bool, typer.Option(help="Overwrite files that are not Latchkey's.")] = False,
    lines: Annotated[bool, typer.Option(help="Keep line numbers for tracebacks; takes more RAM.")] = False,
    as_json: Json = False,
):
    """Copy the firmware to a board that has MicroPython.

    The board has an official MicroPython image. If power fails meanwhile, the board starts the newest release that is
    complete; run the same command again.

    \b
    Example:
      latchkey board deploy --board esp32s3-sensor --port /dev/ttyACM0
    """
    with _bar() as bar:
        task = bar.add_task("deploy", total=None)

        def step(done, total, words):
            bar.update(task, completed=done, total=total, description=f"{words:16.16}")

        try:
            report = deploy.deploy(board, port, replace, on_step=step, lines=lines)
        except KeyboardInterrupt:
            show.say("stopped: the board runs the newest release that is complete; run the same command again")
            raise
    if as_json:
        show.data(report.as_dict())
    elif not report.changed:
        print(f"{board} on {port} runs this release already (number {report.number} in folder {report.folder})")
    else:
        sent = f"{report.sent} of {report.files} files sent"
        print(f"{board} on {port}: release {report.number} in folder {report.folder}, {sent}")


app.command("image")(command.image)


@app.command()
def provision(
    context: typer.Context,
    port: Annotated[list[str], typer.Option(metavar="PORT", help=PORTS_HELP, autocompletion=options.ports)],
    config: Annotated[Path | None, _file("JSON with system_uuid, slug, issuer and more.")] = None,
    ca: Annotated[Path | None, _file("Certificate of the CA that signed the broker's, PEM or DER.")] = None,
    cert: Annotated[Path | None, _file("The device's client certificate, PEM or DER.")] = None,
    key: Annotated[Path | None, _file("Private key of --cert, PEM or DER.")] = None,
    https_cert: Annotated[Path | None, _file("Certificate for HTTPS on the device, PEM or DER.")] = None,
    https_key: Annotated[Path | None, _file("Private key of --https-cert, ECDSA on P-256.")] = None,
    key_set: Annotated[Path | None, _file("The first key set (JWKS); the cloud may replace it.")] = None,
    factory_keys: Annotated[Path | None, _file("A key set outside the file system, which is never lost.")] = None,
    release_key: Annotated[Path | None, _file("The maker's public release key, PEM or JWK.")] = None,
    recovery_key: Annotated[Path | None, _file("The maker's public recovery key, PEM or JWK.")] = None,
    wifi_ssid: Annotated[str | None, typer.Option(metavar="NAME", help="Wi-Fi network to join.")] = None,
    wifi_passphrase_file: Annotated[Path | None, _file("File with the passphrase of --wifi-ssid.")] = None,
    line_file: Annotated[Path | None, _file("A production line: CSV or JSON, a row for each device.", "--line")] = None,
    common: Annotated[Path | None, _file("With --line: JSON with the fields that all devices share.")] = None,
    report: Annotated[Path, _file("With --line: the results, which the next run continues.")] = Path("report.json"),
    labels: Annotated[Path, _file("With --line: the labels, with passphrases.")] = Path("labels.csv"),
    certificates: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="With --line: where the cloud's new client certificates go."),
    ] = None,
    https: Annotated[bool, typer.Option("--https", help="With --certificates: also certificates for HTTPS.")] = False,
    issuer: certificate_commands.Issuer = None,
    slug: token_commands.Slug = None,
    url: token_commands.Url = None,
    sim: token_commands.Sim = False,
    remember: token_commands.Remember = False,
    replace: Annotated[bool, typer.Option(help="Also provision a board that has another System.")] = False,
    new_ap_passphrase: Annotated[
        bool, typer.Option("--new-ap-passphrase", help="Make a new access-point passphrase, even if the board has one.")
    ] = False,
    label: Annotated[
        Path | None,
        typer.Option(metavar="NAME", help="Draw the label as NAME.svg and NAME.png, with QR codes."),
    ] = None,
    as_json: Json = False,
):
    """Give a board its System, certificates, keys and label.

    The label has the passphrase of the device's access point, and two QR codes: one joins the access point, one opens
    the page. With --line all labels are drawn beside --labels, on sheets of A4 (labels.svg and labels.png).

    With --certificates the cloud signs a client certificate for each device of the line that has none. --slug,
    --endpoint or --sim names the cloud.

    \b
    Examples:
      latchkey board provision --port /dev/ttyUSB0 --config lamp.json \\
        --ca ca.pem --cert lamp.pem --key lamp.key --label lamp
      latchkey board provision --port /dev/ttyUSB0 --line line.csv \\
        --certificates certs --slug company-example
    """
    _refuse_ignored(context, port)
    if not line_file:
        made = _one(_typed(context.params), port[0], replace, new_ap_passphrase)
        return _show_made(made, label, as_json)
    fill = _nothing
    if certificates:
        with show.usage():
            cloud = token_commands.choose_cloud(slug, url, sim, remember)
        fill = certificate_commands.filler(certificates, cloud, https, issuer)
    devices = production.read_devices(line_file, common, fill)
    _line(production.Line(devices, port, report, labels, replace), as_json)
    _drawn(production.labels_in(labels), labels.with_suffix(""))


def _typed(params):
    """The fields of a device (production.FIELDS) that the options of `provision` name."""
    device = {name: str(params[name]) for name in production.PATHS if params[name]}
    device |= {"wifi_ssid": params["wifi_ssid"]} if params["wifi_ssid"] else {}
    file = params["wifi_passphrase_file"]
    return device | ({"wifi_passphrase": _passphrase(file)} if file else {})


def _passphrase(file):
    return production.text_of(file).rstrip("\r\n")


def _show_made(made, label, as_json):
    if as_json:
        show.data(made)
    else:
        show.facts((name.replace("_", " "), value or "-") for name, value in made.items())
    if label:
        _drawn([made], label)


def _one(device, port, replace, new_passphrase):
    """The label of the board at ``port``, which is ``device`` now."""
    production.need_files(device, lambda name: f"--{name.replace('_', '-')}")
    if production.check(device).get("issuer") is None:
        show.say(f"{device['config']} has no issuer: the device accepts tokens of every issuer whose key it has")
    try:
        with show.wait(f"provisioning the board on {port}"):
            return production.provision_one(device, port, replace, new_passphrase=new_passphrase)
    except KeyboardInterrupt:
        show.say("stopped before the label was shown: run the same command again")
        raise


def _drawn(made, path):
    for written in printed.write(made, path):
        show.say(f"to print: {written}")


def _nothing(_device):
    """Without --certificates each device of the line names its own certificate."""


def _refuse_ignored(context, ports):
    """BadParameter for options of one board with --line, and the reverse."""
    given = options.given(context)
    if "line_file" in given:
        ignored, why = (
            given - _OF_A_LINE - _OF_BOTH,
            "is for one board: with --line it is a field of the line's file or of --common",
        )
    else:
        ignored, why = given & _OF_A_LINE, "has no effect without --line: give both, or neither"
    if ignored:
        raise typer.BadParameter(f"{options.as_typed(context, min(ignored))} {why}")
    if len(ports) > 1 and "line_file" not in given or len(set(ports)) < len(ports):
        raise typer.BadParameter("give one --port for one board; with --line give several, each once")
    missing = [name for name in _NEEDED if name not in given]
    if missing and "line_file" not in given:
        raise typer.BadParameter(f"give --{', --'.join(missing)} too, or --line for a production line")
    of_the_cloud = [(name, "certificates") for name in sorted(_OF_THE_CLOUD)]
    options.check_company(context, needs=(*_TOGETHER, *of_the_cloud))


def _line(run, as_json):
    """Provision round after round, until no device is left or nobody changes the boards."""
    total = len(run.left)
    with _bar() as bar:
        task = bar.add_task("provision", total=total)

        def heard(device, result):
            bar.advance(task)
            words = (result["port"], device["system_uuid"], result["state"], result.get("reason", ""))
            show.say("  ".join(words).rstrip())

        try:
            while run.left:
                run.round(heard)
                if run.left and not _next_round(len(run.left)):
                    break
        except KeyboardInterrupt:
            show.say(f"stopped, {len(run.left)} not begun; the same command continues here")
            raise
    if as_json:
        show.data({"devices": run.results, "left": len(run.left)})
    if run.left or run.failed():
        counts = f"{len(run.failed())} failed, {len(run.left)} not begun"
        raise production.LineError(f"{counts}; the same command continues here")
    show.say(f"all {len(run.results)} are done")


def _next_round(left):
    if not sys.stdin.isatty():
        return False
    show.say(f"{left} left: connect the next boards and press Enter (Ctrl-C stops; the next run continues here)")
    return bool(sys.stdin.readline())  # Ctrl-D gives an empty text


@app.command("selftest")
def selftest_(
    context: typer.Context,
    port: Port,
    report: Annotated[Path | None, _file("Also measure the board, and write a report (JSON) to send.")] = None,
    wifi_ssid: Annotated[str | None, typer.Option(metavar="NAME", help="For the report: a Wi-Fi to try.")] = None,
    wifi_passphrase_file: Annotated[Path | None, _file("File with the passphrase of --wifi-ssid.")] = None,
    tls: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="For the report: a TLS server to try.")] = None,
    as_json: Json = False,
):
    """Test the token verification on the board itself.

    The board works through the table of attacks and test vectors, and checks its own image. The exit status is 1 if
    something differs.

    \b
    Example:
      latchkey board selftest --port /dev/ttyUSB0
    """
    options.check_company(context, needs=tuple((name, "report") for name in ("wifi_ssid", "tls")))
    options.check_company(context, needs=(("wifi_ssid", "wifi_passphrase_file"), ("wifi_passphrase_file", "wifi_ssid")))
    server = _server(tls) if tls else ("", 0)
    passphrase = _passphrase(wifi_passphrase_file) if wifi_passphrase_file else ""
    with _bar() as bar:
        task = bar.add_task("", total=None)

        def on_row(done, total):
            words = "testing" if done else "copying"
            bar.update(task, completed=done, total=total, description=f"{words} the table")

        found = selftest.run(port, on_row)
    if report:
        with show.wait(f"measuring the board on {port}"):
            measured = selftest.measure(port, wifi_ssid or "", passphrase, server)
        build.write(report, (json.dumps(measured | {"selftest": found}, indent=1) + "\n").encode())
    faults = [*(f"{row['name']} {row['got']}" for row in found["differ"]), *selftest.image_faults(found)]
    if as_json:
        show.data(found)
    else:
        _show_selftest(found, faults)
    raise typer.Exit(1 if faults else 0)


def _show_selftest(found, faults):
    for fault in faults:
        show.line(f"DIFFERS {fault}")
    kernels = show.plain(f"power {found['power']}, sha512 {found['sha512']}")
    print(f"self-test: {found['rows']} rows, {len(found['differ'])} differ, {kernels}")
    if image := found.get("image"):
        known = all(entries for *_, entries in image["pages"])
        mapped = "pages mapped" if known else "pages (this chip's MMU is not known)"
        show.line(f"image: {image['made_from']}, {image['parts']} parts compared, {len(image['pages'])} {mapped}")


def _server(text):
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise typer.BadParameter(f"--tls {text}: give HOST:PORT")
    return host, int(port)


@app.command()
def logs(
    port: Port,
    seconds: Annotated[float | None, typer.Option(metavar="SECONDS", help="Stop after this time.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an object on each line.")] = False,
):
    """Show the board's console, each line with the time.

    The program on the board is not disturbed.

    \b
    Example:
      latchkey board logs --port /dev/ttyUSB0
    """
    streams.end_with_reader()
    end = time.monotonic() + seconds if seconds is not None else None
    for text in flash.console_lines(port, end):
        if as_json:
            print(json.dumps({"unix_s": int(time.time()), "text": text}), flush=True)
        else:
            print(time.strftime("%H:%M:%S"), show.plain(text), flush=True)


@app.command()
def restart(port: Port, as_json: Json = False):
    """Restart the board, and say whether its program starts.

    \b
    Example:
      latchkey board restart --port /dev/ttyUSB0
    """
    with mpremote.sole_use(port), show.wait(f"restarting the board on {port}"):
        heard = mpremote.SerialCable(port).restart()
    sign = _sign_of_start(port, heard)
    if as_json:
        return show.data({"port": port, "started": sign == "started: "})
    print(f"the board on {port} has restarted{_STARTS[sign]}")


def _sign_of_start(port, heard):
    """A key of _STARTS; CableError if an exception ended the program."""
    sign = mpremote.started(heard)
    if sign == "Traceback":
        raise mpremote.CableError("failed", f"the program on {port} does not start:\n{_traceback(heard)}")
    return sign


def _traceback(heard):
    """The first traceback in what a board said: its head, its indented lines, and the line of the exception."""
    head, *lines = heard[heard.index("Traceback") :].splitlines()
    inner = list(itertools.takewhile(lambda line: line.startswith("  "), lines))
    return "\n".join([head, *lines[: len(inner) + 1]])


@app.command()
def monitor(port: Port):
    """Open the board's console with a keyboard (mpremote's REPL).

    Ctrl-C stops the program. Ctrl-] leaves the console; the board then restarts.

    \b
    Example:
      latchkey board monitor --port /dev/ttyUSB0
    """
    if not sys.stdin.isatty():
        raise ValueError("this needs a terminal to type at; `latchkey board logs` shows the console without one")
    status, heard = mpremote.SerialCable(port).interact(_say_restart)
    if heard is not None:
        show.say(f"the board on {port} has restarted{_STARTS[_sign_of_start(port, heard)]}")
    raise typer.Exit(status)


def _say_restart():
    print(file=sys.stderr)  # what was typed has no end of line
    words = "the board is at its prompt, so its program does not run: restarting it"
    show.say(f"{words} (as `latchkey board restart` does)")


@app.command("flash")
def flash_(
    board: Board,
    port: Port,
    image: command.Official,
    erase: Annotated[bool, typer.Option(help="Erase the chip first: System, keys and all files are lost.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for a confirmation.")] = False,
    module: command.Modules = None,
    heap_kb: command.HeapKb = None,
    unlisted: command.Unlisted = False,
):
    """Write a MicroPython image to the chip, with esptool.

    On a chip without PSRAM the board's firmware is frozen into the image first. A device whose flash has this layout
    already keeps its System and its files.

    \b
    Example:
      latchkey board flash --board esp32-bulb --port /dev/ttyUSB0 \\
        --image ESP32_GENERIC.bin
    """
    plan = flash.plan(board, port, image, erase)
    show.say(f"{image.name}: for {plan.chip}, at {plan.offset}")
    ask.require_yes("Everything on the chip will be lost. Continue?" if erase else "Write it?", yes)
    with show.wait(f"looking at the chip on {port}"):
        device = flash.look(plan)
    if not recipe.has_firmware(image) and (catalog.board(board).takes == "image" or not device.has_psram):
        plan = _frozen(plan, module, heap_kb, unlisted)
    keep = not erase and device.has_layout_of(plan)
    if not (erase or keep or device.is_blank):
        plan = _erasing(plan, yes)
    flash.write(plan, keep)


def _frozen(plan, module, heap_kb, unlisted):
    """The plan with the board's firmware frozen into its image."""
    out = build.BUILD / "image" / f"{plan.board}.bin"
    show.say("the chip has no PSRAM, so the firmware goes into the image; `latchkey board deploy` is not needed")
    with show.wait("freezing the firmware into the image"):
        report = command.make(plan.board, plan.image, out, module, heap_kb, unlisted)
    for text in command.lines(out, report):
        show.say(text)
    return dataclasses.replace(plan, image=out)


def _erasing(plan, yes):
    """The plan for a device whose NVS and files are not where the image has them."""
    used = f"the device on {plan.port} was in use with another layout of its flash"
    if yes:
        raise flash.FlashError(f"{used}, so it has to be erased, with its System and all files: give --erase too")
    show.say(used)
    ask.require_yes("It has to be erased: its System, keys and all files will be lost. Continue?", yes)
    return dataclasses.replace(plan, erase=True)


def _bar():
    """A bar on a terminal; nothing in a file."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
