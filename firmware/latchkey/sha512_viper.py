"""SHA-512's block function as machine code (FIPS 180-4 section 6.4.2); ``sha512_plain`` is its specification.

A 64-bit word is two words of 32 bits, the high one first. One turn of the loop does half a round: first all low words,
then all high ones, which take what the low ones carry. Sums are of 16 bits and stay small, so nothing depends on the
width of viper's words: 32 bits on a chip, 64 on the desk. A chip without native code refuses this file at import.
"""

import micropython


@micropython.viper
def block(state, constants, work, data, at: int):
    """Work the 128 bytes of ``data`` from ``at`` into ``state``. Allocates nothing.

    ``state``: array("I") of 16; ``constants``: bytes of 80 words, big-endian (as bytes: a literal in a frozen
    image begins at any address); ``work``: array("I") of 48, scratch: the last 16 words of the message, then d, c, b, a
    and h, g, f, e. Those turn in place: a new a replaces the oldest.
    """
    s = ptr32(state)
    k = ptr8(constants)
    w = ptr32(work)
    p = ptr8(data)
    m = uint(0xFFFF)
    x = uint(0)
    i = 0
    while i < 128:
        x = x << 8 | p[at + i]
        w[i >> 2] = x
        if i < 16:
            w[i + 32] = s[i ^ 6]
        i += 1
    carry = uint(0)
    carry_a = uint(0)
    carry_e = uint(0)
    i = 0
    while i < 160:
        j = i ^ 1
        is_low = uint(j & 1)
        n = j & 31
        x = uint(w[n])
        low = carry + (x & m)
        high = x >> 16
        if i >= 32:
            # w[t] = w[t - 16] + s0(w[t - 15]) + w[t - 7] + s1(w[t - 2])
            g = (j + 2) & 31
            x = uint(w[g])
            y = uint(w[g ^ 1])
            z = x >> 1 ^ y << 31 ^ x >> 8 ^ y << 24 ^ x >> 7 ^ y * is_low << 25
            g = (j + 28) & 31
            x = uint(w[g])
            y = uint(w[g ^ 1])
            y = x >> 19 ^ y << 13 ^ y >> 29 ^ x << 3 ^ x >> 6 ^ y * is_low << 26
            x = uint(w[(j + 18) & 31])
            low += (z & m) + (y & m) + (x & m)
            high += (low >> 16) + (z >> 16 & m) + (y >> 16 & m) + (x >> 16)
            low &= m
            w[n] = high << 16 | low
            carry = (high >> 16) * is_low
            high &= m
        # t1 = w[t] + k[t] + h + S1(e) + Ch(e, f, g)
        d = j & 7 | 32
        c = (j + 2) & 7 | 32
        b = (j + 4) & 7 | 32
        a = (j + 6) & 7 | 32
        x = uint(w[a + 8])
        y = uint(w[a + 8 ^ 1])
        z = x >> 14 ^ y << 18 ^ x >> 18 ^ y << 14 ^ y >> 9 ^ x << 23
        y = (uint(w[b + 8]) ^ uint(w[c + 8])) & x ^ uint(w[c + 8])
        x = uint(w[d + 8])
        n = j << 2
        low += (z & m) + (y & m) + (x & m) + uint(k[n + 2] << 8 | k[n + 3])
        high += (z >> 16 & m) + (y >> 16) + (x >> 16) + uint(k[n] << 8 | k[n + 1])
        # e = d + t1
        x = uint(w[d])
        y = low + (x & m) + carry_e
        x = high + (x >> 16) + (y >> 16)
        w[d + 8] = x << 16 | y & m
        carry_e = (x >> 16) * is_low
        # a = t1 + S0(a) + Maj(a, b, c)
        x = uint(w[a])
        y = uint(w[a ^ 1])
        z = x >> 28 ^ y << 4 ^ y >> 2 ^ x << 30 ^ y >> 7 ^ x << 25
        y = uint(w[b])
        y = (x | y) & uint(w[c]) | x & y
        low += (z & m) + (y & m) + carry_a
        high += (z >> 16 & m) + (y >> 16) + (low >> 16)
        w[d] = high << 16 | low & m
        carry_a = (high >> 16) * is_low
        i += 1
    i = 0
    while i < 16:
        j = i ^ 1
        x = uint(w[j + 32])
        y = uint(s[j ^ 6])
        low = (x & m) + (y & m) + carry
        high = (x >> 16) + (y >> 16) + (low >> 16)
        s[j ^ 6] = high << 16 | low & m
        carry = (high >> 16) * uint(j & 1)
        i += 1
