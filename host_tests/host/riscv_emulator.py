"""RV32 in unicorn: a function called as C calls it, which may change nothing but the memory that it was given."""

import unicorn
from unicorn import riscv_const

_CODE, _RETURN = 0x40380000, 0x403F0000
_PAGE = 0x1000
_GUARD = 0xA5
# The registers that the callee keeps: all but ra, t0 to t6 and a0 to a7.
_KEPT = [getattr(riscv_const, f"UC_RISCV_REG_{name}") for name in ("SP", "GP", "TP", *(f"S{i}" for i in range(12)))]
_ARGUMENTS = [getattr(riscv_const, f"UC_RISCV_REG_A{i}") for i in range(8)]


class EmulatorError(Exception):
    """The code did what a chip or the caller would not bear; the text says what."""


class Chip:
    """Runs ``code`` on ``memory``: start address to bytearray, each in pages of its own; between them is nothing.

    ``count``: instructions so far, if ``counting``; ``limit``: how many a call may take.
    """

    def __init__(self, code, memory, counting=False, limit=1_000_000):
        self.count, self._memory, self._limit = 0, memory, limit
        self._uc = uc = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        uc.mem_map(_CODE, 0x80000, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        uc.mem_write(_CODE, code)
        for start, size in map(_pages, memory.items()):
            uc.mem_map(start, size)
        if counting:
            uc.hook_add(unicorn.UC_HOOK_CODE, self._counted)

    def call(self, *arguments):
        """The return value when C calls the code. It has no stack."""
        kept = [(register, 0xA5A50000 + 16 * i) for i, register in enumerate(_KEPT)]
        padding = [0xA5A5A5A5] * (8 - len(arguments))
        values = [*kept, *zip(_ARGUMENTS, [*arguments, *padding], strict=True), (riscv_const.UC_RISCV_REG_RA, _RETURN)]
        for register, value in values:
            self._uc.reg_write(register, value)
        self._fill()
        try:
            self._uc.emu_start(_CODE, _RETURN, count=self._limit)
        except unicorn.UcError as error:
            raise EmulatorError(str(error)) from error
        if self._uc.reg_read(riscv_const.UC_RISCV_REG_PC) != _RETURN:
            raise EmulatorError("it does not return")
        if any(self._uc.reg_read(register) != value for register, value in kept):
            raise EmulatorError("a register of the caller has changed")
        self._empty()
        return self._uc.reg_read(_ARGUMENTS[0])

    def _fill(self):
        for item in self._memory.items():
            start, size = _pages(item)
            self._uc.mem_write(start, bytes([_GUARD]) * size)
            self._uc.mem_write(item[0], bytes(item[1]))

    def _empty(self):
        for item in self._memory.items():
            start, size = _pages(item)
            page, at, end = self._uc.mem_read(start, size), item[0] - start, item[0] - start + len(item[1])
            if set(page[:at] + page[end:]) != {_GUARD}:
                raise EmulatorError("a word outside the memory has changed")
            item[1][:] = page[at:end]

    def _counted(self, *_):
        self.count += 1


def _pages(item):
    """(start, size) of the whole pages about a piece of memory."""
    start = item[0] // _PAGE * _PAGE
    return start, -(-(item[0] + len(item[1]) - start + 1) // _PAGE) * _PAGE
