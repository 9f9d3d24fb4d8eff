"""The kernel's own bytes, run as a chip runs them: Xtensa in our simulator, RV32 in unicorn.

``Machine(arch)`` has what ``latchkey.montgomery`` and ``uctypes`` have, so latchkey.bignum can load it.
"""

import riscv_emulator
import xtensa_sim

from latchkey_tools import kernel

CHIPS = {"xtensawin": xtensa_sim.Chip, "rv32imc": riscv_emulator.Chip}
REFUSED = (xtensa_sim.SimulatorError, riscv_emulator.EmulatorError)
_ARGUMENTS = 0x3FFA0000
_FIRST = 0x3FFB0010  # not where a page begins
_APART = 0x4000
_ZERO = 1  # MicroPython's small integer 0


class Machine:
    """``code``: name to machine code, by default the kernel's; ``count``: instructions of the last call."""

    def __init__(self, arch, code=None, **options):
        self._chip, self._code, self._options = CHIPS[arch], code or kernel.code(arch), options
        self._buffers = {}

    def addressof(self, buffer):
        address = _FIRST + _APART * len(self._buffers) % (16 * _APART)
        self._buffers[address] = buffer
        return address

    def product(self, t, a, b, p):
        self._call("product", t, a, b, p)

    def turn(self, t, s, k):
        self._call("turn", t, s, k)

    def _call(self, name, *arguments):
        held = b"".join((2 * argument + 1).to_bytes(4, "little") for argument in arguments)
        at = 4 * arguments[0] // _APART * _APART + _FIRST % _APART
        memory = {at: self._buffers[at], _ARGUMENTS: bytearray(held)}
        chip = self._chip(self._code[name], memory, **self._options)
        # self, n_args, n_kw, args
        assert chip.call(0x3FFAE000, len(arguments), 0, _ARGUMENTS) == _ZERO
        assert memory[_ARGUMENTS] == held
        self.count = chip.count
