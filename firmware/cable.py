"""Commands for a technician or a factory over the serial cable, at the REPL or through mpremote.

    import cable; cable.provision("/flash/provision.json")      prints a report in JSON, without secrets
    cable.renew("/flash/provision.json"); cable.status()

The device's own program must not be running (an interrupt ends it); restart the board afterwards.
"""

import json
import os

from board_config import Board

from latchkey import strictjson
from latchkey.device import credentials, settings
from latchkey.device import provision as provision_
from latchkey.errors import ConfigError, LatchkeyError
from latchkey.keystore import KeyStore, factory_keys
from latchkey.ledger import Ledger
from latchkey.stores.timefloor import TimeFloor

try:
    from latchkey.update import record  # a feature
except ImportError:
    record = None


def provision(path):
    """Judge and store the document at ``path``, which is deleted in any case: it holds secrets."""
    _serve(path, _provision)


def renew(path):
    """The same with a new client certificate, tried after the next start and kept only if the broker takes it."""
    _serve(path, _renew)


def _serve(path, act):
    try:
        with open(path, "rb") as file:
            data = file.read(provision_.PROVISION_BYTES + 1)
        if len(data) > provision_.PROVISION_BYTES:
            raise LatchkeyError("too_large")
        answer = act(data)
    except LatchkeyError as exc:
        answer = {"ok": False, "code": exc.code, "field": getattr(exc, "field", None)}
    finally:
        os.remove(path)
    print(json.dumps(answer))


def _provision(data):
    document, secrets, keys, unix_s, update_keys = provision_.read(data)
    if update_keys and not record:
        raise ConfigError("invalid_field", "update_keys", "this product has no updates")
    board = Board()
    kept = settings.load(board.store)[0] or document
    document["trust"] = kept["trust"]
    for name in ("wifi_passphrase", "ap_passphrase"):
        document[name] = document[name] or kept[name]
    credentials.save(board.store, secrets, True)
    credentials.drop(board.store)
    keystore = KeyStore(board.store)
    # A clock that was ahead must not refuse every signed key set (K4).
    if keys is None and keystore.source == "flash" and keystore.heard_unix_s > unix_s:
        keys = keystore.keys
    if keys is not None:
        keystore.replace(keys, None, unix_s)
    if update_keys:
        record.set_over_cable(board.store, update_keys)
    TimeFloor(board.store, board.clock).set_over_cable(unix_s)
    # Memory that outlives resets would bring a later floor forward again.
    board.note(b"")
    # Last: a device with settings has everything else.
    settings.save(board.store, document, True)
    # Marks that a wrong clock once pushed ahead would refuse every new token.
    Ledger(board.store, document["config"]["system_uuid"], board.ledger_tokens).set_over_cable(unix_s)
    return dict(status(), ok=True)


def _renew(data):
    credentials.begin(Board().store, provision_.renewal_of(strictjson.parse(data)))
    return {"ok": True}


def status():
    """The stored data as a dict: the System and the keys; nothing secret."""
    board = Board()
    kept = settings.load(board.store)[0]
    config = kept["config"] if kept else {"system_uuid": None, "dev": False}
    dev = config["dev"]
    keys = KeyStore(board.store, factory_keys(board.factory_keys(), dev), dev)
    return {"system_uuid": config["system_uuid"], "keys": keys.status()}


def ap_passphrase():
    """The passphrase of its access point, or None."""
    kept = settings.load(Board().store)[0]
    return kept and kept["ap_passphrase"]
