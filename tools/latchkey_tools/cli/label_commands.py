"""`latchkey label`: the wallet's copies of the labels of devices, with the passphrases of their access points."""

from pathlib import Path
from typing import Annotated

import typer

from latchkey_tools import uuids
from latchkey_tools.boards import production
from latchkey_tools.cli import options, show
from latchkey_tools.device import pasted
from latchkey_tools.device.wallet import Label, Wallet, WalletError

app = typer.Typer(
    no_args_is_help=True,
    help="""The labels of devices, kept in the wallet.

    A label has the passphrase of the device's own access point, which works without internet.
    """,
)
# WPA2: IEEE 802.11, Annex J.4.
_LEAST_CHARS, _MOST_CHARS = 8, 63


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The labels.csv that `latchkey board provision --line` wrote.")
    ],
    as_json: options.AsJson = False,
):
    """Add the labels of a production line to the wallet.

    A new label replaces an old one of the same System. The file itself stays; it has passphrases.

    \b
    Example:
      latchkey label import labels.csv
    """
    # A second reading, which knows the encodings of editors.
    pasted.read(file)
    labels = {}
    for number, row in enumerate(production.labels_in(file), 1):
        labels |= _label(row, f"{file}, label {number}")
    if not labels:
        raise ValueError(f"{file} has no label; give the file that `latchkey board provision --line` wrote")
    before = Wallet().labels()
    Wallet().keep_labels(labels)
    show.say_if_open(file)
    changed = [system for system in labels if system in before and before[system] != labels[system]]
    if as_json:
        return show.data({"systems": list(labels), "changed": changed})
    show.say(f"{len(labels)} label{'s' * (len(labels) != 1)} in the wallet, {len(changed)} of them changed")


@app.command("list")
def list_(as_json: options.AsJson = False):
    """List the devices whose label the wallet has.

    Passphrases are not shown.

    \b
    Example:
      latchkey label list
    """
    labels = Wallet().labels()
    if as_json:
        return show.data([_public(system, label) for system, label in labels.items()])
    if not labels:
        return show.say("the wallet has no label; `latchkey label import labels.csv` adds some")
    table = show.table("System", "name", "host", "access point", whole=("System",))
    for system, label in labels.items():
        table.add_row(*map(show.clean, _public(system, label).values()))
    show.console().print(table)


@app.command("show")
def show_(system: options.System, out: options.Out = None):
    """Print the passphrase of a device's access point.

    \b
    Example:
      latchkey label show 792b6149-1daa-488f-b07a-f684503b0586
    """
    label = Wallet().labels().get(system)
    if label is None:
        raise WalletError(f"the wallet has no label of {system}; `latchkey label import labels.csv` adds some")
    show.say(f"the access point of {label.name or system} is {label.access_point}; its passphrase:")
    if options.deliver(label.ap_passphrase, out):
        show.say(f"it is in {out}")


def _label(row, where):
    """{System UUID: Label} of a row; ValueError, without its values."""
    try:
        system = uuids.canonical(row["system_uuid"])
    except ValueError:
        raise ValueError(f"{where}: its system_uuid is not a UUID; correct it") from None
    values = [row[name] or "" for name in Label._fields]
    if not _LEAST_CHARS <= len(values[-1]) <= _MOST_CHARS:
        words = f"its ap_passphrase has not {_LEAST_CHARS} to {_MOST_CHARS} characters; correct it"
        raise ValueError(f"{where}: {words}")
    return {system: Label(*values)}


def _public(system, label):
    return {"system": system, "name": label.name, "host": label.host, "access_point": label.access_point}
