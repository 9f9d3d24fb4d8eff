"""A long list through a device with a small heap: the ledger on LittleFS in an image file, the list in a host file.

    import small_heap; small_heap.main(image, free_bytes, ((list, retained, step), ...), asked)

Before each list the heap is filled from its low end until ``free_bytes`` are left. Prints a line of JSON for each.
``step``: bytes the stream gives at a time.
"""

import gc
import json

import vfs

from latchkey import uuids
from latchkey.errors import LatchkeyError
from latchkey.hw.flash import FileStore
from latchkey.ledger import Ledger
from latchkey.stores.tokenlist import parse_records

BLOCK_BYTES = 4096
SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"


class FileFlash:
    """A NOR flash in a file of the host, made if it is not there."""

    def __init__(self, path, blocks):
        self.blocks = blocks
        self.programs = self.erases = 0
        try:
            self.file = open(path, "r+b")
        except OSError:
            open(path, "wb").close()
            self.file = open(path, "r+b")
        if self.file.seek(0, 2) < blocks * BLOCK_BYTES:
            self.file.seek(blocks * BLOCK_BYTES - 1)
            self.file.write(b"\xff")

    def readblocks(self, block, buf, offset=0):
        self.file.seek(block * BLOCK_BYTES + offset)
        self.file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self.programs += 1
        self.file.seek(block * BLOCK_BYTES + offset)
        self.file.write(buf)

    def ioctl(self, op, _arg):
        if op == 4:
            return self.blocks
        if op == 5:
            return BLOCK_BYTES
        if op == 6:
            self.erases += 1
        return 0


class Slow:
    """A file that gives at most ``step`` bytes at a time; ``endless`` begins again after its first byte."""

    def __init__(self, path, step, endless):
        self.file = open(path, "rb")
        self.step = step
        self.endless = endless

    def readinto(self, buf):
        if len(buf) > self.step:
            buf = memoryview(buf)[: self.step]
        count = self.file.readinto(buf)
        if not count and self.endless:
            self.file.seek(1)
            count = self.file.readinto(buf)
        return count


def _mount(image, blocks):
    flash = FileFlash(image, blocks)
    try:
        file_system = vfs.VfsLfs2(flash)
    except OSError:
        vfs.VfsLfs2.mkfs(flash)
        file_system = vfs.VfsLfs2(flash)
    vfs.mount(file_system, "/long")
    return flash


def _fill(free_bytes):
    """Keep the low end of the heap until about ``free_bytes`` are free, to within 64 bytes and what is garbage."""
    kept = [None] * 800
    gc.collect()
    n = 0
    for size in (1024, 256, 64):
        while gc.mem_free() > free_bytes + size:
            try:
                kept[n] = bytearray(size)
            except MemoryError:
                # Only holes are left.
                break
            n += 1
        gc.collect()
    return kept


def _ingest(ledger, path, retained, step, endless, free_bytes):
    stream = Slow(path, step, endless)
    result = "stored"
    kept = _fill(free_bytes) if free_bytes else []
    gc.collect()
    free = gc.mem_free()
    try:
        ledger.begin(retained, 1747061946, 1747061946 + 400 * 86400)
        for record in parse_records(stream, uuids.to_bytes(SYSTEM)):
            ledger.add((record,))
        ledger.commit()
    except LatchkeyError as exc:
        result = exc.code
    except MemoryError:
        result = "no memory"
    stream.file.close()
    del kept
    return result, free


def lookup_bytes(ledger, jti16):
    """Bytes that one question allocates in all, garbage included."""
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    ledger.standing(jti16, 0)
    used = gc.mem_alloc() - before
    gc.enable()
    return used


def main(image, free_bytes, feed, asked=(), blocks=128):
    flash = _mount(image, blocks)
    ledger = Ledger(FileStore("/long"), SYSTEM)
    for path, retained, step, endless in feed:
        erases = flash.erases
        result, free = _ingest(ledger, path, retained, step, endless, free_bytes)
        facts = {"result": result, "free": free, "erases": flash.erases - erases, "tokens": ledger.status()["tokens"]}
        facts["unknown"] = ledger.unknown
        facts["states"] = [ledger.standing(jti, 0)[0] for jti in asked]
        print(json.dumps(facts))
        gc.collect()
    if asked:
        print(json.dumps({"lookup_bytes": [lookup_bytes(ledger, jti) for jti in asked]}))
