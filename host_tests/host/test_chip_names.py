"""The firmware against a chip it has not met: architectures, and the published stubs of MicroPython's ESP32 port."""

import ast
import sysconfig
from pathlib import Path

import pytest

from latchkey_tools.boards import build, catalog, umqtt

STUBS = Path(sysconfig.get_path("purelib"))
SHIMS = Path(__file__).resolve().parents[1] / "shims"
CHIP_MODULES = ("machine", "network", "esp32", "neopixel")


def shim(module):
    """The desk's stand-ins serve these tests too."""
    path = catalog.folder("desk") / "standins" / f"{module}.py"
    return path if path.exists() else SHIMS / f"{module}.py"


@pytest.mark.parametrize("arch", ["xtensawin", "rv32imc", "x64"])
def test_every_file_compiles_for_every_architecture(arch):
    out = build.compile_for_board([umqtt.fetch() / "umqtt" / "simple.py"], arch)
    assert {p.relative_to(out) for p in out.rglob("*.mpy")} == {n.with_suffix(".mpy") for _, n in build.sources()}
    # Byte 2 of an .mpy with native code names the architecture: only viper has any.
    native = {p.stem for p in out.rglob("*.mpy") if p.read_bytes()[2] >> 2}
    assert native == {"sha512_viper"}
    for name in catalog.names():
        config = catalog.folder(name) / "board_config.py"
        build.compile_file(config, build.BUILD / "check" / arch / f"{name}.mpy", arch, config.name)


def public(tree, classes):
    """Name to set of members (empty for all but classes) of a module's syntax tree, inherited ones included."""
    found = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        flat = [t for target in targets for t in getattr(target, "elts", [target])]
        names = [t.id for t in flat if isinstance(t, ast.Name)]
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        for name in names:
            found.setdefault(name, set())
        if isinstance(node, ast.ClassDef):
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            found[node.name] |= set(public(node, {})).union(*(found.get(b, classes.get(b, set())) for b in bases))
    return {name: members for name, members in found.items() if not name.startswith("_")}


def names_of(path):
    return public(ast.parse(path.read_text()), {})


def used_by(path):
    """(module, name) of a chip's modules that the source at ``path`` uses."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in CHIP_MODULES:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in CHIP_MODULES:
            yield node.value.id, node.attr


def test_every_name_that_the_firmware_uses_is_in_the_stubs_and_in_the_shims():
    stubs = {module: names_of(STUBS / f"{module}.pyi") for module in CHIP_MODULES}
    shims = {module: names_of(shim(module)) for module in CHIP_MODULES}
    configs = [catalog.folder(name) / "board_config.py" for name in catalog.names() if name != "desk"]
    used = {pair for path in [p for p, _ in build.sources()] + configs for pair in used_by(path)}
    assert len(used) > 12
    assert [pair for pair in sorted(used) if pair[1] not in stubs[pair[0]]] == []
    assert [pair for pair in sorted(used) if pair[1] not in shims[pair[0]]] == []


@pytest.mark.parametrize("module", CHIP_MODULES)
def test_no_shim_has_a_name_that_the_stubs_lack(module):
    stubs, shims = names_of(STUBS / f"{module}.pyi"), names_of(shim(module))
    assert shims and sorted(shims.keys() - stubs.keys()) == []
    for name, members in shims.items():
        # Members of NeoPixel come from a base in a file of its own.
        inherited = {"fill", "write"} if name == "NeoPixel" else set()
        assert sorted(members - stubs[name] - inherited) == [], name


def test_the_stand_in_of_a_partition_has_the_chip_s_methods_and_arguments():
    """shims/esp32.py takes it from fakes/, where the dual tests find it too."""
    stubs = methods_of(STUBS / "esp32.pyi", "Partition")
    shim = methods_of(SHIMS.parent / "fakes" / "program_slots.py", "Partition")
    assert len(shim) > 6
    for name, arguments in shim.items():
        assert arguments <= stubs[name], name


def methods_of(path, name):
    """Method of class ``name`` to the names of its arguments, of all its overloads."""
    found = {}
    tree = next(node for node in ast.parse(path.read_text()).body if getattr(node, "name", "") == name)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and (node.name == "__init__" or not node.name.startswith("_")):
            names = {one.arg for one in node.args.posonlyargs + node.args.args}
            found[node.name] = found.get(node.name, set()) | names
    return found


def test_constants_of_the_shims_are_the_chip_s():
    for module in CHIP_MODULES:
        stubs = (STUBS / f"{module}.pyi").read_text()
        for name in names_of(shim(module)):
            value = getattr(__import__(module), name)
            if isinstance(value, int) and f"{name}: Final[int] = " in stubs:
                assert f"{name}: Final[int] = {value}\n" in stubs or f"{name}: Final[int] = {value} " in stubs, name


def test_the_desk_s_simulated_pins_have_the_chip_s_names():
    pins = names_of(catalog.folder("desk") / "standins" / "pins.py")
    stubs = names_of(STUBS / "machine.pyi")
    for name in ("Pin", "PWM"):
        assert pins[name] - {"number"} <= stubs[name]
