"""PUT /v1/keys: a key set that the device missed, signed by the maker with the release key (K4).

It needs no token, so whoever sends it orders little: without presence nothing is read, and a signature is paid for as
a token's is (V9). Loaded for one request. ``body``: a net.connection.Connection, of which ``line(most)`` and
``fill(view)`` are used.
"""

import binascii
import hashlib

from latchkey import jwk
from latchkey.api.response import as_json
from latchkey.device import lazy
from latchkey.errors import KeySetError, LatchkeyError, StoreError
from latchkey.limits import TOKEN_BYTES, const

# Eight keys of 4,096 bits take less. It is held until its hash is known: less than the broker's, which is a stream.
_SET_BYTES = const(8192)
_PIECE_BYTES = const(512)


class _Payload:
    """A stream of the ``pieces``."""

    def __init__(self, pieces):
        self._pieces = list(map(memoryview, pieces))

    def readinto(self, into):
        piece = self._pieces.pop(0) if self._pieces else b""
        count = min(len(into), len(piece))
        into[:count] = piece[:count]
        if count < len(piece):
            self._pieces.insert(0, piece[count:])  # pyright: ignore[reportArgumentType]
        return count


async def take(device, request, body):
    """The members of the manifest, whose signature is good, and the key set as it was sent, in pieces."""
    if request.length > TOKEN_BYTES + 1 + _SET_BYTES:
        raise LatchkeyError("too_large")
    if device.updates.pinned:
        raise LatchkeyError("keys_pinned")
    if not device.pairing.was_pressed:
        raise LatchkeyError("presence_needed")
    line = await body.line(TOKEN_BYTES + 1)
    found = _judged(device, memoryview(line)[:-1], request.peer)
    if request.length != len(line) + found["size"]:
        raise LatchkeyError("payload_refused")
    pieces = []
    for at in range(0, found["size"], _PIECE_BYTES):
        pieces.append(bytearray(min(_PIECE_BYTES, found["size"] - at)))
        await body.fill(memoryview(pieces[-1]))
    return found, pieces


def keep(device, taken):
    """Use the keys from now on. A power cut between keys and counter: the same file can be sent again."""
    found, pieces = taken
    with lazy.Rare("latchkey.update.record") as record:
        kept = record.load(device.board.store)
        # The broker may have sent a set while this one arrived.
        if found["slug"] != device.config["slug"] or found["issuer"] != device.config["issuer"]:
            raise LatchkeyError("wrong_cloud")
        if found["counter"] <= kept["set_counter"]:
            raise LatchkeyError("counter_low")
        if found["iat"] <= device.keystore.heard_unix_s:
            raise LatchkeyError("key_set_old")
        keys = _keys(device, found, pieces)
        answer = as_json(200, {"keys": len(keys)})
        try:
            device.keystore.replace(keys)
        except StoreError:
            raise LatchkeyError("not_stored")
        device.log.add("keys: the maker's set %d is in force" % found["counter"])
        device.try_to_store(record.save, device.board.store, dict(kept, set_counter=found["counter"]))
    return answer


def _judged(device, line, peer):
    def charge():
        device.verifier.budget.reserve(1, None, peer)
        device.verifier.budget.pay()

    with lazy.Rare("latchkey.update.record") as record, lazy.Rare("latchkey.update.manifest") as manifest:
        try:
            return manifest.read(line, (manifest.KEY_SET,), record.keys(device.board.store), charge)
        except LatchkeyError as exc:
            if exc.code == "manifest_signature":
                device.verifier.budget.failed(peer, None)
            raise


def _keys(device, found, pieces):
    hasher = hashlib.sha256()
    for piece in pieces:
        hasher.update(piece)
    if binascii.hexlify(hasher.digest()).decode() != found["sha256"]:
        raise LatchkeyError("payload_refused")
    try:
        return jwk.parse_key_set(_Payload(pieces), device.config["dev"])
    except KeySetError as exc:
        device.keystore.refuse(exc.code)
        raise LatchkeyError("payload_refused")
