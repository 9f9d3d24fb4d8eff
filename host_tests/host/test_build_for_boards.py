"""Changes of the build to sources for a board: same behaviour, fewer names."""

import ast
import io
import tarfile
from pathlib import Path

import pytest

from latchkey_tools.boards import build, shorten, umqtt
from latchkey_tools.image import recipe


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
        'def _mine(self):\n    pass\nx = getattr(self, "_" + y)\n',
    ],
)
def test_what_could_go_wrong_unseen_is_refused(source):
    with pytest.raises(shorten.ShortenError):
        shorten.shorten(source, set())


def test_every_source_keeps_its_lines_and_its_public_names():
    texts = {name: path.read_text() for path, name in build.sources()}
    keep = shorten.border(texts.values())
    for path, name in build.sources():
        source, short = path.read_text(), shorten.shorten(texts[name], keep)
        assert short.count("\n") == source.count("\n"), name
        assert public_names(short) == public_names(source), name


def test_no_board_imports_const_for_the_compiler_folds_each_use():
    source = "from latchkey.limits import KIDS, const\n_MOST = const(3)\n"
    assert shorten.shorten(source, set()) == "from latchkey.limits import KIDS\n_a = const(3)\n"
    assert shorten.shorten("from latchkey.limits import const\nA = const(3)\n", set()) == "\nA = const(3)\n"
    for path, name in build.sources():
        tree = ast.parse(path.read_text())
        values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)]
        folded = [value.func for value in values if isinstance(value, ast.Call)]
        assert all(node in folded for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "const"), name
        short = shorten.shorten(path.read_text(), set())
        imported = [node for node in ast.walk(ast.parse(short)) if isinstance(node, ast.alias) and node.name == "const"]
        assert len(imported) == (name.as_posix() == "latchkey/limits.py"), name


def test_an_image_is_made_of_the_sources_as_they_are(tmp_path):
    name = "latchkey/policy.py"
    source = build.FIRMWARE / name
    build.compile_file(source, tmp_path / "plain.mpy", "xtensawin", name)
    assert recipe._compile({name: source}, "xtensawin") == {name: (tmp_path / "plain.mpy").read_bytes()}
    shortened = build.compile_for_board([umqtt.fetch() / "umqtt" / "simple.py"], "xtensawin") / "latchkey/policy.mpy"
    assert shortened.stat().st_size < (tmp_path / "plain.mpy").stat().st_size


def public_names(source):
    """Names that a module defines for others."""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    return [n.name for n in nodes if not n.name.startswith("_")]


def cut_off(path, data):
    """As a write during which the process is killed."""
    with open(path, "wb") as file:
        file.write(data[: len(data) // 2])
    raise KeyboardInterrupt


def test_a_library_whose_fetch_was_cut_off_is_fetched_again(tmp_path, monkeypatch):
    version, _sha256 = umqtt.pinned()
    source = (umqtt.fetch() / "umqtt" / "simple.py").read_bytes()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as packed:
        member = tarfile.TarInfo(f"{umqtt.NAME}-{version}/umqtt/simple.py")
        member.size = len(source)
        packed.addfile(member, io.BytesIO(source))
    monkeypatch.setattr(umqtt, "BUILD", tmp_path)
    monkeypatch.setattr(umqtt, "download", lambda *_: archive.getvalue())
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(Path, "write_bytes", cut_off)
        umqtt.fetch()
    assert (umqtt.fetch() / "umqtt" / "simple.py").read_bytes() == source


def test_a_build_that_was_cut_off_is_not_taken_for_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "BUILD", tmp_path)
    (tmp_path / "main.py").write_text("x = 1\n")
    monkeypatch.setattr(build, "sources", lambda: [(tmp_path / "main.py", Path("main.py"))])
    first = (build.compile_for_board([]) / "main.mpy").read_bytes()
    (tmp_path / "main.py").write_text("x = 2\n")
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(build, "_remove_stale", cut_off_after)
        build.compile_for_board([])
    (tmp_path / "main.py").write_text("x = 1\n")
    assert (build.compile_for_board([]) / "main.mpy").read_bytes() == first


def cut_off_after(*_):
    raise KeyboardInterrupt
