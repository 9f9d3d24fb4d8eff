"""Write modules into an application: constants and names behind its own constants, machine code behind its code.

MicroPython then reads all of it in place from flash; RAM gets none of it. docs/image.md draws what moves where.
"""

import hashlib
import struct
from dataclasses import dataclass

from latchkey_tools.image import Refused, need
from latchkey_tools.image.bytecode import BYTECODE, FunTable, read_mpy
from latchkey_tools.image.container import PAGE, Download
from latchkey_tools.image.partitions import Table
from latchkey_tools.image.references import OF_CPU
from latchkey_tools.image.tables import FALSE, NONE, TRUE, Reader, Tables, qstr_hash, qstr_word

# The last pool of ours takes the place of the image's last one, so it must not be longer.
_HEAD_POOL = 10
# Shorter texts among the constants become names, as in MicroPython's own freezing (tools/mpy-tool.py).
_INTERN_BELOW = 25
_LONGEST_NAME = 255  # MICROPY_QSTR_BYTES_IN_LEN is 1
# The processor fetches ahead of what it executes.
_FETCH_AHEAD = 16
# Names of the parts that are not modules.
TABLES, CODE = "the tables of names and modules", "the machine code"
_HELP = b"Plus any modules on the filesystem\n"
# Both users of the names lie within this many bytes of the mark that identifies their function.
_SAME_FUNCTION = 256


class _Blob:
    """Bytes that are added at ``addr``; the same bytes are there once."""

    def __init__(self, addr):
        self.addr = addr
        self.data = bytearray()
        self._known = {}

    def put(self, data, align=1):
        """The address of ``data``."""
        known = self._known.get(data)
        if known is not None and known % align == 0:
            return known
        self.data += bytes(-(self.addr + len(self.data)) % align)
        self._known[data] = addr = self.addr + len(self.data)
        self.data += data
        return addr

    def words(self, *values):
        return self.put(struct.pack(f"<{len(values)}I", *values), 4)


class _Writer:
    def __init__(self, tables, blob, code_blob):
        self._tables = tables
        self._blob = blob
        self._code_blob = code_blob
        self._index = dict(tables.index)
        self.new_names = []  # pools of strings

    # ---- names

    def number(self, modules):
        """Give a number to every name that the image does not have yet, in at most three pools.

        The runtime's search in a sorted pool ends at a NUL, so names with one go to a pool that is not sorted.
        """
        new = sorted(_names(modules) - set(self._index))
        need(all(len(string) <= _LONGEST_NAME for string in new), f"a name is longer than {_LONGEST_NAME} bytes")
        plain = [string for string in new if 0 not in string]
        pools = [string for string in new if 0 in string], plain[:-_HEAD_POOL], plain[-_HEAD_POOL:]
        self.new_names = [pool for pool in pools if pool]
        for pool in self.new_names:
            for string in pool:
                self._index[string] = len(self._index) + 1
        need(len(self._index) < 0xFFFF, "there are more names than 16 bits can number")

    def pools(self):
        """Chain the new pools to the image's.

        The runtime's search begins at the address of the image's last pool. That pool moves, and the last of ours takes
        its place, so no code changes. ``alloc`` is never more than ``len``: the runtime would add names in flash.
        """
        if not self.new_names:
            return
        app, last = self._tables.app, self._tables.pools[-1]
        need(len(self.new_names[-1]) <= len(last.strings), "the image's last pool of names is too short")
        previous, before = self._blob.put(app.read(last.addr, last.size), 4), len(self._tables.strings)
        for pool in self.new_names:
            words = self._pool(previous, before, pool)
            if pool is self.new_names[-1]:
                for i, word in enumerate(words):
                    app.put32(last.addr + 4 * i, word)
            else:
                previous, before = self._blob.words(*words), before + len(pool)

    def _pool(self, previous, before, strings):
        size, put = self._tables.hash_bytes, self._blob.put
        hashes = put(b"".join(qstr_hash(string, size).to_bytes(size, "little") for string in strings), size)
        lengths = put(bytes(map(len, strings)))
        is_sorted = not any(0 in string for string in strings)
        texts = [put(string + b"\0") for string in strings]
        return (previous, before | is_sorted << 31, min(len(strings), 10), len(strings), hashes, lengths, *texts)

    # ---- modules

    def module(self, module):
        names = struct.pack(f"<{len(module.qstrs)}H", *(self._index[string] for string in module.qstrs.values()))
        constants = [self._object(value) for value in module.objects.values()]
        constants_addr = self._blob.words(*constants) if constants else 0
        return self._blob.words(self._blob.put(names, 4), constants_addr, self._code(module.code))

    def _code(self, code):
        """Bytecode without children is kept as it is, everything else as a mp_raw_code_t."""
        if code.kind == BYTECODE:
            need(code.data[:2] != b"\0\0", "a function's bytecode begins with two NULs")
            data = self._blob.put(code.data)
            if not code.children:
                return data
        else:
            data = self._code_blob.put(code.data + bytes(-len(code.data) % 4), 4)
        children = self._blob.words(*map(self._code, code.children)) if code.children else 0
        return self._blob.words(code.kind << 16 | code.is_generator << 24, data, children)

    def _object(self, value):
        if isinstance(value, FunTable):
            need(self._tables.fun_table, "this image cannot run machine code from .mpy files")
            return self._tables.fun_table
        if value is None or isinstance(value, bool):
            return {None: NONE, False: FALSE, True: TRUE}[value]
        if value is ...:
            return self._tables.ellipsis
        write = {str: self._str, bytes: self._bytes, int: self._int, float: self._float,
                 complex: self._complex, tuple: self._tuple}.get(type(value))  # fmt: skip
        need(write, f"a constant of type {type(value).__name__} cannot be frozen")
        return write(value)

    def _str(self, value):
        data = value.encode()
        return qstr_word(self._index[data]) if data in self._index else self._text("str", data)

    def _bytes(self, value):
        return self._text("bytes", value)

    def _text(self, kind, data):
        kept = qstr_hash(data, self._tables.hash_bytes)
        return self._blob.words(self._tables.type(kind), kept, len(data), self._blob.put(data + b"\0"))

    def _int(self, value):
        if -(1 << 30) <= value < 1 << 30:
            return (value << 1 | 1) & 0xFFFFFFFF
        count = -(-abs(value).bit_length() // 16)
        digits = self._blob.put(abs(value).to_bytes(2 * count, "little"), 2)
        return self._blob.words(self._tables.type("int"), count << 2 | 2 | (value < 0), count, digits)

    def _float(self, value):
        return self._blob.put(struct.pack("<If", self._tables.type("float"), value), 4)

    def _complex(self, value):
        return self._blob.put(struct.pack("<Iff", self._tables.type("complex"), value.real, value.imag), 4)

    def _tuple(self, value):
        return self._blob.words(self._tables.type("tuple"), len(value), *map(self._object, value))


def _names(modules):
    """Every name that the modules need: their own, those their code uses, and short constants."""
    wanted = set()

    def constant(value):
        if isinstance(value, str) and len(value) < _INTERN_BELOW:
            wanted.add(value.encode())
        elif isinstance(value, tuple):
            for one in value:
                constant(one)

    for module in modules:
        wanted.update(module.qstrs.values())
        # An import makes these of the path, also of its folders: without them each dotted name would be made in RAM.
        names = module.name.removesuffix(".py").removesuffix("/__init__").split("/")
        wanted.update(".".join(names[:count]).encode() for count in range(1, len(names) + 1))
        for value in module.objects.values():
            constant(value)
    return wanted


@dataclass(frozen=True)
class Part:
    """Bytes that were added: a module's, by its name, the machine code, or the tables."""

    name: str
    addr: int
    size: int
    sha256: bytes


@dataclass
class Report:
    """``added``, ``code_added``: bytes, before rounding to ``pages``; ``names``: new ones; ``sites``: what changed;
    ``parts``: every Part; ``size`` of the application; ``heap``: bytes of the first heap, None where it was left;
    ``table``: of partitions."""

    modules: int
    added: int
    code_added: int
    pages: int
    names: int
    sites: dict
    parts: list
    size: int = 0
    heap: int | None = None
    table: Table | None = None


def freeze(raw, mpys, made_from="", heap=None):
    """``(bytes, Report)``: the image ``raw`` with ``mpys`` (path as frozen -> bytes of the .mpy).

    ``heap``: bytes of MicroPython's first heap, set where the image shows its place beyond doubt. Raises Refused; the
    result was read back and compared before it is returned.
    """
    try:
        return _freeze(raw, mpys, made_from, heap)
    except (IndexError, KeyError, ValueError, RecursionError, struct.error) as exc:
        raise Refused(f"the image is not as MicroPython lays it out ({type(exc).__name__}: {exc})") from None


def _freeze(raw, mpys, made_from, heap):
    download = Download(raw)
    app = download.app
    need(not app.is_made_here, "modules are frozen into this image already: begin with the official download")
    tables = Tables(app)
    reader = Reader(tables)
    old = [reader.module(addr) for addr in tables.modules]
    need(reader.plain and reader.full, "functions without children are not kept as plain bytecode")
    new = _compiled(mpys, tables.pools[0].strings)
    references = OF_CPU[app.chip.cpu](app)
    sites = _find_sites(references, tables)
    report = _write(app, tables, references, sites, new)
    report.heap = _set_heap(references, sites, heap)
    app.mark(made_from)
    out, report.table = download.to_bytes()
    report.size = len(out) - len(download.before)
    verify(out, tables, old, new)
    return out, report


def _compiled(mpys, static):
    modules = []
    for name, mpy in mpys.items():
        module = read_mpy(mpy, static)
        need(module.name == name, f"{name} was compiled as {module.name}")
        modules.append(module)
    return modules


def _find_sites(references, tables):
    """Where code holds the addresses of the two tables of frozen modules and of the end of the constants.

    mp_find_frozen_module uses both tables, mp_help_print_modules the names; another reference would be an unknown one.
    """
    app = tables.app
    names = references.to_table(tables.names_addr, tables.names_end, "the names of frozen modules")
    end = tables.content_addr + 4 * len(tables.names)
    content = references.to_table(tables.content_addr, end, "the contents of frozen modules")
    at = app.drom.data.find(_HELP) + app.drom.addr
    need(at >= app.drom.addr, "the words of help('modules') are not in the image")
    help_words = references.to_table(at, at + 1, "the words of help('modules')")
    finding, helping = _before(references, names, content), _before(references, names, help_words)
    need(finding, "mp_find_frozen_module does not use both tables")
    need(helping, "mp_help_print_modules does not use the names")
    need(set(finding + helping) == set(names) and len(content) == 1, "unknown code uses the tables of frozen modules")
    return {"names": names, "content": content, "end of constants": references.reserved_ends(app.drom)}


def _before(references, sites, others):
    """Those of ``sites`` that code uses shortly before one of ``others``, so in the same function.

    A word that only looks like a use does not count: on Xtensa chance gives one literal in four such a use.
    """
    ends = references.users(others)
    near = lambda user: any(0 < end - user < _SAME_FUNCTION for end in ends)  # noqa: E731
    return [site for site in sites if any(map(near, references.users([site])))]


def _write(app, tables, references, sites, new):
    blob, code_blob = _Blob(app.drom.end + 15 & ~15), _Blob(app.irom.end + 3 & ~3)
    writer = _Writer(tables, blob, code_blob)
    writer.number(new)
    addrs, starts = [], []
    for module in new:
        starts.append((module.name, len(blob.data)))
        addrs.append(writer.module(module))
    starts.append((TABLES, len(blob.data)))
    writer.pools()
    content = blob.words(*addrs, *tables.modules)
    all_names = [module.name.encode() for module in new] + tables.names
    names = blob.put(b"".join(name + b"\0" for name in all_names) + b"\0")
    parts = [*_parts(blob, starts), *_parts(code_blob, [(CODE, 0)])]
    pages = _append(app, blob, code_blob)
    for what, value in (("names", names), ("content", content)):
        for site in sites[what]:
            references.put(site, value)
    for site, offset in sites["end of constants"].items():
        references.put(site, app.drom.end + offset)
    count = sum(map(len, writer.new_names))
    counts = len(new), len(blob.data), len(code_blob.data), pages, count
    return Report(*counts, sites, parts)


def _parts(blob, starts):
    """A Part for each (name, where in the blob it starts)."""
    ends = [start for _, start in starts[1:]] + [len(blob.data)]
    for (name, start), end in zip(starts, ends, strict=True):
        yield Part(name, blob.addr + start, end - start, hashlib.sha256(blob.data[start:end]).digest())


def _append(app, blob, code_blob):
    """Constants grow by whole pages, so that the code behind them in the file stays aligned; returns how many."""
    pages = -(-(blob.addr + len(blob.data) - app.drom.end) // PAGE)
    end = app.drom.end + pages * PAGE
    need(end - 1 in app.chip.drom, "the constants would leave the chip's addresses for them")
    others = [s for s in app.segments if s is not app.drom and app.drom.addr < s.addr]
    need(all(s.addr >= end for s in others if s.addr in app.chip.drom), "the constants would reach the code")
    app.drom.data += bytes(blob.addr - app.drom.end) + blob.data
    app.drom.data += bytes(end - app.drom.end)
    if code_blob.data:
        code_blob.data += bytes(_FETCH_AHEAD)
        last = code_blob.addr + len(code_blob.data) - 1
        need(last // PAGE == (app.irom.end - 1) // PAGE, "the machine code needs another page of code")
        app.irom.data += bytes(code_blob.addr - app.irom.end) + code_blob.data
    return pages


def _set_heap(references, sites, heap):
    """The bytes that were set, or None if the place is not certain."""
    site = references.initial_heap() if heap else None
    if site is None:
        return None
    references.put(site, heap)
    sites["first heap"] = [site]
    return heap


# ---- the result, read back


def verify(raw, before, old, new):
    """Refused unless the image ``raw``, read from nothing, holds the ``old`` modules as they were and the ``new`` ones
    as they were compiled, and the runtime's search finds each new name."""
    tables = Tables(Download(raw).app)
    need(tables.strings[: len(before.strings)] == before.strings, "names have moved")
    need(len(tables.modules) == len(new) + len(old), "the number of frozen modules is wrong")
    reader = Reader(tables)
    for addr, want in zip(tables.modules, new + old, strict=True):
        _compare(reader.module(addr, want), want)
    for number in range(len(before.strings), len(tables.strings)):
        string = tables.strings[number]
        need(find(tables.pools, string) == number, f"the runtime would not find {string!r}")


def _compare(got, want):
    need(got.name == want.name, f"{got.name} is in the place of {want.name}")
    for index, string in got.qstrs.items():
        need(string == want.qstrs[index], f"{want.name}: name {index} differs")
    for index, value in got.objects.items():
        need(repr(value) == repr(_as_kept(want.objects[index])), f"{want.name}: constant {index} differs")
    _compare_code(got.code, want.code, want.name)


def _as_kept(value):
    """A float as 32 bits hold it."""
    if isinstance(value, float):
        return struct.unpack("<f", struct.pack("<f", value))[0]
    if isinstance(value, complex):
        return complex(_as_kept(value.real), _as_kept(value.imag))
    return tuple(map(_as_kept, value)) if isinstance(value, tuple) else value


def _compare_code(got, want, name):
    # mpy-cross may leave instructions at the end that nothing reaches.
    need(got.kind == want.kind and want.data.startswith(got.data), f"{name}: code differs")
    same = got.is_generator == want.is_generator and len(got.children) == len(want.children)
    need(same, f"{name}: functions differ")
    for one, other in zip(got.children, want.children, strict=True):
        _compare_code(one, other, name)


def find(pools, string):
    """The number of ``string`` as py/qstr.c qstr_find_strn finds it: the newest pool first; 0 if it does not."""
    for pool in reversed(pools):
        low, high = 0, len(pool.strings) - 1
        if pool.is_sorted:
            while high - low > 1:
                middle = (low + high) // 2
                entry = pool.strings[middle].split(b"\0")[0]  # strncmp ends at a NUL
                if string.split(b"\0")[0] <= entry[: len(string)]:
                    high = middle
                else:
                    low = middle
        for at in range(low, high + 1):
            if pool.strings[at] == string and pool.before + at:
                return pool.before + at
    return 0
