"""Which instructions of an application hold an address, and changing them to another one.

A ``site`` is what has to be changed: on Xtensa the address of a literal, on RISC-V the addresses of a ``lui`` and an
``addi``. Both classes have the same methods. Sources: Xtensa ISA Reference Manual (L32R), RISC-V Unprivileged ISA
(LUI, ADDI, chapter C), ESP-IDF 5.4 esp_mm/esp_mmu_map.c (``_rodata_reserved_end``), MicroPython ports/esp32/main.c.
"""

import re
from bisect import bisect_left

from latchkey_tools.image import need
from latchkey_tools.image.container import PAGE

# ESP-IDF's start-up code loads a segment's start and its reserved end within this many bytes of code.
_BESIDE = 24
_HEAP_FAILURE = b"mp_task_heap allocation failed"
# mp_task loads the heap's size at most this far before the words for its failure.
_HEAP_BEFORE = 64


class Xtensa:
    """``l32r`` loads a literal, an aligned word up to 256 KB before it."""

    _L32R = re.compile(rb"(?=[\x01\x11\x21\x31\x41\x51\x61\x71\x81\x91\xa1\xb1\xc1\xd1\xe1\xf1]..)", re.DOTALL)

    def __init__(self, app):
        self._app = app
        self._users = {}  # literal -> addresses of what may load it
        for segment in app.code:
            self._find_users(segment.addr, bytes(segment.data))
        self._literals = {}  # value -> literals
        for literal in self._users:
            if app.segment_at(literal, 4):
                self._literals.setdefault(app.u32(literal), []).append(literal)
        self._values = sorted(self._literals)

    def _find_users(self, base, data):
        """Instructions have no alignment, so each byte may begin one: that finds too many users and never too few."""
        for match in self._L32R.finditer(data):
            at = match.start()
            back = 0x10000 - int.from_bytes(data[at + 1 : at + 3], "little")
            literal = (base + at + 3 & ~3) - 4 * back
            self._users.setdefault(literal, []).append(base + at)

    def _to(self, start, end):
        """Literals whose value lies from ``start`` to below ``end``."""
        first, last = bisect_left(self._values, start), bisect_left(self._values, end)
        return [literal for value in self._values[first:last] for literal in self._literals[value]]

    def to_table(self, start, end, what):
        """The sites that hold a table's ``start``. Refused if there is none, if a word that is not a literal holds it
        too, or if code refers to the inside of the table."""
        found = self._to(start, start + 1)
        need(found, f"no code refers to {what}")
        need(set(self._app.words(start)) <= set(found), f"a word that is not a literal refers to {what}")
        need(not self._to(start + 1, end), f"code refers to the inside of {what}")
        return found

    def users(self, sites):
        return sorted(user for site in sites for user in self._users[site])

    def value(self, site):
        return self._app.u32(site)

    def put(self, site, value):
        self._app.put32(site, value)

    def reserved_ends(self, segment):
        """{site: offset} where code holds the segment's end + offset, beside its start: see docs/image.md."""
        starts = self.users(self._to(segment.addr, segment.addr + 1))
        return _beside(segment, starts, lambda value: [(s, self._users[s]) for s in self._to(value, value + 1)])

    def initial_heap(self):
        """The site with MICROPY_GC_INITIAL_HEAP_SIZE, or None if it cannot be distinguished from other numbers."""
        at = self._app.drom.data.find(_HEAP_FAILURE)
        if at < 0:
            return None
        failures = self.users(self._to(self._app.drom.addr + at, self._app.drom.addr + at + 1))
        found = [
            literal
            for literal in self._to(16 * 1024, 512 * 1024)
            if self._app.u32(literal) % 1024 == 0
            and any(0 < failure - user <= _HEAP_BEFORE for failure in failures for user in self._users[literal])
        ]
        return found[0] if len(found) == 1 else None


class RiscV:
    """``lui`` makes the upper 20 bits of an address, ``addi`` or a load adds the lower 12.

    Only a pair that ends in the register it began with, and whose half address nothing else reads, is safe to change.
    """

    _WINDOW = 32  # instructions after a lui in which its other half is looked for
    # addi and the loads lw, lbu, lb, lh, lhu: opcode and function bits.
    _LOWER = (0x13, 0x2003, 0x4003, 0x0003, 0x1003, 0x5003)
    _ADDI = 0x13
    _RETURN = 0x8082

    def __init__(self, app):
        self._app = app
        self._luis = {}  # upper 20 bits -> addresses
        for segment in app.code:
            data = segment.data
            for at in range(0, len(data) - 3, 2):
                if data[at] & 0x7F == 0x37:
                    word = int.from_bytes(data[at : at + 4], "little")
                    self._luis.setdefault(word >> 12, []).append(segment.addr + at)

    def _pairs(self, start, end):
        """``(site, value)`` of what code makes from ``start`` to below ``end``; site is None if it is not safe to
        change."""
        for upper in range(start + 0x800 >> 12, (end - 1 + 0x800 >> 12) + 1):
            for lui in self._luis.get(upper, ()):
                yield from self._uses(lui, upper << 12, start, end)

    def _uses(self, lui, high, start, end):
        segment = self._app.segment_at(lui, 4)
        at = lui - segment.addr
        register = int.from_bytes(segment.data[at : at + 2], "little") >> 7 & 31
        at, touched = at + 4, False
        for _ in range(self._WINDOW):
            size = 4 if segment.data[at] & 3 == 3 else 2
            op = int.from_bytes(segment.data[at : at + size], "little")
            if size == 4 and op & 0x707F in self._LOWER and op >> 15 & 31 == register:
                value = high + (op >> 20) - (op >> 31 << 12)
                if start <= value < end:
                    closed = op & 0x707F == self._ADDI and op >> 7 & 31 == register and not touched
                    yield ((lui, segment.addr + at) if closed else None), value
            reads, writes, leaves = registers(op, size)
            if register in writes or op == self._RETURN:
                return
            touched = touched or register in reads or leaves
            at += size

    def to_table(self, start, end, what):
        found = list(self._pairs(start, end))
        need(found, f"no code refers to {what}")
        need(not self._app.words(start), f"a word refers to {what}")
        need(all(value == start for _, value in found), f"code refers to the inside of {what}")
        need(all(site for site, _ in found), f"code refers to {what} in a way that is not safe to change")
        return [site for site, _ in found]

    def users(self, sites):
        return sorted(lui for lui, _addi in sites)

    def value(self, site):
        lui, addi = (self._app.u32(at) for at in site)
        return (lui & 0xFFFFF000) + (addi >> 20) - (addi >> 31 << 12)

    def put(self, site, value):
        lui, addi = site
        self._app.put32(lui, self._app.u32(lui) & 0xFFF | (value + 0x800 & 0xFFFFF000))
        self._app.put32(addi, self._app.u32(addi) & 0xFFFFF | (value & 0xFFF) << 20)

    def reserved_ends(self, segment):
        starts = [site[0] for site, _ in self._pairs(segment.addr, segment.addr + 1) if site]
        found = lambda value: [(site, [site[0]]) for site, _ in self._pairs(value, value + 1) if site]  # noqa: E731
        return _beside(segment, starts, found)

    def initial_heap(self):
        """None: a round number is one lui here, and nothing tells it from others."""


def _beside(segment, starts, sites_of):
    """ESP-IDF keeps the end as it is, or rounded up to a page by adding PAGE - 1. Other code holds the same number with
    another meaning, but not beside the segment's start."""
    found = {}
    for offset in (0, PAGE - 1):
        for site, users in sites_of(segment.end + offset):
            if any(abs(user - start) <= _BESIDE for user in users for start in starts):
                found[site] = offset
    need(found, f"no code looks like ESP-IDF's reserved end of the segment at {segment.addr:#x}")
    return found


def registers(op, size):
    """``(read, written, leaves)`` of an RV32IMC instruction: register numbers, and whether control may go elsewhere.

    Where this is not exact it names too many registers, never too few.
    """
    return _registers_of_4(op) if size == 4 else _registers_of_2(op)


def _registers_of_4(op):
    kind, rd, rs1, rs2 = op & 0x7F, op >> 7 & 31, op >> 15 & 31, op >> 20 & 31
    if kind in (0x37, 0x17):  # lui, auipc
        return (), (rd,), False
    if kind == 0x6F:  # jal
        return (), (rd,), True
    if kind in (0x13, 0x03, 0x67, 0x73, 0x0F):  # immediates, loads, jalr, csr, fence
        return (rs1,), (rd,), kind == 0x67
    if kind == 0x33:  # register to register
        return (rs1, rs2), (rd,), False
    return (rs1, rs2), (), kind == 0x63  # stores; branches leave


def _registers_of_2(op):
    quarter, function = op & 3, op >> 13
    full, second = op >> 7 & 31, op >> 2 & 31
    high, low = 8 + (op >> 7 & 7), 8 + (op >> 2 & 7)
    if quarter == 0:
        if function == 0:  # addi4spn
            return (2,), (low,), False
        return ((high,), (low,), False) if function == 2 else ((high, low), (), False)  # lw; sw
    if quarter == 1:
        return _registers_of_quarter_1(function, full, high, low)
    if function == 4:
        if second == 0:  # jr, jalr, ebreak
            return (full,), (1,) if op >> 12 & 1 else (), True
        return ((full, second) if op >> 12 & 1 else (second,)), (full,), False  # add; mv
    if function == 2:  # lwsp
        return (2,), (full,), False
    return ((full,), (full,), False) if function == 0 else ((second, 2), (), False)  # slli; swsp


def _registers_of_quarter_1(function, full, high, low):
    if function in (1, 5):  # jal, j
        return (), (1,) if function == 1 else (), True
    if function in (6, 7):  # beqz, bnez
        return (high,), (), True
    if function in (2, 3):  # li, lui, addi16sp
        return (2,) if full == 2 else (), (full,), False
    return ((full,), (full,), False) if function == 0 else ((high, low), (high,), False)  # addi; arithmetic


OF_CPU = {"xtensa": Xtensa, "riscv": RiscV}
