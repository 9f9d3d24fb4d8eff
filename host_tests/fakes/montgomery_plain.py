"""The kernel's specification (contract: latchkey.bignum): the same functions, on the same buffer, with Python's integers.

Stands in for ``latchkey.montgomery`` and for ``uctypes``, which CPython does not have. Scratch words are filled with ones.
"""

_MASK = 0xFFFFFFFF
_APART = 1 << 20  # bytes between the addresses of two buffers
_buffers = []


def addressof(buffer):
    _buffers.append(buffer)
    return len(_buffers) * _APART


def product(t, a, b, p):
    n_prime = _read(p, 1)
    k = _read(p + 1, 1)
    n = _read(p + 2, k)
    total = _read(a, k) * _read(b, k)
    for _ in range(k):
        total = total + ((total & _MASK) * n_prime & _MASK) * n >> 32
    _write(t - 1, k + 2, (1 << 32 * (k + 2)) - 1)
    _write(t, k, total - n if total >= n else total)


def turn(t, s, k):
    buffer, target, source = _place(t)[0], _place(t)[1], _place(s)[1]
    for i in range(4 * k):
        buffer[target + 4 * k - 1 - i] = buffer[source + i]


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
