"""A simulator of the Xtensa opcodes that the kernel uses, since no emulator that Debian or pip brings has MULUH.

It decodes the bytes by itself (Xtensa Instruction Set Architecture Reference Manual, chapters 6 and 8) and refuses
everything else: other opcodes, accesses outside the memory that it was given, unaligned words, no RETW at the end.
Each run of instructions up to a branch is translated to a Python function once.
"""

_MASK = 0xFFFFFFFF
_RETURN = -1
_RETURN_ADDRESS = 0x80001234  # CALL8 leaves its window in the two top bits
_CONDITIONS = {3: "<", 9: "!=", 11: ">="}  # BLTU, BNE, BGEU
# By (op2, op1) of op0 = 0, by r of op0 = 2, by op0.
_RRR = {
    (8, 2): "a[{r}] = a[{s}] * a[{t}] & {mask}",
    (10, 2): "a[{r}] = a[{s}] * a[{t}] >> 32",
    (12, 0): "a[{r}] = a[{s}] - a[{t}] & {mask}",
}
_RRI8 = {
    0: "a[{t}] = load(a[{s}] + {byte}, 1)",
    2: "a[{t}] = load(a[{s}] + 4 * {byte}, 4)",
    4: "store(a[{s}] + {byte}, a[{t}], 1)",
    6: "store(a[{s}] + 4 * {byte}, a[{t}], 4)",
    12: "a[{t}] = a[{s}] + {signed_byte} & {mask}",
}
_NARROW = {
    8: "a[{t}] = load(a[{s}] + 4 * {r}, 4)",
    9: "store(a[{s}] + 4 * {r}, a[{t}], 4)",
    10: "a[{r}] = a[{s}] + a[{t}] & {mask}",
    11: "a[{r}] = a[{s}] + ({t} or -1) & {mask}",
}

_translated = {}  # code to {address: what Chip._translate made}


class SimulatorError(Exception):
    """The code did what a chip or the caller would not bear; the text says what and where."""


class Chip:
    """Runs ``code`` on ``memory``: start address to bytearray. The code is not among it: instruction RAM holds no data.

    ``count``: instructions so far; ``limit``: how many a call may take.
    """

    def __init__(self, code, memory, limit=1_000_000):
        self._code, self._memory, self._limit = code, memory, limit
        self._blocks = _translated.setdefault(code, {})
        self.count = 0

    def call(self, *arguments, stack=0x3FFB8000):
        """The return value when C calls the code by CALL8 with the stack pointer ``stack``."""
        self.a = a = [0xA5A50000 + i for i in range(16)]
        a[0], a[1], a[2 : 2 + len(arguments)] = _RETURN_ADDRESS, stack, arguments
        memory = dict(self._memory)
        at = 0
        while at != _RETURN:
            if at not in self._blocks:
                self._blocks[at] = self._translate(at)
            block, count = self._blocks[at]
            self.count += count
            if self.count > self._limit:
                raise SimulatorError("it does not return")
            at = block(a, self._load, self._store, self._enter)
        self._memory = memory
        if (a[0], a[1]) != (_RETURN_ADDRESS, self._frame):
            raise SimulatorError("the return address or the stack pointer has changed")
        return a[2]

    def _enter(self, size):
        """ENTRY: a frame of ``size`` bytes, of which the upper 32 are where windows are saved."""
        self._frame = self.a[1] = self.a[1] - size
        self._memory[self._frame] = bytearray(size - 32)

    def _place(self, address, size):
        for start, data in self._memory.items():
            if start <= address and address + size <= start + len(data) and address % size == 0:
                return data, address - start
        raise SimulatorError(f"an access of {size} bytes at {address:#x}")

    def _load(self, address, size):
        data, at = self._place(address, size)
        return int.from_bytes(data[at : at + size], "little")

    def _store(self, address, value, size):
        data, at = self._place(address, size)
        data[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")

    def _translate(self, start):
        """(function, count of instructions) from ``start`` to the next branch; the function returns where to go on."""
        lines, at = [], start
        while not lines or not lines[-1].startswith("return"):
            if not 0 <= at < len(self._code) - 1:
                raise SimulatorError("it runs past its end")
            size = 2 if self._code[at] & 15 >= 8 else 3
            lines.append(self._statement(at, int.from_bytes(self._code[at : at + size], "little"), size))
            at += size
        names = {}
        exec("def block(a, load, store, enter):\n  " + "\n  ".join(lines), names)
        return names["block"], len(lines)

    def _statement(self, at, word, size):
        """One instruction in Python."""
        t, s, r, byte = word >> 4 & 15, word >> 8 & 15, word >> 12 & 15, word >> 16
        fields = {"t": t, "s": s, "r": r, "byte": byte, "signed_byte": _signed(byte, 8), "mask": _MASK}
        op0, after = word & 15, at + size
        if word & 0xFF == 0x36 and s == 1 and at == 0:
            return f"enter({word >> 12 << 3})"
        if word & 0xFF == 0x56:
            return f"return {at + 4 + _signed(word >> 12, 12)} if a[{s}] else {after}"
        if op0 == 7 and r in _CONDITIONS:
            return f"return {at + 4 + fields['signed_byte']} if a[{s}] {_CONDITIONS[r]} a[{t}] else {after}"
        if word == 0xF01D:
            return f"return {_RETURN}"
        if op0 == 12 and t < 8:
            return f"a[{s}] = {(t << 4 | r) - (128 if t >= 6 else 0)} & {_MASK}"
        if op0 == 13 and r == 0:
            return f"a[{t}] = a[{s}]"
        if op0 == 0 and byte & 0xEF == 1:
            return f"a[{r}] = a[{s}] << {32 - (byte & 16 | t)} & {_MASK}"
        text = {0: _RRR.get((byte >> 4, byte & 15)), 2: _RRI8.get(r)}.get(op0, _NARROW.get(op0))
        if text is None:
            raise SimulatorError(f"no opcode of the kernel at {at:#x}: {word:#x}")
        return text.format(**fields)


def _signed(value, bits):
    return value - (value >> bits - 1 << bits)
