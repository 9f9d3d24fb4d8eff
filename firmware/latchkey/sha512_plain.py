"""SHA-512's block function in plain Python (FIPS 180-4 section 6.4.2): the specification of the viper kernel.

Words are 64 bits, kept as (high, low) pairs of 32 bits in the state, because that is what the other kernel needs. No
board gets this module: the chips all run the other.
"""

_WORD64 = (1 << 64) - 1


def block(state, constants, _work, data, at):
    """Work the 128 bytes of ``data`` from ``at`` into ``state``.

    ``state``: array("I") of 16; ``constants``: bytes of 80 words, big-endian; the other kernel's scratch is ignored.
    """
    w = [int.from_bytes(data[at + i : at + i + 8], "big") for i in range(0, 128, 8)]
    for t in range(16, 80):
        x = w[t - 15]
        y = w[t - 2]
        s0 = _rotate(x, 1) ^ _rotate(x, 8) ^ x >> 7
        s1 = _rotate(y, 19) ^ _rotate(y, 61) ^ y >> 6
        w.append(s1 + w[t - 7] + s0 + w[t - 16] & _WORD64)
    a, b, c, d, e, f, g, h = before = [state[i] << 32 | state[i + 1] for i in range(0, 16, 2)]
    for t in range(80):
        s1 = _rotate(e, 14) ^ _rotate(e, 18) ^ _rotate(e, 41)
        t1 = h + s1 + (e & f ^ ~e & g) + int.from_bytes(constants[8 * t : 8 * t + 8], "big") + w[t]
        s0 = _rotate(a, 28) ^ _rotate(a, 34) ^ _rotate(a, 39)
        t2 = s0 + (a & b ^ a & c ^ b & c)
        h, g, f, e, d, c, b, a = g, f, e, d + t1 & _WORD64, c, b, a, t1 + t2 & _WORD64
    for i, x in enumerate((a, b, c, d, e, f, g, h)):
        x = x + before[i] & _WORD64
        state[2 * i] = x >> 32
        state[2 * i + 1] = x & 0xFFFFFFFF


def _rotate(x, n):
    return (x >> n | x << 64 - n) & _WORD64
