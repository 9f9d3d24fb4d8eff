"""The viper kernel of SHA-512 as a chip would run it: words of 32 bits, which the desk's 64-bit words never show.

The kernel's own source is run by CPython with viper's names (ptr8, ptr32, uint) given their meaning on either width.
"""

import ast
import hashlib
from array import array
from pathlib import Path

import pytest

import latchkey.sha512 as sha512

SOURCE = Path(sha512.__file__).with_name("sha512_viper.py")


class Word(int):
    """A machine word without sign: results wrap at ``BITS``, shifts to the right bring in zeros."""

    BITS = 32

    def _wrap(self, value):
        return type(self)(value & (1 << self.BITS) - 1)

    def __add__(self, other):
        return self._wrap(int(self) + int(other))

    def __mul__(self, other):
        return self._wrap(int(self) * int(other))

    def __lshift__(self, count):
        assert 0 < count < self.BITS
        return self._wrap(int(self) << count)

    def __rshift__(self, count):
        assert 0 < count < self.BITS
        return self._wrap(int(self) >> count)

    def __and__(self, other):
        return self._wrap(int(self) & int(other))

    def __or__(self, other):
        return self._wrap(int(self) | int(other))

    def __xor__(self, other):
        return self._wrap(int(self) ^ int(other))

    __radd__, __rand__, __ror__, __rxor__ = __add__, __and__, __or__, __xor__


class Word64(Word):
    BITS = 64


class Pointer32:
    """Loads and stores of 32 bits; what is above them is cut at a store."""

    def __init__(self, words):
        self.words = words

    def __getitem__(self, i):
        return int(self.words[i])

    def __setitem__(self, i, value):
        self.words[i] = int(value) & 0xFFFFFFFF


def kernel(word):
    """The function ``block`` of sha512_viper.py over words of this kind."""
    tree = ast.parse(SOURCE.read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert [f.name for f in functions] == ["block"]
    functions[0].decorator_list = []
    for argument in functions[0].args.args:
        argument.annotation = None
    names = {"uint": word, "ptr32": Pointer32, "ptr8": bytes}
    exec(compile(ast.Module(functions, []), str(SOURCE), "exec"), names)
    return names["block"]


@pytest.mark.parametrize("word", [Word, Word64], ids=["32 bits", "64 bits"])
def test_the_kernel_is_right_on_words_of(word):
    block = kernel(word)
    for size in (0, 3, 111, 112, 128, 239, 240, 600):
        for fill in (0x00, 0x5A, 0xFF):
            data = bytes([fill]) * size
            assert sha512.Hash(block, 512, data).digest() == hashlib.sha512(data).digest()
            assert sha512.Hash(block, 384, data).digest() == hashlib.sha384(data).digest()


def test_the_kernel_is_right_where_every_word_carries():
    state = array("I", [0xFFFFFFFF] * 16)
    results = []
    for word in (Word, Word64):
        copy = array("I", state)
        kernel(word)(copy, sha512._CONSTANTS, array("I", bytes(192)), b"\xff" * 128, 0)
        results.append(bytes(copy))
    from latchkey.sha512_plain import block

    block(state, sha512._CONSTANTS, None, b"\xff" * 128, 0)
    assert results == [bytes(state)] * 2
