"""An assembler for the few opcodes of RV32IMC (ESP32-C3, C6) that the kernel uses.

Encodings: "The RISC-V Instruction Set Manual, Volume I", chapters "RV32/64G Instruction Set Listings" and "C". The
16-bit form (``c.`` in its name) is taken where it can hold the operands, as GNU's assembler does.
Registers are numbers: ra holds the return address, a0 to a7 and t0 to t6 belong to the callee.
"""

from latchkey_tools.kernel.assembler import Instruction, field, label, signed

__all__ = ["label", *"ret lw sw lbu sb add sub addi mv slli sltu mul mulhu bne bltu bgeu".split()]
zero, ra, sp, gp, tp, t0, t1, t2, s0, s1, a0, a1, a2, a3, a4, a5, a6, a7 = range(18)
t3, t4, t5, t6 = range(28, 32)
NAMES = "zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6".split()
__all__ += ["zero", "ra", *(f"a{i}" for i in range(8)), *(f"t{i}" for i in range(7))]


def _full(text, bits):
    return Instruction(4, text, lambda _offset: bits)


def _short(text, bits):
    return Instruction(2, text, lambda _offset: bits)


def _regs(*numbers):
    return ",".join(NAMES[number] for number in numbers)


def _is_short(*numbers):
    """Whether three bits can name each of these registers: s0, s1, a0 to a5."""
    return all(8 <= number < 16 for number in numbers)


def _register(name, funct7, funct3, rd, rs1, rs2):
    bits = funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | 0x33
    return _full(f"{name} {_regs(rd, rs1, rs2)}", bits)


def ret():
    """Return: jump to what ra holds."""
    return _short("c.jr ra", 4 << 13 | ra << 7 | 2)


def _word_offset(offset):
    """The offset of c.lw and c.sw, bits 5:3 in 12:10, bit 2 in 6, bit 6 in 5."""
    field(offset, 5, step=4)
    return (offset >> 3 & 7) << 10 | (offset >> 2 & 1) << 6 | (offset >> 6 & 1) << 5


def lw(rd, offset, rs1):
    """rd = the word at rs1 + offset."""
    if _is_short(rd, rs1) and 0 <= offset < 128:
        bits = 2 << 13 | _word_offset(offset) | (rs1 - 8) << 7 | (rd - 8) << 2
        return _short(f"c.lw {_regs(rd)},{offset}({_regs(rs1)})", bits)
    bits = signed(offset, 12) << 20 | rs1 << 15 | 2 << 12 | rd << 7 | 0x03
    return _full(f"lw {_regs(rd)},{offset}({_regs(rs1)})", bits)


def _store(name, funct3, rs2, offset, rs1):
    high, low = divmod(signed(offset, 12), 32)
    bits = high << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | low << 7 | 0x23
    return _full(f"{name} {_regs(rs2)},{offset}({_regs(rs1)})", bits)


def sw(rs2, offset, rs1):
    """The word at rs1 + offset = rs2."""
    if _is_short(rs2, rs1) and 0 <= offset < 128:
        bits = 6 << 13 | _word_offset(offset) | (rs1 - 8) << 7 | (rs2 - 8) << 2
        return _short(f"c.sw {_regs(rs2)},{offset}({_regs(rs1)})", bits)
    return _store("sw", 2, rs2, offset, rs1)


def lbu(rd, offset, rs1):
    """rd = the byte at rs1 + offset."""
    return _full(
        f"lbu {_regs(rd)},{offset}({_regs(rs1)})", signed(offset, 12) << 20 | rs1 << 15 | 4 << 12 | rd << 7 | 0x03
    )


def sb(rs2, offset, rs1):
    """The byte at rs1 + offset = the low byte of rs2."""
    return _store("sb", 0, rs2, offset, rs1)


def add(rd, rs1, rs2):
    if rd == rs1 and rd != zero and rs2 != zero:
        return _short(f"c.add {_regs(rd, rs2)}", 9 << 12 | rd << 7 | rs2 << 2 | 2)
    return _register("add", 0, 0, rd, rs1, rs2)


def sub(rd, rs1, rs2):
    """rd = rs1 - rs2."""
    if rd == rs1 and _is_short(rd, rs2):
        return _short(f"c.sub {_regs(rd, rs2)}", 0x23 << 10 | (rd - 8) << 7 | (rs2 - 8) << 2 | 1)
    return _register("sub", 0x20, 0, rd, rs1, rs2)


def addi(rd, rs1, value):
    """rd = rs1 + value; from zero it is what others call li."""
    if rs1 in (rd, zero) and rd != zero and -32 <= value < 32 and (value or rs1 == zero):
        name, funct3 = ("c.li", 2) if rs1 == zero else ("c.addi", 0)
        value_bits = signed(value, 6)
        bits = funct3 << 13 | value_bits >> 5 << 12 | rd << 7 | (value_bits & 31) << 2 | 1
        return _short(f"{name} {_regs(rd)},{value}", bits)
    return _full(f"addi {_regs(rd, rs1)},{value}", signed(value, 12) << 20 | rs1 << 15 | rd << 7 | 0x13)


def mv(rd, rs2):
    return _short(f"c.mv {_regs(rd, rs2)}", 8 << 12 | rd << 7 | rs2 << 2 | 2)


def slli(rd, rs1, count):
    """rd = rs1 << count."""
    if rd == rs1 and rd != zero and count:
        return _short(f"c.slli {_regs(rd)},0x{count:x}", field(count, 5) << 2 | rd << 7 | 2)
    return _full(f"slli {_regs(rd, rs1)},0x{count:x}", field(count, 5) << 20 | rs1 << 15 | 1 << 12 | rd << 7 | 0x13)


def sltu(rd, rs1, rs2):
    """rd = 1 if rs1 < rs2 without sign, else 0: the carry of a sum, the borrow of a difference."""
    return _register("sltu", 0, 3, rd, rs1, rs2)


def mul(rd, rs1, rs2):
    """rd = the low word of rs1 * rs2."""
    return _register("mul", 1, 0, rd, rs1, rs2)


def mulhu(rd, rs1, rs2):
    """rd = the high word of rs1 * rs2, both without sign."""
    return _register("mulhu", 1, 3, rd, rs1, rs2)


def _branch(name, funct3, rs1, rs2, target):
    fixed = rs2 << 20 | rs1 << 15 | funct3 << 12 | 0x63

    def bits(offset):
        way = signed(offset, 12, 2) << 1
        return (way >> 12) << 31 | (way >> 5 & 63) << 25 | (way >> 1 & 15) << 8 | (way >> 11 & 1) << 7 | fixed

    return Instruction(4, f"{name} {_regs(rs1, rs2)}", bits, target)


def bne(rs1, rs2, target):
    return _branch("bne", 1, rs1, rs2, target)


def bltu(rs1, rs2, target):
    """Branch if rs1 < rs2, both without sign."""
    return _branch("bltu", 6, rs1, rs2, target)


def bgeu(rs1, rs2, target):
    """Branch if rs1 >= rs2, both without sign."""
    return _branch("bgeu", 7, rs1, rs2, target)
