"""The partition table of a .bin, and one with two program slots.

Source: ESP-IDF 5.4 "Partition Tables": rows of 32 bytes at 0x8000 of flash (magic AA 50, type, subtype, offset, size,
name of 16 bytes, flags), then a row EB EB with the MD5 of all rows before it. Types: 0 program, 1 data.
"""

import hashlib
import struct
from dataclasses import dataclass, replace

from latchkey_tools.image import need

TABLE_AT = 0x8000
TABLE_BYTES = 0xC00
_ROW = struct.Struct("<HBBII16sI")
_ROW_MAGIC = 0x50AA
_DIGEST_HEAD = b"\xeb\xeb" + b"\xff" * 14
_PROGRAM = 0


@dataclass(frozen=True)
class Partition:
    name: str
    kind: int
    subtype: int
    offset: int
    size: int

    @property
    def is_otadata(self):
        """Whether it says which program starts; erased, the first one does."""
        return (self.kind, self.subtype) == (1, 0)


# For 4 MB. NVS is smaller than the official 24 KB, since otadata needs 8 KB before the first program at 0x10000. The
# constants grow by pages of 64 KB: a program of 1,900,544 bytes has room for three beyond those of MicroPython 1.26.1.
TWO_SLOTS = (
    Partition("nvs", 1, 2, 0x9000, 0x4000),
    Partition("otadata", 1, 0, 0xD000, 0x2000),
    Partition("phy_init", 1, 1, 0xF000, 0x1000),
    Partition("ota_0", 0, 0x10, 0x10000, 0x1D0000),
    Partition("ota_1", 0, 0x11, 0x1E0000, 0x1D0000),
    Partition("vfs", 1, 0x81, 0x3B0000, 0x50000),
)


@dataclass(frozen=True)
class Table:
    """``rows``: every Partition; ``flash_offset``: where on flash the .bin begins; ``flash_bytes``: of the flash."""

    rows: tuple
    flash_offset: int
    flash_bytes: int

    @property
    def slots(self):
        """How many programs there is room for; one cannot be updated over the network."""
        return sum(row.kind == _PROGRAM for row in self.rows)

    @property
    def program(self):
        """The first program, which the .bin ends with."""
        return next(row for row in self.rows if row.kind == _PROGRAM)

    def put_into(self, before):
        """``before``, the bytes up to the first program, with this table instead of its own."""
        at = TABLE_AT - self.flash_offset
        first_data = min(row.offset for row in self.rows) - self.flash_offset
        need(not before[first_data:].strip(b"\xff"), "the .bin holds data where the new partitions begin")
        return before[:at] + self.to_bytes() + before[at + TABLE_BYTES :]

    def to_bytes(self):
        rows = [_ROW.pack(_ROW_MAGIC, r.kind, r.subtype, r.offset, r.size, r.name.encode(), 0) for r in self.rows]
        packed = b"".join(rows)
        packed += _DIGEST_HEAD + hashlib.md5(packed, usedforsecurity=False).digest()
        return packed.ljust(TABLE_BYTES, b"\xff")


def split(raw):
    """``(before, Table, start of the application)`` of a .bin; Refused if it has no partition table with a program."""
    for flash_offset in (0x1000, 0):
        table = raw[TABLE_AT - flash_offset :][:TABLE_BYTES]
        if raw[:1] == b"\xe9" and len(table) == TABLE_BYTES and table[:2] == b"\xaa\x50":
            # The upper half of the header's fourth byte: the power of two of the flash's MB (esp_app_format.h).
            found = Table(_rows(table), flash_offset, 1 << 20 + (raw[3] >> 4))
            need(any(row.kind == _PROGRAM for row in found.rows), "the partition table names no program")
            start = found.program.offset - flash_offset
            return raw[:start], found, start
    need(False, "this is not a whole .bin for an ESP32: there is no bootloader with a partition table at 0x8000 "
         "(an encrypted one cannot be read)")  # fmt: skip


def _rows(table):
    rows, at = [], 0
    while table[at : at + 2] == b"\xaa\x50":
        _, kind, subtype, offset, size, name, _flags = _ROW.unpack_from(table, at)
        rows.append(Partition(name.rstrip(b"\0").decode(errors="replace"), kind, subtype, offset, size))
        at += _ROW.size
    if table[at : at + 2] == b"\xeb\xeb":
        digest = hashlib.md5(table[:at], usedforsecurity=False).digest()
        need(table[at + 16 : at + 32] == digest, "the partition table's MD5 is wrong")
    return tuple(rows)


def two_slots(table, size):
    """``table`` with two program slots, or None if the flash or a slot is too small for a program of ``size`` bytes."""
    fits = table.flash_bytes >= TWO_SLOTS[-1].offset + TWO_SLOTS[-1].size and size <= TWO_SLOTS[3].size
    return replace(table, rows=TWO_SLOTS) if fits and table.program.offset == TWO_SLOTS[3].offset else None
