"""A downloaded .bin (bootloader, partition table, application) and the application in it.

Sources: ESP-IDF 5.4 "App Image Format" and esp_app_format.h (header, segments, checksum, SHA-256), esp_app_desc.h
(application descriptor), soc/ext_mem_defs.h of each chip (address ranges), "Secure Boot" V1 and V2 (signatures).
"""

import hashlib
import struct
from dataclasses import dataclass
from functools import reduce
from operator import xor

from latchkey_tools.image import need, partitions

# The flash MMU maps pages: a mapped segment's address and its offset in the file agree modulo this (app image format).
PAGE = 0x10000
_HEADER = 24
_MAGIC = 0xE9
_CHECKSUM_SEED = 0xEF
_DESCRIPTOR_MAGIC = 0xABCD5432
_VERSION_AT, _VERSION_BYTES = 16, 32  # in the application descriptor
_SIGNATURE_MAGIC = b"\xe7"  # Secure Boot V2: a block in a sector of its own
_V1_SIGNATURE_BYTES = range(68, 81)  # with what fills its page
MADE_BY = "latchkey "


@dataclass(frozen=True)
class Chip:
    """``drom``, ``irom``: addresses of flash as data and as code. ``flash_offset``: where on flash a .bin begins."""

    name: str
    cpu: str
    drom: range
    irom: range
    flash_offset: int


# By the chip id in the header.
CHIPS = {
    0: Chip("esp32", "xtensa", range(0x3F400000, 0x3F800000), range(0x400D0000, 0x40400000), 0x1000),
    2: Chip("esp32s2", "xtensa", range(0x3F000000, 0x3FF80000), range(0x40080000, 0x40800000), 0x1000),
    9: Chip("esp32s3", "xtensa", range(0x3C000000, 0x3E000000), range(0x42000000, 0x44000000), 0),
    5: Chip("esp32c3", "riscv", range(0x3C000000, 0x3C800000), range(0x42000000, 0x42800000), 0),
    13: Chip("esp32c6", "riscv", range(0x42000000, 0x43000000), range(0x42000000, 0x43000000), 0),
}


@dataclass
class Segment:
    """``at``: where its bytes begin in the application."""

    addr: int
    data: bytearray
    at: int

    @property
    def end(self):
        return self.addr + len(self.data)


class Application:
    """The application: its segments by address. ``drom`` holds constants, ``irom`` code that runs from flash."""

    def __init__(self, raw):
        need(len(raw) > _HEADER and raw[0] == _MAGIC, "there is no application image (an encrypted one cannot be read)")
        need(raw[23] == 1, "the application carries no SHA-256")
        chip_id = struct.unpack_from("<H", raw, 12)[0]
        need(chip_id in CHIPS, f"the application is for an unknown chip (id {chip_id})")
        self.chip = CHIPS[chip_id]
        self._header = raw[:_HEADER]
        at = self._read_segments(raw)
        self.size = self._check_end(raw, at)
        self._find_flash_segments()

    def _read_segments(self, raw):
        self.segments, at = [], _HEADER
        for _ in range(raw[1]):
            need(at + 8 <= len(raw), "the application is cut short")
            addr, size = struct.unpack_from("<II", raw, at)
            at += 8
            need(at + size <= len(raw), "the application is cut short")
            need(not self._is_mapped(addr) or at % PAGE == addr % PAGE, f"segment {addr:#x} is not aligned to its page")
            self.segments.append(Segment(addr, bytearray(raw[at : at + size]), at))
            at += size
        return at

    def _check_end(self, raw, at):
        """The application's size; the checksum ends the 16 bytes after the last segment, the SHA-256 follows it."""
        at |= 15
        need(len(raw) >= at + 33, "the application is cut short")
        need(raw[at] == self._checksum(), "the application's checksum is wrong")
        at += 1
        need(raw[at : at + 32] == hashlib.sha256(raw[:at]).digest(), "the application's SHA-256 is wrong")
        rest = raw[at + 32 :].lstrip(b"\xff")
        is_signed = rest[:1] == _SIGNATURE_MAGIC or len(raw) - at - 32 in _V1_SIGNATURE_BYTES
        need(not is_signed, "the image is signed for Secure Boot, and a change would break the signature")
        need(not rest, "unknown bytes follow the application")
        return at + 32

    def _checksum(self):
        return reduce(xor, (reduce(xor, segment.data, 0) for segment in self.segments), _CHECKSUM_SEED)

    def _find_flash_segments(self):
        magic = struct.pack("<I", _DESCRIPTOR_MAGIC)
        drom = [s for s in self.segments if s.addr in self.chip.drom and s.data.startswith(magic)]
        need(len(drom) == 1, "there is not exactly one segment of constants")
        self.drom = drom[0]
        irom = [s for s in self.segments if s.addr in self.chip.irom and s is not self.drom]
        need(len(irom) == 1, "there is not exactly one segment of code in flash")
        self.irom = irom[0]
        order = [self.segments.index(s) for s in (self.drom, self.irom)]
        need(order == sorted(order), "the constants do not come before the code in the file")

    def _is_mapped(self, addr):
        return addr in self.chip.drom or addr in self.chip.irom

    @property
    def code(self):
        """The segments that can hold instructions: all but the constants and what lies in data memory."""
        return [s for s in self.segments if s is not self.drom and s.addr >= 0x40000000]

    @property
    def made_from(self):
        """The descriptor's version text; an official image leaves it empty."""
        return bytes(self.drom.data[_VERSION_AT : _VERSION_AT + _VERSION_BYTES]).rstrip(b"\0")

    def mark(self, text):
        """Write ``text`` as the descriptor's version."""
        value = text.encode()[: _VERSION_BYTES - 1]
        self.drom.data[_VERSION_AT : _VERSION_AT + _VERSION_BYTES] = value.ljust(_VERSION_BYTES, b"\0")

    @property
    def is_made_here(self):
        return self.made_from.startswith(MADE_BY.encode())

    def to_bytes(self):
        out = bytearray(self._header)
        for segment in self.segments:
            out += struct.pack("<II", segment.addr, len(segment.data))
            aligned = not self._is_mapped(segment.addr) or len(out) % PAGE == segment.addr % PAGE
            need(aligned, f"segment {segment.addr:#x} would lose its alignment")
            out += segment.data
        out += bytes(15 - len(out) % 16)
        out.append(self._checksum())
        return bytes(out) + hashlib.sha256(out).digest()

    # Reading by address

    def segment_at(self, addr, size=1):
        """The segment with all of these bytes, or None."""
        return next((s for s in self.segments if s.addr <= addr and addr + size <= s.end), None)

    def read(self, addr, size):
        segment = self.segment_at(addr, size)
        need(segment, f"address {addr:#x} is not in the image")
        at = addr - segment.addr
        return bytes(segment.data[at : at + size])

    def u16(self, addr):
        return int.from_bytes(self.read(addr, 2), "little")

    def u32(self, addr):
        return int.from_bytes(self.read(addr, 4), "little")

    def put32(self, addr, value):
        segment = self.segment_at(addr, 4)
        struct.pack_into("<I", segment.data, addr - segment.addr, value)

    def words(self, value, segments=None):
        """Addresses of the aligned words that hold ``value``."""
        pattern, found = struct.pack("<I", value), []
        for segment in self.segments if segments is None else segments:
            at = segment.data.find(pattern)
            while at >= 0:
                if (segment.addr + at) % 4 == 0:
                    found.append(segment.addr + at)
                at = segment.data.find(pattern, at + 1)
        return found


class Download:
    """A .bin as downloaded: what comes before the application, and the application."""

    def __init__(self, raw):
        self.before, self.table, start = partitions.split(raw)
        self.app = Application(raw[start:])
        need(
            self.app.chip.flash_offset == self.table.flash_offset, "bootloader and application are for different chips"
        )

    def to_bytes(self):
        """``(bytes, Table)``: the whole .bin, with two program slots if flash and application allow it."""
        app = self.app.to_bytes()
        table = partitions.two_slots(self.table, len(app)) or self.table
        room = table.program.size
        need(len(app) <= room, f"the application of {len(app)} bytes does not fit into its partition of {room}")
        return (self.before if table is self.table else table.put_into(self.before)) + app, table
