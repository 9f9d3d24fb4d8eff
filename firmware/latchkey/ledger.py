"""Which tokens the cloud lets in, as of the newest list this device received (L1 to L8).

Kept in flash: the list's records, and three moments in the same commit, none of which ever goes back except over the
wire: ``spoken``, ``heard`` and the greatest ``changed`` (L5). A list that moves only ``heard`` stores that in a small
record of its own. The file is records (latchkey.tokenlist) and a summary at their end; the small record is the marks.
"""

import struct

from latchkey import tokenlist, uuids
from latchkey.errors import StoreError
from latchkey.limits import FLOOR_AHEAD_S, HEARD_MARGIN_S, LEDGER_PAUSE_MS, const
from latchkey.listmerge import Held, Merge
from latchkey.slots import Slots
from latchkey.tokenlist import RECORD_BYTES, find_record

parse_records = tokenlist.parse_records
role_hash = tokenlist.role_hash

_MARKS = "<16sIII"  # System, heard, spoken, changed
_MARKS_BYTES = const(28)
_SUMMARY = "<IIB"  # after the marks: number of records, latest time in one, flags
_SUMMARY_BYTES = const(37)
_UNCLEAN = const(1)
_HEARD = const(0)
_SPOKEN = const(1)
_CHANGED = const(2)


class Standing:
    """What the ledger says of one token. ``state``: "listed", "revoked", "unlisted" or "unknown"; for "listed" also
    ``start_unix_s`` and ``end_unix_s`` (None for no bound) and ``role_hashes`` (tuple of bytes)."""

    def __init__(self, state, record=None):
        self.state = state
        self._record = record

    @property
    def start_unix_s(self):
        return self._record and tokenlist.unpack(self._record)[2] or None

    @property
    def end_unix_s(self):
        end = tokenlist.unpack(self._record)[3] if self._record else tokenlist.NEVER
        return None if end == tokenlist.NEVER else end

    @property
    def role_hashes(self):
        return tokenlist.unpack(self._record)[6] if self._record else ()

    def counts_role(self, role_uuid16):
        """Whether the record has this role (V7)."""
        return role_hash(role_uuid16) in self.role_hashes


class Ledger:
    """``system_uuid``: 16 bytes, or text. ``.generation``: int, rises with every change."""

    def __init__(self, store, system_uuid):
        self._system16 = system_uuid if isinstance(system_uuid, bytes) else uuids.to_bytes(system_uuid)
        self._buf = bytearray(8 * RECORD_BYTES)
        self._view = memoryview(self._buf)
        self._marks = (0, 0, 0)  # heard, spoken, changed
        self._pending = bytearray()  # records in force but not in flash yet
        self._dirty = self._unstored = False
        self._merge = self._new_heard = None
        self._last_ms = None
        self._wanted = self._found = self._writer = None  # of a scan
        self._left = 0
        self._facts = {"received": 0, "unchanged": 0, "broken_off": 0}
        self.generation = 0
        self._slots = Slots(store, "ledger", b"l")
        self._heard_slots = Slots(store, "heard", b"h")
        self._load()

    # One list, by the loop

    def begin(self, retained, heard_unix_s=None, latest_unix_s=None):
        """A list begins. ``heard_unix_s``: the mark ``heard`` for this moment (TimeFloor.heard_unix_s()), None if no
        time is known; ``latest_unix_s``: T2's bound (TimeFloor.latest_unix_s()), else 400 days after ``heard``."""
        self.abort()
        heard = heard_unix_s or 0
        if latest_unix_s is None:
            latest_unix_s = heard + HEARD_MARGIN_S + FLOOR_AHEAD_S if heard else tokenlist.NEVER
        bar = max(self._marks[_CHANGED], self._marks[_HEARD])
        retained = retained and self._ever
        mark = max(self._marks[_HEARD], self._marks[_SPOKEN])
        self._merge = Merge(self._held(), self._find, self._slots.writer, retained, bar, latest_unix_s, mark)
        self._new_heard = heard
        if self._top > mark:
            self._merge.note_far()

    def add(self, records):
        """Take some members of the list, as ``parse_records`` gives them. StoreError: the list is given up."""
        try:
            for record in records:
                self._merge.add(record)
        except StoreError:
            self._fail()
            raise

    def commit(self, now_ms=None):
        """The list is whole: store what it changes (L8). StoreError: what was in force still is, but for L6.

        With ``now_ms`` (ticks) a list that only adds, soon after the last commit, is in force at once and waits for
        ``save_if_due`` to reach flash.
        """
        try:
            self._store(self._merge, now_ms)
        except StoreError:
            self._fail()
            raise
        finally:
            self._close()
        self._facts["received"] += 1

    def give_up(self):
        """The list could not be taken, for want of memory say: no token it may hold is to pass for a new one (L6)."""
        self._fail()

    def abort(self):
        """The list broke off: it changes nothing and moves no mark. Allowed at any time."""
        if self._merge:
            self._facts["broken_off"] += 1
            self._close()

    def ingest(self, stream, retained, heard_unix_s=None, now_ms=None, latest_unix_s=None):
        """A whole list from ``stream``; arguments as of ``begin`` and ``commit``. FormatError, StoreError, OSError."""
        self.begin(retained, heard_unix_s, latest_unix_s)
        try:
            for record in parse_records(stream, self._system16):
                self.add((record,))
            self.commit(now_ms)
        finally:
            self.abort()

    def save_if_due(self, now_ms):
        """Store what waits in RAM once 10 s have passed since the last commit; True if it did."""
        if not self._dirty or self._merge or self._soon(now_ms):
            return False
        self._last_ms = now_ms
        try:
            self.save()
        except StoreError:
            self._fail()
            raise
        return True

    def save(self):
        """Store what waits in RAM, as before a planned restart."""
        if not self._dirty or self._merge:
            return
        writer = self._slots.writer()
        try:
            self._writer = writer
            self._scan(self._copy)
            writer.write(self._pending)
            self._finish(writer, self._tokens(), self._marks, self._unclean, self._top)
        except StoreError:
            writer.abort()
            raise

    def set_over_wire(self, unix_s):
        """Set marks that lie after ``unix_s`` back to it."""
        self.abort()
        self._marks = tuple([min(mark, unix_s) for mark in self._marks])
        if self._ever and not self._lost:
            self._dirty = True
            self.save()
        if self._heard_slots.ever_written:
            self._heard_slots.write(self._pack(self._marks))
        self.generation += 1

    # Asking

    def standing(self, jti, iat_unix_s):
        """L1 to L4 and L6 for the token ``jti`` (16 bytes, or text) with this ``iat`` (or None)."""
        try:
            record = self._find(jti if isinstance(jti, bytes) else uuids.to_bytes(jti))
        except StoreError:
            return Standing("unknown")
        if record:
            return Standing("listed", record) if record[16] & tokenlist.ADMITS else Standing("revoked")
        if iat_unix_s is None or iat_unix_s <= max(self._marks[_SPOKEN], self._marks[_HEARD]):
            return Standing("revoked")
        return Standing("unknown" if self.unknown else "unlisted")

    def knows(self, jti16):
        """Whether the newest list has this token, admitted or not."""
        try:
            return self._find(jti16) is not None
        except StoreError:
            return False

    def admits(self, jti16):
        """Whether the newest list has this token and admits it, times and roles apart (V9)."""
        try:
            record = self._find(jti16)
        except StoreError:
            return False
        return record is not None and bool(record[16] & tokenlist.ADMITS)

    @property
    def unknown(self):
        """Why tokens that are not listed are refused (L6): "damaged", "unstored", "unreadable_uuid"; None if not."""
        if self._lost:
            return "damaged"
        if self._unstored:
            return "unstored"
        return "unreadable_uuid" if self._unclean else None

    @property
    def newest_changed_unix_s(self):
        """The greatest ``changed`` ever seen within T2's bound, 0 for none; for TimeFloor.learn."""
        return self._marks[_CHANGED]

    def status(self):
        """For diagnostics."""
        return dict(
            self._facts,
            tokens=self._tokens(),
            unknown=self.unknown,
            spoken_unix_s=self._marks[_SPOKEN],
            heard_unix_s=self._marks[_HEARD],
            newest_changed_unix_s=self._marks[_CHANGED],
            saved=not self._dirty,
            damaged_slots=list(self._slots.damaged),
            damaged_heard_slots=list(self._heard_slots.damaged),
        )

    # Storing

    def _tokens(self):
        return self._count + len(self._pending) // RECORD_BYTES

    def _store(self, merge, now_ms):
        merge.settle(self._new_heard)
        marks = self._later(self._marks, (self._new_heard, merge.spoken, merge.changed))
        unclean = merge.unreadable > 0
        as_before = self._ever and not self._lost and not self._unstored and unclean == self._unclean
        for name in ("others", "unreadable", "dropped"):
            self._facts[name] = getattr(merge, name)
        if as_before and merge.only_adds() and not merge.added and marks[_SPOKEN:] == self._marks[_SPOKEN:]:
            self._facts["unchanged"] += 1
            self._hear(marks)
        elif as_before and merge.only_adds() and self._soon(now_ms):
            self._pending += merge.added
            self._top = max(self._top, merge.top)
            self._marks = marks
            self._dirty = True
            self.generation += 1
        else:
            merge.write()
            self._finish(merge.writer, merge.count, marks, unclean, merge.top)
            self._last_ms = now_ms

    def _hear(self, marks):
        """Only the mark ``heard`` moves, if that."""
        if marks != self._marks:
            self._marks = marks
            self.generation += 1
            if not self._dirty:
                self._heard_slots.write(self._pack(marks))

    def _finish(self, writer, count, marks, unclean, top):
        """Commit ``writer``'s records with the marks; then they are what counts."""
        writer.write(self._pack(marks) + struct.pack(_SUMMARY, count, top, _UNCLEAN if unclean else 0))
        writer.commit()
        self._count = count
        self._top = top
        self._marks = marks
        self._unclean = unclean
        self._pending = bytearray()
        self._dirty = self._unstored = self._lost = False
        self._ever = True
        self.generation += 1

    def _fail(self):
        """A list could not be stored (L6)."""
        self._unstored = True
        self.generation += 1
        self._close()

    def _close(self):
        merge, self._merge = self._merge, None
        if merge:
            merge.close()

    def _soon(self, now_ms):
        # Ticks wrap at 2**30 ms; so does the difference.
        return now_ms is not None and self._last_ms is not None and (
            (now_ms - self._last_ms) & 0x3FFFFFFF < LEDGER_PAUSE_MS
        )

    def _pack(self, marks):
        return struct.pack(_MARKS, self._system16, *marks)

    def _later(self, a, b):
        return tuple([max(a[i], b[i]) for i in range(3)])

    def _held(self):
        """What the list under way is compared with."""
        try:
            return Held(self._slots, self._count, self._pending)
        except StoreError:
            self._reload()
        return Held(self._slots, self._count, self._pending)

    # Reading

    def _reload(self):
        """The newest slot has rotted: let the one before rule, if there is one."""
        self._slots.load()
        self._load()
        self.generation += 1

    def _load(self):
        """Choose what counts in flash. Marks never fall."""
        self._count = self._top = 0
        self._unclean = False
        # The small record is written after a ledger only: where it stands alone, a ledger was there and is gone (L6).
        self._lost = self._ever = self._slots.ever_written or self._heard_slots.ever_written
        try:
            self._read_summary()
            self._read_heard()
        except StoreError:
            pass  # As damaged as it was.

    def _read_summary(self):
        slots = self._slots
        if slots.slot is None or slots.length < _SUMMARY_BYTES or (slots.length - _SUMMARY_BYTES) % RECORD_BYTES:
            return
        summary = bytearray(_SUMMARY_BYTES)
        file = slots.open()
        try:
            file.seek(slots.length - _SUMMARY_BYTES, 1)
            file.readinto(summary)
        finally:
            file.close()
        count, top, flags = struct.unpack(_SUMMARY, summary[_MARKS_BYTES:])
        if count * RECORD_BYTES + _SUMMARY_BYTES != slots.length:
            return
        self._lost = False
        # Another System's ledger, from before the wire made this one of it, is none.
        self._ever = self._take_marks(summary[:_MARKS_BYTES])
        if self._ever:
            self._count = count
            self._top = top
            self._unclean = bool(flags & _UNCLEAN)

    def _read_heard(self):
        marks = self._heard_slots.read(_MARKS_BYTES)
        if marks and len(marks) == _MARKS_BYTES:
            self._take_marks(marks)

    def _take_marks(self, marks):
        found = struct.unpack(_MARKS, marks)
        if found[0] != self._system16:
            return False
        self._marks = self._later(self._marks, found[1:])
        return True

    def _find(self, jti16):
        """The record of a token, the narrowest if there are several, or None. StoreError if it cannot be known."""
        at = find_record(self._pending, jti16, 0, len(self._pending))
        if at >= 0:
            return bytes(self._pending[at : at + RECORD_BYTES])
        if self._lost or not self._count:
            return None
        try:
            return self._scan_for(jti16)
        except StoreError:
            self._reload()
        return None if self._lost or not self._count else self._scan_for(jti16)

    def _scan_for(self, jti16):
        self._wanted = jti16
        self._found = None
        self._scan(self._look)
        return self._found

    def _scan(self, sink):
        self._left = self._count * RECORD_BYTES
        if self._left:
            self._slots.scan(self._view, sink)

    def _records_in(self, size):
        """How much of a piece is records; the summary follows them."""
        size = min(size, self._left)
        self._left -= size
        return size

    def _copy(self, size):
        self._writer.write(self._view[: self._records_in(size)])

    def _look(self, size):
        size = self._records_in(size)
        at = find_record(self._buf, self._wanted, 0, size)
        while at >= 0:
            record = self._buf[at : at + RECORD_BYTES]
            self._found = record if self._found is None else tokenlist.narrower(self._found, record)
            at = find_record(self._buf, self._wanted, at + RECORD_BYTES, size)
