"""Every object is whole once it is made, and no module needs, at import, another that needs it."""

import ast

import imports
import pytest

from latchkey_tools.boards import build

SOURCES = {name.as_posix(): path.read_text() for path, name in build.sources() + build.desk_sources()}


def assigned(function):
    """Attributes of ``self`` that ``function`` binds."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                yield node.attr


def late_in_classes(source):
    """Attributes of self that a method binds, and that are not there once the object, or its base, is made."""
    classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    first = {one.name: set(first_in(one)) for one in classes}
    for one in classes:
        known = first[one.name].union(*(first.get(base.id, ()) for base in one.bases if isinstance(base, ast.Name)))
        for method in methods(one).values():
            yield from (f"{one.name}.{name}" for name in assigned(method) if name not in known)


def methods(one):
    return {part.name: part for part in one.body if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))}


def first_in(one):
    """Attributes that the body of a class binds, or ``__init__`` with the methods that it calls."""
    for part in one.body:
        if isinstance(part, ast.Assign):
            yield from (name.id for target in part.targets for name in ast.walk(target) if isinstance(name, ast.Name))
    known, todo, done = methods(one), ["__init__"], set()
    while todo:
        name = todo.pop()
        if name in known and name not in done:
            done.add(name)
            yield from assigned(known[name])
            todo += [node.attr for node in ast.walk(known[name]) if _is_own_call(node)]


def _is_own_call(node):
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def from_outside(source):
    """Bound attributes of other objects than ``self``, as text."""
    parsed = ast.parse(source)
    modules = {alias.asname or alias.name for node in ast.walk(parsed) for alias in _imports(node)}
    for node in ast.walk(parsed):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
            if node.value.id != "self" and node.value.id not in modules:
                yield f"{node.value.id}.{node.attr}"


def _imports(node):
    return node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else []


def circles(sources):
    """Modules that, at import, need a module that needs them; ``sources``: name of a file to its text."""
    edges = {imports.dotted(name): set(at_import(name, text)) for name, text in sources.items()}
    edges = {module: {one for one in needed if one in edges and one != module} for module, needed in edges.items()}
    while True:
        leaves = {module for module, needed in edges.items() if not needed}
        if not leaves:
            return set(edges)
        edges = {module: needed - leaves for module, needed in edges.items() if module not in leaves}


def at_import(name, text):
    """Modules that importing ``name`` imports: none of those inside functions."""
    parsed = ast.parse(text)
    for node in ast.walk(parsed):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            node.body = []
    package = imports.package_of(name)
    # An empty function does not compile, and is only walked.
    yield from (one for one, _ in imports._walk(parsed, package, False))


def test_no_attribute_is_first_set_after_the_making():
    found = {(name, late) for name, text in SOURCES.items() for late in late_in_classes(text)}
    # Of umqtt's class.
    assert found - {("latchkey/cloud/mqtt.py", "Client.pid")} == set()


def test_who_sets_an_attribute_of_another_s_object_finds_it_there():
    every = [node for text in SOURCES.values() for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    known = {name for one in every for name in first_in(one)} | {"verify_mode"}  # of the port's SSLContext
    found = [(name, late) for name, text in SOURCES.items() for late in from_outside(text)]
    assert [(name, late) for name, late in found if late.partition(".")[2] not in known] == []


@pytest.mark.parametrize("name", ["main.py", "program.py", "cable.py", "latchkey/device/app.py"])
def test_the_composition_finishes_no_object_that_was_made(name):
    assert list(from_outside(SOURCES[name])) == []


def test_no_import_leads_back():
    assert len(SOURCES) > 50
    assert circles(SOURCES) == set()


@pytest.mark.parametrize(
    "source, late",
    [
        ("class A:\n  def __init__(self):\n    self.a = 1\n  def f(self):\n    self.b = 2", ["A.b"]),
        ("class A:\n  def __init__(self):\n    self.a, self.b = 1, 2\n  def f(self):\n    self.b += 2", []),
        ("class A:\n  b = None\n  async def f(self):\n    self.b = self.c = 2", ["A.c"]),
        ("class A:\n  def __init__(self):\n    self.g()\n  def g(self):\n    self.b = 1", []),
        ("class B:\n  def __init__(self):\n    self.b = 1\nclass A(B):\n  def f(self):\n    self.b = 2", []),
    ],
)
def test_the_look_at_attributes_bites(source, late):
    assert list(late_in_classes(source)) == late


def test_the_looks_at_strangers_and_circles_bite():
    assert list(from_outside("import m\nm.x = 1\ndef f(d):\n  d.link = 1")) == ["d.link"]
    ring = {"a.py": "import b", "b.py": "import c", "c.py": "from a import x", "d.py": "import a"}
    assert circles(ring) >= {"a", "b", "c"}
    assert circles(ring | {"c.py": "def f():\n  import a"}) == set()
