"""What a technician or a factory does over the serial wire, at the REPL or through mpremote.

    import wire; wire.provision("/flash/provision.json")      prints a report in JSON, without secrets
    wire.status()

The device's own program must not be running (an interrupt ends it); restart the board afterwards.
"""

import json
import os

from board_config import Board

from latchkey import provision as provision_
from latchkey.config import ConfigStore, CredentialStore
from latchkey.errors import LatchkeyError
from latchkey.keystore import KeyStore
from latchkey.limits import PROVISION_BYTES
from latchkey.timefloor import TimeFloor


def provision(path):
    """Judge and store the document at ``path``, which is deleted in any case: it holds secrets."""
    try:
        _report(_provision(_read(path)))
    except LatchkeyError as exc:
        _report({"ok": False, "code": exc.code, "field": getattr(exc, "field", None)})
    finally:
        os.remove(path)


def _read(path):
    with open(path, "rb") as file:
        data = file.read(PROVISION_BYTES + 1)
    if len(data) > PROVISION_BYTES:
        raise LatchkeyError("too_large")
    return data


def _provision(data):
    config, credentials, keys, unix_s = provision_.read(data)
    board = Board()
    CredentialStore(board.store).save(credentials)
    if keys is not None:
        KeyStore(board.store, board.factory_keys()).replace(keys)
    TimeFloor(board.store, board.clock).set_over_wire(unix_s)
    ConfigStore(board.store).save(config)
    return dict(status(), ok=True)


def status():
    """What is stored, as a dict: the System and the keys; nothing secret."""
    board = Board()
    config = ConfigStore(board.store).load()
    keys = KeyStore(board.store, board.factory_keys())
    return {"system_uuid": config["system_uuid"] if config else None, "keys": keys.status()}


def _report(facts):
    print(json.dumps(facts))
