"""GET /v1/firmware, and which release a device takes: policy, moment, manifest, product, board, counter, room, length.

Loaded for one request and let go before the first piece is written.
"""

from latchkey import __version__
from latchkey.api.response import as_json
from latchkey.device import lazy
from latchkey.errors import ConfigError, LatchkeyError
from latchkey.limits import const

_OFFSET_DIGITS = const(8)
_record = lazy.Rare("latchkey.update.record")


def status(device):
    """See docs/openapi.yaml, Firmware."""
    carrier, store = _carrier(device), device.board.store
    with _record as record:
        kept, keys = record.load(store), record.keys(store)
        key_counter = record.key_counter(keys)
    return {
        "version": __version__,
        "board": device.board.board_name,
        "kind": carrier.kind,
        "running": carrier.running,
        "state": "unproven" if device.proof else "good",
        "goes_back_s": device.proof.left_s() if device.proof else None,
        "counter": kept["counter"],
        "key_counter": key_counter,
        "set_counter": kept["set_counter"],
        "keys": {"release": len(keys) > 0, "recovery": len(keys) > 1},
        "upload": _progress(device.upload),
        "last": kept["last"],
    }


def begun(device, request, line, new):
    """The upload and None; None and the answer to a release key.

    ``line``: the manifest with its newline; ``new``: latchkey.update.upload.Upload. LatchkeyError, ConfigError.
    """
    offset, found = _judged(device, request, line)
    if "key" in found:
        return None, _replace_release_key(device, found)
    upload = _opened(device, found, offset, new)
    upload.running, device.upload = True, upload
    return upload, None


def _opened(device, found, offset, new):
    """The upload that goes on, or a new one, in which case an earlier one is forgotten."""
    upload = device.upload
    if offset:
        if upload is None or upload.received != offset or not _is_of(upload, found):
            raise LatchkeyError("wrong_offset")
        return upload
    carrier = _carrier(device)
    device.upload = None
    device.log.add("update: " + found["version"] + " begins")
    return new(device, carrier, found)


def _is_of(upload, found):
    same = [upload.release[name] == found[name] for name in ("counter", "sha256", "version")]
    return all(same) and upload.size == found["size"]


def _judged(device, request, line):
    """``(offset, members)``: from which byte of the payload on the request brings it, and what the manifest says.
    LatchkeyError, ConfigError."""
    _check_may_begin(device)
    found = _members(device, memoryview(line)[:-1])
    offset = _offset(request.query)
    if request.length != len(line) + found.get("size", offset) - offset:
        raise LatchkeyError("payload_refused")
    return offset, found


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


def _progress(upload):
    if upload is None:
        return None
    facts = {name: upload.release[name] for name in ("sha256", "version")}
    facts["size"], facts["received"], facts["running"] = upload.size, upload.received, upload.running
    return facts


def _check_may_begin(device):
    _carrier(device)
    if device.config["policy"]["updates"] == "presence" and not device.pairing.present:
        raise LatchkeyError("presence_needed")
    device.pairing.check_idle()
    if device.proof:
        raise LatchkeyError("unproven")
    if device.upload and device.upload.running:
        raise LatchkeyError("update_running")


def _members(device, line):
    store = device.board.store
    with _record as record, lazy.Rare("latchkey.update.manifest") as manifest:
        keys, kept = record.keys(store), record.load(store)
        found = manifest.read(line, manifest.SENT_AS_FIRMWARE, keys)
        if "key" in found:
            then, same = record.key_counter(keys), found["key"].public_key.n_be == keys[0].public_key.n_be
        else:
            _check_fits(device, found)
            then, same = kept["counter"], found["sha256"] == kept["sha256"]
    if found["counter"] < then or found["counter"] == then and not same:
        raise LatchkeyError("counter_low")
    return found


def _check_fits(device, found):
    carrier = _carrier(device)
    if found["product"] != device.board.product_name:
        raise LatchkeyError("wrong_product")
    if device.board.board_name not in found["boards"] or found["kind"] != carrier.kind:
        raise LatchkeyError("wrong_board")
    if max(found["room"], found["size"]) > carrier.room():
        raise LatchkeyError("no_room")


def _offset(query):
    name, _, digits = query.partition("=")
    if not query:
        return 0
    raw = digits.encode()
    if name != "from" or not raw or len(raw) > _OFFSET_DIGITS or raw.strip(b"0123456789"):
        raise ConfigError("invalid_field", "from")
    return int(raw)
