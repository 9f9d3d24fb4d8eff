"""A flash chip that is a file: block device for VfsLfs2, extended interface, nothing allocated in any call.

MicroPython closes a forgotten file from a finaliser, while the heap is locked: code that allocates would fail there.
"""

BLOCK_SIZE = 4096


class FileBlocks:
    """The file at ``path``, which must exist; its size decides the number of blocks."""

    def __init__(self, path):
        self.file = open(path, "r+b")
        self.count = self.file.seek(0, 2) // BLOCK_SIZE

    def readblocks(self, block, buffer, offset=0):
        self.file.seek(block * BLOCK_SIZE + offset)
        self.file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        # With an offset this is a program of erased bytes; without, a whole block. A file needs no erase for either.
        self.file.seek(block * BLOCK_SIZE + offset)
        self.file.write(buffer)

    def ioctl(self, op, arg):
        if op == 4:
            return self.count
        if op == 5:
            return BLOCK_SIZE
        return 0
