"""GET /v1/firmware, and which release a device takes: policy, moment, manifest, product, board, counter, room, length.

Loaded for one request and unloaded before the first piece is written.
"""

from latchkey import __version__
from latchkey.api.response import as_json
from latchkey.device import lazy
from latchkey.errors import ConfigError, LatchkeyError
from latchkey.limits import const

_OFFSET_DIGITS = const(8)
_SAME = ("counter", "sha256", "version")  # of an upload that is resumed
_record = lazy.Rare("latchkey.update.record")


def status(device):
    """See docs/openapi.yaml, Firmware."""
    carrier, store, upload = _carrier(device), device.board.store, device.upload
    with _record as record:
        kept, keys = record.load(store), record.keys(store)
        key_counter = record.key_counter(keys)
    return {
        "version": __version__,
        "board": device.board.board_name,
        "kind": carrier.kind,
        "running": carrier.running,
        "state": "unproven" if device.proof else "good",
        "goes_back_s": max(0, device.proof.limit_s - device.uptime_s()) if device.proof else None,
        "counter": kept["counter"],
        "key_counter": key_counter,
        "set_counter": kept["set_counter"],
        "keys": {"release": len(keys) > 0, "recovery": len(keys) > 1},
        "upload": upload
        and {
            "sha256": upload.release["sha256"],
            "version": upload.release["version"],
            "size": upload.size,
            "received": upload.received,
            "running": upload.running,
        },
        "last": kept["last"],
    }


def begun(device, request, line, new):
    """The upload and None; None and the answer to a release key.

    ``line``: the manifest with its newline; ``new``: latchkey.update.upload.Upload. LatchkeyError, ConfigError.
    """
    carrier = _carrier(device)
    _check_may_begin(device)
    found, offset = _members(device, carrier, memoryview(line)[:-1]), _offset(request.query)
    if request.length != len(line) + found.get("size", offset) - offset:
        raise LatchkeyError("payload_refused")
    if "key" in found:
        return None, _replace_release_key(device, found)
    upload = device.upload
    if not offset:
        device.upload = None  # An earlier one is forgotten.
        device.log.add("update: " + found["version"] + " begins")
        upload = new(device, carrier, found)
    elif upload is None or upload.received != offset or any([upload.release[name] != found[name] for name in _SAME]):
        raise LatchkeyError("wrong_offset")
    upload.running, device.upload = True, upload
    return upload, None


def _replace_release_key(device, found):
    """The key in ``found`` is in force. StoreError: nothing has changed."""
    store, answer = device.board.store, as_json(200, {"key_counter": found["counter"]})
    with _record as record:
        record.replace_release_key(store, found["key"], found["counter"], record.keys(store))
    device.log.add("update: release key %d" % found["counter"])
    return answer


def _carrier(device):
    """That of an upload which broke off knows which file it left open."""
    carrier = device.upload.carrier if device.upload else device.board.carrier()
    if carrier is None:
        raise LatchkeyError("not_found")
    return carrier


def _check_may_begin(device):
    if device.config["policy"]["updates"] == "presence" and not device.pairing.present:
        raise LatchkeyError("presence_needed")
    device.pairing.check_idle()
    if device.proof:
        raise LatchkeyError("unproven")
    if device.upload and device.upload.running:
        raise LatchkeyError("update_running")


def _members(device, carrier, line):
    """Those of a manifest that this device takes now."""
    store = device.board.store
    with _record as record, lazy.Rare("latchkey.update.manifest") as manifest:
        keys, kept = record.keys(store), record.load(store)
        found = manifest.read(line, (manifest.RELEASE, manifest.RELEASE_KEY), keys)
        then, same = kept["counter"], found.get("sha256") == kept["sha256"]
        if "key" in found:
            then, same = record.key_counter(keys), found["key"].public_key.n_be == keys[0].public_key.n_be
        elif found["product"] != device.board.product_name:
            raise LatchkeyError("wrong_product")
        elif device.board.board_name not in found["boards"] or found["kind"] != carrier.kind:
            raise LatchkeyError("wrong_board")
        elif max(found["room"], found["size"]) > carrier.room():
            raise LatchkeyError("no_room")
    if found["counter"] < then or found["counter"] == then and not same:
        raise LatchkeyError("counter_low")
    return found


def _offset(query):
    name, _, digits = query.partition("=")
    if not query:
        return 0
    raw = digits.encode()
    if name != "from" or len(raw) > _OFFSET_DIGITS or not raw.isdigit():
        raise ConfigError("invalid_field", "from")
    return int(raw)
