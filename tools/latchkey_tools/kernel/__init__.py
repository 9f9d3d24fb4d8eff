"""The bignum kernel: machine code for the chips that Latchkey ships on, assembled here, loaded by ``latchkey.bignum``.

    python -m latchkey_tools.kernel            (`make kernel`) write build/kernel/ARCH for every chip
    python -m latchkey_tools.kernel ARCH       print the machine code as a disassembler would

``montgomery_xtensa.py`` and ``montgomery_rv32.py`` are its source, in the assemblers ``xtensa.py`` and ``rv32.py``.
"""

import json

from latchkey_tools import __version__
from latchkey_tools.boards import build
from latchkey_tools.kernel import montgomery_rv32, montgomery_xtensa, mpy
from latchkey_tools.kernel.assembler import assemble

# Architecture, as mpy-cross calls it, to the kernel's source.
SOURCES = {"xtensawin": montgomery_xtensa, "rv32imc": montgomery_rv32}
FUNCTIONS = ("product", "turn")
# On the device.
NAME = "latchkey/montgomery.mpy"


def lines(arch):
    """Name to instructions and labels of each function for ``arch``."""
    return {name: getattr(SOURCES[arch], name)() for name in FUNCTIONS}


def code(arch):
    """Name to machine code (bytes) of each function for ``arch``."""
    return {name: assemble(program) for name, program in lines(arch).items()}


def write(arch):
    """Folder with the ``.mpy`` file for ``arch``, made anew, and the package.json that mpremote mip installs."""
    folder = build.BUILD / "kernel" / arch
    data = mpy.module(NAME.replace(".mpy", ".py"), arch, code(arch))
    package = {"urls": [[NAME, NAME]], "version": __version__}
    for name, content in ((NAME, data), ("package.json", json.dumps(package).encode())):
        build.write(folder / name, content)
    return folder
