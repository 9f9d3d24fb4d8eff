"""PUT /v1/firmware: a release that arrives in pieces.

Pieces go to the carrier (latchkey.update.folders or programs), which keeps them in the place that does not run. An
upload that breaks off can be resumed under the same manifest, until another one comes or the device restarts. Only this
module stays in RAM until then: what judges before (latchkey.update.judge) and ends it (finish) is let go.

``body``: a net.connection.Connection, of which ``line(most)`` and ``fill(view)`` are used.
"""

from latchkey.device import lazy
from latchkey.errors import LatchkeyError, StoreError
from latchkey.limits import TOKEN_BYTES, const

_PIECE_BYTES = const(1024)  # of a block of flash; 4 KB in one piece are not always free


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

    def turn(self):
        """Restart when that is due, whether or not the answer went out."""
        if self.ends_s is not None and self._device.uptime_s() >= self.ends_s:
            self._device.restart()


async def receive(device, request, body):
    """Take what a request brings; its answer. Everything is judged before anything is written."""
    line = await body.line(TOKEN_BYTES + 1)
    view = memoryview(bytearray(_PIECE_BYTES))
    upload = None
    try:
        with lazy.Rare("latchkey.update.judge") as judge:
            upload, answer = judge.begun(device, request, line, Upload)
        del judge
        if upload is None:
            return answer
        await _fetch(upload, body, view)
        view = line = None  # the carrier has a buffer of its own
        with lazy.Rare("latchkey.update.finish") as finish:
            finished = finish.finished(device, upload, body)
        return await finished
    except StoreError:
        raise LatchkeyError("not_stored")
    finally:
        if upload:
            device.upload = upload if upload.whole else None
            upload.running = upload.ends_s is not None


async def _fetch(upload, body, view):
    if not upload.received:
        for _ in upload.carrier.clear():
            await body.fill(view[:0])  # the loop's turn
    while upload.received < upload.size:
        piece = view[: upload.size - upload.received]
        await body.fill(piece)
        upload.write(piece)
