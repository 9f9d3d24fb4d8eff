"""The store of latchkey.stores.slots in RAM, which fills up, turns read-only, fails and loses power on demand."""

from latchkey.errors import StoreError


class PowerCut(Exception):
    """The power went; nothing after this happened."""


class RamOutside:
    """The values outside a store. ``failing``: it cannot be written. ``store``: whose power cuts it shares."""

    def __init__(self, store=None):
        self.kept = {}
        self.failing = False
        self.store = store

    def read(self, name):
        return self.kept.get(name, b"")

    def write(self, name, data):
        if self.store:
            self.store.cut()
        if self.failing:
            raise StoreError("store_failed")
        self.kept[name] = bytes(data)


class RamStore:
    """``files``: name to bytes. ``closes``: how many files were committed; ``written``: their bytes.

    ``capacity``: bytes in all, None for no end. ``readonly``: refuses to write. ``cut_after``: the power goes before
    the write operation with that number (0 for the next). ``torn``: a cut leaves what was written so far in the
    file, as FAT may; otherwise, as LittleFS does, the content before. ``watched``: it has an ``outside`` (RamOutside).
    """

    keeps_format = False

    def __init__(self, files=None, watched=False):
        self.outside = RamOutside(self) if watched else None
        self.behind = set()
        self.files = dict(files or {})
        self.closes = 0
        self.written = 0
        self.names = []
        self.capacity = None
        self.readonly = False
        self.failing = False
        self.cut_after = None
        self.torn = False

    def open(self, name):
        if self.failing:
            raise StoreError("store_failed")
        return _Reader(self.files[name]) if name in self.files else None

    def create(self, name):
        self.operation()
        if self.torn or name not in self.files:
            self.files[name] = b""
        return _Writer(self, name)

    def remove(self, name):
        self.operation()
        self.files.pop(name, None)

    def cut(self):
        if self.cut_after is not None:
            if self.cut_after <= 0:
                raise PowerCut()
            self.cut_after -= 1

    def operation(self):
        self.cut()
        if self.readonly:
            raise StoreError("store_readonly")

    def room_for(self, name, size):
        return self.capacity is None or size + sum(len(v) for k, v in self.files.items() if k != name) <= self.capacity


class _Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def readinto(self, buf):
        n = min(len(buf), len(self.data) - self.at)
        buf[:n] = self.data[self.at : self.at + n]
        self.at += n
        return n

    def seek(self, offset, whence=0):
        self.at = offset + (0, self.at, len(self.data))[whence]
        return self.at

    def close(self):
        pass


class _Writer:
    def __init__(self, store, name):
        self.store = store
        self.name = name
        self.data = bytearray()
        self.failed = False

    def write(self, data):
        self.store.operation()
        if not self.store.room_for(self.name, len(self.data) + len(data)):
            self.failed = True
            raise StoreError("store_full")
        self.data += data
        if self.store.torn:
            self.store.files[self.name] = bytes(self.data)

    def close(self):
        self.store.operation()
        if not self.failed:
            self.store.files[self.name] = bytes(self.data)
            self.store.closes += 1
            self.store.written += len(self.data)
            self.store.names.append(self.name)
