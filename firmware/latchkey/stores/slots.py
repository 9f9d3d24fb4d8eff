"""Two slots in flash for one thing that must survive anything (K1).

Each slot is a file ``NAME.0`` or ``NAME.1``::

    "LK" kind(1) version(1) counter(4)   payload   length(4) checksum

all integers little-endian; ``length`` is the payload's; the checksum is SHA-256 over everything before it, cut to 16
bytes (format version 2) or 8 (version 1, still read). The newest whole slot counts. An update is streamed to the other
slot, closed (durable), read back, and only then used, so neither a rename nor an atomic overwrite is relied on.

The store is a folder of files: ``open(name)`` gives a file to read or None, ``create(name)`` an empty one to write,
``remove(name)``. Files have ``readinto seek write close``, ``close`` makes what was written durable; anything that goes
wrong is a StoreError. See latchkey.hw.flash.FileStore.
"""

import hashlib
import struct

from latchkey.errors import NOT_STORED, StoreError
from latchkey.limits import ROOM_BYTES, const

_VERSION = const(2)
_SUM_BYTES = {1: 8, 2: 16}
_HEADER = "<2s1sBI"
_HEADER_BYTES = const(8)
_PIECE_BYTES = const(256)
_ABSENT = const(0)
_DAMAGED = const(1)


class Slots:
    """``name``: of the files; ``kind``: one byte, told from other kinds in the header.

    ``.slot``: 0 or 1, which counts, None if neither; ``.counter``: of updates; ``.length``: bytes of payload;
    ``.damaged``: tuple of slots that hold something which cannot be believed. ``watched``: the counter is noted in
    ``store.outside`` too, if the store has one (LittleFS may go back to an older directory, in which both slots are
    whole); ``store.behind`` then names the slots that are older than what was noted.
    """

    def __init__(self, store, name, kind, watched=False):
        self._store = store
        self._name = name
        self._outside = watched and getattr(store, "outside", None) or None
        self._paths = (name + ".0", name + ".1")
        self._kind = kind
        # Made once, so that asking allocates little.
        self._head = bytearray(_HEADER_BYTES)
        self._stated = bytearray(4)
        self._sum = bytearray(_SUM_BYTES[_VERSION])
        self.load()
        if self._outside:
            self._compare()

    def load(self):
        """Look at both slots anew and choose."""
        self.slot = None
        self.counter = self.length = self._sum_bytes = 0
        damaged = []
        for slot in (0, 1):
            found = self._examine(slot)
            if found == _DAMAGED:
                damaged.append(slot)
            elif found != _ABSENT and (self.slot is None or found[0] > self.counter):  # pyright: ignore
                self.slot = slot
                self.counter, self.length, self._sum_bytes = found  # pyright: ignore[reportGeneralTypeIssues]
        self.damaged = tuple(damaged)

    def _compare(self):
        """Note that this is older than what was noted; the next update then counts above both."""
        data = self._outside.read(self._name)
        noted = struct.unpack("<I", data)[0] if len(data) == 4 else 0
        if noted > self.counter:
            self._store.behind.add(self._name)
            self.counter = noted

    def _note(self):
        try:
            self._outside.write(self._name, struct.pack("<I", self.counter))
        except (StoreError, MemoryError):
            pass  # The next update notes it.
        self._store.behind.discard(self._name)

    @property
    def ever_written(self):
        """Whether anything was ever here, readable or not."""
        return self.slot is not None or bool(self.damaged)

    def read(self, limit):
        """The payload (bytearray, at most ``limit``), or None if there is none. StoreError if it has rotted since."""
        if self.slot is None or self.length > limit:
            return None
        payload = bytearray(self.length)
        self.scan(memoryview(payload))
        return payload

    def scan(self, view, sink=None):
        """Fill ``view`` (memoryview) with one piece of the payload after the other; ``sink(size)`` after each.

        At the end the checksum is compared: StoreError("store_damaged"). Believe nothing before this returns. Allocates
        nothing for a piece.
        """
        file = self._store.open(self._paths[self.slot])  # pyright: ignore
        if file is None:
            raise StoreError("store_damaged")
        try:
            hasher = hashlib.sha256()
            _hash_next(file, hasher, self._head)
            left = self.length
            while left:
                piece = view if left >= len(view) else view[:left]
                if file.readinto(piece) != len(piece):
                    raise StoreError("store_damaged")
                hasher.update(piece)
                left -= len(piece)
                if sink:
                    sink(len(piece))
            _hash_next(file, hasher, self._stated)
            file.readinto(self._sum)
            if not _begins(hasher.digest(), self._sum, self._sum_bytes):
                raise StoreError("store_damaged")
        finally:
            file.close()

    def writer(self):
        """Begin an update; see Writer."""
        file = self._store.create(self._paths[self._other()])
        try:
            return Writer(self, file)
        except StoreError:
            self.discard(file)
            raise

    def write(self, payload, both=False):
        """Update to ``payload``. StoreError leaves the old state in force.

        ``both``: neither slot holds anything else afterwards; StoreError may then leave either state in force.
        """
        first = self.slot is None
        self._write(payload)
        try:
            if both or first:
                self._write(payload)
        except NOT_STORED:
            # The first payload of all needs its copy as soon as a bit flips, and counts without.
            if both:
                raise

    def _write(self, payload):
        writer = self.writer()
        try:
            writer.write(payload)
            writer.commit()
        except NOT_STORED:
            writer.abort()
            raise

    def _other(self):
        return 1 if self.slot == 0 else 0

    def adopt(self, counter, length):
        """Use the other slot, just written, if it reads back whole and is what was written."""
        slot = self._other()
        if self._examine(slot) != (counter, length, _SUM_BYTES[_VERSION]):
            raise StoreError("store_failed", "read back")
        if self.slot is None and (1 - slot) in self.damaged:
            # It may become readable again one day and must not outrank what counts from now on.
            self._store.remove(self._paths[1 - slot])
            self.damaged = ()
        self.slot, self.counter, self.length = slot, counter, length
        self._sum_bytes = _SUM_BYTES[_VERSION]
        self.damaged = tuple([s for s in self.damaged if s != slot])
        if self._outside:
            self._note()

    def disown(self):
        """Remove what was just written: an update that was told to have failed must not count at the next start."""
        try:
            self._store.remove(self._paths[self._other()])
        except StoreError:
            pass  # The next load decides.

    def discard(self, file):
        """Close a half-written update and leave nothing that looks damaged; the slot that counts is not touched."""
        try:
            file.close()
            if self._examine(self._other()) == _DAMAGED:
                self._store.remove(self._paths[self._other()])
        except StoreError:
            pass  # The next load reports it.

    def _examine(self, slot):
        """(counter, length, bytes of checksum) of a whole slot, else _ABSENT or _DAMAGED."""
        try:
            file = self._store.open(self._paths[slot])
            if file is None:
                return _ABSENT
            try:
                return self._read_whole(file)
            finally:
                file.close()
        except StoreError:
            return _DAMAGED

    def _read_whole(self, file):
        size = file.seek(0, 2)
        file.seek(0)
        if size == 0:
            # The name was made and the power went before the first close.
            return _ABSENT
        file.readinto(self._head)
        magic, kind, version, counter = struct.unpack(_HEADER, self._head)
        if magic != b"LK" or kind != self._kind or version not in _SUM_BYTES:
            return _DAMAGED
        length = size - _HEADER_BYTES - 4 - _SUM_BYTES[version]
        if length < 0 or not self._fits(file, length, _SUM_BYTES[version]):
            return _DAMAGED
        return counter, length, _SUM_BYTES[version]

    def _fits(self, file, length, sum_bytes):
        hasher = hashlib.sha256(self._head)
        piece = memoryview(bytearray(_PIECE_BYTES))
        left = length
        while left:
            count = file.readinto(piece[: min(left, _PIECE_BYTES)])
            if not count:
                return False
            hasher.update(piece[:count])
            left -= count
        _hash_next(file, hasher, self._stated)
        file.readinto(self._sum)
        return struct.unpack("<I", self._stated)[0] == length and _begins(hasher.digest(), self._sum, sum_bytes)


def _hash_next(file, hasher, buf):
    file.readinto(buf)
    hasher.update(buf)


def _begins(digest, start, count):
    """Whether ``digest`` begins with the first ``count`` bytes of ``start``; a slice would be allocated."""
    for i in range(count):
        if digest[i] != start[i]:
            return False
    return True


class Writer:
    """An update under way: ``write`` any number of times, then ``commit`` or ``abort``. ``abort`` is always allowed."""

    def __init__(self, slots, file):
        self._slots = slots
        self._file = file
        self._hasher = hashlib.sha256()
        self._length = 0
        self._counter = slots.counter + 1
        self._put(struct.pack(_HEADER, b"LK", slots._kind, _VERSION, self._counter))

    def write(self, data):
        self._put(data)
        self._length += len(data)

    def commit(self):
        """Durable, read back and in force when this returns; StoreError if not."""
        room = bytearray(ROOM_BYTES)  # first: without its checksum the file does not count
        self._put(struct.pack("<I", self._length))
        self._file.write(self._hasher.digest()[: _SUM_BYTES[_VERSION]])
        file, self._file = self._file, None
        file.close()
        try:
            self._slots.adopt(self._counter, self._length)
        except NOT_STORED:
            room = None  # noqa: F841  Removing takes memory too.
            self._slots.disown()
            raise

    def abort(self):
        """Give up; what counted before still does."""
        file, self._file = self._file, None
        if file:
            self._slots.discard(file)

    def _put(self, data):
        self._hasher.update(data)
        self._file.write(data)
