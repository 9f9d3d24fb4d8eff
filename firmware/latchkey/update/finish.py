"""The end of an upload: what is on flash is read back, and switched to only if its hash is right."""

import binascii
import hashlib

from latchkey.api.response import as_json
from latchkey.device import lazy
from latchkey.errors import LatchkeyError
from latchkey.limits import const

_RESTART_S = const(2)  # the answer leaves first; a second that has begun counts as whole
_TURN = memoryview(b"")  # filled, it only gives the loop its turn


async def finished(device, upload, body, grant):
    """The answer, once the next start runs what ``upload`` (latchkey.update.upload) brought. LatchkeyError,
    StoreError."""
    upload.whole = False
    hasher = hashlib.sha256()
    pieces = upload.carrier.pieces()
    try:
        for piece in pieces:
            hasher.update(piece)
            await body.fill(_TURN)
    finally:
        pieces.close()  # with the file that it reads
    if binascii.hexlify(hasher.digest()).decode() != upload.release["sha256"]:
        raise LatchkeyError("payload_refused")
    upload.whole = True
    upload.check(grant)
    return _switch(device, upload)


def _switch(device, upload):
    """The record first: a release that runs without one would never count as good."""
    answer = as_json(202, {"state": "restarting", "version": upload.release["version"]})
    with lazy.Rare("latchkey.update.record") as record:
        kept, store = record.load(device.board.store), device.board.store
        record.save(store, dict(kept, sent=dict(upload.release, reason=None), last=None))
        try:
            upload.carrier.switch()
            upload.ends_s = device.uptime_s() + _RESTART_S
        finally:
            if upload.ends_s is None:
                device.try_to_store(record.save, store, kept)
    return answer
