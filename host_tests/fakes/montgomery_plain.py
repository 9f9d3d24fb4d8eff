"""The kernel's specification: the same functions on the same buffer, with Python's integers (latchkey.bignum).

Stands in for ``latchkey.montgomery`` and for ``uctypes``, which CPython does not have. Scratch words get ones.
"""

_APART = 1 << 20  # bytes between the addresses of two buffers
_buffers = []


def addressof(buffer):
    _buffers.append(buffer)
    return len(_buffers) * _APART


def product(t, a, b, p):
    k = _read(p + 1, 1)
    n = _read(p + 2, k)
    below_r = (1 << 32 * k) - 1
    total = _read(a, k) * _read(b, k)
    total = total + (total * _n_prime(n, _read(p, 1), k) & below_r) * n >> 32 * k
    _write(t - 1, k + 2, (1 << 32 * (k + 2)) - 1)
    _write(t, k, total - n if total >= n else total)


def _n_prime(n, x, k):
    """-1/n mod R from ``x``, its lowest limb: Newton's step doubles the correct limbs."""
    limbs = 1
    while limbs < k:
        limbs *= 2
        x = x * (2 + n * x) & (1 << 32 * limbs) - 1
    return x


def turn(t, s, k):
    buffer, at = _place(s)
    _write(t, k, int.from_bytes(buffer[at : at + 4 * k], "big"))


def _place(word):
    """(buffer, index of its byte) of a word's address."""
    address = word << 2
    return _buffers[address // _APART - 1], address % _APART


def _read(word, count):
    buffer, at = _place(word)
    return int.from_bytes(buffer[at : at + 4 * count], "little")


def _write(word, count, value):
    buffer, at = _place(word)
    if at + 4 * count > len(buffer) or at < 0:
        raise IndexError("outside the buffer")
    buffer[at : at + 4 * count] = value.to_bytes(4 * count, "little")
