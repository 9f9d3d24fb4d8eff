"""Which modules of the firmware a set of modules needs, by the imports in their sources, inside functions too."""

import ast

from latchkey_tools.boards import build, inline

# The specification of SHA-512's kernel: every board runs the kernel.
_SPECIFICATION = "latchkey.sha512_plain"


def sources():
    """Dotted module name to (name on the device, text as a board gets it: limits are literals there)."""
    texts = {name: path.read_text() for path, name in build.sources()}
    limits = inline.values(next(text for name, text in texts.items() if name.as_posix() == "latchkey/limits.py"))
    return {dotted(name): (name, inline.inline(text, limits)) for name, text in texts.items()}


def dotted(name):
    """Module of a file: latchkey/hw/__init__.py is latchkey.hw."""
    return ".".join(name.with_suffix("").parts).removesuffix(".__init__")


def imported(text, package):
    """Dotted names that ``text``, a module of ``package``, imports or may import from."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if node.level else []
            base = ".".join(parts[: len(parts) - node.level + 1] + ([node.module] if node.module else []))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def needed(roots, texts=()):
    """Names on the device of all that the modules ``roots`` and the further ``texts`` (board_config...) import."""
    known = sources()
    todo = list(roots) + [name for text in texts for name in imported(text, "")]
    found = {}
    while todo:
        module = todo.pop()
        todo += [module.rpartition(".")[0]] if "." in module else []
        if module in known and module not in found and module != _SPECIFICATION:
            name, text = known[module]
            found[module] = name
            package = module if name.stem == "__init__" else module.rpartition(".")[0]
            todo += imported(text, package)
    return sorted(found.values())
