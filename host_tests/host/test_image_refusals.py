"""Checks of `latchkey board image` one by one: each refuses what it is there for, beside those in test_image.py."""

import struct

import pytest
import synthetic_image
from synthetic_image import Image
from test_image import CPUS, NEW_MPYS, VIPER, any_board, frozen, mpys, order, run, spoil, tables_of, word  # noqa: F401

from latchkey_tools.image import Refused, bytecode, freezing, recipe
from latchkey_tools.image.bytecode import BYTECODE, Code, Module
from latchkey_tools.image.container import Download
from latchkey_tools.image.tables import Reader


def text_of(image, length):
    """Label of the frozen object of a text of ``length`` bytes or more."""
    kinds = {image.addr["type str"], image.addr["type bytes"]}
    labels = [name for name in image.addr if name.startswith("object ") and name.count(" ") == 1]
    return next(n for n in labels if image.word(n) in kinds and image.word(n, 8) >= length)


def swap_names(image):
    """Two neighbours of a sorted pool, with their hashes and lengths."""
    for label, at, size in (("pool1", 24 + 8, 4), ("pool1 hashes", 4, 2), ("pool1 lengths", 2, 1)):
        start = image.addr[label] + at - image.drom.base
        pair = bytes(image.drom.data[start : start + 2 * size])
        image.poke(label, at, pair[size:] + pair[:size])


def double_name(image):
    """One name of the static pool, which is not sorted, twice."""
    for label, at, size in (("pool0", 24 + 40, 4), ("pool0 hashes", 20, 2), ("pool0 lengths", 10, 1)):
        start = image.addr[label] + at - image.drom.base
        image.poke(label, at, image.drom.data[start + size : start + 2 * size])


def other_static_name(image):
    image.poke("pool0 2", 0, b"__dix__")
    image.poke("pool0 hashes", 4, struct.pack("<H", synthetic_image.djb2(b"__dix__")))


def without_end(image):
    label = text_of(image, 25)
    image.poke(label + " text", image.word(label, 8), b"x")


SPOILED = {
    "no code in flash": (lambda image: setattr(image, "order", ["drom", "dram"]), "one segment of code in flash"),
    "names swapped": (swap_names, "is not sorted"),
    "a name twice": (double_name, "the name b's11' is there twice"),
    "another static name": (other_static_name, "not those of .mpy 6"),
    "a module without its constants": (word("module ssl.py", 4, 0), "a module without constants uses some"),
    "constants outside": (word("module ssl.py", 4, 0x10000000), "0x10000000 is not in the image"),
    "a name that is not there": (spoil("module ssl.py qstrs", 2, b"\xff\xff"), "name 65535 does not exist"),
    "code at an odd place": (word("module ssl.py", 8, lambda i: i.addr["descriptor"] + 33), "is not aligned"),
    "code in RAM": (word("module ssl.py", 8, lambda i: i.addr["dram"]), "does not lie among the constants"),
    "functions lost": (word("module ssl.py code", 8, 0), "children are not as the bytecode says"),
    "a constant outside": (word("module ssl.py objects", 0, 0x10000000), "constant at 0x10000000 is not in the image"),
    "a constant of no type": (word("module ssl.py objects", 0, lambda i: i.addr["descriptor"]), "of type unknown"),
    "a text without its end": (without_end, "a text does not end with NUL"),
    "a text's hash": (lambda image: image.poke(text_of(image, 25), 4, b"\1\1"), "a text's hash is wrong"),
}


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_image_is_refused(cpu, name):
    change, words = SPOILED[name]
    image = Image(cpu)
    change(image)
    with pytest.raises(Refused, match=words):
        frozen(image)


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(
    "functions, words",
    [
        ({"find_frozen": ["names"], "apart": ["content"]}, "mp_find_frozen_module does not use both"),
        ({"help_modules": ["names"], "apart": ["help"]}, "mp_help_print_modules does not use the names"),
    ],
)
def test_functions_that_use_the_tables_in_another_way_are_refused(cpu, functions, words):
    with pytest.raises(Refused, match=words):
        frozen(Image(cpu, functions=functions))


def test_code_that_points_into_a_table_is_refused_on_risc_v():
    image = Image("riscv")
    value = image.addr["content"] + 8
    lui, addi = value + 0x800 & 0xFFFFF000 | 10 << 7 | 0x37, (value & 0xFFF) << 20 | 10 << 15 | 10 << 7 | 0x13
    image.poke("thread_data 0", 0, struct.pack("<II", lui, addi))
    with pytest.raises(Refused, match="inside of the contents"):
        frozen(image)


def test_files_that_do_not_fit_together_are_refused():
    raw = Image("xtensa").raw()
    moved = raw[:0xF018] + struct.pack("<I", 0x3F400024) + raw[0xF01C:]
    cases = [
        (raw[:0xF01C], "cut short"),
        (moved, "is not aligned to its page"),
        (raw[:0xF000] + Image("riscv").app(), "different chips"),
        (raw[:0x8005] + b"\1" + raw[0x8006:], "holds data where the new partitions begin"),
    ]
    for spoiled, words in cases:
        with pytest.raises(Refused, match=words):
            freezing.freeze(spoiled, NEW_MPYS)


@pytest.mark.parametrize(
    "cpu, chip, words",
    [
        ("xtensa", (0, 0x1000, 0x3F7F0020, 0x400D0020), "leave the chip's addresses"),
        ("riscv", (13, 0, 0x42000020, 0x42010020), "would reach the code"),  # C6: one range for both
    ],
)
def test_constants_that_have_no_room_are_refused(monkeypatch, cpu, chip, words):
    monkeypatch.setitem(synthetic_image.CHIPS, cpu, chip)
    with pytest.raises(Refused, match=words):
        frozen(Image(cpu))


def test_machine_code_that_has_no_room_in_its_page_is_refused():
    image = Image("xtensa")
    image.irom.data += bytes(-(image.irom.base + len(image.irom.data)) % 0x10000 - 8)
    frozen(image)
    with pytest.raises(Refused, match="needs another page of code"):
        frozen(image, mpys({"v.py": VIPER}))


def test_segments_keep_their_place_in_a_page():
    app = Download(Image("xtensa").raw()).app
    app.drom.data += bytes(4)
    with pytest.raises(Refused, match="would lose its alignment"):
        app.to_bytes()


# ---- what is to be frozen


def test_a_mpy_with_other_bytes_is_refused():
    static = Image("xtensa").pools[0]
    good, number = NEW_MPYS["m.py"], mpys({"n.py": "A = 1.5\n"})["n.py"]
    viper = mpys({"v.py": VIPER})["v.py"]
    code = bytecode.read_mpy(viper, static).code.children[0].data
    flags = viper.index(code) + len(code)
    cases = [
        (good.replace(b"m.py\0", b"m.py\1"), static, "does not end with NUL"),
        (number.replace(b"\x08\x031.5", b"\x0b\x031.5"), static, "constant of unknown kind 11"),
        (good, [b"", b"zip"], "other static names"),
        (viper[:flags] + bytes([viper[flags] | 0x10]) + viper[flags + 1 :], static, "with relocations"),
    ]
    for raw, names, words in cases:
        with pytest.raises(Refused, match=words):
            bytecode.read_mpy(raw, names)


@pytest.fixture
def writer():
    tables = tables_of(Image("xtensa"))
    return freezing._Writer(tables, freezing._Blob(0x3F500000), freezing._Blob(0x40200000))


def test_what_micropython_cannot_hold_is_refused(writer):
    def number(names):
        writer.number([Module("x.py", dict(enumerate(names)), {}, None)])

    with pytest.raises(Refused, match="longer than 255 bytes"):
        number([b"x.py", b"n" * 256])
    with pytest.raises(Refused, match="more names than 16 bits"):
        number([b"x.py", *(b"name%d" % n for n in range(0x10000))])
    with pytest.raises(Refused, match="type list cannot be frozen"):
        writer._object([])
    with pytest.raises(Refused, match="begins with two NULs"):
        writer._code(Code(BYTECODE, b"\0\0\1"))


def test_a_last_pool_that_is_too_short_for_ours_is_refused(writer):
    del writer._tables.pools[-1].strings[3:]
    writer.number([Module("x.py", {n: b"name%d" % n for n in range(9)}, {}, None)])
    with pytest.raises(Refused, match="last pool of names is too short"):
        writer.pools()


# ---- the result


def test_a_result_that_is_not_what_was_meant_is_refused(monkeypatch):
    image = Image("xtensa")
    out, _ = frozen(image)
    before = tables_of(image)
    new = lambda: [bytecode.read_mpy(mpy, image.pools[0]) for mpy in NEW_MPYS.values()]  # noqa: E731
    old = [Reader(before).module(addr) for addr in before.modules]
    freezing.verify(out, before, old, new())

    def refused(words, change):
        modules = new()
        change(modules)
        with pytest.raises(Refused, match=words):
            freezing.verify(out, before, old, modules)

    refused("number of frozen modules", lambda modules: modules.pop())
    refused("m.py is in the place of x.py", lambda modules: setattr(modules[0], "name", "x.py"))
    refused("m.py: code differs", lambda modules: setattr(modules[0].code, "data", b"?"))
    refused("m.py: functions differ", lambda modules: modules[0].code.children.append(0))
    refused("more functions than were written", lambda modules: modules[0].code.children.pop())
    refused("m.py: name 2 differs", lambda modules: modules[0].qstrs.update({2: b"?"}))
    refused("pkg/one.py: constant 0 differs", lambda modules: modules[2].objects.update({0: "?"}))
    monkeypatch.setattr(freezing, "find", lambda pools, string: 0)
    refused("the runtime would not find", lambda modules: None)
    before.strings[5] = b"?"
    refused("names have moved", lambda modules: None)


def test_a_description_that_moves_what_it_describes_is_refused(any_board, monkeypatch):  # noqa: F811
    freeze, shift = recipe.freeze, iter(range(9))

    def unsteady(raw, mpys, made_from, heap):
        out, report = freeze(raw, mpys, made_from, heap)
        report.parts[0] = freezing.Part("main.py", next(shift), 0, b"")
        return out, report

    monkeypatch.setattr(recipe, "freeze", unsteady)
    with pytest.raises(Refused, match="description has changed what it describes"):
        recipe.make("small", any_board / "official.bin", unlisted=True)


def test_an_image_that_does_not_say_its_version_is_refused(any_board):  # noqa: F811
    (any_board / "official.bin").write_bytes(Image("xtensa").raw())
    with pytest.raises(Refused, match="does not say its version"):
        recipe.make("small", any_board / "official.bin", unlisted=True)
