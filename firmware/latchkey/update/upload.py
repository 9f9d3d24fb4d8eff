"""PUT and GET /v1/firmware: a release that arrives in pieces.

Everything is checked before anything is written. Pieces go to the carrier (latchkey.update.folders or programs), which
keeps them in the place that does not run; what is there is read back, and switched to only if its hash is right. An
upload that breaks off can be resumed under the same manifest, until another one comes or the device restarts. Loaded
for one request.

``body``: a net.connection.Connection, of which ``fill(view)`` is used.
"""

import binascii
import hashlib

from latchkey import __version__
from latchkey.api.response import as_json
from latchkey.device import lazy
from latchkey.errors import ConfigError, LatchkeyError, StoreError
from latchkey.limits import TOKEN_BYTES, const

_PIECE_BYTES = const(4096)  # a block of flash
_RESTART_S = const(2)  # the answer leaves first; a second that has begun counts as whole
_OFFSET_DIGITS = const(8)
_TURN = memoryview(b"")  # filled, it only gives the loop its turn
_record = lazy.Rare("latchkey.update.record")


class Upload:
    """``manifest``: its members; ``digest``: SHA-256 of its bytes; ``place``: of ``carrier``, where it goes.

    ``received``: bytes of the payload that are there. ``running``: a connection brings more, or the restart is due,
    at ``ends_s``; ``whole``: it can be resumed.
    """

    def __init__(self, device, carrier, manifest, digest):
        self._device = device
        self.carrier, self.manifest, self.digest = carrier, manifest, digest
        self.received = 0
        self.ends_s = None
        self.running = self.whole = False
        self.place = carrier.begin(manifest)

    def write(self, piece):
        """What the carrier could not take whole cannot be resumed."""
        self.whole = False
        self.carrier.write(piece)
        self.received += len(piece)
        self.whole = True

    def turn(self):
        """Restart when that is due, whether or not the answer went out."""
        if self.ends_s is not None and self._device.uptime_s() >= self.ends_s:
            self._device.restart()


def status(device):
    """See docs/openapi.yaml, Firmware."""
    carrier = _carrier(device)
    with _record as record:
        kept, keys = record.load(device.board.store), record.keys(device.board.store)
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


async def receive(device, request, body):
    """Take what a request brings; its answer."""
    buffer = bytearray(_PIECE_BYTES)
    view = memoryview(buffer)
    held = await body.fill(view)
    _check_may_begin(device)
    end = buffer.find(b"\n", 0, min(held, TOKEN_BYTES + 1))
    if end < 0:
        raise LatchkeyError("manifest_refused")
    found, digest = _judged(device, view[:end]), hashlib.sha256(view[:end]).digest()
    offset = _offset(request.query)
    if request.length != end + 1 + found.get("size", offset) - offset:
        raise LatchkeyError("payload_refused")
    if "key" in found:
        return _replace_release_key(device, found)
    upload = _opened(device, found, digest, offset)
    held -= end + 1
    view[:held] = view[end + 1 : end + 1 + held]
    try:
        if not upload.received:
            for _ in upload.carrier.clear():
                await body.fill(_TURN)
        await _fetch(upload, body, view, held)
        await _compare(upload, body)
        return _switch(device, upload)
    except StoreError:
        raise LatchkeyError("not_stored")
    finally:
        if not upload.whole:
            device.upload = None
        upload.running = upload.ends_s is not None


def _carrier(device):
    carrier = device.board.carrier()
    if carrier is None:
        raise LatchkeyError("not_found")
    return carrier


def _progress(upload):
    if upload is None:
        return None
    facts = {name: upload.manifest[name] for name in ("sha256", "version", "size")}
    facts["received"], facts["running"] = upload.received, upload.running
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


def _judged(device, line):
    """Members of the manifest; LatchkeyError for one that this device does not take."""
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
    if found["room"] > carrier.room():
        raise LatchkeyError("no_room")


def _offset(query):
    name, _, digits = query.partition("=")
    if not query:
        return 0
    raw = digits.encode()
    if name != "from" or not raw or len(raw) > _OFFSET_DIGITS or raw.strip(b"0123456789"):
        raise ConfigError("invalid_field", "from")
    return int(raw)


def _replace_release_key(device, found):
    store = device.board.store
    answer = as_json(200, {"key_counter": found["counter"]})
    with _record as record:
        try:
            record.replace_release_key(store, found["key"], found["counter"], record.keys(store)[1])
        except StoreError:
            raise LatchkeyError("not_stored")
    device.log.add("update: release key %d" % found["counter"])
    return answer


def _opened(device, found, digest, offset):
    """The upload that goes on, or a new one, in which case an earlier one is forgotten."""
    upload = device.upload
    if offset:
        if upload is None or upload.digest != digest or upload.received != offset:
            raise LatchkeyError("wrong_offset")
    else:
        device.upload = None
        try:
            upload = Upload(device, _carrier(device), found, digest)
        except StoreError:
            raise LatchkeyError("not_stored")
        device.log.add("update: " + found["version"] + " begins")
    upload.running = True
    device.upload = upload
    return upload


async def _fetch(upload, body, view, held):
    size = upload.manifest["size"]
    while upload.received < size:
        end = min(_PIECE_BYTES, size - upload.received)
        await body.fill(view[held:end])
        upload.write(view[:end])
        held = 0
        await body.fill(_TURN)


async def _compare(upload, body):
    """What flash gives back is what the maker signed."""
    upload.whole = False
    hasher = hashlib.sha256()
    for piece in upload.carrier.pieces():
        hasher.update(piece)
        await body.fill(_TURN)
    if binascii.hexlify(hasher.digest()).decode() != upload.manifest["sha256"]:
        raise LatchkeyError("payload_refused")
    upload.whole = True


def _switch(device, upload):
    """The record first: a release that runs without one would never count as good."""
    found, store = upload.manifest, device.board.store
    answer = as_json(202, {"state": "restarting", "version": found["version"]})
    sent = {name: found[name] for name in ("counter", "sha256", "version")}
    sent["place"], sent["reason"] = upload.place, None
    with _record as record:
        kept = record.load(store)
        record.save(store, dict(kept, sent=sent, last=None))
        try:
            upload.carrier.switch()
            upload.ends_s = device.uptime_s() + _RESTART_S
        finally:
            if upload.ends_s is None:
                device.try_to_store(record.save, store, kept)
    return answer
