"""`latchkey label`: what is printed on devices, their access point's passphrase above all, kept in the wallet."""

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

    A label has the passphrase of the device's own access point. In a cellar without internet that is the way in.
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
    """Take the labels of a production line into the wallet.

    A label that the wallet has for the same System is replaced. The file stays where it is: it holds passphrases.

    Example: latchkey label import labels.csv
    """
    # Read once more here, since it says so if others can read the file, and knows the encodings of editors.
    pasted.read(file, private=True)
    labels = {}
    for number, row in enumerate(production.labels_in(file), 1):
        labels |= _label(row, f"{file}, label {number}")
    if not labels:
        raise ValueError(f"{file} has no label; give the file that `latchkey board provision --line` wrote")
    before = Wallet().labels()
    Wallet().keep_labels(labels)
    changed = [system for system in labels if system in before and before[system] != labels[system]]
    if as_json:
        return show.data({"systems": list(labels), "changed": changed})
    show.say(f"{len(labels)} label{'s' * (len(labels) != 1)} in the wallet, {len(changed)} of them changed")


@app.command("list")
def list_(as_json: options.AsJson = False):
    """The devices whose label the wallet holds, without the passphrases."""
    labels = Wallet().labels()
    if as_json:
        return show.data([_public(system, label) for system, label in labels.items()])
    if not labels:
        return show.say("no labels; `latchkey label import labels.csv` takes some in")
    table = show.table("System", "name", "host", "access point", whole=("System",))
    for system, label in labels.items():
        table.add_row(*map(show.clean, _public(system, label).values()))
    show.console().print(table)


@app.command("show")
def show_(system: options.System, out: options.Out = None):
    """Print the passphrase of a device's access point.

    Example: latchkey label show 792b6149-1daa-488f-b07a-f684503b0586
    """
    label = Wallet().labels().get(system)
    if label is None:
        raise WalletError(f"the wallet has no label of {system}; `latchkey label import labels.csv` takes some in")
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
