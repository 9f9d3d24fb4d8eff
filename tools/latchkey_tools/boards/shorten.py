"""Shorten private names before compiling, since a board keeps every name it meets in RAM.

``_anything`` that a module defines for itself becomes ``_a``, ``_b``, ... afresh in each module, so modules share these
names. Line numbers stay, so a traceback still leads to the place. Names that cross a module's border stay as they are:
those used in some module without being defined there (``_thread``, what umqtt calls, ...). ``const`` is not imported:
the compiler has put the number wherever the name was.

Measured in words of 32 bits: it saves 12.8 KB of the bulb's 142 KB of RAM as .mpy files, and 9.0 KB of 74 KB from a
ROMFS. An image with the firmware frozen in keeps names in flash: its sources are compiled as they are.
"""

import ast
import io
import re
import tokenize

_CONST = re.compile(r"^from latchkey\.limits import (?:(.+), )?const$", re.M)


class ShortenError(Exception):
    """Two modules' private names could meet in one object; the text says where."""


def private(name):
    return name.startswith("_") and not name.startswith("__") and len(name) > 2


class _Names(ast.NodeVisitor):
    """The private names that a module defines, those it uses, and the classes of other modules it derives from."""

    def __init__(self, source):
        self.defined, self.used, self.imported, self.foreign_bases = set(), set(), set(), set()
        self.visit(ast.parse(source))

    def visit_FunctionDef(self, node):
        self._define(node.name)
        self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node):
        self._define(node.name)
        self.foreign_bases |= {b.id for b in node.bases if isinstance(b, ast.Name) and b.id in self.imported}
        self.generic_visit(node)

    def visit_ImportFrom(self, node):
        # The errors have no private names that could meet a subclass's.
        if not (node.module or "").endswith("errors"):
            self.imported |= {alias.asname or alias.name for alias in node.names}
        self.used |= {alias.name for alias in node.names if private(alias.name)}

    def visit_Import(self, node):
        self.used |= {alias.name for alias in node.names if private(alias.name)}

    def visit_arg(self, node):
        self._define(node.arg)

    def visit_Name(self, node):
        self._see(node.id, node.ctx)

    def visit_Attribute(self, node):
        self._see(node.attr, node.ctx)
        self.generic_visit(node)

    def visit_keyword(self, node):
        if node.arg and private(node.arg):
            self.used.add(node.arg)
        self.generic_visit(node)

    def _see(self, name, context):
        if isinstance(context, ast.Load):
            if private(name):
                self.used.add(name)
        else:
            self._define(name)

    def _define(self, name):
        if private(name):
            self.defined.add(name)


def border(sources, libraries=()):
    """Private names never to be shortened: those that one of ``sources`` (texts) uses without defining it, and all
    of ``libraries``, whose classes ours may extend."""
    ours = [_Names(source) for source in sources]
    theirs = [_Names(source) for source in libraries]
    return set().union(*(n.used - n.defined for n in ours), *(n.used | n.defined for n in theirs))


def shorten(source, keep):
    """``source`` with its own private names shortened, except those in ``keep``."""
    names = _Names(source)
    if names.foreign_bases and names.defined:
        raise ShortenError(f"private names beside a base class of another module: {sorted(names.foreign_bases)}")
    own = sorted(names.defined - keep)
    taken = names.used | names.defined
    short = {name: new for name, new in zip(own, _fresh(taken), strict=False)}
    return _replace(_CONST.sub(_without_const, source), short)


def _without_const(found):
    return f"from latchkey.limits import {found[1]}" if found[1] else ""


def _fresh(taken):
    letters = "abcdefghijklmnopqrstuvwxyz"
    for tail in ("", *letters):
        for letter in letters:
            if "_" + letter + tail not in taken:
                yield "_" + letter + tail


def _replace(source, short):
    lines = source.splitlines(keepends=True)
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for token in reversed(tokens):
        if token.type == tokenize.STRING and token.string[0] in "fF" and any(name in token.string for name in short):
            raise ShortenError(f"a private name in an f-string, line {token.start[0]}")
        if token.type == tokenize.STRING and token.string[1:-1] == "_":
            raise ShortenError(f"a private name that is put together, for getattr perhaps, line {token.start[0]}")
        if token.type == tokenize.NAME and token.string in short:
            row, start, end = token.start[0] - 1, token.start[1], token.end[1]
            lines[row] = lines[row][:start] + short[token.string] + lines[row][end:]
    return "".join(lines)
