"""The parts of a compiled module (.mpy), and the things that a function's bytecode uses.

Sources: MicroPython 1.24 to 1.29 py/bc.h (prelude), py/bc0.h (opcodes), py/persistentcode.c (.mpy version 6.3),
tools/mpy-tool.py (how constants are kept).
"""

from dataclasses import dataclass, field

from latchkey_tools.image import need

BYTECODE, NATIVE, VIPER, ASM = 2, 3, 4, 5  # enum mp_raw_code_kind_t
_LAST_STATIC = b"zip"  # of the names that a .mpy gives by number
_MPY_VERSION = 6
_SMALL_INT_BITS = 31


@dataclass
class Code:
    """A function: ``data`` is bytecode or machine code, ``children`` the functions inside it."""

    kind: int
    data: bytes
    is_generator: bool = False
    children: list = field(default_factory=list)


@dataclass
class Module:
    """``name``: path as frozen; ``qstrs``: index -> bytes; ``objects``: index -> Python value (the constants)."""

    name: str
    qstrs: dict
    objects: dict
    code: Code


class FunTable:
    """The constant by which machine code calls the runtime (mp_fun_table)."""

    def __eq__(self, other):
        return isinstance(other, FunTable)

    def __repr__(self):
        return "<mp_fun_table>"


def vuint(data, at):
    """``(value, position after it)`` of a number in groups of seven bits, the highest group first."""
    value = 0
    while True:
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, at


# ---- the prelude of a function (py/bc.h)


@dataclass
class Prelude:
    """``names``: indices of the qstrs of the function and its arguments; ``code_at``: where its instructions begin."""

    is_generator: bool
    names: list
    code_at: int


def prelude(data):
    flags, arguments, at = _signature(data)
    info, cells, at = _sizes(data, at)
    names, name_at = [], at
    for _ in range(1 + arguments):
        number, name_at = vuint(data, name_at)
        names.append(number)
    need(name_at <= at + info, "a function's names are longer than their place")
    return Prelude(bool(flags & 1), names, at + info + cells)


def _signature(data):
    """MP_BC_PRELUDE_SIG: the first byte is xSSSSEAA, the next ones xFSSKAED."""
    byte, at = data[0], 1
    positional, keyword, flags, n = byte & 3, 0, 0, 0
    while byte & 0x80:
        byte = data[at]
        at += 1
        flags |= (byte >> 6 & 1) << n
        positional |= (byte & 4) << n
        keyword |= (byte >> 3 & 1) << n
        n += 1
    return flags, positional + keyword, at


def _sizes(data, at):
    """MP_BC_PRELUDE_SIZE: bytes xIIIIIIC, bits of the size of the source information and of the number of cells."""
    info = cells = n = 0
    while True:
        byte = data[at]
        at += 1
        info |= (byte >> 1 & 0x3F) << 6 * n
        cells |= (byte & 1) << n
        n += 1
        if not byte & 0x80:
            return info, cells, at


# ---- instructions (py/bc0.h)

_PLAIN, _QSTR, _UINT, _JUMP = range(4)
_FORMAT_BY_UPPER_HALF = [_PLAIN, _QSTR, _UINT, _UINT, _JUMP] + [_PLAIN] * 11
_DEFINED = frozenset(
    [*range(0x10, 0x1D), *range(0x20, 0x38), 0x40, *range(0x42, 0x4C), *range(0x50, 0x60), *range(0x62, 0x6A)]
    + [*range(0x70, 0x100)]
)
_ONE_MORE_BYTE = (0x00, 0x01, 0x20, 0x21, 0x40, 0x41, 0x60, 0x61)
_SIGNED_JUMPS = (0x40, 0x42, 0x43, 0x44)
# unwind_jump, jump, pop_except_jump, return and the raises: what follows is reached only by a jump.
_ENDS = (0x40, 0x42, 0x4A, 0x63, 0x64, 0x65, 0x66)
_LOAD_CONST_OBJ = 0x23
_MAKE_FUNCTION = (0x20, 0x21, 0x32, 0x33)


@dataclass
class Uses:
    """The things that a function's bytecode can reach: indices of qstrs, objects and children; ``end``: its length."""

    is_generator: bool
    qstrs: set
    objects: set = field(default_factory=set)
    children: set = field(default_factory=set)
    end: int = 0


def uses(data):
    """Follow the control flow from the first instruction; Refused at an opcode that does not exist."""
    head = prelude(data)
    found = Uses(head.is_generator, set(head.names), end=head.code_at)
    todo, seen = [head.code_at], set()
    while todo:
        at = todo.pop()
        while at not in seen:
            seen.add(at)
            op, target, at = _step(data, at, found)
            found.end = max(found.end, at)
            if target is not None:
                todo.append(target)
            if op in _ENDS:
                break
    return found


def _step(data, at, found):
    """``(opcode, where it may jump or None, position after it)``; notes in ``found`` what it uses."""
    op, target = data[at], None
    need(op in _DEFINED, f"unknown opcode {op:#x}")
    kind, at = _FORMAT_BY_UPPER_HALF[op >> 4], at + 1
    if kind == _JUMP:
        offset, at = _jump(data, at, op in _SIGNED_JUMPS)
        target = at + offset
    elif kind != _PLAIN:
        argument, at = vuint(data, at)
        if kind == _QSTR:
            found.qstrs.add(argument)
        elif op == _LOAD_CONST_OBJ:
            found.objects.add(argument)
        elif op in _MAKE_FUNCTION:
            found.children.add(argument)
    return op, target, at + (op in _ONE_MORE_BYTE)


def _jump(data, at, signed):
    """An offset of one byte, or of two where the first has its high bit set."""
    if data[at] & 0x80:
        return (data[at] & 0x7F | data[at + 1] << 7) - (0x4000 if signed else 0), at + 2
    return data[at] - (0x40 if signed else 0), at + 1


# ---- .mpy


class _Mpy:
    def __init__(self, raw, static):
        self.raw, self.at, self.static = raw, 4, static

    def byte(self):
        self.at += 1
        return self.raw[self.at - 1]

    def take(self, size):
        self.at += size
        need(self.at <= len(self.raw), "a .mpy is cut short")
        return self.raw[self.at - size : self.at]

    def uint(self):
        value, self.at = vuint(self.raw, self.at)
        return value

    def qstr(self):
        size = self.uint()
        if size & 1:
            known = size >> 1 <= self.static.index(_LAST_STATIC)
            need(known, "mpy-cross knows other static names than the image: use the mpy-cross of its version")
            return self.static[size >> 1]
        return self.text(size >> 1)

    def text(self, size):
        found = self.take(size)
        need(self.byte() == 0, "a text in a .mpy does not end with NUL")
        return found

    def constant(self):
        """py/persistentcode.h: MP_PERSISTENT_OBJ_*."""
        kind = self.byte()
        if kind < 5:
            return (FunTable(), None, False, True, ...)[kind]
        size = self.uint()
        if kind == 10:
            return tuple(self.constant() for _ in range(size))
        if kind in (5, 6):
            found = self.text(size)
            return found.decode() if kind == 5 else found
        need(kind in (7, 8, 9), f"a .mpy holds a constant of unknown kind {kind}")
        return (int, float, complex)[kind - 7](self.take(size).decode())

    def code(self):
        head = self.uint()
        kind, data, is_generator = (head & 3) + BYTECODE, self.take(head >> 3), False
        if kind == BYTECODE:
            is_generator = prelude(data).is_generator
        else:
            need(kind == VIPER, "only bytecode and viper functions can be frozen, not @native or assembler")
            need(self.uint() & ~0x0F == 0, "machine code with relocations cannot be frozen")
        children = [self.code() for _ in range(self.uint())] if head & 4 else []
        return Code(kind, data, is_generator, children)


def read_mpy(raw, static):
    """The Module in a .mpy; ``static``: the image's names that every .mpy gives by number."""
    need(raw[:2] == bytes((ord("M"), _MPY_VERSION)), "a module was not compiled to .mpy version 6")
    need(raw[3] <= _SMALL_INT_BITS, "a module was compiled for wider numbers than the chip's")
    mpy = _Mpy(raw, static)
    qstr_count, constant_count = mpy.uint(), mpy.uint()
    qstrs = [mpy.qstr() for _ in range(qstr_count)]
    constants = [mpy.constant() for _ in range(constant_count)]
    code = mpy.code()
    need(mpy.at == len(raw), "a .mpy is longer than its code")
    return Module(qstrs[0].decode(), dict(enumerate(qstrs)), dict(enumerate(constants)), code)
