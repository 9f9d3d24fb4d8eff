"""An image with everything that freezing looks at, and nothing else: MicroPython's tables, code that refers to them,
segments, checksums, a bootloader's header and a partition table. Written apart from the tool that reads it.

    image = Image("xtensa")          or "riscv"
    image.raw()                      the whole .bin
    image.addr["names"]              where a piece lies; see ``_constants`` and ``_code``
    image.poke("names", 3, b"x")     change bytes of a piece; checksums are made anew by ``raw``
"""

import hashlib
import struct
import subprocess
import tempfile
from pathlib import Path

from latchkey_tools.boards import build
from latchkey_tools.image import bytecode

PAGE = 0x10000
CHIPS = {"xtensa": (0, 0x1000, 0x3F400020, 0x400D0020), "riscv": (5, 0, 0x3C140020, 0x42000020)}
ARCHS = {"xtensa": "xtensawin", "riscv": "rv32imc"}

# The modules of an official image, read back as a check: generators, closures, methods, every kind of constant.
FROZEN = {
    "_boot.py": "x = 5\n",
    "asyncio/__init__.py": "def f(a, *, b=1):\n    return lambda: a + b\nasync def g():\n    yield f\n",
    "big.py": "A = 123456789012345678901\nB = -9876543210987654321\nC = 2.5\nD = (1, 'two', b'3', None, (...,))\n"
    "E = 'a text that is longer than what becomes a name'\nF = b'\\0\\1'\n",
    "umqtt/simple.py": "class C:\n    def m(self, x):\n        try:\n            for i in x:\n"
    "                with i as j:\n                    return j\n        except OSError as e:\n"
    "            raise ValueError(e)\n        finally:\n            self.z = [k for k in x]\n",
    "ssl.py": "import sys\ndef wrap(*a, **k):\n    return a, k, 3.25\n",
}
_NAMED = ("type", "str", "bytes", "int", "float", "tuple", "complex", "Ellipsis", "NoneType")


def compiled(name, text, arch="xtensawin"):
    """Bytes of the .mpy of a source."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "source.py", Path(folder) / "out.mpy"
        source.write_text(text)
        command = [build.mpy_cross(), f"-march={arch}", "-s", name, "-o", out, source]
        subprocess.run([str(c) for c in command], check=True)
        return out.read_bytes()


def djb2(data):
    value = 5381
    for byte in data:
        value = (value * 33 ^ byte) & 0xFFFFFFFF
    return value & 0xFFFF or 1


class Ref:
    """The address of a piece, plus ``add``."""

    def __init__(self, label, add=0):
        self.label, self.add = label, add


class Pieces:
    """Bytes with labels; words may refer to any label of the image."""

    def __init__(self, base):
        self.base, self.data, self.addr, self.refs = base, bytearray(), {}, []

    def put(self, label, *parts, align=1):
        """``parts``: bytes, Ref, or int (a word)."""
        self.data += bytes(-(self.base + len(self.data)) % align)
        if label:
            self.addr[label] = self.base + len(self.data)
        for part in parts:
            if isinstance(part, Ref):
                self.refs.append((len(self.data), part))
                part = 0
            self.data += part if isinstance(part, (bytes, bytearray)) else struct.pack("<I", part)

    def resolve(self, addr):
        for at, ref in self.refs:
            struct.pack_into("<I", self.data, at, addr[ref.label] + ref.add & 0xFFFFFFFF)


class Image:
    def __init__(self, cpu="xtensa", frozen=None, fun_table=True, heap=57344, functions=None):
        self.cpu, self.heap, self._objects = cpu, heap, 0
        self.chip_id, self.flash_offset, drom, irom = CHIPS[cpu]
        static = [b"", b"", b"__dir__", b"\n"] + [b"s%d" % i for i in range(4, 227)] + [b"zip"]
        self.modules = [
            bytecode.read_mpy(compiled(name, text), static)
            for name, text in (FROZEN if frozen is None else frozen).items()
        ]
        self._number(static)
        self.drom, self.irom, self.dram = Pieces(drom), Pieces(irom), Pieces(0x3FFB0000)
        self._constants(fun_table)
        self.drom_end = self.drom.base + len(self.drom.data)
        self._code(functions)
        self.dram.put("dram", 1, 2, 3)
        self.order = ["drom", "dram", "irom"]
        self.addr = {**self.drom.addr, **self.irom.addr, **self.dram.addr}
        for pieces in (self.drom, self.irom, self.dram):
            pieces.resolve(self.addr | {"drom": drom, "drom end": self.drom_end})

    def _number(self, static):
        wanted = {name.encode() for name in _NAMED}
        own = {text for module in self.modules for text in module.qstrs.values()}
        for module in self.modules:
            own |= {v.encode() for v in _flat(module.objects.values()) if isinstance(v, str) and len(v) < 25}
        main = sorted(wanted - set(static))
        frozen = sorted(own - set(static) - wanted | {b"zz%02d" % i for i in range(20)})
        self.pools = [static, main, frozen]
        self.strings = [text for pool in self.pools for text in pool]
        self.index = {text: i for i, text in enumerate(self.strings) if i}

    # ---- constants

    def _constants(self, fun_table):
        put = self.drom.put
        put("descriptor", 0xABCD5432, bytes(252))
        put("help", b"Plus any modules on the filesystem\n\0")
        put("heap words", b"mp_task_heap allocation failed\0")
        self._pools()
        self._types()
        self._frozen()
        if fun_table:
            put("fun_table", 0x06, 0x0E, 0x1E, *(Ref("function", 4 * i) for i in range(40)), align=4)

    def _pools(self):
        before, previous = 0, 0
        for n, strings in enumerate(self.pools):
            name = f"pool{n}"
            self.drom.put(name + " hashes", b"".join(djb2(s).to_bytes(2, "little") for s in strings), align=2)
            self.drom.put(name + " lengths", bytes(map(len, strings)))
            for i, text in enumerate(strings):
                self.drom.put(f"{name} {i}", text + b"\0")
            texts = [Ref(f"{name} {i}") for i in range(len(strings))]
            head = (previous, before | (n > 0) << 31, min(10, len(strings)), len(strings))
            self.drom.put(name, *head, Ref(name + " hashes"), Ref(name + " lengths"), *texts, align=4)
            previous, before = Ref(name), before + len(strings)

    def _types(self):
        put = self.drom.put
        for name in ("type", "str", "bytes", "int", "float", "tuple", "complex", "NoneType", "", "tuple2"):
            number = self.index[name.encode().rstrip(b"2")]
            put("type " + name, Ref("type type"), struct.pack("<HH", 0, number), bytes(28), align=4)
        put("builtins", *(
            part for name in ("type", "str", "bytes", "int", "float", "tuple", "complex")
            for part in (self.index[name.encode()] << 3 | 2, Ref("type " + name))
        ), align=4)  # fmt: skip
        put("ellipsis", Ref("type "), self.index[b"Ellipsis"], align=4)
        put("maxsize digits", b"\xff\xff\xff\x7f", align=4)
        put("maxsize", Ref("type int"), 2 << 2 | 2, 2, Ref("maxsize digits"), align=4)
        put("pi", Ref("type float"), 0x40490FDB, align=4)

    def _frozen(self):
        contents = []
        for module in self.modules:
            label = "module " + module.name
            numbers = [self.index[text] for text in module.qstrs.values()]
            self.drom.put(label + " qstrs", struct.pack(f"<{len(numbers)}H", *numbers), align=2)
            objects = [self._object(value) for value in module.objects.values()]
            self.drom.put(label + " objects", *objects, align=4)
            proto = self._raw_code(module.code, label + " code")
            self.drom.put(label, Ref(label + " qstrs"), Ref(label + " objects"), Ref(proto), align=4)
            contents.append(Ref(label))
        self.drom.put("names", b"".join(m.name.encode() + b"\0" for m in self.modules) + b"\0")
        self.drom.put("content", *contents, align=4)

    def _raw_code(self, code, label):
        children = [Ref(self._raw_code(child, f"{label}.{i}")) for i, child in enumerate(code.children)]
        self.drom.put(label + " data", code.data)
        if not children:
            return label + " data"
        self.drom.put(label + " children", *children, align=4)
        self.drom.put(label, 2 << 16 | code.is_generator << 24, Ref(label + " data"), Ref(label + " children"), align=4)
        return label

    def _object(self, value):
        if value is None or isinstance(value, bool):
            return {None: 0x06, False: 0x0E, True: 0x1E}[value]
        if value is ...:
            return Ref("ellipsis")
        if isinstance(value, int) and -(1 << 30) <= value < 1 << 30:
            return (value << 1 | 1) & 0xFFFFFFFF
        if isinstance(value, str) and value.encode() in self.index:
            return self.index[value.encode()] << 3 | 2
        self._objects += 1
        label = f"object {self._objects}"
        getattr(self, "_" + type(value).__name__)(label, value)
        return Ref(label)

    def _str(self, label, value):
        self._bytes(label, value.encode(), "str")

    def _bytes(self, label, value, kind="bytes"):
        self.drom.put(label + " text", value + b"\0")
        self.drom.put(label, Ref("type " + kind), djb2(value), len(value), Ref(label + " text"), align=4)

    def _int(self, label, value):
        digits = []
        rest = abs(value)
        while rest:
            digits.append(rest & 0xFFFF)
            rest >>= 16
        self.drom.put(label + " digits", struct.pack(f"<{len(digits)}H", *digits), align=2)
        head = len(digits) * 4 + 2 + (value < 0)
        self.drom.put(label, Ref("type int"), head, len(digits), Ref(label + " digits"), align=4)

    def _float(self, label, value):
        self.drom.put(label, Ref("type float"), struct.pack("<f", value), align=4)

    def _complex(self, label, value):
        self.drom.put(label, Ref("type complex"), struct.pack("<ff", value.real, value.imag), align=4)

    def _tuple(self, label, value):
        items = [self._object(one) for one in value]
        self.drom.put(label, Ref("type tuple"), len(items), *items, align=4)

    # ---- code

    def _code(self, functions):
        """Functions as MicroPython and ESP-IDF have them, each a list of what it loads, with other code between."""
        functions = {
            "find_frozen": ["names", "content"],
            "help_modules": ["names", "help"],
            "mp_task": ["heap", "heap words"],
            "map_init": ["drom", "drom end"],
            "thread_data": ["drom end"],  # the same number with another meaning
        } | (functions or {})
        (self._xtensa if self.cpu == "xtensa" else self._riscv)(functions)
        self.irom.put("function", *(0x0000F01D for _ in range(40)), align=4)

    def _xtensa(self, functions):
        for name, loads in functions.items():
            for i, what in enumerate(loads):
                self.irom.put(f"{name} {i}", self.heap if what == "heap" else Ref(what), align=4)
        for name, loads in functions.items():
            self.irom.put(None, b"\x3d\xf0" * 160)  # nop.n: functions lie apart
            self.irom.put(None, b"\x36\x41\x00", align=4)  # entry a1, 32
            for i, _ in enumerate(loads):
                pc = self.irom.base + len(self.irom.data)
                back = (pc + 3 & ~3) - self.irom.addr[f"{name} {i}"] >> 2
                self.irom.put(f"{name} load {i}", b"\xa1" + struct.pack("<H", 0x10000 - back) + b"\x3d\xf0")
        name, loads = next(item for item in functions.items() if "content" in item[1])
        self._seeming_load(f"{name} {loads.index('content')}")

    def _seeming_load(self, literal):
        """The bytes of a load of the contents' address in the middle of two other instructions."""
        self.irom.put(None, b"\x3d\xf0" * 160, b"\x36\x41\x00")
        self.irom.put(None, b"\x3d\xf0\x02", align=4)
        pc = self.irom.base + len(self.irom.data)
        back = (pc + 3 & ~3) - self.irom.addr[literal] >> 2
        self.irom.put("seeming load", b"\xa1", struct.pack("<H", 0x10000 - back), b"\x00\x00")

    def _riscv(self, functions):
        for name, loads in functions.items():
            self.irom.put(None, b"\x01\x00" * 160)  # c.nop
            for i, what in enumerate(loads):
                label = f"{name} {i}"
                if what == "heap":
                    self.irom.put(label, self.heap & 0xFFFFF000 | 10 << 7 | 0x37, b"\x01\x00", align=2)
                    continue
                value = {"drom": self.drom.base, "drom end": self.drom_end}.get(what) or self.drom.addr[what]
                lui = value + 0x800 & 0xFFFFF000 | 10 << 7 | 0x37
                addi = (value & 0xFFF) << 20 | 10 << 15 | 10 << 7 | 0x13
                self.irom.put(label, lui, addi, b"\x82\x80" if i else b"\x01\x00", align=2)

    # ---- the file

    def poke(self, label, at, data):
        """Change bytes at ``at`` from a label."""
        addr = self.addr[label] + at
        for pieces in (self.drom, self.irom, self.dram):
            if pieces.base <= addr < pieces.base + len(pieces.data):
                start = addr - pieces.base
                pieces.data[start : start + len(data)] = data

    def word(self, label, at=0):
        for pieces in (self.drom, self.irom, self.dram):
            start = self.addr[label] + at - pieces.base
            if 0 <= start < len(pieces.data):
                return struct.unpack_from("<I", pieces.data, start)[0]

    def app(self):
        segments = bytearray()
        count, check = 0, 0xEF
        for name in self.order:
            pieces = getattr(self, name)
            if name != "dram" and (pieces.base - 24 - len(segments) - 8) % PAGE:
                # Padding up to the page's place, as esptool does it.
                pad = (pieces.base - 24 - len(segments) - 16) % PAGE
                segments += struct.pack("<II", 0, pad) + bytes(pad)
                count += 1
            segments += struct.pack("<II", pieces.base, len(pieces.data)) + pieces.data
            count += 1
            for byte in pieces.data:
                check ^= byte
        return self._file(count, segments, check)

    def _file(self, count, segments, check):
        out = bytearray(struct.pack("<BBBBIB3xHB8xB", 0xE9, count, 2, 0x20, 0x40080000, 0, self.chip_id, 0, 1))
        out += segments
        out += bytes(15 - len(out) % 16) + bytes([check])
        return bytes(out + hashlib.sha256(out).digest())

    def raw(self, table=None):
        before = bytearray(b"\xff" * (PAGE - self.flash_offset))
        bootloader = self._file(1, struct.pack("<II", 0x40080000, 16) + bytes(16), 0xEF)
        before[: len(bootloader)] = bootloader
        packed = table or partition_table()
        at = 0x8000 - self.flash_offset
        before[at : at + len(packed)] = packed
        return bytes(before) + self.app()


def partition_table(rows=((1, 2, 0x9000, 0x6000, b"nvs"), (1, 1, 0xF000, 0x1000, b"phy_init"),
                          (0, 0, 0x10000, 0x1F0000, b"factory")), digest=True):  # fmt: skip
    packed = b"".join(struct.pack("<HBBII16sI", 0x50AA, *row, 0) for row in rows)
    return packed + (b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(packed).digest() if digest else b"")


def _flat(values):
    for value in values:
        if isinstance(value, tuple):
            yield from _flat(value)
        else:
            yield value
