"""Two slots in flash for one thing that must survive anything (K1).

Each slot is a file ``NAME.0`` or ``NAME.1``::

    "LK" kind(1) version(1) counter(4)   payload   length(4) checksum

all integers little-endian; ``length`` is the payload's; the checksum is SHA-256 over everything before it, cut to 16
bytes (format version 2) or 8 (version 1, still read; written where it was found while ``store.keeps_format``, since an
unproven release may go back to one that reads no other). The newest whole slot counts. An update is streamed to the
other slot, closed (durable), read back, and only then used, so neither a rename nor an atomic overwrite is relied on.

The store is a folder of files: ``open(name)`` gives a file to read or None, ``create(name)`` an empty one to write,
``remove(name)``. Files have ``readinto seek write close``, ``close`` makes what was written durable; anything that goes
wrong is a StoreError. Reading raises none: what cannot be read is damaged. See latchkey.hw.flash.FileStore.
"""

import hashlib
import struct

from latchkey.errors import NOT_STORED, StoreError
from latchkey.limits import const

_VERSION = const(2)
_SUM_BYTES = const(8)  # times the version
_HEADER = const("<2s1sBI")
# Held before a change is stored, free for all that must not fail after it. A heap that has been in use for a while has
# that much, but not in one piece; nothing that comes after a change takes more than one of these.
ROOM = (512, 512, 512)
_HEADER_BYTES = const(8)
_PIECE_BYTES = const(256)
_ABSENT = const(0)
_DAMAGED = const(1)


class Slots:
    """``name``: of the files; ``kind``: one byte in the header, for each kind of payload another.

    ``.slot``: 0 or 1, which counts, None if neither; ``.counter``: of updates; ``.damaged``: tuple of slots that hold
    something which cannot be believed.

    ``watched``: the counter is noted in ``store.outside`` too, if the store has one, and behind it ``.note`` (bytes,
    set before a write). LittleFS may go back to an older directory, in which both slots are whole: then ``.behind`` is
    true, and ``store.behind`` has the name. ``.unnoted``: how many updates the note lacked at the start. ``.others``:
    updates of other slots that the note counts too.
    """

    def __init__(self, store, name, kind, watched=False, others=0):
        self._store = store
        self._name = name
        self._outside = watched and getattr(store, "outside", None) or None
        self._paths = (name + ".0", name + ".1")
        self._kind = kind
        self.note = b""
        self.others = others
        self.behind = False
        self.unnoted = 0
        self.slot = None
        self.counter = self._length = 0
        self._version = _VERSION
        damaged = []
        for slot in (0, 1):
            found = self._examine(slot)
            if found == _DAMAGED:
                damaged.append(slot)
            elif found != _ABSENT and (self.slot is None or found[0] > self.counter):  # pyright: ignore
                self.slot = slot
                self.counter, self._length, self._version = found  # pyright: ignore[reportGeneralTypeIssues]
        self.damaged = tuple(damaged)
        if self._outside:
            self._compare()

    def _compare(self):
        """Read the note. After an older folder came back, the next update counts above both."""
        data = self._outside.read(self._name)
        noted = struct.unpack_from("<I", data)[0] - self.others if len(data) >= 4 else 0
        if noted < self.counter:
            self.unnoted = self.counter - noted
            return
        self.note = data[4:]
        if noted > self.counter:
            self.behind = True
            self._store.behind.add(self._name)
            self.counter = noted

    def take_note(self, missed=0):
        """Note the counter, and ``note``. ``missed``: so many updates failed, and what is on flash is out of date."""
        if self._outside:
            try:
                self._outside.write(self._name, struct.pack("<I", self.counter + self.others + missed) + self.note)
            except NOT_STORED:
                pass  # The next update notes it.

    @property
    def ever_written(self):
        """Whether anything was ever here, readable or not."""
        return self.slot is not None or bool(self.damaged)

    def read(self, limit):
        """The payload (bytearray, at most ``limit``), or None if there is none, or if it has rotted since."""
        if self.slot is None or self._length > limit:
            return None
        payload = bytearray(self._length)
        found = self._examine(self.slot, payload)
        return payload if found not in (_ABSENT, _DAMAGED) and found[1] == self._length else None  # pyright: ignore

    def write(self, *parts, both=False):
        """``update``, and the first payload of all into both slots. ``both``: neither slot holds anything else
        afterwards; StoreError may then leave either state in force."""
        first = self.slot is None
        self.update(*parts)
        try:
            if both or first:
                self.update(*parts)
        except NOT_STORED:
            # The first payload of all needs its copy as soon as a bit flips, and counts without.
            if both:
                raise

    def update(self, *parts):
        """Use ``parts`` (bytes) as the payload from now on. StoreError leaves the old state in force."""
        slot = 1 if self.slot == 0 else 0
        room = list(map(bytearray, ROOM))
        file = self._store.create(self._paths[slot])
        try:
            try:
                found = self._fill(file, parts)
            finally:
                file.close()
            self._adopt(slot, found)
        except NOT_STORED:
            room = None  # noqa: F841  Undoing takes memory too.
            self._undo(slot)
            raise
        if self._outside:
            self.take_note()
            self._store.behind.discard(self._name)

    def _fill(self, file, parts):
        """Write a whole slot; returns what ``_examine`` has to find there."""
        version = self._version if self._store.keeps_format else _VERSION
        counter = self.counter + 1
        length = 0
        for part in parts:
            length += len(part)
        hasher = hashlib.sha256()
        head = struct.pack(_HEADER, b"LK", self._kind, version, counter)
        for part in (head,) + parts + (struct.pack("<I", length),):
            hasher.update(part)
            file.write(part)
        file.write(hasher.digest()[: _SUM_BYTES * version])
        return counter, length, version

    def _adopt(self, slot, written):
        """Use the slot if it reads back whole and is what was written."""
        if self._examine(slot) != written:
            raise StoreError("store_failed", "read back")
        other = 1 - slot
        if self.slot is None and other in self.damaged:
            # It may become readable again one day and must not outrank what counts from now on.
            self._store.remove(self._paths[other])
            self.damaged = ()
        self.slot = slot
        self.counter, self._length, self._version = written
        self.behind = False
        self.damaged = (other,) if other in self.damaged else ()

    def _undo(self, slot):
        """Leave nothing of an update that failed: it must neither count at the next start nor look damaged."""
        try:
            found = self._examine(slot)
            if found == _DAMAGED or found != _ABSENT and found[0] > self.counter:  # pyright: ignore
                self._store.remove(self._paths[slot])
        except StoreError:
            pass  # The next load decides.

    def _examine(self, slot, payload=None):
        """(counter, length, version) of a whole slot, else _ABSENT or _DAMAGED. ``payload``: a bytearray as long as it,
        to be filled."""
        try:
            file = self._store.open(self._paths[slot])
            if file is None:
                return _ABSENT
            try:
                return self._read_whole(file, memoryview(payload or bytearray(_PIECE_BYTES)))
            finally:
                file.close()
        except StoreError:
            return _DAMAGED

    def _read_whole(self, file, piece):
        size = file.seek(0, 2)
        file.seek(0)
        if size == 0:
            # The name was made and the power went before the first close.
            return _ABSENT
        head = bytearray(_HEADER_BYTES)
        file.readinto(head)
        magic, kind, version, counter = struct.unpack(_HEADER, head)
        length = size - _HEADER_BYTES - 4 - _SUM_BYTES * version
        if magic != b"LK" or kind != self._kind or not 1 <= version <= _VERSION or length < 0:
            return _DAMAGED
        hasher = hashlib.sha256(head)
        left = length
        while left:
            count = file.readinto(piece[:left])
            if not count:
                return _DAMAGED
            hasher.update(piece[:count])
            left -= count
        tail = bytearray(4 + _SUM_BYTES * version)
        file.readinto(tail)
        hasher.update(tail[:4])
        if struct.unpack_from("<I", tail)[0] != length or hasher.digest()[: _SUM_BYTES * version] != tail[4:]:
            return _DAMAGED
        return counter, length, version
