"""A NOR flash in RAM under the unix port's LittleFS, whose power goes at a chosen operation.

The device allocates nothing while it works: a file left open is closed by a finaliser, under the heap lock.
"""

BLOCK_BYTES = 4096
_EIO = -5


class CutFlash:
    """``data``: what is on the flash. ``programs``, ``erases``: how many were done.

    ``cut_at``: the power goes at the operation (program or erase) of that number, 0 for the next, None for never;
    ``part``: 0 before it, 1 in its middle, 2 after it. From then on nothing works, and ``dead`` is true.
    """

    def __init__(self, blocks, data=None):
        self.blocks = blocks
        self.data = bytearray(data) if data else bytearray(b"\xff" * (blocks * BLOCK_BYTES))
        self.view = memoryview(self.data)
        self.erased = memoryview(b"\xff" * BLOCK_BYTES)
        self.programs = self.erases = self.operations = 0
        self.cut_at = None
        self.part = 0
        self.dead = False
        self.readonly = False

    def readblocks(self, block, buf, offset=0):
        if self.dead:
            return _EIO
        at = block * BLOCK_BYTES + offset
        buf[:] = self.view[at : at + len(buf)]
        return 0

    def writeblocks(self, block, buf, offset=0):
        self.programs += 1
        return self._operate(block * BLOCK_BYTES + offset, buf)

    def ioctl(self, op, arg):
        if op == 4:
            return self.blocks
        if op == 5:
            return BLOCK_BYTES
        if op == 6:
            self.erases += 1
            return self._operate(arg * BLOCK_BYTES, self.erased)
        return 0

    def _operate(self, at, buf):
        if self.dead:
            return _EIO
        size = len(buf)
        if self.cut_at is not None and self.operations == self.cut_at:
            self.dead = True
            size = (0, size // 2, size)[self.part]
        self.operations += 1
        self.view[at : at + size] = buf[:size]
        if self.dead and self.part == 1:
            # The byte in which the power went is neither the old nor the new.
            self.view[at + size] = self.view[at + size] & 0x5A
        return _EIO if self.dead else 0


def mount(flash, path="/cut", readonly=False):
    """Mount ``flash``, formatting it first if it is empty; one of the first two blocks may be between two writes."""
    import vfs  # MicroPython's

    if flash.data[:64] == flash.data[BLOCK_BYTES : BLOCK_BYTES + 64] == b"\xff" * 64:
        vfs.VfsLfs2.mkfs(flash)
    vfs.mount(vfs.VfsLfs2(flash, mtime=False), path, readonly=readonly)


def unmount(path="/cut"):
    import vfs

    try:
        vfs.umount(path)
    except OSError:
        pass
