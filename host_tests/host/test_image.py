"""Freezing into an image: what was frozen comes back equal, and whatever is not as expected is refused by name."""

import hashlib
import json
import random
import struct

import pytest
import synthetic_image
from synthetic_image import FROZEN, Image, compiled, partition_table
from typer.testing import CliRunner

import counts
from latchkey_tools.boards import build, catalog
from latchkey_tools.cli.main import app as cli
from latchkey_tools.image import Refused, bytecode, freezing, recipe
from latchkey_tools.image.container import Download
from latchkey_tools.image.references import OF_CPU, registers
from latchkey_tools.image.tables import Reader, Tables

CPUS = ["xtensa", "riscv"]
NEW = {
    "m.py": "A = 1\ndef f(x, *, y=(2, 'deux')):\n    return lambda: x + A\n",
    "pkg/__init__.py": "from pkg.one import g\n",
    "pkg/one.py": "def g():\n    yield 123456789012345\n\nB = b'bytes'\nC = -1.5e3\nD = (None, True, (...,), 'x' * 3)\n"
    "E = 'a text of more than twenty-five characters'\nF = 'a\\0b'\n",
}
VIPER = "@micropython.viper\ndef add(a: int, b: int) -> int:\n    return a + b\n"


def mpys(sources=NEW, arch="xtensawin"):
    return {name: compiled(name, text, arch) for name, text in sources.items()}


NEW_MPYS = mpys()


def frozen(image, new=NEW_MPYS, **kw):
    return freezing.freeze(image.raw(), new, "latchkey 1.2.3 on v1.26.1", **kw)


@pytest.mark.parametrize("cpu", CPUS)
def test_what_is_frozen_comes_back_equal_and_the_old_modules_stay(cpu):
    image = Image(cpu)
    out, report = frozen(image)
    tables = Tables(Download(out).app)
    assert tables.names == [name.encode() for name in [*NEW, *FROZEN]]
    reader = Reader(tables)
    read = [reader.module(addr) for addr in tables.modules]
    want = [bytecode.read_mpy(NEW_MPYS[name], image.pools[0]) for name in NEW] + image.modules
    for got, module in zip(read, want, strict=True):
        assert got.qstrs == {i: text for i, text in module.qstrs.items() if i in got.qstrs}
        assert got.objects == {i: value for i, value in module.objects.items() if i in got.objects}
        assert module.code.data.startswith(got.code.data)
    assert report.modules == 3 and report.pages == 1 and report.code_added == 0


@pytest.mark.parametrize("cpu", CPUS)
def test_every_kind_of_constant_comes_back(cpu):
    values = [0, -1, 2**29, -(2**30), 2**30, -(2**70), 1.5, b"", b"\0", "", "a", "é" * 30, (), (1, ("x", (b"y",)))]
    text = "".join(f"V{i} = {value!r}\n" for i, value in enumerate(values)) + "W = (2j, True, False, None, ...)\n"
    out, _ = frozen(Image(cpu), mpys({"all.py": text}))
    tables = Tables(Download(out).app)
    found = Reader(tables).module(tables.modules[0])
    read = list(found.objects.values())
    for value in values:
        is_in_code = isinstance(value, int) and -(2**30) <= value < 2**30 or value == () or isinstance(value, str)
        assert is_in_code or any(repr(value) == repr(one) for one in read), value
    assert "é" * 30 in read and (2j, True, False, None, ...) in read


@pytest.mark.parametrize("cpu", CPUS)
def test_machine_code_goes_behind_the_code_in_flash(cpu):
    image = Image(cpu)
    out, report = frozen(image, mpys({"v.py": VIPER}, synthetic_image.ARCHS[cpu]))
    app = Download(out).app
    assert report.code_added > 16 and report.code_added % 4 == 0
    assert len(app.irom.data) >= len(image.irom.data) + report.code_added
    assert app.irom.data.endswith(bytes(16))  # the processor fetches ahead


def test_the_result_differs_only_where_it_must():
    image = Image("xtensa")
    out, report = frozen(image, heap=80 * 1024)
    before, after = Download(image.raw()).app, Download(out).app
    assert [s.addr for s in before.segments if len(s.data)] == [s.addr for s in after.segments if len(s.data)]
    changed = [
        one.addr + at & ~3
        for one, other in zip(before.segments, after.segments, strict=True)
        for at in range(len(one.data))
        if one.addr and one.data[at] != other.data[at]
    ]
    sites = {site for found in report.sites.values() for site in found}
    pool, descriptor = tables_of(image).pools[-1], range(before.drom.addr + 16, before.drom.addr + 48)
    for addr in set(changed):
        assert addr in sites or pool.addr <= addr < pool.addr + 64 or addr in descriptor, hex(addr)
    assert sites <= set(changed)


def tables_of(image):
    return Tables(Download(image.raw()).app)


@pytest.mark.parametrize("cpu", CPUS)
def test_code_refers_to_the_new_tables_and_to_the_new_end(cpu):
    out, report = frozen(Image(cpu))
    app = Download(out).app
    tables, references = Tables(app), OF_CPU[cpu](app)
    for site in report.sites["names"]:
        assert references.value(site) == tables.names_addr
    for site in report.sites["content"]:
        assert references.value(site) == tables.content_addr
    ends = [references.value(site) for site in report.sites["end of constants"]]
    assert ends == [app.drom.end]


def test_a_number_with_the_same_value_and_another_meaning_stays():
    image = Image("xtensa")
    _, report = frozen(image)
    assert list(report.sites["end of constants"]) == [image.addr["map_init 1"]]
    assert image.word("thread_data 0") == image.drom_end


def test_the_first_heap_is_set_where_it_can_be_told_and_left_where_not():
    image = Image("xtensa")
    out, report = frozen(image, heap=80 * 1024)
    assert report.heap == 80 * 1024 and Download(out).app.u32(image.addr["mp_task 0"]) == 80 * 1024
    assert frozen(Image("riscv"), heap=80 * 1024)[1].heap is None
    assert frozen(Image("xtensa", heap=57344 + 4), heap=80 * 1024)[1].heap is None  # not a number of KB
    assert frozen(Image("xtensa"))[1].heap is None


def test_the_partition_table_gets_two_program_slots_where_they_fit():
    out, report = frozen(Image("xtensa"))
    assert report.table.slots == 2
    table = out[0x7000:0x7C00]
    rows = [struct.unpack_from("<HBBII16sI", table, at) for at in range(0, 192, 32)]
    assert [(row[5].rstrip(b"\0"), row[1], row[2], row[3], row[4]) for row in rows] == [
        (b"nvs", 1, 2, 0x9000, 0x4000),
        (b"otadata", 1, 0, 0xD000, 0x2000),
        (b"phy_init", 1, 1, 0xF000, 0x1000),
        (b"ota_0", 0, 0x10, 0x10000, 0x1D0000),
        (b"ota_1", 0, 0x11, 0x1E0000, 0x1D0000),
        (b"vfs", 1, 0x81, 0x3B0000, 0x50000),
    ]
    assert table[192:208] == b"\xeb\xeb" + b"\xff" * 14 and table[208:224] == hashlib.md5(table[:192]).digest()
    small = bytearray(Image("xtensa").raw())
    small[3] = 0x10  # 2 MB
    assert freezing.freeze(bytes(small), NEW_MPYS)[1].table.slots == 1


def test_the_image_says_what_it_was_made_from_and_is_not_frozen_into_again():
    out, _ = frozen(Image("xtensa"))
    assert Download(out).app.made_from == b"latchkey 1.2.3 on v1.26.1"
    with pytest.raises(Refused, match="begin with the official download"):
        freezing.freeze(out, NEW_MPYS)


def test_a_pointer_before_the_names_that_looks_like_a_letter_is_no_part_of_them(monkeypatch):
    """Addresses of an ESP32-C6 end with 0x42, a B."""
    monkeypatch.setitem(synthetic_image.CHIPS, "riscv", (13, 0, 0x42000020, 0x42080020))
    image = Image("riscv")
    assert image.word("names", -4) >> 24 == ord("B") and image.addr["names"] % 4 == 0
    assert Tables(Download(frozen(image)[0]).app).names == [name.encode() for name in [*NEW, *FROZEN]]


@pytest.mark.parametrize("cpu", CPUS)
def test_the_search_of_the_runtime_finds_every_name(cpu):
    names = "".join(f"def n{i:03}_{'x' * (i % 9)}():\n    pass\n" for i in range(60))
    out, report = frozen(Image(cpu), mpys({"names.py": names, "nul.py": "A = 'a\\0b'\nB = 'a'\n"}))
    tables = Tables(Download(out).app)
    for number, string in enumerate(tables.strings[1:], 1):
        assert freezing.find(tables.pools, string) == number
    assert freezing.find(tables.pools, b"not there") == 0 and report.names > 60


# ---- what is refused


def spoil(label, at, data):
    return lambda image: image.poke(label, at, data)


def word(label, at, value):
    return lambda image: image.poke(label, at, struct.pack("<I", value(image) if callable(value) else value))


def order(image):
    image.order = ["irom", "dram", "drom"]


SPOILED = {
    "no checksum flag": (lambda image: None, "carries no SHA-256"),
    "constants after code": (order, "do not come before the code"),
    "descriptor": (spoil("descriptor", 0, b"\0"), "exactly one segment of constants"),
    "a name's hash": (spoil("pool1 hashes", 2, b"\xa5\xa5"), "pools of names"),
    "a name's length": (spoil("pool1 lengths", 2, b"\x63"), "pools of names"),
    "a name's letter": (spoil("pool2 3", 0, b"#"), "pools of names"),
    "pool not sorted": (word("pool1", 4, 228), "not sorted as MicroPython"),
    "static names": (spoil("pool0 2", 0, b"__dir_x"), "pools of names"),
    "sys.maxsize": (spoil("maxsize digits", 3, b"\x3f"), "sys.maxsize"),
    "math.pi": (spoil("pi", 4, b"\0"), "math.pi"),
    "no type": (spoil("type type", 6, b"\0\0"), "types called type"),
    "no str among the builtins": (word("builtins", 12, 0), "exactly one type str"),
    "no Ellipsis": (word("ellipsis", 4, 1), "exactly one Ellipsis"),
    "no frozen modules": (spoil("names", 0, b"\1"), "no code refers to the names"),
    "a module under another name": (spoil("names", 0, b"xb"), "no code refers to the names"),
    "unknown opcode": (spoil("module big.py code data", 12, b"\x01\x01\x01"), None),
    "no words of help": (spoil("help", 0, b"p"), "words of help"),
    "a word refers to the names": (word("dram", 0, lambda image: image.addr["names"]), "a word .*refers to"),
    "no flags in a raw code": (spoil("module ssl.py code", 3, b"\2"), "is_generator"),
    "a generator that is none": (spoil("module ssl.py code", 3, b"\1"), "is_generator"),
    "frozen code of another kind": (spoil("module ssl.py code", 2, b"\5"), "unknown kind 5"),
    "a frozen text's hash": (spoil("object 1", 4, b"\1\1"), None),
}


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_image_is_refused(cpu, name):
    change, words = SPOILED[name]
    image = Image(cpu)
    change(image)
    raw = bytearray(image.raw())
    if name == "no checksum flag":
        raw[0x10000 - image.flash_offset + 23] = 0
    with pytest.raises(Refused, match=words):
        freezing.freeze(bytes(raw), NEW_MPYS)


def test_a_reference_that_is_missing_doubled_or_into_a_table_is_refused():
    for label, words in [("find_frozen 1", "contents of frozen modules"), ("map_init 1", "reserved end")]:
        image = Image("xtensa")
        image.poke(label, 0, struct.pack("<I", 12))
        with pytest.raises(Refused, match=words):
            frozen(image)
    image = Image("xtensa")
    image.poke("thread_data 0", 0, struct.pack("<I", image.addr["names"]))
    with pytest.raises(Refused, match="unknown code uses"):
        frozen(image)
    image = Image("xtensa")
    image.poke("thread_data 0", 0, struct.pack("<I", image.addr["content"] + 8))
    with pytest.raises(Refused, match="inside of the contents"):
        frozen(image)


def test_bytes_that_only_look_like_a_load_are_no_reference():
    image = Image("xtensa")
    seems = image.addr["seeming load"]
    references = OF_CPU["xtensa"](Download(image.raw()).app)
    assert references.users([image.addr["find_frozen 1"]]) == [image.addr["find_frozen load 1"], seems]
    frozen(image)


@pytest.mark.parametrize("cpu", CPUS)
def test_an_image_whose_end_of_constants_is_not_beside_their_start_is_refused(cpu):
    """As MicroPython 1.23 has it, with ESP-IDF 5.2.0."""
    with pytest.raises(Refused, match="no code looks like ESP-IDF's reserved end"):
        frozen(Image(cpu, functions={"map_init": ["drom"], "map_rest": ["drom end"]}))


def test_on_risc_v_a_half_address_that_something_else_uses_is_refused():
    image = Image("riscv")
    addi = struct.unpack("<I", struct.pack("<I", image.word("find_frozen 0", 4)))[0]
    image.poke("find_frozen 0", 4, struct.pack("<I", addi & ~(31 << 7) | 11 << 7))  # the sum goes to another register
    with pytest.raises(Refused, match="not safe to change"):
        frozen(image)


def test_two_pools_two_types_two_function_tables_are_refused():
    for labels, words in [(("pool2",), "two pools"), (("fun_table",), "tables look like mp_fun_table")]:
        image = Image("xtensa")
        for label in labels:
            start = image.addr[label] - image.drom.base
            copy = bytes(image.drom.data[start : start + 4 * 200])
            image.poke("dram", 0, b"")
            image.drom.data += bytes(-len(image.drom.data) % 4) + copy
        image.poke("map_init 1", 0, struct.pack("<I", image.drom.base + len(image.drom.data)))
        with pytest.raises(Refused, match=words):
            frozen(image)


def test_files_that_are_not_whole_images_are_refused():
    image = Image("xtensa")
    raw = image.raw()
    for size in (0, 1, 100, 0x7000, 0xF000, 0xF010, 0xF100, len(raw) - 1, len(raw) - 40):
        with pytest.raises(Refused):
            freezing.freeze(raw[:size], NEW_MPYS)
    cases = [
        (image.app(), "no bootloader"),
        (raw[:-1] + bytes([raw[-1] ^ 1]), "SHA-256 is wrong"),
        (raw[:0xF100] + bytes([raw[0xF100] ^ 1]) + raw[0xF101:], "checksum is wrong"),
        (raw + b"\xff" * 100 + b"\xe7\x02" + bytes(100), "signed for Secure Boot"),
        (raw + bytes(68), "signed for Secure Boot"),
        (bytes(byte ^ 0x5A for byte in raw), "encrypted one cannot be read"),
        (raw + b"more", "unknown bytes"),
        (image.raw(partition_table(digest=False) + b"\xeb\xeb" + bytes(30)), "MD5"),
        (image.raw(partition_table([(1, 2, 0x9000, 0x6000, b"nvs")])), "names no program"),
        (raw[:3] + b"\x10" + image.raw(partition_table([(0, 0, 0x10000, 0x10000, b"factory")]))[4:], "does not fit"),
        (b"\0" + raw[1:], "no bootloader"),
        (raw[:0xF000] + b"\0" + raw[0xF001:], "no application image"),
        (raw[:0xF00C] + b"\x63" + raw[0xF00D:], "unknown chip"),
        (Image("riscv").raw()[0x1000:], "different chips|no application|no bootloader"),
    ]
    for spoiled, words in cases:
        with pytest.raises(Refused, match=words):
            freezing.freeze(spoiled, NEW_MPYS)


def test_every_flipped_bit_of_a_table_is_refused_or_changes_nothing():
    """With checksums made anew. A flip that is taken changed what nobody reads (``alloc`` of a pool, say)."""
    image = Image("xtensa")
    tables = tables_of(image)
    labels = ["pool0", "pool1", "pool2", "pool1 hashes", "pool2 lengths", "type str", "type type", "builtins",
              "names", "content", "module ssl.py", "maxsize", "pi", "ellipsis", "fun_table"]  # fmt: skip
    chosen = random.Random(7)
    for label in labels:
        for _ in range(counts.get("image_flips")):
            at, bit = chosen.randrange(24), chosen.randrange(8)
            addr = image.addr[label] + at - image.drom.base
            image.drom.data[addr] ^= 1 << bit
            try:
                out, _ = frozen(image)
            except Refused:
                continue
            else:
                again = Tables(Download(out).app)
                assert again.strings[: len(tables.strings)] == tables.strings
                assert again.names[3:] == tables.names
            finally:
                image.drom.data[addr] ^= 1 << bit


@pytest.mark.parametrize(
    "text",
    [
        "@micropython.native\ndef f(a):\n    return a\n",
        "@micropython.asm_xtensa\ndef f(a2):\n    mov(a2, a2)\n",
    ],
)
def test_code_that_cannot_be_frozen_is_refused(text):
    with pytest.raises(Refused, match="only bytecode and viper"):
        frozen(Image("xtensa"), mpys({"v.py": text}))


def test_a_mpy_that_is_not_as_expected_is_refused():
    good = NEW_MPYS["m.py"]
    cases = [
        ({"m.py": b"M\x05" + good[2:]}, "version 6"),
        ({"m.py": good[:3] + b"\x3f" + good[4:]}, "wider numbers"),
        ({"other.py": good}, "was compiled as m.py"),
        ({"m.py": good[: len(good) // 2]}, "cut short|as MicroPython lays it out"),
        ({"m.py": good + b"\0"}, "longer than its code"),
    ]
    for new, words in cases:
        with pytest.raises(Refused, match=words):
            frozen(Image("xtensa"), new)
    with pytest.raises(Refused, match="cannot run machine code"):
        frozen(Image("xtensa", fun_table=False), mpys({"v.py": VIPER}))


def test_an_image_that_keeps_functions_in_another_way_is_refused():
    """Before 1.23 every function was a mp_raw_code_t; here none is."""
    with pytest.raises(Refused, match="plain bytecode"):
        frozen(Image("xtensa", {f"m{i}.py": "A = 1\n" for i in range(5)}))


def test_the_decoder_reads_whatever_mpy_cross_makes_of_the_firmware(tmp_path):
    static = [b"", b""] + [b"s%d" % i for i in range(2, 227)] + [b"zip"]
    for source, name in build.sources():
        out = tmp_path / "out.mpy"
        build.compile_file(source, out, "xtensawin", name.as_posix())
        module = bytecode.read_mpy(out.read_bytes(), static)
        for code in tree(module.code):
            if code.kind == bytecode.BYTECODE:
                used = bytecode.uses(code.data)
                assert used.end <= len(code.data)
                assert used.qstrs <= module.qstrs.keys() and used.objects <= module.objects.keys()
                assert len(code.children) == max(used.children, default=-1) + 1


def tree(code):
    yield code
    for child in code.children:
        yield from tree(child)


@pytest.mark.parametrize(
    "op, size, expected",
    [
        (0x123452B7, 4, ((), (5,), False)),  # lui t0
        (0x00A58533, 4, ((11, 10), (10,), False)),  # add a0, a1, a0
        (0x00B50463, 4, ((10, 11), (), True)),  # beq a0, a1
        (0x8082, 2, ((1,), (), True)),  # ret
        (0x852E, 2, ((11,), (10,), False)),  # mv a0, a1
        (0x952E, 2, ((10, 11), (10,), False)),  # add a0, a1
        (0x4501, 2, ((), (10,), False)),  # li a0, 0
        (0xC119, 2, ((10,), (), True)),  # beqz a0
        (0x4188, 2, ((11,), (10,), False)),  # lw a0, 0(a1)
        (0xC188, 2, ((11, 10), (), False)),  # sw a0, 0(a1)
        (0x4502, 2, ((2,), (10,), False)),  # lwsp a0
        (0xC02A, 2, ((10, 2), (), False)),  # swsp a0
        (0x050A, 2, ((10,), (10,), False)),  # slli a0, 2
        (0x0505, 2, ((10,), (10,), False)),  # addi a0, 1
        (0xA001, 2, ((), (), True)),  # j
    ],
)
def test_registers_of_risc_v_instructions(op, size, expected):
    assert registers(op, size) == expected


# ---- the command


def run(*arguments):
    return CliRunner().invoke(cli, ["board", "image", *map(str, arguments)])


@pytest.fixture
def any_board(monkeypatch, tmp_path):
    """The image of a whole board is of megabytes; here a board's manifest names two modules."""
    folder = tmp_path / "boards" / "small"
    folder.mkdir(parents=True)
    facts = {"mcu": "esp32", "product": "small", "takes": "image", "micropython": "1.26.1"}
    facts["deploy_options"] = {"flash_offset": "0x1000"}
    (folder / "board.json").write_text(json.dumps(facts))
    (folder / "main.py").write_text("print('main')\n")
    (folder / "manifest.py").write_text("require('umqtt.simple')\nrequire('ssl')\nmodule('main.py')\n")
    monkeypatch.setattr(catalog, "FOLDER", tmp_path / "boards")
    image = Image("xtensa")
    image.drom.data += b"MicroPython v1.26.1 on 2025-09-11\0" + bytes(2)
    image.poke("map_init 1", 0, struct.pack("<I", image.drom.base + len(image.drom.data)))
    (tmp_path / "official.bin").write_bytes(image.raw())
    return tmp_path


def test_the_command_refuses_an_image_that_was_never_tried_unless_told(any_board):
    arguments = ("--board", "small", "--image", any_board / "official.bin", "--out", any_board / "out.bin")
    done = run(*arguments)
    assert done.exit_code and isinstance(done.exception, Refused) and "--unlisted" in str(done.exception)
    assert not (any_board / "out.bin").exists()
    (any_board / "own.py").write_text("X = 1\n")
    done = run(*arguments, "--unlisted", "--module", f"own.py={any_board / 'own.py'}", "--heap-kb", 80)
    assert done.exit_code == 0, done.output
    assert "first heap: 80 KB" in done.output
    assert "3 modules in 1 pages" in done.output and "ota_1" in done.output
    app = Download((any_board / "out.bin").read_bytes()).app
    tables = Tables(app)
    assert tables.names[:3] == [b"main.py", b"own.py", b"latchkey_image.py"]
    assert app.made_from.endswith(b"on v1.26.1")
    assert app.made_from.decode() in Reader(tables).module(tables.modules[2]).objects.values()


def test_the_command_refuses_another_chip_and_a_module_that_the_image_lacks(any_board):
    facts = json.loads((any_board / "boards/small/board.json").read_text()) | {"mcu": "esp32c3"}
    arguments = ("--board", "small", "--image", any_board / "official.bin", "--out", any_board / "x", "--unlisted")
    (any_board / "boards/small/manifest.py").write_text("require('neopixel')\nmodule('main.py')\n")
    assert "lacks the module neopixel" in str(run(*arguments).exception)
    (any_board / "boards/small/board.json").write_text(json.dumps(facts))
    assert "is for esp32, but small is esp32c3" in str(run(*arguments).exception)


def test_the_first_heap_is_the_board_s(any_board):
    path = any_board / "boards/small/board.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"heap_kb": 88}))
    arguments = ("--board", "small", "--image", any_board / "official.bin", "--out", any_board / "x", "--unlisted")
    assert "first heap: 88 KB" in run(*arguments).output
    assert "first heap: 92 KB" in run(*arguments, "--heap-kb", 92).output


def test_the_command_refuses_a_micropython_older_than_what_was_run_unless_told(any_board, monkeypatch):
    path = any_board / "boards/small/board.json"
    path.write_text(path.read_text().replace("1.26.1", "1.27.0"))
    monkeypatch.setitem(recipe.TRIED, hashlib.sha256((any_board / "official.bin").read_bytes()).hexdigest(), "this")
    arguments = ("--board", "small", "--image", any_board / "official.bin", "--out", any_board / "x")
    assert "MicroPython v1.26.1 is too old: small needs 1.27.0 or later" in str(run(*arguments).exception)
    assert run(*arguments, "--unlisted").exit_code == 0


def test_the_images_that_were_tried_are_named_by_their_hash():
    assert all(len(digest) == 64 and name.startswith("ESP32") for digest, name in recipe.TRIED.items())
