"""The modules that are frozen or that mip installs: every file exists, nothing that is needed is missing."""

import json
import re
import shutil
import time

import imports
import on_board
import pytest

from latchkey.api import firmware  # noqa: F401  adds rows of its own to lazy.rare
from latchkey.device import lazy
from latchkey_tools import kernel
from latchkey_tools.boards import build, catalog, deploy, manifest, page, umqtt
from latchkey_tools.desk import unix_board
from latchkey_tools.image import recipe

FROZEN = [name for name in catalog.names() if name != "desk"]
ROOTS = ("main", "boot", "cable", "board_config", *(name for name, *_ in lazy.rare))


# Modules in C of MicroPython 1.29 on ESP32, and what its manifest brings as Python: asyncio and the port's modules.
BUILT_IN = set(
    "_thread array asyncio binascii cryptolib deflate errno esp32 gc hashlib io json machine math micropython network "
    "os random select socket struct sys time tls uctypes utime vfs".split()
)
# `latchkey board image` freezes it in.
BUILT_IN.add("latchkey_image")


def texts(files):
    return {name: path.read_text() for name, path in files.items() if path.suffix == ".py"}


def outside(files):
    """Top modules that ``files`` import and that are not among them."""
    own = {name.partition("/")[0].removesuffix(".py") for name in files}
    found = {one for name, text in texts(files).items() for one, _ in imports.imported(text, imports.package_of(name))}
    return {name.partition(".")[0] for name in found} - own


@pytest.mark.parametrize("name", catalog.names())
def test_a_board_s_manifest_has_what_the_board_imports_and_nothing_else(name):
    files = catalog.frozen(name).files
    # An image starts with a main.py of its own.
    files["main.py"] = files.pop("firmware/main.py")
    needed, lacks = imports.needs(texts(files), ROOTS)
    assert lacks <= {"latchkey.update.programs"} - set(map(imports.dotted, files))
    assert set(texts(files)) - needed == set()


def features_of():
    """Board to the features that boards/README.md says it carries; a board of a maker's own is not there."""
    rows = [line.split("|")[1:-1] for line in (build.BOARDS / "README.md").read_text().splitlines()]
    rows = [[cell.strip() for cell in row] for row in rows if len(row) == 6]
    names = next(row for row in rows if row[0] == "feature")[1:]
    return {name: {row[0].strip("`") for row in rows if row[at] == "x"} for at, name in enumerate(names, 1)}


@pytest.mark.parametrize("name,told", features_of().items())
def test_the_table_of_features_says_what_a_board_carries(name, told):
    carried = catalog.frozen(name).files.items()
    features = {path.parent.name: manifest.read(path).files.items() for path in build.FIRMWARE.glob("features/*/*.py")}
    assert told == {feature for feature, files in features.items() if files <= carried}


@pytest.mark.parametrize("name", FROZEN)
def test_a_board_carries_button_and_sleep_where_it_has_them(name):
    files, board = catalog.frozen(name).files, on_board.load(name).Board
    assert ("latchkey/device/button.py" in files) == (board.button_pin is not None)
    assert ("latchkey/device/sleep.py" in files) == (board.sleep_s is not None)


@pytest.mark.parametrize("name", FROZEN)
def test_what_is_not_the_firmware_s_own_is_in_micropython_or_required(name):
    found = catalog.frozen(name)
    assert found.files[kernel.NAME].parent.parent.name == catalog.board(name).arch
    config = (catalog.folder(name) / "board_config.py").read_text()
    assert found.required == {"ssl", "umqtt.simple"} | ({"neopixel"} if "neopixel" in config else set())
    assert outside(found.files) <= BUILT_IN | {name.partition(".")[0] for name in found.required}
    assert found.elsewhere == {"$(PORT_DIR)/modules", "$(MPY_DIR)/extmod/asyncio"}


@pytest.mark.parametrize(
    "text, lacking",
    [
        ("import latchkey.b", {"latchkey.b"}),
        ("from latchkey import b", {"latchkey.b"}),
        ("def f():\n    from latchkey.b import c", {"latchkey.b", "latchkey.b.c"}),
        ("try:\n    from latchkey import b\nexcept ImportError:\n    b = None", set()),
        ("from latchkey.a import x", set()),
    ],
)
def test_the_walk_tells_what_is_lacking(text, lacking):
    found = imports.needs({"m.py": text, "latchkey/__init__.py": "", "latchkey/a.py": "x = 1"}, ["m"])
    assert found[1] == lacking and "m.py" in found[0]


def frozen_tree(tmp_path):
    """The folder of what a manifest freezes, with the desk's board_config; and what `board image` adds."""
    files = catalog.frozen("esp32-bulb").files
    files["board_config.py"] = catalog.folder("desk") / "board_config.py"
    files |= {name.name: path for path, name in build.desk_sources()}
    files["umqtt/simple.py"] = umqtt.fetch() / "umqtt" / "simple.py"
    for name, path in files.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "tree" / name)
    made_from = "latchkey 0.1.0 on v1.26.1"
    (tmp_path / "tree" / recipe.ITSELF).write_text(f"MADE_FROM = {made_from!r}\n")
    return tmp_path / "tree", made_from


def test_what_a_manifest_freezes_starts_as_it_lies_there(tmp_path):
    """As sources on the unix port: names and the way in are those of a frozen image."""
    tree, made_from = frozen_tree(tmp_path)
    with unix_board.Desk(tmp_path / "desk", tree=tree, heapsize="2M", button=False) as board:
        info = board.power_on().info()
        assert info["state"] == "unprovisioned" and info["image"] == made_from
        assert board.log_text().index(made_from) < board.log_text().index("started: ")


def test_a_frozen_build_that_cannot_be_imported_is_restarted(tmp_path):
    """The bootloader takes an unproven program back at a reset, so a prompt would keep the broken one for ever."""
    tree, made_from = frozen_tree(tmp_path)
    with open(tree / "board_config.py", "a") as file:
        file.write('\nraise ValueError("a broken release")\n')
    with unix_board.Desk(tmp_path / "desk", tree=tree, heapsize="2M", button=False) as board:
        board.power_on(wait=False)
        deadline = time.monotonic() + 60
        while board.log_text().count(made_from) < 2:
            assert time.monotonic() < deadline, board.log_text()
            time.sleep(0.1)
    assert "ValueError: a broken release" in board.log_text()


def test_no_manifest_is_left_out():
    features = {path.parent.name for path in (build.FIRMWARE / "features").glob("*/manifest.py")}
    page.make()
    frozen = [manifest.read(path) for path in build.FIRMWARE.glob("features/*/manifest.py")]
    made = {"firmware/main.py", "latchkey/api/page_gz.py"}
    every = set().union(*(found.files for found in frozen)) - made
    assert every | {"main.py"} == {name.as_posix() for _, name in build.sources()}
    text = "".join(path.read_text() for path in catalog.FOLDER.glob("*/manifest.py"))
    text += "".join(path.read_text() for path in build.FIRMWARE.glob("features/*/manifest.py"))
    named = set(re.findall(r'include\("(?:../../firmware/features|..)/(\w+)"\)', text))
    # For programs that are not the device's, and for a port without machine code.
    assert features - named == {"simple", "sha512_plain"}


def test_a_board_may_leave_the_kernel_out(tmp_path, monkeypatch):
    board = tmp_path / "plain-bulb"
    shutil.copytree(catalog.folder("esp32-bulb"), board)
    text = (board / "manifest.py").read_text().replace('"../', f'"{catalog.FOLDER}/')
    assert "latchkey/montgomery.mpy" in manifest.read(catalog.folder("esp32-bulb") / "manifest.py").files
    (board / "manifest.py").write_text(text.replace('kernel="xtensawin"', "kernel=False"))
    assert "latchkey/montgomery.mpy" not in manifest.read(board / "manifest.py").files
    monkeypatch.setattr(catalog, "FOLDER", tmp_path)
    assert "latchkey/montgomery.mpy" not in deploy.release(catalog.board("plain-bulb"), "xtensawin")


@pytest.mark.parametrize("name", FROZEN)
def test_a_deploy_carries_the_kernel_and_no_specification(name):
    files = deploy.release(catalog.board(name), catalog.board(name).arch)
    assert files["latchkey/montgomery.mpy"].read_bytes()[:2] == b"M\x06"
    assert "latchkey/sha512_viper.mpy" in files and "latchkey/sha512_plain.mpy" not in files


@pytest.mark.parametrize("arch", kernel.SOURCES)
def test_mpremote_installs_the_kernel_as_a_package_of_its_own(arch, tmp_path):
    folder = kernel.write(arch)
    (tmp_path / "tree" / "lib").mkdir(parents=True)
    with unix_board.Desk(tmp_path / "desk", tree=tmp_path / "tree") as board:
        board.power_on(wait=False)
        board.mpremote("mip", "install", "--target", "lib", folder / "package.json")
        code = "with open('lib/latchkey/montgomery.mpy', 'rb') as f: print(len(f.read()))"
        assert int(board.mpremote("exec", code)) == (folder / kernel.NAME).stat().st_size


@pytest.mark.parametrize(
    "text, words",
    [
        ('module("nowhere.py")', "not there"),
        ('package("nowhere")', "no .py file"),
        ('include("nowhere")', "not there"),
        ('module("x.mpy")', "a .py file"),
        ('module("x.py")\nmodule("x.py")', "twice"),
        ('module("../a/x.py")', "leave the image"),
        ('modul("x.py")', "a/manifest.py: NameError: name 'modul' is not defined"),
        ('module("x.py"', "a/manifest.py: SyntaxError: '(' was never closed (manifest.py, line 1)"),
        ("module()", "a/manifest.py: TypeError: "),
        ("\0", "a/manifest.py: "),
    ],
)
def test_a_manifest_that_micropython_would_refuse_is_refused(tmp_path, text, words):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_text("")
    (tmp_path / "a" / "manifest.py").write_text(text)
    with pytest.raises(manifest.ManifestError, match=re.escape(words)):
        manifest.read(tmp_path / "a" / "manifest.py")


def test_the_mip_package_is_simple_and_what_it_needs_and_nothing_else():
    package = json.loads((build.FIRMWARE / "package.json").read_text())
    # The version is in latchkey/__init__.py alone.
    assert "version" not in package
    listed = [source for target, source in package["urls"] if target == source]
    assert len(listed) == len(package["urls"]) and listed == sorted(set(listed))
    assert [name for name in listed if not (build.FIRMWARE / name).is_file()] == []
    sources = {name.as_posix(): path.read_text() for path, name in build.sources() if name.stem != "sha512_plain"}
    assert set(listed) == imports.needs(sources, ["latchkey.simple", "latchkey.jwk"])[0]
