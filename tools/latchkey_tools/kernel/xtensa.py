"""An assembler for the few opcodes of Xtensa LX6 and LX7 (ESP32, S2, S3) that the kernel uses.

Encodings: "Xtensa Instruction Set Architecture Reference Manual", chapter 6. An instruction has 24 bits, or 16 where
the Code Density Option has a narrow form (``.n``); the narrow form is taken where it can hold the operands.
Registers are numbers: a0 holds the return address, a1 the stack pointer.
"""

from latchkey_tools.kernel.assembler import Instruction, field, label, signed

__all__ = ["label", *"entry retw l32i s32i l8ui s8i add sub addi movi mov slli mull muluh bgeu bltu bne bnez".split()]
a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15 = range(16)
__all__ += [f"a{i}" for i in range(16)]


def _wide(text, bits):
    return Instruction(3, text, lambda _offset: bits)


def _narrow(text, r, s, t, op0):
    return Instruction(2, text, lambda _offset: r << 12 | s << 8 | t << 4 | op0)


def _rrr(name, op2, op1, r, s, t):
    return _wide(f"{name} a{r}, a{s}, a{t}", op2 << 20 | op1 << 16 | r << 12 | s << 8 | t << 4)


def entry(s, frame):
    """Open a register window, with ``frame`` bytes of stack: MUST be the first instruction of a function."""
    return _wide(f"entry a{s}, {frame}", field(frame, 12, step=8) << 12 | s << 8 | 0x36)


def retw():
    """Close the register window and return; the result is in a2."""
    return _narrow("retw.n", 15, 0, 1, 13)


def l32i(t, s, offset):
    """a[t] = the word at a[s] + offset, from 0 to 60."""
    return _narrow(f"l32i.n a{t}, a{s}, {offset}", field(offset, 4, step=4), s, t, 8)


def s32i(t, s, offset):
    """The word at a[s] + offset, from 0 to 60, = a[t]."""
    return _narrow(f"s32i.n a{t}, a{s}, {offset}", field(offset, 4, step=4), s, t, 9)


def l8ui(t, s, offset):
    """a[t] = the byte at a[s] + offset."""
    return _wide(f"l8ui a{t}, a{s}, {offset}", field(offset, 8) << 16 | s << 8 | t << 4 | 2)


def s8i(t, s, offset):
    """The byte at a[s] + offset = the low byte of a[t]."""
    return _wide(f"s8i a{t}, a{s}, {offset}", field(offset, 8) << 16 | 4 << 12 | s << 8 | t << 4 | 2)


def add(r, s, t):
    return _narrow(f"add.n a{r}, a{s}, a{t}", r, s, t, 10)


def sub(r, s, t):
    """a[r] = a[s] - a[t]."""
    return _rrr("sub", 12, 0, r, s, t)


def addi(t, s, value):
    """a[t] = a[s] + value."""
    if value == -1 or 1 <= value <= 15:  # the narrow form has -1 in the place of 0
        return _narrow(f"addi.n a{t}, a{s}, {value}", t, s, max(value, 0), 11)
    return _wide(f"addi a{t}, a{s}, {value}", signed(value, 8) << 16 | 12 << 12 | s << 8 | t << 4 | 2)


def movi(s, value):
    """a[s] = value, from -32 to 95."""
    value_bits = field(value, 7, -32)
    return _narrow(f"movi.n a{s}, {value}", value_bits & 15, s, value_bits >> 4, 12)


def mov(t, s):
    return _narrow(f"mov.n a{t}, a{s}", 0, s, t, 13)


def slli(r, s, count):
    """a[r] = a[s] << count, from 1 to 31. The field holds 32 - count."""
    rest = field(32 - count, 5, 1)
    return _wide(f"slli a{r}, a{s}, {count}", rest >> 4 << 20 | 1 << 16 | r << 12 | s << 8 | (rest & 15) << 4)


def mull(r, s, t):
    """a[r] = the low word of a[s] * a[t]."""
    return _rrr("mull", 8, 2, r, s, t)


def muluh(r, s, t):
    """a[r] = the high word of a[s] * a[t]."""
    return _rrr("muluh", 10, 2, r, s, t)


def _branch(name, condition, s, t, target):
    bits = condition << 12 | s << 8 | t << 4 | 7
    return Instruction(3, f"{name} a{s}, a{t}", lambda offset: signed(offset - 4, 8) << 16 | bits, target)


def bgeu(s, t, target):
    """Branch if a[s] >= a[t], both without sign; at most 131 bytes away."""
    return _branch("bgeu", 11, s, t, target)


def bltu(s, t, target):
    """Branch if a[s] < a[t], both without sign."""
    return _branch("bltu", 3, s, t, target)


def bne(s, t, target):
    return _branch("bne", 9, s, t, target)


def bnez(s, target):
    """Branch if a[s] is not 0; at most 2,051 bytes away."""
    return Instruction(3, f"bnez a{s}", lambda offset: signed(offset - 4, 12) << 12 | s << 8 | 0x56, target)
