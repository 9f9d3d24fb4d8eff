"""Which tokens the cloud admits, as of the newest list that this device received: rules L1 to L8 of docs/protocol.md.

A token that the list does not have is judged by when it was issued (``iat``) and by two marks, which never go back::

         ``spoken``: the latest moment      ``heard``: when the newest
         in any list                        list arrived, less 120 s
    ----------|--------------------------------|--------------------------> time
      issued here: the cloud has published a   | issued here: made while the device
      list without it, so it is revoked (L3)   | was away, so the policy decides (L4)

The later mark counts. A third moment, the greatest ``changed``, serves retained lists alone (L5).

The records (see latchkey.stores.tokenlist) lie in one block, sorted by jti. On flash (``ledger.0``, ``ledger.1``)
the marks follow them. A list that moves nothing but ``heard`` writes only the marks (``heard.0``, ``heard.1``).

A record that leaves the list while its token was issued after both marks (the device's clock is behind, or the cloud's
ahead) becomes a refusal (GONE) until the marks have passed it. Where there is no place for it (L7), the gap remembers
the first and the last moment of such tokens: what was issued between them is refused as "full".

Outside of the files' folder lies how many updates both have seen (see latchkey.stores.slots). Files that have seen
fewer are not the newest (L6): the ledger is lost. It admits nothing until a live list comes, or the very list that was
lost.
"""

import hashlib
import struct

from latchkey import uuids
from latchkey.errors import NOT_STORED
from latchkey.limits import YEAR_2020_S, const
from latchkey.stores import tokenlist
from latchkey.stores.slots import Slots
from latchkey.stores.tokenlist import ADMITS, GONE, NEVER, RECORD_BYTES, narrower

LEDGER_TOKENS = const(128)  # admitting records; a setting of the board
_LEDGER_REFUSALS = const(32)
# Offsets in a record
_FLAGS = const(16)
_END = const(21)
_CHANGED = const(25)
_IAT = const(29)
# After the records: System; ``heard``, ``spoken``, ``changed``; first and last of the gap, flags
_MARKS = const("<16sIII")
_MARKS_BYTES = const(28)
_REST = const("<IIB")
_TAIL_BYTES = const(37)
_UNCLEAN = const(1)  # a record that cannot be read (L6)
_FULL = const(2)  # a record was left out (L7)
_HAS_GAP = const(4)  # version 0.1.0 had two other numbers in its place
_NO_GAP = (NEVER, 0)
# Noted outside: the later mark, the latest moment in any record, checksum of the list that counts
_NOTE = const("<II8s")
_NOTE_BYTES = const(16)
_NO_SUM = bytes(8)
_MORE = const(8)


class Ledger:
    """``store``: see latchkey.stores.slots.
    ``system_uuid``: 16 bytes, or text. ``tokens``: how many admitting records are held at most (L7).
    ``.generation``: int, rises with every change."""

    def __init__(self, store, system_uuid, tokens=LEDGER_TOKENS):
        self._system16 = system_uuid if isinstance(system_uuid, bytes) else uuids.to_bytes(system_uuid)
        self._bound = tokens
        self._heard_slots = Slots(store, "heard", b"h")
        self._slots = Slots(store, "ledger", b"l", True, self._heard_slots.counter)
        self._records = bytearray()
        self._before = None  # the records on flash, while flash refuses newer ones (L8)
        self._marks = (0, 0, 0)  # ``heard``, ``spoken``, ``changed``
        self._gap = _NO_GAP  # between the first and the last moment, tokens were left out that L3 does not refuse yet
        self._flags = 0
        self._sum = _NO_SUM  # of the list that the records are, if they are exactly one list
        self._list = None
        self._retained = False
        self._ever = self._missed = False
        self._facts = {"received": 0, "broken_off": 0, "others": 0, "unreadable": 0}
        self.generation = 0
        self._load()

    # Asking: L1 to L4, L6

    def standing(self, jti16, iat_unix_s):
        """(state, start_unix_s, end_unix_s, role_hashes) of the token with this ``jti`` and ``iat`` (or None).

        ``state``: "listed", "revoked", "unlisted", "unknown" or "full". The others are a listed token's: None for no
        bound, and a tuple of ``tokenlist.role_hash`` of its roles."""
        record = self._record(jti16)
        if not record:
            state = self._unlisted(iat_unix_s)
        elif not record[_FLAGS] & ADMITS:
            state = "revoked"
        elif self._lost:
            state = "unknown"
        else:
            _, _, start, end, _, _, role_hashes = tokenlist.unpack(record)
            return "listed", start or None, None if end == NEVER else end, role_hashes
        return state, None, None, ()

    def admits(self, jti16):
        """Whether the newest list has this token and admits it, times and roles apart (V9). Allocates nothing."""
        at = _place(self._records, jti16)
        return at >= 0 and bool(self._records[at + _FLAGS] & ADMITS)

    def after(self, jti16, most):
        """[(jti16, changed)] of the first ``most`` records behind ``jti16``, sorted; None: from the beginning."""
        at = _place(self._records, jti16) if jti16 else ~0
        at = at + RECORD_BYTES if at >= 0 else ~at
        ends = min(len(self._records), at + most * RECORD_BYTES)
        places = range(at, ends, RECORD_BYTES)
        return [(bytes(self._records[i : i + 16]), _field(self._records, _CHANGED, i)) for i in places]

    @property
    def unknown(self):
        """Why tokens that are not listed are refused (L6): "damaged", "unstored", "unreadable_uuid"; None if not."""
        if self._lost:
            return "damaged"
        if self._missed or self._before is not None:
            return "unstored"
        return "unreadable_uuid" if self._flags & _UNCLEAN else None

    @property
    def newest_changed_unix_s(self):
        """The greatest ``changed`` ever seen within T2's bound, 0 for none; for TimeFloor.learn."""
        return self._marks[2]

    def status(self):
        return dict(
            self._facts,
            tokens=len(self._records) // RECORD_BYTES,
            bound=self._bound,
            full=bool(self._flags & _FULL) or self._gap != _NO_GAP,
            unknown=self.unknown,
            heard_unix_s=self._marks[0],
            spoken_unix_s=self._marks[1],
            newest_changed_unix_s=self._marks[2],
            saved=self._before is None,
            damaged_slots=list(self._slots.damaged),
            damaged_heard_slots=list(self._heard_slots.damaged),
            outside_behind=self._slots.unnoted,
        )

    def _record(self, jti16):
        """The record that counts for a token, or None."""
        record = _find(self._records, jti16)
        if not record or self._before is None:
            return record
        # Flash has refused the newest list: of what that allows only what the one on flash allows too.
        before = _find(self._before, jti16)
        if before:
            return narrower(before, record)
        return None if record[_FLAGS] & ADMITS else record

    def _unlisted(self, iat_unix_s):
        if self._flags & _FULL:
            return "full"
        if iat_unix_s is None or iat_unix_s <= max(self._marks[:2]):
            return "revoked"
        if self.unknown:
            return "unknown"
        return "full" if self._gap[0] <= iat_unix_s <= self._gap[1] else "unlisted"

    # One list, by the loop: L5 to L8

    def begin(self, retained, heard_unix_s, latest_unix_s):
        """A list begins. ``heard_unix_s``: the mark ``heard`` for this moment (TimeFloor.heard_unix_s());
        ``latest_unix_s``: T2's bound (TimeFloor.latest_unix_s())."""
        self.abort()
        held = self._records, self._marks, self._gap, self._flags & _FULL
        self._retained = retained
        # After a loss nothing is held that an old list could override: commit() judges it as a whole.
        self._list = _List(held, retained and self._ever and not self._lost, heard_unix_s, latest_unix_s, self._bound)

    def add(self, records):
        """Take some members of the list, as ``tokenlist.parse_records`` gives them. After ``give_up`` nothing is taken
        until another list begins."""
        if self._list:
            for record in records:
                self._list.add(record)

    def commit(self):
        """The list is whole: it counts, and is on flash when this returns. After a StoreError only what it takes away
        counts, until flash has taken it or another list."""
        new = self._list
        if not new:
            return
        new.settle()
        self._list = None
        self._facts["received"] += 1
        self._facts.update(new.facts)  # a dict that was made while the list arrived would divide the free heap
        if self._lost and self._retained and new.sum != self._sum:
            return  # It may be older than the list that was lost.
        marks = tuple(map(max, self._marks, new.marks))
        # Whether flash already has what the list says, but perhaps not its moment.
        same = self._ever and self._before is None and not self._lost
        same = same and (new.records, new.gap, new.flags) == (self._records, self._gap, self._flags)
        self._sum = new.sum if new.exact else self._sum if same else _NO_SUM
        same = same and marks[1:] == self._marks[1:]
        if same and marks == self._marks and not self._missed:
            return
        self.generation += 1
        self._missed = False
        self._marks = marks
        if same:
            self._store(self._heard_slots)
            return
        self._before = self._records if self._before is None else self._before
        self._records, self._gap, self._flags = new.records, new.gap, new.flags
        self._write()

    def abort(self):
        """The list broke off: it changes nothing and moves no mark. Allowed at any time."""
        if self._list:
            self._facts["broken_off"] += 1
            self._list = None

    def give_up(self):
        """Memory was too short for the list: until another is taken, no token of it may pass for a new one (L6)."""
        self._list = None
        if self._before is None:
            self._missed = True
            self.generation += 1

    # Storing: L6, L8

    def save(self):
        """Try again what flash refused, as before a planned restart."""
        if self._before is not None:
            self._write()

    def set_over_cable(self, unix_s):
        """Set marks that lie after ``unix_s`` back to it. A ledger that was lost is forgotten: the device is as new."""
        self.abort()
        if self._lost:
            unix_s, self._records, self._flags, self._sum = 0, bytearray(), 0, _NO_SUM
        self._marks = tuple([min(mark, unix_s) for mark in self._marks])
        self._gap = _NO_GAP
        if self._ever:
            self._write()
        if self._heard_slots.ever_written:
            self._store(self._heard_slots)
        self._ever = self._ever and unix_s > 0

    def _write(self):
        """Records and marks in one commit."""
        self._store(self._slots, self._records, struct.pack(_REST, self._gap[0], self._gap[1], self._flags | _HAS_GAP))
        self._before = None
        self._lost = False
        self._ever = True
        self.generation += 1

    def _store(self, slots, records: bytes | bytearray = b"", rest=b""):
        self._slots.note = self._note()
        try:
            slots.update(records, struct.pack(_MARKS, self._system16, *self._marks), rest)
        except NOT_STORED:
            if self._before is None:
                self._before = self._records
            # The list on flash is out of date: after a restart it admits nothing.
            self._slots.take_note(1)
            raise
        if slots is self._heard_slots:
            self._slots.others = slots.counter
            self._slots.take_note()

    def _note(self):
        """The facts that are needed if the files are lost."""
        mark = max(self._marks[:2])
        top = max(mark, self._gap[1])
        for at in range(0, len(self._records), RECORD_BYTES):
            top = max(top, _moment(self._records, at))
        return struct.pack(_NOTE, mark, top, self._sum)

    def _load(self):
        slots = self._slots
        payload = slots.read((self._bound + _LEDGER_REFUSALS) * RECORD_BYTES + _TAIL_BYTES)
        tail = len(payload) - _TAIL_BYTES if payload else -1
        whole = tail >= 0 and tail % RECORD_BYTES == 0
        # The ledger of another System, from before the device was provisioned again, does not count.
        if whole and self._take_marks(payload, tail):
            self._take_records(payload, tail)
        marks = self._heard_slots.read(_MARKS_BYTES)
        if marks and len(marks) == _MARKS_BYTES:
            self._take_marks(marks, 0)
        note = slots.note if len(slots.note) == _NOTE_BYTES else bytes(_NOTE_BYTES)
        mark, top, self._sum = struct.unpack(_NOTE, note)
        self._lost = slots.behind or not whole and (slots.ever_written or self._heard_slots.ever_written)
        if self._lost:
            self._ever = True
            self._flags = 0
            self._marks = (max(mark, self._marks[0]),) + self._marks[1:]
            self._gap = (0, top)
        if slots.unnoted:
            # The power went between an update and its note: of which list the checksum is, is not known.
            slots.note = self._note()
            slots.take_note()

    def _take_marks(self, payload, at):
        found = struct.unpack_from(_MARKS, payload, at)
        if found[0] != self._system16:
            return False
        self._marks = tuple(map(max, self._marks, found[1:]))
        return True

    def _take_records(self, payload, end):
        first, last, flags = struct.unpack_from(_REST, payload, end + _MARKS_BYTES)
        self._flags = flags & (_UNCLEAN | _FULL)
        if flags & _HAS_GAP:
            self._gap = (first, last)
        for at in range(0, end, RECORD_BYTES):
            # Version 0.1.0 kept the order of the list, and tokens that it had twice.
            _put(self._records, payload[at : at + RECORD_BYTES])
        # Without records and marks it was forgotten: see set_over_cable.
        self._ever = bool(end or any(self._marks))


class _List:
    """A list on its way in: which of its records count (L5), and which are held (L7).

    ``held``: records, marks, gap and whether it is full, of the ledger. ``retained``: L5 applies. Once it is settled:
    ``.records .marks .gap .flags .facts .exact``, and ``.sum``, a checksum of the list."""

    def __init__(self, held, retained, heard, latest, bound):
        self._held, marks, self._old_gap, self._was_full = held
        self.retained = retained
        self._heard = heard
        self._latest = latest
        self._mark = max(marks[:2])
        self._bar = max(marks[0], marks[2])
        self._room = [_LEDGER_REFUSALS, bound]  # for so many more that refuse, and that admit
        self._out = bytearray()  # 4 bytes of the jti of each refusing record that was left out
        self._undated = self._full = False
        self._hasher = hashlib.sha256()
        self.sum, self.marks, self.flags = _NO_SUM, marks, 0
        self.exact = True  # its records are what counts from now on, none is narrowed or dropped by L5
        self._spoken = self._changed = 0
        self.facts = {"others": 0, "unreadable": 0}
        self.gap = _NO_GAP
        # Room for some more than are held: MicroPython copies a bytearray that grows.
        self.records = bytearray(len(self._held) + _MORE * RECORD_BYTES)
        self.records[:] = b""

    def add(self, parsed):
        """Take one member of the list, as ``tokenlist.parse_records`` gives it."""
        self._hasher.update(parsed)
        if parsed == tokenlist.UNREADABLE:
            self.facts["unreadable"] += 1
        elif parsed == tokenlist.OTHER_SYSTEM:
            self.facts["others"] += 1
        else:
            changed, iat = _field(parsed, _CHANGED), _field(parsed, _IAT)
            # T2: what lies outside moves no mark.
            if YEAR_2020_S <= changed <= self._latest:
                self._changed = max(self._changed, changed)
            if YEAR_2020_S <= iat <= self._latest:
                self._spoken = max(self._spoken, iat)
            self._spoken = max(self._spoken, self._changed)
            record = self._counting(parsed) if self.retained else self._as_late(parsed)
            self._undated = self._undated or not parsed[_FLAGS] & ADMITS and not _moment(parsed)
            if record:
                self._take(record)

    def settle(self):
        """The list is whole; after this, no ``add``."""
        self.sum = self._hasher.digest()[:8]
        mark = max(self._mark, self._heard, self._spoken)
        for at in range(0, len(self._held), RECORD_BYTES):
            record = self._held[at : at + RECORD_BYTES]
            # Gone, and L3 would not refuse it: held as a refusal until the marks have passed it.
            if _moment(record) > mark and not _find(self.records, record[:16]):
                self._take(_refusal(record, GONE))
        if self._old_gap[1] > mark:
            self._widen_gap(self._old_gap)
        # Nothing is known of when its token was issued, so L3 cannot be relied on.
        self._full = self._full or self._undated and bool(self._out)
        self.marks = (self._heard, self._spoken, self._changed)
        self.flags = (_UNCLEAN if self.facts["unreadable"] else 0) | (_FULL if self._full else 0)

    def _as_late(self, record):
        """A live list counts in full. But a record counts as at least as new as the one that it replaces, and a refusal
        as at least as new as the marks: otherwise an old retained list could override it later."""
        least = 0 if record[_FLAGS] & ADMITS else self._bar
        held = _find(self._held, record[:16])
        # NEVER: what version 0.1.0 has in place of GONE.
        if held and _field(held, _CHANGED) != NEVER:
            least = max(least, _field(held, _CHANGED))
        return _changed_at(record, max(least, _field(record, _CHANGED)))

    def _counting(self, record):
        """The part of a record that counts in a retained list, which may be old (L5), or None."""
        changed, iat = _field(record, _CHANGED), _field(record, _IAT)
        held = _find(self._held, record[:16])
        if held and (changed <= _field(held, _CHANGED) or held[_FLAGS] & GONE):
            both = held if held[_FLAGS] & GONE else narrower(held, record)
            self.exact = self.exact and _changed_at(both, changed) == record
            return both
        if held or changed > self._bar and (not iat or iat > self._mark) and _moment(record) < self._old_gap[0]:
            return record
        if not record[_FLAGS] & ADMITS:
            return _changed_at(record, max(self._bar, changed))
        self.exact = False
        # Perhaps it was left out of the list before.
        self._full = self._full or self._was_full
        return _refusal(record, GONE) if _moment(record) > max(self._mark, self._spoken) else None

    # The bound (L7)

    def _take(self, record):
        """Hold a record; where there is no room, leave one out."""
        if record[_FLAGS] & ADMITS and record[:4] in self._out:
            return
        before, record = _put(self.records, record)
        if before:
            self._room[before[_FLAGS] & ADMITS] += 1
        kind = record[_FLAGS] & ADMITS
        self._room[kind] -= 1
        if self._room[kind] < 0:
            self._room[kind] = 0
            self._leave_out(*self._least(kind))

    def _least(self, kind):
        """(rank, record) of the one to leave out, which is taken out: of those that admit an expired one, else the one
        that changed first; of those that refuse the one whose token was issued first, for L3 refuses that soonest."""
        least, where = NEVER + 1, 0
        for at in range(0, len(self.records), RECORD_BYTES):
            if self.records[at + _FLAGS] & ADMITS == kind:
                rank = _moment(self.records, at)
                if kind:
                    expired = _field(self.records, _END, at) <= self._heard
                    rank = 0 if expired else max(1, _field(self.records, _CHANGED, at))
                if rank < least:
                    least, where = rank, at
        record = self.records[where : where + RECORD_BYTES]
        self.records[where : where + RECORD_BYTES] = b""
        return least, record

    def _leave_out(self, rank, record):
        admits = record[_FLAGS] & ADMITS
        if admits and not rank:
            # Expired: refused all the same.
            return self._take(_refusal(record, 0))
        moment = _moment(record)
        needed = moment > max(self._mark, self._heard, self._spoken)
        if needed:
            # L3 refuses it only once the marks have passed it, so the lists after this one must not forget it.
            self._widen_gap((_field(record, _IAT), moment))
        self._full = self._full or needed or bool(admits)
        if not admits:
            self._out += record[:4]

    def _widen_gap(self, gap):
        self.gap = (min(self.gap[0], gap[0]), max(self.gap[1], gap[1]))


def _field(records, offset, at=0):
    return struct.unpack_from("<I", records, at + offset)[0]


def _moment(records, at=0):
    """When the token was issued, as far as that is known: by this L3 will judge it."""
    return _field(records, _IAT, at) or _field(records, _CHANGED, at)


def _refusal(record, flags):
    """In place of a record. GONE: the list no longer has it; until the marks have passed it or a live list has it."""
    return tokenlist.pack(record[:16], flags, 0, NEVER, _field(record, _CHANGED), _field(record, _IAT), ())


def _changed_at(record, unix_s):
    return record[:_CHANGED] + struct.pack("<I", unix_s) + record[_IAT:]


def _place(records, jti16):
    """Offset of the record of ``jti16``; where there is none, ``~`` of where it belongs. Allocates nothing: comparing
    slices would."""
    low, high = 0, len(records) // RECORD_BYTES
    while low < high:
        middle = (low + high) // 2
        at = middle * RECORD_BYTES
        i = 0
        while i < 16 and records[at + i] == jti16[i]:
            i += 1
        if i == 16:
            return at
        if records[at + i] < jti16[i]:
            low = middle + 1
        else:
            high = middle
    return ~(low * RECORD_BYTES)


def _find(records, jti16):
    at = _place(records, jti16)
    return records[at : at + RECORD_BYTES] if at >= 0 else None


def _put(records, record):
    """Hold a record; with one of the same jti it becomes the narrower of both. (what was there or None, what is)."""
    at = _place(records, record)
    if at < 0:
        records[~at:~at] = record
        return None, record
    before = records[at : at + RECORD_BYTES]
    record = narrower(before, record)
    records[at : at + RECORD_BYTES] = record
    return before, record
