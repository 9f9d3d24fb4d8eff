"""PUT /v1/firmware: a release that arrives in pieces.

Pieces go to the carrier (latchkey.update.folders or programs), which keeps them in the place that does not run. An
upload that breaks off can be resumed under the same manifest, until another one comes or the device restarts. Only this
module stays in RAM until then: what judges before (latchkey.update.judge) and ends it (finish) is unloaded.

``body``: a net.connection.Connection, of which ``line(most)`` and ``fill(view)`` are used.
"""

from latchkey.device import lazy
from latchkey.errors import LatchkeyError, StoreError, TokenError
from latchkey.limits import TOKEN_BYTES, const

_PIECE_BYTES = const(1024)  # of a block of flash; 4 KB in one piece are not always free
# A request that is slower than this for longer than that is dropped: while it runs, others wait.
_LEAST_BYTES_S = const(1024)
_SLOW_S = const(60)


class Upload:
    """``release``: counter, SHA-256 and version, and the place of ``carrier`` where it goes (dict); ``size``: of its
    payload.

    ``received``: bytes of the payload that are there. ``running``: a connection brings more, or the restart is due,
    at ``ends_s``; ``whole``: it can be resumed.
    """

    def __init__(self, device, carrier, found):
        self._device, self.carrier = device, carrier
        self.release = {name: found[name] for name in ("counter", "sha256", "version")}
        self.size = found["size"]
        self.received = 0
        self.ends_s = None
        self.running = self.whole = False
        self.release["place"] = carrier.begin(found)

    def write(self, piece):
        """A piece that the carrier did not take completely cannot be sent again."""
        self.whole = False
        self.carrier.write(piece)
        self.received += len(piece)
        self.whole = True

    def check(self, grant):
        """TokenError unless the token of ``grant`` still permits what it did when the request began."""
        verifier = self._device.verifier
        if len(verifier.judge(grant.entry, verifier.policy).permissions) < len(grant.permissions):
            raise TokenError("insufficient_scope", "configure")

    def turn(self):
        """Restart when that is due, whether or not the answer went out."""
        if self.ends_s is not None and self._device.uptime_s() >= self.ends_s:
            self._device.restart()


async def receive(device, request, body):
    """Take what a request brings; its answer. Everything is judged before anything is written, and the token at each
    piece and before the switch."""
    upload = None
    try:
        upload, answer = _begun(device, request, await body.line(TOKEN_BYTES + 1))
        if upload is None:
            return answer
        await _fetch(device, upload, body, request.grant)
        with lazy.Rare("latchkey.update.finish") as finish:
            finished = finish.finished(device, upload, body, request.grant)
        return await finished
    except StoreError:
        raise LatchkeyError("not_stored")
    finally:
        if upload:
            device.upload = upload if upload.whole else None
            upload.running = upload.ends_s is not None


def _begun(device, request, line):
    # A coroutine would hold ``line`` and the module to its end.
    with lazy.Rare("latchkey.update.judge") as judge:
        return judge.begun(device, request, line, Upload)


async def _fetch(device, upload, body, grant):
    view = memoryview(bytearray(_PIECE_BYTES))
    if not upload.received:
        for _ in upload.carrier.clear():
            await body.fill(view[:0])  # the loop's turn
    spare_s = device.uptime_s() + _SLOW_S - upload.received // _LEAST_BYTES_S
    while upload.received < upload.size:
        if device.uptime_s() > spare_s + upload.received // _LEAST_BYTES_S:
            raise LatchkeyError("timeout")
        piece = view[: upload.size - upload.received]
        await body.fill(piece)
        upload.check(grant)
        upload.write(piece)
