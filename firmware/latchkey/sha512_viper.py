"""SHA-512's block function as machine code (FIPS 180-4 section 6.4.2); ``sha512_plain`` is its specification.

A 64-bit word is a pair of 32-bit words: xh, xl. Viper's words are 32 bits on a chip and 64 on the desk,
so ``mask`` (2**32 - 1, not a literal, because it is not a small integer on a chip) cuts every sum before its
carry is found by comparison. A chip without native code refuses this file at import.
"""

import micropython


@micropython.viper
def block(state, constants, work, data, at: int, mask: uint):  # noqa: C901 (each carry is a branch; a call is dear)
    """Work the 128 bytes of ``data`` from ``at`` into ``state``. Allocates nothing.

    ``state``: array("I") of 16; ``constants``: bytes of 80 words, big-endian (as bytes: a literal in a frozen
    image begins at any address); ``work``: array("I") of 32, scratch.
    """
    s = ptr32(state)
    k = ptr8(constants)
    w = ptr32(work)
    p = ptr8(data)
    i = 0
    while i < 32:
        w[i] = p[at] << 24 | p[at + 1] << 16 | p[at + 2] << 8 | p[at + 3]
        at += 4
        i += 1
    ah = uint(s[0])
    al = uint(s[1])
    bh = uint(s[2])
    bl = uint(s[3])
    ch = uint(s[4])
    cl = uint(s[5])
    dh = uint(s[6])
    dl = uint(s[7])
    eh = uint(s[8])
    el = uint(s[9])
    fh = uint(s[10])
    fl = uint(s[11])
    gh = uint(s[12])
    gl = uint(s[13])
    hh = uint(s[14])
    hl = uint(s[15])
    i = 0
    while i < 160:
        j = i & 31
        th = uint(w[j])
        tl = uint(w[j + 1])
        if i >= 32:
            # w[t] = w[t - 16] + s0(w[t - 15]) + w[t - 7] + s1(w[t - 2])
            xh = uint(w[(i + 2) & 31])
            xl = uint(w[(i + 3) & 31])
            yl = (xl >> 1 ^ xh << 31 ^ xl >> 8 ^ xh << 24 ^ xl >> 7 ^ xh << 25) & mask
            th += (xh >> 1 ^ xl << 31 ^ xh >> 8 ^ xl << 24 ^ xh >> 7) & mask
            tl = (tl + yl) & mask
            if tl < yl:
                th += 1
            yl = uint(w[(i + 19) & 31])
            th += uint(w[(i + 18) & 31])
            tl = (tl + yl) & mask
            if tl < yl:
                th += 1
            xh = uint(w[(i + 28) & 31])
            xl = uint(w[(i + 29) & 31])
            yl = (xl >> 19 ^ xh << 13 ^ xh >> 29 ^ xl << 3 ^ xl >> 6 ^ xh << 26) & mask
            th += (xh >> 19 ^ xl << 13 ^ xl >> 29 ^ xh << 3 ^ xh >> 6) & mask
            tl = (tl + yl) & mask
            if tl < yl:
                th += 1
            w[j] = th
            w[j + 1] = tl
        # t1 = w[t] + k[t] + h + S1(e) + Ch(e, f, g)
        j = i << 2
        yl = uint(k[j + 4] << 24 | k[j + 5] << 16 | k[j + 6] << 8 | k[j + 7])
        th += uint(k[j] << 24 | k[j + 1] << 16 | k[j + 2] << 8 | k[j + 3]) + hh
        tl = (tl + yl) & mask
        if tl < yl:
            th += 1
        tl = (tl + hl) & mask
        if tl < hl:
            th += 1
        yl = (el >> 14 ^ eh << 18 ^ el >> 18 ^ eh << 14 ^ eh >> 9 ^ el << 23) & mask
        th += (eh >> 14 ^ el << 18 ^ eh >> 18 ^ el << 14 ^ el >> 9 ^ eh << 23) & mask
        tl = (tl + yl) & mask
        if tl < yl:
            th += 1
        yl = (fl ^ gl) & el ^ gl
        th += (fh ^ gh) & eh ^ gh
        tl = (tl + yl) & mask
        if tl < yl:
            th += 1
        hh = gh
        hl = gl
        gh = fh
        gl = fl
        fh = eh
        fl = el
        # e = d + t1
        el = (dl + tl) & mask
        eh = dh + th
        if el < tl:
            eh += 1
        eh &= mask
        # a = t1 + S0(a) + Maj(a, b, c)
        yl = (al >> 28 ^ ah << 4 ^ ah >> 2 ^ al << 30 ^ ah >> 7 ^ al << 25) & mask
        th += (ah >> 28 ^ al << 4 ^ al >> 2 ^ ah << 30 ^ al >> 7 ^ ah << 25) & mask
        tl = (tl + yl) & mask
        if tl < yl:
            th += 1
        yl = (al | bl) & cl | al & bl
        th += (ah | bh) & ch | ah & bh
        tl = (tl + yl) & mask
        if tl < yl:
            th += 1
        dh = ch
        dl = cl
        ch = bh
        cl = bl
        bh = ah
        bl = al
        ah = th & mask
        al = tl
        i += 2
    w[0] = ah
    w[1] = al
    w[2] = bh
    w[3] = bl
    w[4] = ch
    w[5] = cl
    w[6] = dh
    w[7] = dl
    w[8] = eh
    w[9] = el
    w[10] = fh
    w[11] = fl
    w[12] = gh
    w[13] = gl
    w[14] = hh
    w[15] = hl
    i = 0
    while i < 16:
        xl = uint(w[i + 1])
        tl = (uint(s[i + 1]) + xl) & mask
        th = uint(s[i]) + uint(w[i])
        if tl < xl:
            th += 1
        s[i] = th
        s[i + 1] = tl
        i += 2
