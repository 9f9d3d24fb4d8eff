"""The kernel's very bytes against its specification: every carry, every place, and what it must leave alone."""

import random
import re
import subprocess

import montgomery_plain
import on_kernel
import pytest
from machine_code import REFUSED, Machine

import counts
from latchkey_tools import kernel
from latchkey_tools.boards import build, umqtt
from latchkey_tools.kernel import assembler, montgomery_rv32, montgomery_xtensa, mpy, rv32, xtensa
from needs import needs

ARCHITECTURES = tuple(kernel.SOURCES)
MOST_BYTES = 700
MOST_INSTRUCTIONS = {"xtensawin": 80_000, "rv32imc": 90_000}
ODD_SIZES = (2049, 2080, 2111, 2303, 2305, 3071, 3073, 3999, 4095)


def number(rng, k):
    return rng.getrandbits(32 * k)


def layout(n, a, b, k):
    """A buffer of latchkey.bignum with n, a, b, and room for t before or behind them; the words where t, a, b begin."""
    words = [pow(-n, -1, 1 << 32), k]
    t = (1 << 32 * k) // 7
    numbers = [value.to_bytes(4 * k, "little") for value in ((n, a, b, t) if a & 1 else (n, t, a, b))]
    scratch = b"\x5a" * 4
    data = b"".join(word.to_bytes(4, "little") for word in words) + b"".join(one + scratch for one in numbers)
    places = 3 + k, 4 + 2 * k, 5 + 3 * k
    return bytearray(data), (places[2], *places[:2]) if a & 1 else places


def run(machine, n, a, b, k):
    """t of a product; AssertionError if anything but t and its scratch words has changed."""
    buffer, (t, at_a, at_b) = layout(n, a, b, k)
    before = bytes(buffer)
    p = machine.addressof(buffer) >> 2
    machine.product(p + t, p + at_a, p + at_b, p)
    assert buffer[: 4 * t - 4] == before[: 4 * t - 4]
    assert buffer[4 * (t + k + 1) :] == before[4 * (t + k + 1) :]
    return int.from_bytes(buffer[4 * t : 4 * (t + k)], "little")


def check(machine, n, a, b, k):
    want = run(montgomery_plain, n, a, b, k)
    assert run(machine, n, a, b, k) == want, f"n={n:#x} a={a:#x} b={b:#x} k={k}"


def edges(k, rng):
    """(n, a, b): all pairs of edges under moduli of all kinds."""
    r = 1 << 32 * k
    moduli = (r - 1, (r >> 1) + 1, r - (r >> 16) - 1, (1 << 16 * k) + 1, 1, 3, number(rng, k) | 1)
    for n in moduli:
        values = sorted({0, 1, n - 1, n, min(n + 1, r - 1), r - 1, number(rng, k)})
        yield from ((n, a, b) for a in values for b in values)


def places(k, rng):
    """(n, a, b) with a limb of zeros, or of ones, at each place of each of them."""
    r = 1 << 32 * k
    for j in range(k):
        limb = 0xFFFFFFFF << 32 * j
        for base in (r - 1, number(rng, k), 0):
            for changed in (base & ~limb, base | limb):
                others = number(rng, k) | 1, number(rng, k)
                yield from ((changed | 1, *others), (others[0], changed, others[1]), (*others, changed))
                yield changed | 1, changed, changed


def last_subtractions(k, rng):
    """(n, a, b) with b = R - n: then the sum is a itself, and here it differs from n at each place."""
    r = 1 << 32 * k
    for n in (r - 1, (r >> 1) + 1, number(rng, k) | r >> 1 | 1, r - (1 << 16 * k) + 1):
        steps = [1 << 32 * j for j in range(k)]
        for a in {n, *(x for step in steps for x in (n + step, n - step, step - 1, r - step))}:
            if 0 <= a < r:
                yield n, a, r - n


@pytest.fixture(params=ARCHITECTURES)
def arch(request):
    return request.param


@pytest.mark.parametrize("cases", [edges, places, last_subtractions], ids=lambda cases: cases.__name__)
def test_a_product_is_the_specification_s(arch, cases):
    rng = random.Random(1)
    machine = Machine(arch)
    done = 0
    for k in (8, 16):
        for case in cases(k, rng):
            check(machine, *case, k)
            done += 1
    assert done > 100


def test_products_of_random_numbers_of_all_sizes_are_the_specification_s(arch):
    rng = random.Random(2)
    machine = Machine(arch)
    for _ in range(counts.get("kernel_products")):
        k = rng.choice((8, 16, 24, 64, 72, 128) if rng.random() < 0.2 else (8, 16, 24))
        n, a, b = (number(rng, rng.randrange(1, k + 1)) for _ in range(3))
        check(machine, n | 1, a, b, k)


def test_a_product_of_a_number_with_itself_is_the_specification_s(arch):
    rng = random.Random(3)
    k, machine = 8, Machine(arch)
    for n, a in ((number(rng, k) | 1, number(rng, k)), ((1 << 256) - 1, (1 << 256) - 1)):
        results = []
        for this in (montgomery_plain, machine):
            buffer, (t, at_a, _) = layout(n, a, 0, k)
            p = this.addressof(buffer) >> 2
            this.product(p + t, p + at_a, p + at_a, p)
            results.append(bytes(buffer[4 * t : 4 * (t + k)]))
        assert results[0] == results[1]


def test_turn_reverses_the_bytes_and_changes_nothing_else(arch):
    machine = Machine(arch)
    for k in (8, 64, 128):
        buffer = bytearray(random.Random(4).randbytes(8 * k + 12))
        before = bytes(buffer)
        p = machine.addressof(buffer) >> 2
        machine.turn(p + k + 2, p + 1, k)
        source, target = slice(4, 4 + 4 * k), slice(4 * k + 8, 8 * k + 8)
        assert buffer[target] == before[source][::-1]
        assert (buffer[: target.start], buffer[target.stop :]) == (before[: target.start], before[target.stop :])


def test_whole_powers_by_the_machine_code_are_pow_s(arch):
    machine = Machine(arch)
    bignum, _ = on_kernel.load(machine, machine)
    assert bignum.kernel == "kernel"
    rng = random.Random(5)
    for bits, e in ((2048, 65537), *((bits, 3) for bits in ODD_SIZES)):
        n = rng.getrandbits(bits) | 1 << bits - 1 | 1
        size = (bits + 7) // 8
        for s in (n - 1, rng.randrange(n)) if bits != 2048 else (rng.randrange(n),):
            got = bignum.Modulus(n.to_bytes(size, "big"), e).power(s.to_bytes(size, "big"))
            assert int.from_bytes(got, "big") == pow(s, e, n), (bits, e)


def test_a_product_of_2048_bits_takes_few_instructions_and_few_bytes(arch):
    rng = random.Random(6)
    k, r = 64, 1 << 2048
    machine = Machine(arch, **({"counting": True} if arch == "rv32imc" else {}))
    seen = []
    for n in (rng.getrandbits(2048) | r >> 1 | 1, r - 1):
        for a, b in ((n - 1, n - 1), (rng.randrange(n), rng.randrange(n))):
            run(machine, n, a, b, k)
            seen.append(machine.count)
    print(arch, seen, {name: len(code) for name, code in kernel.code(arch).items()})
    assert 50_000 < max(seen) <= MOST_INSTRUCTIONS[arch]
    assert sum(map(len, kernel.code(arch).values())) <= MOST_BYTES


def refused(arch, program):
    """Whether some case tells the product ``program`` (lines) from the kernel's."""
    rng = random.Random(7)
    k, r = 8, 1 << 256
    ones = r - 1
    hard = [(ones, ones, ones), (ones, ones - 1, ones), (3, ones, ones), (ones - 4, ones, 5), (ones - 4, ones - 5, 5)]
    cases = hard + [(number(rng, k) | 1, number(rng, k), number(rng, k)) for _ in range(20)]
    cases += list(last_subtractions(k, rng)) + [(number(rng, 16) | 1, number(rng, 16), number(rng, 16))]
    try:
        machine = Machine(arch, {"product": assembler.assemble(program)}, limit=20_000)
        for n, a, b in cases:
            check(machine, n, a, b, 16 if n >= r else k)
    except (AssertionError, ValueError, *REFUSED):
        return True
    return False


def test_without_any_one_of_its_instructions_a_product_is_wrong(arch):
    program = kernel.lines(arch)["product"]
    assert not refused(arch, program)
    needless = []
    for at, line in enumerate(program):
        if isinstance(line, assembler.Instruction) and not refused(arch, program[:at] + program[at + 1 :]):
            needless.append(line.text)
    # One carry at a time may begin as anything: the lowest sum is 0 mod 2**32 without it, so it ends in t[-1].
    assert needless == {"xtensawin": ["movi.n a8, 0", "movi.n a9, 0"], "rv32imc": ["c.li t1,0", "c.li t2,0"]}[arch]


@pytest.mark.parametrize(
    "source, opcode, field",
    [
        (montgomery_xtensa, "l32i", 2),
        (montgomery_xtensa, "s32i", 2),
        (montgomery_rv32, "lw", 1),
        (montgomery_rv32, "sw", 1),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)).rpartition(".")[2],
)
def test_one_limb_beside_the_right_one_makes_a_product_wrong(monkeypatch, source, opcode, field):
    arch = next(name for name, module in kernel.SOURCES.items() if module is source)
    original, wrong, calls = getattr(source, opcode), 0, 0

    def mutant(*operands):
        nonlocal calls
        calls += 1
        operands = list(operands)
        operands[field] += 4 * (calls == wrong)
        return original(*operands)

    monkeypatch.setattr(source, opcode, mutant)
    while wrong <= calls:
        wrong, calls = wrong + 1, 0
        program = source.product()
        assert refused(arch, program) == (wrong <= calls), (opcode, wrong)
    assert wrong > 5


def test_without_the_last_subtraction_a_product_is_wrong(monkeypatch, arch):
    source = kernel.SOURCES[arch]
    whole = source.product()
    end = {"xtensawin": [xtensa.movi(2, 1), xtensa.retw()], "rv32imc": [rv32.addi(10, 0, 1), rv32.ret()]}
    monkeypatch.setattr(source, "reduce_once", lambda: end[arch])
    assert refused(arch, source.product()) and not refused(arch, whole)


@pytest.mark.parametrize(
    "arch, lines",
    [
        ("xtensawin", [xtensa.entry(1, 48), xtensa.s32i(2, 1, 16), xtensa.movi(2, 1), xtensa.retw()]),
        ("xtensawin", [xtensa.entry(1, 48), xtensa.addi(1, 1, 16), xtensa.movi(2, 1), xtensa.retw()]),
        ("xtensawin", [xtensa.entry(1, 48), xtensa.mov(0, 2), xtensa.movi(2, 1), xtensa.retw()]),
        ("xtensawin", [xtensa.entry(1, 48), xtensa.l8ui(3, 0, 0), xtensa.movi(2, 1), xtensa.retw()]),
        ("xtensawin", [xtensa.movi(2, 1), xtensa.retw()]),
        ("xtensawin", [xtensa.entry(1, 48), xtensa.movi(2, 1)]),
        ("rv32imc", [rv32.addi(rv32.s0, 0, 7), rv32.addi(10, 0, 1), rv32.ret()]),
        ("rv32imc", [rv32.addi(rv32.sp, rv32.sp, -16), rv32.addi(10, 0, 1), rv32.ret()]),
        ("rv32imc", [rv32.sw(0, 16, 13), rv32.addi(10, 0, 1), rv32.ret()]),
        ("rv32imc", [rv32.sw(0, 0, rv32.sp), rv32.addi(10, 0, 1), rv32.ret()]),
    ],
)
def test_code_that_harms_its_caller_is_noticed(arch, lines):
    with pytest.raises((AssertionError, AttributeError, *REFUSED)):
        run(Machine(arch, {"product": assembler.assemble(lines)}), 3, 1, 1, 8)


def disassembled(data, tmp_path, program, *options):
    """(address, text) of every instruction in ``data``, by a disassembler of Debian's binutils."""
    path = tmp_path / "code"
    path.write_bytes(data)
    command = [program, "-D", "-b", "binary", *options, str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^ +([0-9a-f]+):\t[0-9a-f ]+\t(.*)$", printed, re.M)
    return [(int(at, 16), " ".join(text.split())) for at, text in rows]


def listing(lines, target="0x"):
    """As such a disassembler prints it; ``target`` is before the address that a branch goes to."""
    found = zip(assembler.listing(lines), (i for i in lines if isinstance(i, assembler.Instruction)), strict=True)
    for (at, text), instruction in found:
        yield at, re.sub("([0-9a-f]+)$", rf"{target}\1", text) if instruction.target else text


@needs("riscv64-unknown-elf-objdump")
@pytest.mark.parametrize("name", kernel.FUNCTIONS)
def test_debians_disassembler_reads_the_riscv_code_as_it_was_written(name, tmp_path):
    options = ("riscv64-unknown-elf-objdump", "-m", "riscv:rv32", "-M", "no-aliases")
    read = disassembled(kernel.code("rv32imc")[name], tmp_path, *options)
    written = [(at, text.replace(", 0x", ",0x")) for at, text in listing(kernel.lines("rv32imc")[name])]
    assert [(at, text.replace(" ", "\t", 1)) for at, text in read] == [
        (at, text.replace(" ", "\t", 1)) for at, text in written
    ]


# Debian's disassembler is for a core without the windowed registers and without MULUH: it reads these as "excw".
NOT_IN_LX106 = {"entry", "retw.n", "muluh"}


@needs("xtensa-lx106-elf-objdump")
@pytest.mark.parametrize("name", kernel.FUNCTIONS)
def test_debians_disassembler_reads_the_xtensa_code_as_it_was_written(name, tmp_path):
    read = disassembled(kernel.code("xtensawin")[name], tmp_path, "xtensa-lx106-elf-objdump", "-m", "xtensa")
    written = list(listing(kernel.lines("xtensawin")[name]))
    assert [at for at, _ in read] == [at for at, _ in written]
    for (_, text), (_, ours) in zip(read, written, strict=True):
        assert text == ("excw" if ours.split()[0] in NOT_IN_LX106 else ours)


def test_micropythons_compiler_and_the_manual_have_the_opcodes_that_debian_does_not_know(tmp_path):
    source = tmp_path / "viper.py"
    source.write_text("@micropython.viper\ndef f(a: int) -> int:\n    return a\n")
    build.compile_file(source, tmp_path / "viper.mpy", "xtensawin", "viper.py")
    compiled = (tmp_path / "viper.mpy").read_bytes()
    opened = re.search(rb"\x36[\x01\x11\x21\x31\x41\x51\x61\x71\x81\x91\xa1\xb1\xc1\xd1\xe1\xf1].", compiled)[0]
    frame = int.from_bytes(opened, "little") >> 12 << 3
    assert xtensa.entry(1, frame).bits(0).to_bytes(3, "little") == opened and 32 <= frame < 128
    assert xtensa.retw().bits(0).to_bytes(2, "little") in compiled
    # Chapter 6: MULUH is op2 = 10, op1 = 2, r, s, t, op0 = 0; MULL, which Debian reads, is op2 = 8.
    assert xtensa.muluh(3, 4, 5).bits(0) == 0xA23450 == xtensa.mull(3, 4, 5).bits(0) | 0x200000


def test_an_operand_that_does_not_fit_is_refused():
    for line in (
        lambda: xtensa.l32i(2, 3, 64),
        lambda: xtensa.l32i(2, 3, 2),
        lambda: xtensa.movi(2, 96),
        lambda: xtensa.addi(2, 3, 128),
        lambda: rv32.lw(10, 2048, 11),
        lambda: rv32.addi(10, 11, -2049),
        lambda: assembler.assemble([xtensa.label("x"), *[xtensa.retw()] * 80, xtensa.bne(2, 3, "x")]),
        lambda: assembler.assemble([xtensa.label("x"), xtensa.label("x")]),
    ):
        with pytest.raises(ValueError):
            line()


def on_unix(tmp_path, code, *folders):
    """The output of ``code`` on the unix port."""
    path = ":".join([".frozen", str(tmp_path), *map(str, folders)])
    done = subprocess.run(
        [build.micropython(), "-c", code], env={"MICROPYPATH": path}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_container_is_one_that_micropython_loads_and_calls(tmp_path):
    """With x86-64 code that counts its arguments: mov rax, rsi; lea rax, [rax + rax + 1]; ret."""
    code = bytes.fromhex("4889f0 488d440001 c3")
    (tmp_path / "counting.mpy").write_bytes(mpy.module("counting.py", "x64", {"one": b"\xc3", "count": code}))
    assert on_unix(tmp_path, "import counting; print(counting.count(7, 8, 9), counting.count())") == "3 0\n"


def a_board_s_firmware(tmp_path):
    """As a board gets it, but for the kernel."""
    firmware = build.compile_for_board([umqtt.fetch() / "umqtt" / "simple.py"])
    (tmp_path / "latchkey").mkdir()
    for path in (firmware / "latchkey").glob("*.mpy"):
        (tmp_path / "latchkey" / path.name).symlink_to(path)


def test_what_a_board_gets_works_with_a_kernel(tmp_path):
    a_board_s_firmware(tmp_path)
    (tmp_path / "latchkey" / "montgomery.py").symlink_to(montgomery_plain.__file__)
    code = """
import sys, latchkey.montgomery
sys.modules["uctypes"] = latchkey.montgomery
from latchkey import bignum
n, s = (1 << 2049) - 159, (1 << 2048) + 5
got = bignum.Modulus(n.to_bytes(257, "big"), 65539).power(s.to_bytes(257, "big"))
print(bignum.kernel, int.from_bytes(bytes(got), "big") == pow(s, 65539, n))
"""
    assert on_unix(tmp_path, code) == "kernel True\n"


@pytest.mark.parametrize("damage", ["architecture", "version", "missing"])
def test_a_kernel_that_cannot_be_loaded_means_pow(damage, tmp_path):
    a_board_s_firmware(tmp_path)
    data = bytearray((kernel.write("rv32imc") / kernel.NAME).read_bytes())
    if damage == "version":
        data[2] = 2 << 2 | 2  # x64's, of another sub-version
    if damage != "missing":
        (tmp_path / kernel.NAME).write_bytes(data)
    code = "from latchkey import bignum; print(bignum.kernel, bignum.Modulus(b'\\x7f', 3).power(b'\\x05'))"
    assert on_unix(tmp_path, code) == "pow b'}'\n"
