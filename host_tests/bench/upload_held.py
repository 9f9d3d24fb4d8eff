"""The RAM that an upload holds while it waits for its next piece (latchkey_tools.dev.held).

begin(file, kind)   a device with two program slots ("image"), or two folders ("files")
upload()            a release arrives, up to its seventh piece
"""

import os
import sys

from updating import Body, Updated, put_request

_PIECES = 6
_held = {}


class Waiting(Body):
    """The seventh piece does not come."""

    async def fill(self, view):
        if len(view) and self.at > _PIECES * 1024:
            await _nothing()
        return await Body.fill(self, view)


def _nothing():
    yield


class Slot:
    """A program slot that keeps nothing."""

    def info(self):
        return 0, 0x10, 0, 1 << 20, "ota_0", False

    def get_next_update(self):
        return self

    def ioctl(self, _operation, _block):
        pass

    def writeblocks(self, _block, _piece, _offset):
        pass


def begin(path, kind):
    """Make what is there before; the modules of an upload are not."""
    sys.modules.pop("latchkey.hw.flash")  # device_held's
    with open(path, "rb") as file:
        data = file.read()
    device = _held["device"] = Updated()
    slot = Slot()

    def programs():
        from latchkey.update import programs

        return programs.Programs(slot)

    def folders():
        from latchkey.update import folders

        return folders.Folders("/tmp/a")

    if kind == "files":
        os.mkdir("/tmp/a")
        with open("/tmp/a/release", "w") as file:
            file.write("1\n")
    device.board.carrier = folders if kind == "files" else programs
    body = _held["body"] = Waiting(data)
    _held["request"] = device.api.admit(put_request(body.length))
    device.firmware()


def upload():
    """Up to the moment at which it waits."""
    request = _held["request"]
    _held["task"] = request.route[4](_held["device"].api, request, _held["body"])
    _held["task"].send(None)
