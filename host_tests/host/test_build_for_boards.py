"""What the build does to sources before they reach a board: same behaviour, fewer names."""

import ast

import pytest

from latchkey_tools.boards import build, inline, parameters, shorten

LIMITS = {"A_MS": 5, "PREFIX": b"x"}


def run(source):
    space = {}
    exec(compile(source, "m.py", "exec"), space)
    return space


def test_private_names_are_shortened_and_still_meet():
    source = (
        "class C:\n    def __init__(self):\n        self._long_name = 1\n"
        "    def _get_it(self):\n        return self._long_name\nx = C()._get_it()\n"
    )
    short = shorten.shorten(source, set())
    assert "_long_name" not in short and "_get_it" not in short
    assert run(short)["x"] == 1


def test_names_that_cross_a_border_stay():
    a = "import _thread\ndef f(o):\n    return o._shared\n"
    b = "class D:\n    def __init__(self):\n        self._shared = 2\n        self._own_thing = 3\n"
    library = "class L:\n    def _hook_me(self):\n        pass\n"
    keep = shorten.border([a, b], [library])
    assert {"_thread", "_shared", "_hook_me"} <= keep and "_own_thing" not in keep
    assert "_shared" in shorten.shorten(b, keep) and "_own_thing" not in shorten.shorten(b, keep)


def test_text_in_strings_and_public_names_stay():
    source = 'def _find(long_name):\n    """_find it"""\n    return "_find" + long_name\nx = _find("!")\n'
    short = shorten.shorten(source, set())
    assert run(short)["x"] == "_find!" and '"""_find it"""' in short


@pytest.mark.parametrize(
    "source",
    [
        "from latchkey.http import Reader\nclass R(Reader):\n    def _mine(self):\n        pass\n",
        'def _mine():\n    pass\nx = f"{_mine()}"\n',
    ],
)
def test_what_could_go_wrong_unseen_is_refused(source):
    with pytest.raises(shorten.ShortenError):
        shorten.shorten(source, set())


def test_parameters_that_no_call_names_become_letters():
    source = (
        "a = 5\nclass C:\n    def add(self, first, second, third=1):\n"
        "        return first + second + third + a\n"
        "def called(by_name, by_place):\n    return by_name - by_place\n"
        "x = C().add(1, 2), called(by_name=3, **{}) if False else called(3, 2)\n"
    )
    short = parameters.shorten(source, parameters.named([source]))
    assert run(short)["x"] == (9, 1)
    assert "def add(b, c, d, third=1)" in short and "def called(by_name, b)" in short


@pytest.mark.parametrize(
    "source",
    [
        "def f(item):\n    def g(other):\n        return item * other\n    return g(2)\nx = f(5)\n",
        "def f(item):\n    return (lambda other: item * other)(2)\nx = f(5)\n",
        "def f(item):\n    return [item * 10 for item in range(2)][1] + item - 5\nx = f(5)\n",
        "def f(item):\n    def g(item):\n        item += 1\n        return item\n    return g(4) + item\nx = f(5)\n",
        'def f(item, other):\n    item += other\n    return int(f"{item}")\nx = f(5, 5)\n',
        "def f(item=5, *, twice):\n    return item * twice\nx = f(twice=2)\n",
        "def f(item):\n    try:\n        {}[0]\n    except KeyError as item:\n        return 10\nx = f(5)\n",
        "def f(self, *rest, **more):\n    return self + rest[0] + more['x']\nx = f(5, 4, x=1)\n",
        "word = 'é'\ndef f(item): word = 'éé'; return item + len(word)\nx = f(8)\n",
    ],
)
def test_a_function_with_renamed_parameters_gives_the_same(source):
    assert run(source)["x"] == run(parameters.shorten(source, parameters.named([source])))["x"] == 10


def test_limits_become_numbers_and_their_imports_go():
    source = (
        "from latchkey import errors, limits\nfrom latchkey.limits import (\n    A_MS,\n    PREFIX,\n)\n"
        "def f(a=limits.A_MS):\n    return a + A_MS, PREFIX\n"
    )
    text = inline.inline(source, LIMITS)
    assert text.count("\n") == source.count("\n")
    assert run(text.replace("from latchkey import errors", ""))["f"]() == (10, b"x")


def test_every_source_keeps_its_lines_and_its_public_names():
    limits = inline.values((build.FIRMWARE / "latchkey/limits.py").read_text())
    texts = {name: inline.inline(path.read_text(), limits) for path, name in build.sources()}
    keep = shorten.border(texts.values())
    for path, name in build.sources():
        source, short = path.read_text(), shorten.shorten(parameters.shorten(texts[name], set()), keep)
        assert short.count("\n") == source.count("\n"), name
        assert public_names(short) == public_names(source), name


def public_names(source):
    """Names that a module defines for others."""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    return [n.name for n in nodes if not n.name.startswith("_")]
