"""MicroPython's tables in an application: names (qstrs), types, frozen modules; and modules read back from them.

Every table is found by what it holds. Sources: MicroPython 1.24 to 1.29 py/qstr.h and qstr.c (pools), py/obj.h
(mp_obj_type_t, object representation A), py/objint_mpz.c, objfloat.c, objstr.h, objtuple.h, py/emitglue.h
(mp_raw_code_t), py/frozenmod.c (names and contents), py/nativeglue.c (mp_fun_table).
"""

import re
import struct
from dataclasses import dataclass

from latchkey_tools.image import need
from latchkey_tools.image.bytecode import BYTECODE, Code, FunTable, Module, uses

_POOL_WORDS = 6  # qstr_pool_t before its array of strings
_POOL_LENGTHS = range(1, 9999)
_POOL_ALLOCS = range(1, 65)
_SORTED = 1 << 31
# Objects that are one word (py/obj.h, representation A).
NONE, FALSE, TRUE = 0x06, 0x0E, 0x1E
_NAMED_TYPES = ("str", "bytes", "int", "float", "tuple", "complex")
_CODE_LIMIT = 0x8000  # no function's bytecode is longer
_INT_MPZ_OWNED = 2  # mpz_t: bit 0 neg, bit 1 fixed_dig, then alloc


def qstr_hash(data, size):
    """py/qstr.c qstr_compute_hash: djb2 cut to ``size`` bytes, never 0."""
    value = 5381
    for byte in data:
        value = (value * 33 ^ byte) & 0xFFFFFFFF
    return (value & ((1 << 8 * size) - 1)) or 1


@dataclass
class Pool:
    """``before``: how many names the pools before it hold."""

    addr: int
    before: int
    is_sorted: bool
    strings: list

    @property
    def size(self):
        return 4 * (_POOL_WORDS + len(self.strings))


class Tables:
    """``.strings``: every name by its number; ``.index``: the other way; ``.pools``; ``.types``: name -> addresses;
    ``.names_addr .names_end .names``, ``.content_addr``, ``.modules``: the frozen modules' two tables."""

    def __init__(self, app):
        self.app = app
        data = app.drom.data
        self._words = struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
        self._find_pools()
        self._find_types()
        self._check_numbers()
        self._find_fun_table()
        self._find_frozen()

    def _in_drom(self, addr, size=1):
        return self.app.drom.addr <= addr and addr + size <= self.app.drom.end

    # ---- names

    def _find_pools(self):
        """The chain of pools; hashes have two bytes or one, by MICROPY_QSTR_BYTES_IN_HASH."""
        for self.hash_bytes in (2, 1):
            self.pools = self._chain()
            if self.pools:
                break
        need(len(self.pools) >= 3, f"there are {len(self.pools)} pools of names: not static, main and frozen")
        known = [pool.is_sorted for pool in self.pools[:3]] == [False, True, True]
        need(known, "the pools of names are not sorted as MicroPython 1.23 and later have them")
        # The numbers of the static names are part of the .mpy format.
        need(self.pools[0].strings[:4] == [b"", b"", b"__dir__", b"\n"], "the static names are not those of .mpy 6")
        self.strings = [string for pool in self.pools for string in pool.strings]
        self.index = {}
        for number, string in enumerate(self.strings[1:], 1):  # number 0 means no name
            need(string not in self.index, f"the name {string!r} is there twice")
            self.index[string] = number

    def _chain(self):
        found, previous, before = [], 0, 0
        while True:
            following = self._pools_after(previous, before)
            if not following:
                return found
            need(len(following) == 1, "two pools of names follow one")
            found += following
            previous, before = found[-1].addr, before + len(found[-1].strings)

    def _pools_after(self, previous, before):
        words, base, found = self._words, self.app.drom.addr, []
        for i in range(len(words) - _POOL_WORDS):
            if words[i] == previous and words[i + 1] & ~_SORTED == before and self._in_drom(words[i + 5]):
                pool = self._pool(base + 4 * i, before)
                if pool:
                    found.append(pool)
        return found

    def _pool(self, addr, before):
        """The pool at ``addr``, or None if its numbers cannot be, or the hash of one of its strings is wrong."""
        _, total, alloc, count, hashes, lengths = struct.unpack("<6I", self.app.read(addr, 24))
        if count not in _POOL_LENGTHS or alloc not in _POOL_ALLOCS:
            return None
        inside = (addr, 24 + 4 * count), (hashes, count * self.hash_bytes), (lengths, count)
        if not all(self._in_drom(*where) for where in inside):
            return None
        strings = []
        for i, at in enumerate(struct.unpack(f"<{count}I", self.app.read(addr + 24, 4 * count))):
            length = self.app.read(lengths + i, 1)[0]
            if not self._in_drom(at, length + 1):
                return None
            string = self.app.read(at, length + 1)
            kept = int.from_bytes(self.app.read(hashes + i * self.hash_bytes, self.hash_bytes), "little")
            is_null = not before and i < 2  # number 0 and the empty name have hashes of their own
            if string[-1] or not is_null and kept != qstr_hash(string[:-1], self.hash_bytes):
                return None
            strings.append(string[:-1])
        pool = Pool(addr, before, bool(total & _SORTED), strings)
        need(not pool.is_sorted or strings == sorted(strings), f"the pool of names at {addr:#x} is not sorted")
        return pool

    # ---- types and objects

    def _find_types(self):
        """mp_type_type is the one object that is of its own type and called "type"; a type is what is of that type."""
        app, name = self.app, self.index[b"type"]
        own = [addr for addr, word in self._all_words() if word == addr and app.u16(addr + 6) == name]
        need(len(own) == 1, f"there are {len(own)} types called type")
        self.types, self.type_names = {}, {}
        for addr in app.words(own[0]):
            if app.segment_at(addr, 12) and app.u16(addr + 6) < len(self.strings):
                string = self.strings[app.u16(addr + 6)].decode()
                self.types.setdefault(string, []).append(addr)
                self.type_names[addr] = string
        for string in _NAMED_TYPES:
            self._choose_type(string)
        ellipsis = [
            at - 4
            for at in app.words(self.index[b"Ellipsis"])
            if app.segment_at(at - 4, 4) and self.type_names.get(app.u32(at - 4)) == ""
        ]
        need(len(ellipsis) == 1, "there is not exactly one Ellipsis")
        self.ellipsis = ellipsis[0]

    def _all_words(self):
        for segment in self.app.segments:
            first = -segment.addr % 4
            count = max(len(segment.data) - first - 8, 0) // 4
            words = struct.unpack_from(f"<{count}I", segment.data, first) if count else ()
            yield from zip(range(segment.addr + first, segment.end, 4), words, strict=False)

    def _choose_type(self, string):
        """Of several with one name (attrtuple is called tuple too), what the table of builtins calls so."""
        called = {self.app.u32(at + 4) for at in self.app.words(qstr_word(self.index[string.encode()]))
                  if self.app.segment_at(at + 4, 4)}  # fmt: skip
        self.types[string] = [addr for addr in self.types.get(string, ()) if addr in called]
        need(len(self.types[string]) == 1, f"there is not exactly one type {string}")

    def type(self, name):
        return self.types[name][0]

    def _check_numbers(self):
        """sys.maxsize shows that integers have digits of 16 bits, math.pi that a float is one word of 32 bits."""
        app = self.app
        ints = [at for at in app.words(self.type("int")) if app.segment_at(at, 16)]
        maxsize = [at for at in ints if app.u32(at + 4) == 2 << 2 | _INT_MPZ_OWNED and app.u32(at + 8) == 2]
        digits = [app.u32(at + 12) for at in maxsize]
        found = any(app.segment_at(at, 4) and app.u32(at) == 0x7FFFFFFF for at in digits)
        need(found, "sys.maxsize is not kept in digits of 16 bits")
        floats = [at for at in app.words(self.type("float")) if app.segment_at(at, 8)]
        need(any(app.u32(at + 4) == 0x40490FDB for at in floats), "math.pi is not one float of 32 bits")

    def _find_fun_table(self):
        """It begins with None, False and True and goes on with functions. An image without native code has none."""
        app = self.app
        found = []
        for at in app.words(NONE):
            if app.segment_at(at, 172):
                words = struct.unpack("<43I", app.read(at, 172))
                if words[1:3] == (FALSE, TRUE) and all(w >= 0x40000000 and app.segment_at(w) for w in words[3:]):
                    found.append(at)
        need(len(found) < 2, f"{len(found)} tables look like mp_fun_table")
        self.fun_table = found[0] if found else None

    # ---- frozen modules

    def _find_frozen(self):
        """The longest run of names for which there is a table of modules, each called as its name says."""
        data, found = bytes(self.app.drom.data), []
        for match in re.finditer(rb"(?:[A-Za-z0-9_./-]+\.py\0)+\0", data):
            names, first = match[0][:-2].split(b"\0"), match.start()
            # Other text may lie right before the table, and look like a name of it or a part of its first.
            for skip in range(len(names)):
                content, own = self._content(names[skip:])
                if content:
                    start = self.app.drom.addr + first + len(names[skip]) - len(own)
                    found.append((len(names) - skip, start, match.end(), [own, *names[skip + 1 :]], content))
                    break
                first += len(names[skip]) + 1
        longest = max((one[0] for one in found), default=0)
        # A name among the qstrs that two NULs happen to end looks like a table of one.
        found = [one for one in found if one[0] == longest]
        need(len(found) == 1 and longest > 3, "there is not exactly one table of frozen modules")
        _, self.names_addr, end, self.names, self.content_addr = found[0]
        self.names_end = self.app.drom.addr + end
        self.modules = [self.app.u32(self.content_addr + 4 * i) for i in range(len(self.names))]

    def _content(self, names):
        """``(address, first name)`` of the table of modules with these names, or Nones."""
        for i in range(len(self._words) - len(names) + 1):
            own = self._module_name(self._words[i])
            if own and names[0].endswith(own):
                rest = zip(self._words[i + 1 : i + len(names)], names[1:], strict=True)
                if all(self._module_name(word) == name for word, name in rest):
                    return self.app.drom.addr + 4 * i, own
        return None, None

    def _module_name(self, addr):
        """The first name in a module's table of names: the module's own."""
        if addr % 4 or not self._in_drom(addr, 12):
            return None
        table = self.app.u32(addr)
        if table % 2 or not self._in_drom(table, 2):
            return None
        number = self.app.u16(table)
        return self.strings[number] if number < len(self.strings) else None


def qstr_word(number):
    """A name as an object."""
    return number << 3 | 2


class Reader:
    """Frozen modules of an application, back as Module. ``.plain`` and ``.full`` count functions kept as mere bytecode
    and as mp_raw_code_t."""

    def __init__(self, tables):
        self._tables = tables
        self._app = tables.app
        self.plain = self.full = 0

    def module(self, addr, expected=None):
        """``expected``: the Module that was written there; needed for machine code, whose length is kept nowhere."""
        table, constants, proto = struct.unpack("<3I", self._app.read(addr, 12))
        qstrs, objects = {0}, set()
        code = self._code(proto, qstrs, objects, expected and expected.code)
        if any(one.kind != BYTECODE for one in _tree(code)):
            qstrs, objects = set(expected.qstrs), set(expected.objects)  # machine code does not show what it uses
        need(constants or not objects, "a module without constants uses some")
        names = {i: self._name(self._app.u16(table + 2 * i)) for i in sorted(qstrs)}
        values = {i: self.object(self._app.u32(constants + 4 * i)) for i in sorted(objects)}
        return Module(names[0].decode(), names, values, code)

    def _name(self, number):
        need(0 < number < len(self._tables.strings), f"name {number} does not exist")
        return self._tables.strings[number]

    def _code(self, addr, qstrs, objects, expected):
        if self._app.read(addr, 2) != b"\0\0":
            self.plain += 1
            return self._bytecode(addr, 0, None, qstrs, objects, expected)
        self.full += 1
        need(addr % 4 == 0, "a mp_raw_code_t is not aligned")
        kind, is_generator, data, children = struct.unpack("<BBII", self._app.read(addr + 2, 10))
        need(is_generator in (0, 1), "is_generator is not a truth value")
        if kind == BYTECODE:
            return self._bytecode(data, children, bool(is_generator), qstrs, objects, expected)
        need(expected and kind == expected.kind, f"a frozen function is of unknown kind {kind}")
        read = self._app.read(data, len(expected.data))
        return Code(kind, read, bool(is_generator), self._children(children, expected.children, qstrs, objects))

    def _bytecode(self, addr, children_addr, is_generator, qstrs, objects, expected):
        segment = self._app.segment_at(addr)
        need(segment is self._app.drom, "bytecode does not lie among the constants")
        at = addr - segment.addr
        window = bytes(segment.data[at : at + _CODE_LIMIT])
        used = uses(window)
        need(is_generator in (None, used.is_generator), "is_generator is not as the bytecode says")
        need(bool(used.children) == bool(children_addr), "children are not as the bytecode says")
        qstrs |= used.qstrs
        objects |= used.objects
        count = max(used.children, default=-1) + 1
        expected = expected.children if expected else [None] * count
        need(len(expected) >= count, "there are more functions than were written")
        children = self._children(children_addr, expected[:count], qstrs, objects)
        return Code(BYTECODE, window[: used.end], used.is_generator, children)

    def _children(self, addr, expected, qstrs, objects):
        return [self._code(self._app.u32(addr + 4 * i), qstrs, objects, one) for i, one in enumerate(expected)]

    def object(self, word):
        """The Python value of a constant."""
        if word & 1:
            return (word - (word >> 31 << 32)) >> 1
        if word & 7 == 2:
            return self._name(word >> 3).decode()
        if word in (NONE, FALSE, TRUE):
            return {NONE: None, FALSE: False, TRUE: True}[word]
        if word == self._tables.ellipsis:
            return ...
        if word == self._tables.fun_table:
            return FunTable()
        need(word % 4 == 0 and self._app.segment_at(word, 8), f"a constant at {word:#x} is not in the image")
        kind = self._tables.type_names.get(self._app.u32(word), "unknown")
        read = {"str": self._text, "bytes": self._text, "int": self._int, "float": self._float,
                "complex": self._complex, "tuple": self._tuple}.get(kind)  # fmt: skip
        need(read, f"a constant is of type {kind}")
        return read(word, kind)

    def _text(self, addr, kind):
        _, kept, length, at = struct.unpack("<4I", self._app.read(addr, 16))
        data = self._app.read(at, length + 1)
        need(data[-1] == 0, "a text does not end with NUL")
        need(kept in (0, qstr_hash(data[:-1], self._tables.hash_bytes)), "a text's hash is wrong")
        return data[:-1].decode() if kind == "str" else data[:-1]

    def _int(self, addr, _kind):
        _, flags, count, digits = struct.unpack("<4I", self._app.read(addr, 16))
        need(flags & _INT_MPZ_OWNED and flags >> 2 == count, "an integer is not kept as MicroPython does")
        value = int.from_bytes(self._app.read(digits, 2 * count), "little")
        return -value if flags & 1 else value

    def _float(self, addr, _kind):
        return struct.unpack("<f", self._app.read(addr + 4, 4))[0]

    def _complex(self, addr, _kind):
        return complex(*struct.unpack("<ff", self._app.read(addr + 4, 8)))

    def _tuple(self, addr, _kind):
        count = self._app.u32(addr + 4)
        return tuple(self.object(self._app.u32(addr + 8 + 4 * i)) for i in range(count))


def _tree(code):
    yield code
    for child in code.children:
        yield from _tree(child)
