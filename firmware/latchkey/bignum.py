"""Modular powers with an odd modulus, for RSA verification. Nothing here is secret: time depends on all values.

``kernel`` says what computes: "kernel" (machine code, ``latchkey/montgomery.mpy``), or "pow" (Python's own), where that
file is missing or the interpreter cannot load it. On an ESP32 the kernel takes an eighth of the time of ``pow``.

Contract
    Modulus(n_be, e)  n_be: bytes, big-endian, odd, no zero byte in front; e: odd, at least 3. With the kernel it keeps
                      n and R**2 mod n, which is one division by Python's integers.
    .power(s_be)      s_be: bytes or bytearray, big-endian. Returns s**e mod n, bytes-like, as long as n_be; None unless
                      s_be is as long as n_be and less. With the kernel it allocates nothing (only that MicroPython puts
                      frames of functions on the heap where it has room, and before 1.26 five slices of 16 bytes), and
                      the result is a view that the next power of any key overwrites. One buffer serves all keys: MUST
                      be called by the main loop's thread only.

Contract of the kernel, which checks nothing
    Representation    A number is k limbs of 32 bits, the lowest first, each little-endian; k is a multiple of 8.
                      R = 2**(32 k). An address is that of a word divided by 4: a small integer on every chip.
    product(t, a, b, p)
                      t = a * b / R mod n. p[0] is -1/n mod 2**32, p[1] is k, n begins at p[2]. For any a, b < R:
                      (a * b + n * m) / R with the m < R that makes it an integer, and n less if that is not below n.
                      So t < n if a * b < n * R. MUST: n odd; t apart from a, b and n (a may be b). t[-1] and t[k] are
                      scratch. Cost at k = 64: 78,000 (Xtensa) or 86,000 (RV32) instructions. Allocates nothing.
    turn(t, s, k)     t = the 4 k bytes of s in reverse order: from big-endian bytes to limbs, and back. MUST: t apart
                      from s.
    Source            tools/latchkey_tools/kernel. Specification: host_tests/fakes/montgomery_plain.py.

The buffer, in words; each dot is a scratch word of the numbers beside it. Alive during a power: all of it.

    p[0] p[1] n[k] . y[k] . z[k] . c[k] .
"""

from latchkey.limits import const

_ONE = const(0x31)  # "1"


class Modulus:
    def __init__(self, n_be, e):
        global _buffer
        self.n_be = n_be
        self.e = e
        if kernel == "pow":
            return
        # The values of n that a power needs: computed once, with Python's integers.
        n = int.from_bytes(n_be, "big")
        self._k = k = (len(n_be) + 31) // 32 * 8
        inverse = 1
        for _ in range(5):  # Newton's step doubles the correct bits: 1, 2, 4 ... 32
            inverse = inverse * (2 - n * inverse) & 0xFFFFFFFF
        self._head = ((1 << 32) - inverse).to_bytes(4, "little") + k.to_bytes(4, "little")
        self._r2 = ((1 << 64 * k) % n).to_bytes(4 * k, "little")
        self._bits = bin(e)[3:-1].encode()  # but the highest and the lowest, which are 1
        end = 20 + 16 * k
        if len(_buffer) < end + 4:
            _buffer = bytearray(end + 4)
        self._buffer = _buffer
        self._p = addressof(_buffer) >> 2
        self._result = memoryview(_buffer)[end - len(n_be) : end]

    def power(self, s_be):
        if len(s_be) != len(self.n_be) or s_be >= self.n_be:
            return None
        if kernel == "pow":
            n = int.from_bytes(self.n_be, "big")
            return pow(int.from_bytes(s_be, "big"), self.e, n).to_bytes(len(self.n_be), "big")
        k = self._k
        p = self._p
        self._buffer[:8] = self._head
        self._number(p + 2, p + 4 + 2 * k, self.n_be)
        self._products(s_be, p, p + 3 + k, p + 4 + 2 * k, p + 5 + 3 * k)
        return self._result

    def _products(self, s_be, p, y, z, c):
        """c = s**e mod n, as big-endian bytes. y, z and c are the buffer's three other numbers."""
        self._number(y, z, s_be)
        at = z - p << 2
        self._buffer[at : at + 4 * self._k] = self._r2
        product(c, y, z, p)  # s * R: Montgomery's form
        product(y, c, c, p)
        for bit in self._bits:
            if bit == _ONE:
                product(z, y, c, p)
                y, z = z, y
            product(z, y, y, p)
            y, z = z, y
        self._number(c, z, s_be)
        product(z, y, c, p)  # the lowest bit; times s without R, so this also leaves Montgomery's form
        turn(c, z, self._k)

    def _number(self, to, by, number_be):
        """The limbs of a number into ``to``; ``by`` is where its bytes lie before they are turned."""
        at = by - self._p << 2
        end = at + 4 * self._k
        for i in range(at, end - len(number_be)):
            self._buffer[i] = 0
        self._buffer[end - len(number_be) : end] = number_be
        turn(to, by, self._k)


# Of all keys, as large as the largest has needed. A Modulus keeps the one that it was made with.
_buffer = bytearray()


def _agrees():
    """Whether the kernel is right about one power, in which every product carries: (n - 2)**3 is n - 8, modulo n."""
    ones = b"\xff" * 31
    return Modulus(ones + b"\xfd", 3).power(ones + b"\xfb") == ones + b"\xf5"


try:
    from uctypes import addressof

    from latchkey.montgomery import product, turn  # pyright: ignore[reportMissingImports]

    kernel = "kernel"
    if not _agrees():
        kernel = "pow"
except (ImportError, ValueError, MemoryError):  # no file; another architecture or .mpy version; no executable memory
    kernel = "pow"
