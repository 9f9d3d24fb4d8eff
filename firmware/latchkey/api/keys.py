"""PUT /v1/keys: a key set that the device missed, signed by the maker with the release key (K4).

It needs no token, so whoever sends it orders little: without presence nothing is read, and a signature is paid for as
a token's is (V9). Loaded for one request. ``body``: a net.connection.Connection, of which ``fill(view)`` is used.
"""

import binascii
import hashlib

from latchkey import jwk
from latchkey.api.response import as_json
from latchkey.device import lazy
from latchkey.errors import KeySetError, LatchkeyError, StoreError
from latchkey.limits import KEY_SET_BYTES, TOKEN_BYTES


class _Payload:
    """A stream of ``view``; io.BytesIO would copy it."""

    def __init__(self, view):
        self._rest = view

    def readinto(self, into):
        count = min(len(into), len(self._rest))
        into[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


async def take(device, request, body):
    """The members of the manifest, whose signature is good, and the key set as it was sent."""
    _check_may_take(device, request)
    head = bytearray(TOKEN_BYTES + 1)
    view = memoryview(head)
    held = await body.fill(view)
    end = head.find(b"\n", 0, held)
    if end < 0:
        raise LatchkeyError("manifest_refused")
    found = _judged(device, view[:end], request.peer)
    if request.length != end + 1 + found["size"]:
        raise LatchkeyError("payload_refused")
    payload = bytearray(found["size"])
    rest = held - end - 1
    payload[:rest] = view[end + 1 : held]
    await body.fill(memoryview(payload)[rest:])
    return found, payload


def keep(device, taken):
    """Use the keys from now on. A power cut between keys and counter: the same file can be sent again."""
    found, payload = taken
    with lazy.Rare("latchkey.update.record") as record:
        kept = record.load(device.board.store)
        _check_newer(device, found, kept)
        keys = _keys(device, found, payload)
        answer = as_json(200, {"keys": len(keys)})
        try:
            device.keystore.replace(keys)
        except StoreError:
            raise LatchkeyError("not_stored")
        device.log.add("keys: the maker's set %d is in force" % found["counter"])
        device.try_to_store(record.save, device.board.store, dict(kept, set_counter=found["counter"]))
    return answer


def _check_may_take(device, request):
    if request.length > TOKEN_BYTES + 1 + KEY_SET_BYTES:
        raise LatchkeyError("too_large")
    if device.updates.pinned:
        raise LatchkeyError("keys_pinned")
    if not device.pairing.was_pressed:
        raise LatchkeyError("presence_needed")


def _judged(device, line, peer):
    def charge():
        device.verifier.budget.reserve(1, None, peer)
        device.verifier.budget.pay()

    with lazy.Rare("latchkey.update.record") as record, lazy.Rare("latchkey.update.manifest") as manifest:
        try:
            return manifest.read(line, manifest.KEY_SET, record.keys(device.board.store), charge)
        except LatchkeyError as exc:
            if exc.code == "manifest_signature":
                device.verifier.budget.failed(peer, None)
            raise


def _check_newer(device, found, kept):
    """Asked once all is here: the broker may have sent a set meanwhile."""
    if found["slug"] != device.config["slug"] or found["issuer"] != device.config["issuer"]:
        raise LatchkeyError("wrong_cloud")
    if found["counter"] <= kept["set_counter"]:
        raise LatchkeyError("counter_low")
    if found["iat"] <= device.keystore.heard_unix_s:
        raise LatchkeyError("key_set_old")


def _keys(device, found, payload):
    if binascii.hexlify(hashlib.sha256(payload).digest()).decode() != found["sha256"]:
        raise LatchkeyError("payload_refused")
    try:
        return jwk.parse_key_set(_Payload(memoryview(payload)), device.config["dev"])
    except KeySetError as exc:
        device.keystore.refuse(exc.code)
        raise LatchkeyError("payload_refused")
