"""Rename parameters before compiling, since a board keeps their names in RAM although only calls by keyword need them.

A parameter that no call anywhere names becomes ``a``, ``b``, ... by its place, so that all functions share these names.
Those with a default keep theirs, being what a maker's own code would name; so do those of functions within functions.
Line numbers stay.
"""

import ast
import string

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def named(sources):
    """What calls in ``sources`` (texts) use as keywords: parameters that must keep their names."""
    calls = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {keyword.arg for call in calls for keyword in call.keywords if keyword.arg}


def shorten(source, keep):
    """``source`` with parameters renamed, except those in ``keep``."""
    lines = source.encode().splitlines(keepends=True)
    edits = [edit for function in _outermost(ast.parse(source)) for edit in _edits(function, keep)]
    for row, start, name, new in sorted(edits, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + new.encode() + line[start + len(name.encode()) :]
    return b"".join(lines).decode()


def _outermost(node):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            yield child
        else:
            yield from _outermost(child)


def _edits(function, keep):
    """(row, column in bytes, old name, new name) of each place where a parameter of ``function`` stands."""
    # Defaults and decorators are evaluated outside.
    body = [function.body] if isinstance(function, ast.Lambda) else function.body
    inside = [node for statement in body for node in ast.walk(statement)]
    fixed = _fixed(inside)
    letters = (letter for letter in string.ascii_lowercase if letter not in fixed | {n.id for n in _names(inside)})
    own = function.args.posonlyargs + function.args.args
    plain = own[: len(own) - len(function.args.defaults)]
    taken = {arg.arg for arg in _arguments(function)}
    for arg in plain:
        new = next(letter for letter in letters if letter not in taken)
        if len(arg.arg) > 1 and arg.arg not in keep | fixed:
            for node in [n for n in _names(inside) if n.id == arg.arg]:
                yield node.lineno, node.col_offset, arg.arg, new
            yield arg.lineno, arg.col_offset, arg.arg, new


def _names(nodes):
    return [node for node in nodes if isinstance(node, ast.Name)]


def _arguments(function):
    found = function.args
    return [*found.posonlyargs, *found.args, *found.kwonlyargs, *filter(None, (found.vararg, found.kwarg))]


def _fixed(nodes):
    """Names that also mean something else inside: of nested functions' parameters, of what comprehensions, handlers,
    imports and definitions bind, and within f-strings, whose columns the parser does not tell."""
    found = set()
    for node in nodes:
        if isinstance(node, _FUNCTIONS):
            found |= {arg.arg for arg in _arguments(node)}
            found |= {n.id for n in _names(ast.walk(node)) if isinstance(n.ctx, ast.Store)}
        if isinstance(node, ast.comprehension):
            found |= {n.id for n in _names(ast.walk(node.target))}
        if isinstance(node, ast.JoinedStr):
            found |= {n.id for n in _names(ast.walk(node))}
        if isinstance(node, ast.Global | ast.Nonlocal):
            found |= set(node.names)
        if isinstance(node, ast.alias):
            found.add(node.asname or node.name)
        found.add(getattr(node, "name", None))
    return found - {None}
