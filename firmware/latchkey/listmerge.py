"""A list on its way into the ledger: what it changes, and what of it counts (L5, L8).

Nothing is written as long as the list repeats what is held. At the first difference a new file is begun, and what
was repeated so far is copied from the old one; so a list of any length needs little memory, an unchanged one no flash.
"""

import binascii

from latchkey import tokenlist
from latchkey.limits import LEDGER_PENDING, YEAR_2020_S, const
from latchkey.tokenlist import RECORD_BYTES, find_record

_PIECE = const(8)  # records read at a time
_FILTER_BYTES = const(1024)
_FILTER_MASK = const(8191)
_SUSPECTS = const(128)
_FAR = const(32)


class Merge:
    """One list. ``held``: Held; ``find_all``: gives the narrowest of all records of a jti; ``begin``: a new Writer.

    ``retained``: L5 applies, with ``bar`` the moment after which a record that is not held counts; ``latest``: no time
    after this moves a mark; ``mark``: the later of spoken and heard so far.

    A token whose ``iat`` or ``changed`` lies after the marks, because T2 did not believe them, would be taken for one
    made while we were away once it is gone from the list. For that case alone a refusal of it is kept until the marks
    have passed it, which only a live list ends before.
    """

    def __init__(self, held, find_all, begin, retained, bar, latest, mark):
        self._held = held
        self._find_all = find_all
        self._begin = begin
        self._retained = retained
        self._bar = bar
        self._latest = latest
        self._mark = mark
        self._seen = bytearray((held.total + 7) // 8)
        self._left = held.total
        self.added = bytearray()
        self.writer = None
        self.count = self.spoken = self.changed = 0
        self.unreadable = self.others = self.dropped = 0
        self._far = None  # bit map of the held records that lie after the marks
        self.top = 0  # the latest time in any record

    def note_far(self):
        """Learn which held records lie after the marks."""
        self._far = bytearray(len(self._seen))
        for index in range(self._held.total):
            if _time(self._held.record(index)) > self._mark:
                self._far[index >> 3] |= 1 << (index & 7)

    def settle(self, heard):
        """The list is whole: keep refusals of those that lie after the marks and are gone; after this, no ``add``."""
        mark = max(self._mark, heard, self.spoken)
        kept = 0
        for index in range(self._held.total if self._far else 0):
            record = self._held.record(index)
            if not self._far[index >> 3] & 1 << (index & 7) or _time(record) <= mark:
                continue
            kept += 1
            if kept <= _FAR:
                self._keep(index, tokenlist.refusal(record[:16], tokenlist.NEVER, _time(record)))
            else:
                # Too many to keep one by one.
                self.spoken = max(self.spoken, _time(record))
                self.changed = max(self.changed, self.spoken)

    def add(self, parsed):
        """Take one member of the list, as tokenlist.parse_records gives it."""
        if parsed == tokenlist.UNREADABLE:
            self.unreadable += 1
        elif parsed == tokenlist.OTHER_SYSTEM:
            self.others += 1
        else:
            self._move_marks(parsed)
            self._take(parsed)

    def only_adds(self):
        """Everything held stands in the list unchanged."""
        return self.writer is None and self._left == 0

    def write(self):
        """Begin the new file, if that has not been done, with everything that counted so far."""
        if self.writer is None:
            self.writer = self._begin()
            for index in range(self._held.total):
                if self._seen[index >> 3] & 1 << (index & 7):
                    self.writer.write(self._held.record(index))
            self.writer.write(self.added)

    def close(self):
        """Let go of both files; what was begun and not committed is given up."""
        self._held.close()
        if self.writer:
            self.writer.abort()

    def _move_marks(self, record):
        _, _, _, _, changed, iat, _ = tokenlist.unpack(record)
        for moment in (changed, iat):
            # T2: what lies outside moves nothing.
            if YEAR_2020_S <= moment <= self._latest:
                self.spoken = max(self.spoken, moment)
        if YEAR_2020_S <= changed <= self._latest:
            self.changed = max(self.changed, changed)

    def _take(self, record):
        index = self._held.find(record[:16])
        if self._far and index >= 0:
            self._is_there(index, record[:16])
        if self._retained:
            record = self._counting(record, index)
            if record is None:
                self.dropped += 1
                return
        else:
            record = self._as_late(record, index)
        self._keep(index, record)

    def _is_there(self, index, jti16):
        """The list has this held token, so it is not one of those that lie after the marks and are gone."""
        self._far[index >> 3] &= ~(1 << (index & 7))
        if self._held.suspect(jti16):
            for other in range(self._held.total):
                if self._held.record(other)[:16] == jti16:
                    self._far[other >> 3] &= ~(1 << (other & 7))

    def _as_late(self, record, index):
        """A live list has its full say, but what it says is no older than what was held: or an old list would be news
        after it, where a record's times are missing or cannot be read."""
        jti16, flags, start, end, changed, iat, roles = tokenlist.unpack(record)
        least = 0 if flags & tokenlist.ADMITS else self._bar
        if index >= 0:
            held = tokenlist.unpack(self._held.record(index))[4]
            # One that only a live list ends has no time of its own.
            least = max(least, 0 if held == tokenlist.NEVER else held)
        return record if least <= changed else tokenlist.pack(jti16, flags, start, end, least, iat, roles)

    def _keep(self, index, record):
        self.count += 1
        self.top = max(self.top, _time(record))
        if self.writer is None and not self._repeats(index, record):
            self.write()
        if self.writer:
            self.writer.write(record)

    def _counting(self, record, index):
        """L5: what of a record in a list that may be old counts, None for nothing."""
        jti16, flags, _, _, changed, iat, _ = tokenlist.unpack(record)
        if index >= 0:
            held = self._find_all(jti16) if self._held.suspect(jti16) else self._held.record(index)
            return record if changed > tokenlist.unpack(held)[4] else tokenlist.narrower(held, record)
        # One that the cloud has spoken without (L3) was there before and may be gone again, however late it changed.
        if changed > self._bar and (not iat or iat > self._mark):
            return record
        if flags & tokenlist.ADMITS and iat <= max(self._mark, self.spoken):
            return None
        # A refusal always counts; kept as new as the bar, it lets no old record after it count either.
        return tokenlist.refusal(jti16, tokenlist.NEVER if flags & tokenlist.ADMITS else max(self._bar, changed), iat)

    def _repeats(self, index, record):
        """Whether this one need not be written yet: it repeats what is held, or is one of a few new ones."""
        if index < 0:
            size = len(self.added)
            if size == LEDGER_PENDING * RECORD_BYTES or find_record(self.added, record[:16], 0, size) >= 0:
                return False
            self.added += record
            return True
        bit = 1 << (index & 7)
        # Of a token held twice the narrowest counts, and neither of the two may be what stands here.
        if record != self._held.record(index) or self._seen[index >> 3] & bit:
            return False
        self._seen[index >> 3] |= bit
        self._left -= 1
        return True


def _time(record):
    """When its token was made or last changed; a refusal that only a live list ends tells by its iat alone."""
    _, _, _, _, changed, iat, _ = tokenlist.unpack(record)
    return max(0 if changed == tokenlist.NEVER else changed, iat)


class Held:
    """The records in flash, looked up one after the other in about the order in which they stand there.

    All are read once at the start, when the checksum is compared (StoreError) and it is learnt which tokens are surely
    not held and which may be held twice: a Bloom filter of two hashes, in which 1,000 tokens take one lookup in 80
    for another's. ``pending``: records that are in force but not in flash yet; they are held too, after the others.
    """

    def __init__(self, slots, count, pending):
        self.count = count
        self.total = count + len(pending) // RECORD_BYTES
        self._pending = pending
        self._buf = bytearray(_PIECE * RECORD_BYTES if count else 0)
        self._view = memoryview(self._buf)
        self._filter = bytearray(2 * _FILTER_BYTES if count else 0)
        self._suspects = []
        self._survey(slots)
        self._first = -1  # index of the first record in the buffer
        self._have = 0
        self._next = 0
        self._file = slots.open() if count else None
        self._start = self._file.seek(0, 1) if count else 0

    def close(self):
        file, self._file = self._file, None
        if file:
            file.close()

    def record(self, index):
        """Bytes of one record."""
        if index >= self.count:
            at = (index - self.count) * RECORD_BYTES
            return bytes(self._pending[at : at + RECORD_BYTES])
        self._read(index - index % _PIECE)
        at = (index - self._first) * RECORD_BYTES
        return bytes(self._view[at : at + RECORD_BYTES])

    def find(self, jti16):
        """Index of the next record of this token, searched for from the last find on and around; -1 for none."""
        at = find_record(self._pending, jti16, 0, len(self._pending))
        if at >= 0:
            return self.count + at // RECORD_BYTES
        # Most lists come in the order of the one before.
        if self._next < self.count and self.record(self._next)[:16] == jti16:
            self._next += 1
            return self._next - 1
        return self._search(jti16) if self.count and self._perhaps(binascii.crc32(jti16)) else -1

    def suspect(self, jti16):
        """Whether more than one record may be of this token."""
        return len(self._suspects) == _SUSPECTS or (binascii.crc32(jti16) & 0x3FFFFFFF) in self._suspects

    def _survey(self, slots):
        self._have = self.count
        if self.count:
            slots.scan(self._view, self._note_piece)

    def _note_piece(self, size):
        for at in range(0, min(size // RECORD_BYTES, self._have) * RECORD_BYTES, RECORD_BYTES):
            self._note(binascii.crc32(self._view[at : at + 16]))
            self._have -= 1

    def _bits(self, crc):
        low, high = crc & _FILTER_MASK, crc >> 13 & _FILTER_MASK
        return low >> 3, 1 << (low & 7), _FILTER_BYTES + (high >> 3), 1 << (high & 7)

    def _perhaps(self, crc):
        a, a_bit, b, b_bit = self._bits(crc)
        return self._filter[a] & a_bit and self._filter[b] & b_bit

    def _note(self, crc):
        if self._perhaps(crc) and len(self._suspects) < _SUSPECTS:
            self._suspects.append(crc & 0x3FFFFFFF)
        a, a_bit, b, b_bit = self._bits(crc)
        self._filter[a] |= a_bit
        self._filter[b] |= b_bit

    def _search(self, jti16):
        # From the piece before on, so that a list in reversed order finds each at once too.
        first = max(0, self._next - self._next % _PIECE - _PIECE)
        for _ in range((self.count + _PIECE - 1) // _PIECE):
            if first >= self.count:
                first = 0
            self._read(first)
            at = find_record(self._buf, jti16, 0, self._have * RECORD_BYTES)
            if at >= 0:
                self._next = first + at // RECORD_BYTES + 1
                return self._next - 1
            first += _PIECE
        return -1

    def _read(self, first):
        if first != self._first:
            self._have = min(_PIECE, self.count - first)
            self._file.seek(self._start + first * RECORD_BYTES)
            self._file.readinto(self._view[: self._have * RECORD_BYTES])
            self._first = first
