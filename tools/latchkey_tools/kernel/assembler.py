"""The part of our two small assemblers that does not know a chip: labels, and lines to bytes.

A program is a list of lines. A line is an Instruction, which a function named as its opcode makes (xtensa.py, rv32.py),
or a ``label(name)``. Branches name a label.
"""

from collections.abc import Callable
from typing import NamedTuple


class Instruction(NamedTuple):
    """``text``: as GNU's disassembler prints it, without the target. ``bits(offset)``: the ``size`` bytes as a number,
    for a branch to ``target``, ``offset`` bytes away."""

    size: int
    text: str
    bits: Callable[[int], int]
    target: str | None = None


class Label(NamedTuple):
    name: str


label = Label


def assemble(lines):
    """The machine code of ``lines`` (bytes); ValueError if a number does not fit its field or a label is not unique."""
    places, size = {}, 0
    for line in lines:
        if isinstance(line, Label):
            if line.name in places:
                raise ValueError(f"label {line.name!r} is there twice")
            places[line.name] = size
        else:
            size += line.size
    code = bytearray()
    for line in lines:
        if isinstance(line, Instruction):
            offset = places[line.target] - len(code) if line.target else 0
            code += line.bits(offset).to_bytes(line.size, "little")
    return bytes(code)


def listing(lines):
    """``(address, text)`` of every instruction, a branch with its target's address: what a disassembler must print."""
    places, size, found = {}, 0, []
    for line in lines:
        if isinstance(line, Label):
            places[line.name] = size
        else:
            found.append((size, line))
            size += line.size
    return [(at, f"{i.text}, {places[i.target]:x}" if i.target else i.text) for at, i in found]


def field(value, bits, low=0, step=1):
    """``value`` as an unsigned field of ``bits`` bits; ValueError unless it is a multiple of ``step`` that fits.

    ``low``: the least value; what is below zero is stored as its two's complement.
    """
    count = value // step
    if value % step or not low <= value < low + (step << bits):
        raise ValueError(f"{value} does not fit {bits} bits from {low} in steps of {step}")
    return count & (1 << bits) - 1


def signed(value, bits, step=1):
    """``value`` as a field of ``bits`` bits with a sign, in steps of ``step``."""
    return field(value, bits, -(step << bits - 1), step)
