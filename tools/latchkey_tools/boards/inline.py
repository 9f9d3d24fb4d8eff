"""Put the numbers of latchkey/limits.py where they are used, before compiling for a board.

mpy-cross folds constants within one module only; across modules every limit would cost a name, a dictionary entry and a
look-up in RAM. Lines stay where they are, so a traceback still leads to the place.
"""

import ast
import io
import tokenize

LIMITS = "latchkey.limits"


def values(limits_source):
    """Name to value of every limit in the text of limits.py."""
    space = {}
    exec(compile(limits_source, "limits.py", "exec"), space)
    return {name: value for name, value in space.items() if name.isupper()}


def inline(source, limits):
    """``source`` with ``limits`` (as ``values`` gives them) as literals and no import of them left."""
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    own = {alias.name for node in imports if _is_limits(node) for alias in node.names} & limits.keys()
    lines = source.splitlines(keepends=True)
    for row, start, end, text in sorted(_literals(source, own, limits), reverse=True):
        lines[row] = lines[row][:start] + text + lines[row][end:]
    for node in imports:
        _drop_import(lines, node)
    return "".join(lines)


def _is_limits(node):
    return node.module == LIMITS or (node.level == 1 and node.module == "limits")


def _literals(source, own, limits):
    """(row, start, end, text) of each use; tokens, since columns must not move elsewhere."""
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for before, token, dot, name in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False):
        if token.type != tokenize.NAME or before.string in (".", "import"):
            continue
        row, start = token.start[0] - 1, token.start[1]
        if token.string == "limits" and dot.string == ".":
            # The compiler knows const without an import.
            text = "const" if name.string == "const" else repr(limits[name.string])
            yield row, start, name.end[1], text
        elif token.string in own:
            yield row, start, token.end[1], repr(limits[token.string])


def _drop_import(lines, node):
    left = [a for a in node.names if not _is_limits(node) and a.name != "limits"]
    if len(left) == len(node.names):
        return
    for row in range(node.lineno - 1, node.end_lineno):
        lines[row] = "\n"
    if left:
        names = ", ".join(a.name + (f" as {a.asname}" if a.asname else "") for a in left)
        lines[node.lineno - 1] = f"{' ' * node.col_offset}from {'.' * node.level}{node.module or ''} import {names}\n"
    elif node.col_offset:
        lines[node.lineno - 1] = " " * node.col_offset + "pass\n"
