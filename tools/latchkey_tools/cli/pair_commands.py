"""`latchkey pair`: connect a device to its owner's network, without internet."""

import getpass
import itertools
import os
import re
import sys
from typing import Annotated

import typer

from latchkey_tools.cli import ask, show
from latchkey_tools.cli.device_commands import HOST, HOST_VARIABLE, Ca, TokenFile, TokenName
from latchkey_tools.cli.options import AsJson
from latchkey_tools.device import pairing, pasted
from latchkey_tools.device.local_api import ACCESS_POINT, Device, Refusal, Unreachable, local_name, parse_host
from latchkey_tools.device.wallet import Unsafe

PASSPHRASE_VARIABLE = "LATCHKEY_WIFI_PASSPHRASE"
# An attempt lasts 120 s, and begins when the answer is out.
WAIT_S = 150
_TYPED_TIMES = 3
_FORM = "a Wi-Fi passphrase has 8 to 63 printable ASCII characters, or 64 hexadecimal digits; this one does not"
_NO_WIFI = "this board has no Wi-Fi and needs no pairing"
_STATES = {"idle": "nothing was tried yet", "joining": "is being tried", "joined": "was kept", "failed": "failed"}
_WHAT = {"wifi": "the network", "cloud": "the broker"}

Host = Annotated[str, typer.Argument(envvar=HOST_VARIABLE, show_default="the access point's", **HOST)]
Argv = Annotated[str | None, typer.Option("--passphrase", hidden=True)]
SSID_HELP = "The network to join; else you choose one in reach."
OPEN_HELP = "The network has no passphrase."
FILE_HELP = f"File with the passphrase; - for standard input. Else {PASSPHRASE_VARIABLE}, or you type it."
Wait = Annotated[int, typer.Option(min=1, metavar="SECONDS", help="How long to wait for the end of an attempt.")]


def pair(
    host: Host = ACCESS_POINT,
    ssid: Annotated[str | None, typer.Option(metavar="NAME", help=SSID_HELP)] = None,
    passphrase_file: Annotated[str | None, typer.Option(metavar="FILE", help=FILE_HELP)] = None,
    open_: Annotated[bool, typer.Option("--open", help=OPEN_HELP)] = False,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="A new name for the device.")] = None,
    broker: Annotated[str | None, typer.Option(metavar="HOST[:PORT]", help="Also try and keep this broker.")] = None,
    status: Annotated[bool, typer.Option("--status", help="Show how the newest attempt ended.")] = False,
    leave: Annotated[bool, typer.Option("--leave", help="Make the device leave its Wi-Fi network.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --leave.")] = False,
    wait: Wait = WAIT_S,
    passphrase: Argv = None,
    token_file: TokenFile = None,
    token: TokenName = None,
    ca: Ca = None,
    as_json: AsJson = False,
):
    """Connect a device to its owner's Wi-Fi, without internet.

    Join the device's access point first: its name and passphrase are on the label. The token is --token or
    --token-file, else LATCHKEY_TOKEN, else the wallet's for the device's System. It must permit `configure`. The result
    of the check on this machine is printed, but only the device decides.

    The device keeps the network only if it can join. The exit status is 1 if it cannot, or if the result is not known.
    LATCHKEY_SOURCE names addresses of this machine to look from, with commas between.

    \b
    Examples:
      latchkey pair
      latchkey pair --ssid "Cellar net" --passphrase-file pass.txt
      latchkey pair --status
    """
    _refuse_in_arguments(passphrase)
    with show.usage():
        _check_choices(status, leave, ssid or passphrase_file or open_ or name or broker)
        _check_input(passphrase_file, token_file)
    if status or leave:
        with Device(host, ca) as device:
            return (_tell_status if status else _leave)(device, token_file, token, as_json, yes)
    with show.usage():
        wanted = _Wanted(ssid, passphrase_file, open_, name, broker)
    with Device(host, ca) as device:
        with ask.nothing_typed():
            info, here, before = _enter(device, token_file, token)
            networks = _networks(device, here.token)
        with show.usage():
            wanted.choose(networks)
    _end(_try_all(host, ca, info, here, wanted, wait, before), here.system, as_json)


def _try_all(host, ca, info, here, wanted, wait, before):
    """The Outcome of the last attempt: after a wrong passphrase whoever sits at a terminal may type another."""
    outcome = _try(host, ca, info, here, wanted, wait, before)
    while outcome.reason in ("wifi_wrong_passphrase", "wifi_probably_passphrase") and sys.stdin.isatty():
        say_why(outcome)
        wanted.ask_again()
        outcome = _try(host, ca, info, here, wanted, wait)
    return outcome


def _try(host, ca, info, here, wanted, wait, before=None):
    """The Outcome of one attempt; ``before``: the Pairing of an earlier one, if it is known."""
    with ask.nothing_typed():
        with Device(host, ca) as device:
            before = before or device.call("GET", "/v1/pairing", here.token)
            answered = _post(device, here.token, wanted.body())
        return _follow(host, ca, info, here, wanted.ssid, wait, None if answered else before)


class _Wanted:
    """The network to try. The user is asked for missing parts after the device has shown its networks."""

    def __init__(self, ssid, passphrase_file, open_, name, broker):
        self.ssid, self._open, self._name = ssid, open_, name
        self._passphrase = _passphrase_at_hand(passphrase_file, open_)
        self._broker = _broker(broker)

    def choose(self, networks):
        if self.ssid is None:
            self.ssid = _choose(networks)
        found = [network for network in networks if network.get("ssid") == self.ssid]
        if not found:
            show.say(f"the device did not see {self.ssid} in its scan, but tries it; Ctrl-C if the name is wrong")
        _check_open(self.ssid, self._open, found)
        if not self._open and self._passphrase is None:
            self._passphrase = _ask_passphrase(self.ssid)

    def ask_again(self):
        """Ask for another passphrase; no answer ends the command."""
        self._passphrase = _ask_passphrase(self.ssid)

    def body(self):
        """The body of POST /v1/pairing; a passphrase is in it."""
        made = {"wifi": {"ssid": self.ssid}}
        if not self._open:
            made["wifi"]["passphrase"] = self._passphrase
        others = {"name": self._name, "broker": self._broker}
        return made | {part: value for part, value in others.items() if value is not None}


def _refuse_in_arguments(passphrase):
    if passphrase is not None:
        raise Unsafe(
            "other users can see a passphrase on the command line; give --passphrase-file, or type it when asked"
        )


def _check_choices(status, leave, others):
    if status + leave + bool(others) > 1:
        raise ValueError("give --status, or --leave, or a network to join: only one of them")


def _check_input(passphrase_file, token_file):
    if passphrase_file == "-" and str(token_file) == "-":
        raise ValueError("--passphrase-file and --token-file are both -; give one of them as a file")


def _passphrase_at_hand(file, open_):
    """Text from file or environment; None if it will be typed, or the network has none."""
    if open_:
        if file:
            raise ValueError("give --open or --passphrase-file, not both")
        return None
    if file:
        passphrase = _checked(_read_passphrase(file))
        show.say_if_open(file)
        return passphrase
    given = os.environ.get(PASSPHRASE_VARIABLE)
    return _checked(given) if given else None


def _read_passphrase(file):
    try:
        return pasted.read(file).rstrip("\r\n")
    except OSError:  # whose words may repeat what was meant to be hidden
        words = "--passphrase-file names no file that can be read; it takes a file, never the passphrase itself"
        raise ValueError(words) from None
    except ValueError:
        raise ValueError(_FORM) from None


def _ask_passphrase(ssid):
    if not sys.stdin.isatty():
        raise ValueError(
            f"no passphrase, and no terminal to type it: give --passphrase-file, {PASSPHRASE_VARIABLE}, or --open"
        )
    for left in reversed(range(_TYPED_TIMES)):
        with ask.ends():
            typed = getpass.getpass(f"Passphrase of {show.plain(ssid)} (not shown): ")
        try:
            return _checked(typed)
        except ValueError as problem:
            show.say(f"{problem}{'; type it again' if left else ''}")
    raise typer.Exit(1)


def _checked(text):
    """IEEE 802.11, Annex J.4."""
    if not re.fullmatch("[ -~]{8,63}|[0-9A-Fa-f]{64}", text):
        raise ValueError(_FORM)
    return text


def _broker(text):
    if text is None:
        return None
    host, _, port = text.strip().partition(":")
    if not host or len(host.split()) > 1 or (port and not port.isdecimal()):
        raise ValueError(f"{text[:80]}: write the broker as HOST:PORT")
    return {"host": host, "port": int(port or 8883)}


def _enter(device, token_file, token):
    """(info, Pass, Pairing so far); each step is printed."""
    info, here = pairing.enter(device, token_file, token, meet=lambda info: _greet(device, info))
    return info, here, device.call("GET", "/v1/pairing", here.token)


def _greet(device, info):
    called = f"{info['name']}, " if info.get("name") else ""
    what = " ".join(info.get(part) or "" for part in ("product", "model", "version"))
    show.say(f"device {device.url}: {called}{what}, System {info['system_uuid']}, {info['state']}")


def _networks(device, token):
    try:
        answer = device.call("GET", "/v1/pairing/networks", token)
    except Refusal as refusal:
        if refusal.code == "not_found":
            raise ValueError(_NO_WIFI) from None
        raise
    return [network for network in answer.get("networks") or [] if network.get("ssid")]


def _choose(networks):
    """The name of one, chosen at the terminal."""
    if not sys.stdin.isatty():
        names = ", ".join(n["ssid"] for n in networks) or "none"
        raise ValueError(f"there is no terminal to choose a network at: give --ssid; in reach: {names}")
    table, rows = show.table("", "network", "signal", ""), _numbered(networks)
    for number, network in rows.items():
        lock = "" if network.get("secured") else "open to everyone"
        table.add_row(number, show.clean(network["ssid"]), _signal(network.get("rssi_dbm")), lock)
    show.console(stderr=True).print(table if networks else "The device sees no network.")
    while True:
        word = ask.word("Number or name of the network")
        if word in rows:
            return rows[word]["ssid"]
        if word in [n["ssid"] for n in networks] or (word and word.isprintable() and not word.isdecimal()):
            return word
        show.say(f"{word} is not in the list; write a number or a name from it, or start again with --ssid")


def _numbered(networks):
    """{number as text: network}. No number is also the name of a network."""
    names = {network["ssid"] for network in networks}
    numbers = (str(n) for n in itertools.count(1) if str(n) not in names)
    return dict(zip(numbers, networks, strict=False))


def _signal(rssi_dbm):
    if rssi_dbm is None:
        return ""
    strength = "strong" if rssi_dbm >= -60 else "good" if rssi_dbm >= -72 else "weak"
    return f"{strength} ({rssi_dbm} dBm)"


def _check_open(ssid, open_, found):
    secured = [bool(network.get("secured")) for network in found]
    if open_ and secured and all(secured):
        raise ValueError(f"{ssid} needs a passphrase: leave out --open")
    if not open_ and secured and not any(secured):
        raise ValueError(
            f"{ssid} has no passphrase, so everybody near can listen; to join it all the same, give --open"
        )


def _post(device, token, body):
    """Whether the device's answer arrived; without it the device may still be trying."""
    try:
        device.call("POST", "/v1/pairing", token, body)
        return True
    except Unreachable as error:
        if not error.may_have_arrived:
            raise
        show.say("the device's answer was lost; checking whether it got the request")
        return False


def _follow(host, ca, info, here, ssid, wait_s, before):
    unpaired = info.get("state") == "pairing"
    try:
        with pairing.Search(host, here, ca) as search, show.progress() as tell:
            return pairing.Following(search, ssid, unpaired, tell, before).follow(wait_s)
    except KeyboardInterrupt:
        show.say(f"the device continues; to see how it ended: {pairing.how_to_ask(host)}")
        raise typer.Exit(130) from None


def _end(outcome, system, as_json):
    """Print a clear yes, or the reason for a no."""
    if as_json:
        show.data(as_data(outcome, system))
    elif outcome.state == pairing.JOINED:
        _print_joined(outcome, local_name(system))
    else:
        say_why(outcome)
    if outcome.state != pairing.JOINED:
        raise typer.Exit(1)


def as_data(outcome, system):
    return {
        "state": outcome.state,
        "reason": outcome.reason,
        "happened": outcome.happened,
        "todo": outcome.todo,
        "ssid": outcome.ssid,
        "host": local_name(system),
        "address": outcome.address,
        "seen_at": outcome.seen_at,
        "system_uuid": system,
    }


def say_why(outcome):
    """Print why an attempt failed, or that it is not known, and what to do."""
    begin = "the attempt failed: " if outcome.state == pairing.FAILED else "not known: "
    show.say(f"{begin}{outcome.happened}. What to do: {outcome.todo}.")


def _print_joined(outcome, name):
    out = show.console()
    out.print(f"[green]Yes[/green]: the device is in the network {show.clean(outcome.ssid)}.")
    show.facts([("name", f"http://{name}"), ("address", outcome.address)])
    if outcome.seen_at is None or parse_host(outcome.seen_at)[1] == ACCESS_POINT:
        show.say(f"its access point closes in two minutes; join {outcome.ssid} to reach it there")


def _tell_status(device, token_file, token, as_json, _yes):
    try:
        info, _here, answer = _enter(device, token_file, token)
    except Refusal as refusal:
        if refusal.code != "plain_http":
            raise
        return _tell_hidden(device, as_json)
    failed = pairing.failure(answer)
    if as_json:
        show.data(answer | {"system_uuid": info["system_uuid"]})
    else:
        show.facts(_status_rows(answer))
    if failed:
        if not as_json:
            say_why(failed)
        raise typer.Exit(1)


def _status_rows(answer):
    window = answer.get("access_point_s") or 0
    presence = answer.get("presence_s") or 0
    what = f"{_WHAT.get(answer.get('what'), '')} {_STATES.get(answer.get('state'), answer.get('state'))}".strip()
    return [
        ("newest attempt", what),
        ("its network", answer.get("ssid") or "-"),
        ("address now", answer.get("address") or f"none ({answer.get('offline') or 'no reason given'})"),
        ("name", f"http://{answer.get('host')}"),
        ("access point", f"open, closes in {show.span(window)}" if window else "closed"),
        ("at the device", f"somebody, for {show.span(presence)}" if presence else "nobody"),
    ]


def _tell_hidden(device, as_json):
    """Plain HTTP from the network may not read the status (A2); say at least that the device answers here."""
    info = device.info()
    if as_json:
        return show.data({"state": None, "info": info, "seen_at": device.url})
    if info.get("state") == "pairing":
        show.say("the device answers here, and has no network yet")
    else:
        show.say(f"the device answers at {device.url}, in its network")
    show.say("it does not report its newest attempt over plain HTTP; use its access point or HTTPS")


def _leave(device, token_file, token, as_json, yes):
    info, here, _before = _enter(device, token_file, token)
    ask.require_yes("Make the device leave its network? After that only its access point reaches it.", yes)
    try:
        answer = device.call("DELETE", "/v1/pairing", here.token)
    except Refusal as refusal:
        if refusal.code == "method_not_allowed":
            raise ValueError(_NO_WIFI) from None
        raise
    if as_json:
        return show.data(answer | {"system_uuid": info["system_uuid"]})
    show.say(
        f"the device leaves its network, and opens its access point for 15 minutes; there its address is {ACCESS_POINT}"
    )
