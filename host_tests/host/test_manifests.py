"""What is frozen and what mip installs: every file exists, nothing that is needed is missing."""

import json
import re
import shutil

import pytest

import latchkey
from latchkey_tools import kernel
from latchkey_tools.boards import build, catalog, closure, deploy, manifest, umqtt
from latchkey_tools.desk import unix_board
from latchkey_tools.image import recipe

FROZEN = [name for name in catalog.names() if name != "desk"]


# Modules in C of MicroPython 1.29 on ESP32, and what its manifest brings as Python: asyncio and the port's modules.
BUILT_IN = set(
    "_thread array asyncio binascii cryptolib deflate errno esp32 gc hashlib io json machine math micropython network "
    "os random select socket struct sys time tls uctypes vfs".split()
)
# `latchkey board image` freezes it in.
BUILT_IN.add("latchkey_image")


def outside(files):
    """Top modules that ``files`` import and that are not among them."""
    own = {name.partition("/")[0].removesuffix(".py") for name in files}
    texts = [path.read_text() for path in files.values() if path.suffix == ".py"]
    found = {one for text in texts for one in closure.imported(text, "latchkey.hw")}
    return {name.partition(".")[0] for name in found} - own


@pytest.mark.parametrize("name", FROZEN)
def test_a_board_s_manifest_freezes_the_whole_firmware_and_what_it_imports(name):
    found = catalog.frozen(name)
    assert {"main.py", "boot.py", "wire.py", "board_config.py", "firmware/main.py"} <= found.files.keys()
    package = {n.as_posix() for _, n in build.sources() if n.parts[0] == "latchkey"}
    missing = package - found.files.keys()
    assert missing == {"latchkey/sha512_plain.py"}, "of the package only SHA-512's specification is for no board"
    assert found.files[kernel.NAME].parent.parent.name == catalog.board(name).arch
    config = (catalog.folder(name) / "board_config.py").read_text()
    assert found.required == {"ssl", "umqtt.simple"} | ({"neopixel"} if "neopixel" in config else set())
    assert outside(found.files) <= BUILT_IN | {name.partition(".")[0] for name in found.required}
    assert found.elsewhere == {"$(PORT_DIR)/modules", "$(MPY_DIR)/extmod/asyncio"}
    needed = closure.needed(["main", "boot", "wire"], [config])
    assert {n.as_posix() for n in needed} <= found.files.keys()


def test_what_a_manifest_freezes_starts_as_it_lies_there(tmp_path):
    """As sources on the unix port, with the desk's board_config: names and the way in are those of a frozen image."""
    files = catalog.frozen("esp32-bulb").files
    files["board_config.py"] = catalog.folder("desk") / "board_config.py"
    files |= {name.name: path for path, name in build.desk_sources()}
    files["umqtt/simple.py"] = umqtt.fetch() / "umqtt" / "simple.py"
    for name, path in files.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "tree" / name)
    made_from = "latchkey 0.1.0 on v1.26.1"
    (tmp_path / "tree" / recipe.ITSELF).write_text(f"MADE_FROM = {made_from!r}\n")
    with unix_board.Desk(tmp_path / "desk", tree=tmp_path / "tree", heapsize="2M") as board:
        info = board.power_on().info()
        assert info["state"] == "unprovisioned" and info["image"] == made_from
        assert board.log_text().index(made_from) < board.log_text().index("started: ")


def test_no_manifest_is_left_out():
    every = set(catalog.FOLDER.glob("**/manifest.py")) | {build.FIRMWARE / "manifest.py"}
    assert len(every) == len(FROZEN) + 2
    for name in FROZEN:
        catalog.frozen(name)
    for path in every:
        manifest.read(path)


def test_a_board_may_leave_the_kernel_out(tmp_path, monkeypatch):
    board = tmp_path / "plain-bulb"
    shutil.copytree(catalog.folder("esp32-bulb"), board)
    text = (board / "manifest.py").read_text().replace('"../common', f'"{catalog.COMMON}')
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
    assert package["version"] == latchkey.__version__
    listed = [source for target, source in package["urls"] if target == source]
    assert len(listed) == len(package["urls"]) and listed == sorted(set(listed))
    assert [name for name in listed if not (build.FIRMWARE / name).is_file()] == []
    needed = closure.needed(["latchkey.simple", "latchkey.jwk"])
    # A source needs limits.py, which builds for boards put in as numbers.
    assert set(listed) == {n.as_posix() for n in needed} | {"latchkey/limits.py"}
