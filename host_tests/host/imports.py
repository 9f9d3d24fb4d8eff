"""Which modules a source imports, and which a set of sources needs, also inside functions."""

import ast


def imported(source, package=""):
    """(dotted name, whether it may be missing) of every import in ``source``, a module of ``package``.

    May be missing: what is imported in a ``try`` that catches ImportError, or under an ``if``.
    """
    yield from _walk(ast.parse(source), package, False)


def _walk(node, package, optional):
    if isinstance(node, ast.Import):
        yield from ((alias.name, optional) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parts = package.split(".") if node.level else []
        base = ".".join(parts[: len(parts) - node.level + 1] + ([node.module] if node.module else []))
        yield base, optional
        yield from ((f"{base}.{alias.name}", optional) for alias in node.names)
    optional = optional or isinstance(node, ast.If) or (isinstance(node, ast.Try) and _catches(node))
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, package, optional)


def _catches(node):
    caught = [name for handler in node.handlers if handler.type for name in ast.walk(handler.type)]
    return any(isinstance(name, ast.Name) and name.id == "ImportError" for name in caught)


def dotted(name):
    """Module of a file: latchkey/hw/__init__.py is latchkey.hw."""
    return name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def package_of(name):
    """Package that the imports of the file ``name`` are relative to."""
    return dotted(name) if name.endswith("__init__.py") else dotted(name).rpartition(".")[0]


def needs(texts, roots):
    """(names of files that ``roots`` reach, dotted names that they need and lack); ``texts``: name of a file to its
    source. Of names that are not in a module only those in the packages of ``texts`` count."""
    files = {dotted(name): name for name in texts}
    todo, found, lacks = [(root, False) for root in roots], set(), set()
    while todo:
        module, optional = todo.pop()
        parent = module.rpartition(".")[0]
        if any(name.startswith(module + ".") for name in files) and module not in files:
            # A folder without __init__.py.
            todo += [(parent, False)] if parent else []
        elif module not in files:
            # ``from package.module import name``
            lacks |= set() if optional or _is_name_in(module, files, texts) else {module}
        elif module not in found:
            found.add(module)
            name = files[module]
            inside = imported(texts[name], package_of(name))
            todo += [(one, maybe) for one, maybe in inside if one.partition(".")[0] == "latchkey" or one in files]
            todo += [(parent, False)] if parent else []
    return {files[module] for module in found}, lacks


def _is_name_in(module, files, texts):
    parent, _, name = module.rpartition(".")
    return parent in files and name in _defined(texts[files[parent]])


def _defined(text):
    for node in ast.parse(text).body:
        for inner in ast.walk(node):
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield inner.name
            elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                yield inner.id
            elif isinstance(inner, ast.alias):
                yield inner.asname or inner.name
