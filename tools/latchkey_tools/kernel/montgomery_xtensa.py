"""The kernel for Xtensa LX6 and LX7: ESP32, S2, S3. Its function is in ``latchkey.bignum``, "The kernel's contract".

Called as C calls a function with the windowed ABI: a2 to a5 are ``(self, n_args, n_kw, args)`` of a MicroPython
function that takes any arguments. a2 to a15 are all ours; a0 is the return address and a1 the stack pointer. It calls
nothing, so it needs no relocation, and it has no literals: instruction RAM is read in whole words only.

A carry is what is smaller than one of its summands: ``add s, s, x`` carried if s < x without sign.
"""

from latchkey_tools.kernel.xtensa import *

SP = a1
ARGS = a5
ZERO = 1  # MicroPython's small integer 0: value * 2 + 1
UNROLLED = 8  # limbs: the number of limbs is a multiple of it

# product's registers. t, a, b, n walk through the numbers.
T, A, B, N = a2, a3, a4, a5
B_I, M = a6, a7  # the row's limb of b, and the row's multiple of n
C1, C2 = a8, a9  # carries of a * b_i and of n * m into the next limb
LOW, HIGH, HIGH2, X = a10, a11, a12, a13
A_END, BYTES = a14, a15  # where a ends; 4 * k
B_END = 0  # on the stack: where b ends


def product():
    """product(t, a, b, p)"""
    return [
        entry(SP, 48),
        *argument(T, 0),
        *argument(A, 1),
        *argument(B, 2),
        *argument(N, 3),  # last: ARGS is the same register
        *clear(),
        *rows(),
        *reduce_once(),
    ]


def argument(register, index):
    """register = 4 * the small integer args[index]."""
    return [
        l32i(register, ARGS, 4 * index),
        addi(register, register, -1),
        add(register, register, register),
    ]


def clear():
    """t[0] to t[k] = 0. Leaves T at t[-1], N at p, A_END, BYTES and B_END set."""
    return [
        l32i(BYTES, N, 4),
        slli(BYTES, BYTES, 2),
        add(A_END, A, BYTES),
        add(LOW, B, BYTES),
        s32i(LOW, SP, B_END),
        movi(X, 0),
        mov(LOW, T),
        add(HIGH, T, BYTES),
        label("clear"),
        s32i(X, LOW, 0),
        addi(LOW, LOW, 4),
        bgeu(HIGH, LOW, "clear"),
        addi(T, T, -4),
    ]


def rows():
    """For each limb b_i: t = (t + a * b_i + n * m) / 2**32, where m makes the sum divisible. Alive: all of product's.

    Afterwards HIGH holds t[k], which is 0 or 1; T, A and N are where they began.
    """
    return [
        label("row"),
        l32i(B_I, B, 0),
        addi(B, B, 4),
        # m = (t[0] + a[0] * b_i) * n' mod 2**32
        l32i(X, T, 4),
        l32i(LOW, A, 0),
        mull(LOW, LOW, B_I),
        add(LOW, LOW, X),
        l32i(M, N, 0),
        mull(M, M, LOW),
        movi(C1, 0),
        movi(C2, 0),
        label("limbs"),
        *limbs(),
        addi(A, A, 4 * UNROLLED),
        addi(N, N, 4 * UNROLLED),
        addi(T, T, 4 * UNROLLED),
        sub(X, A, A_END),
        bnez(X, "limbs"),
        # t[k - 1] and t[k] = t[k] + both carries
        l32i(LOW, T, 4),
        movi(HIGH, 0),
        *add_carry(LOW, C1, HIGH, "top 1"),
        *add_carry(LOW, C2, HIGH, "top 2"),
        s32i(LOW, T, 0),
        s32i(HIGH, T, 4),
        sub(T, T, BYTES),
        sub(A, A, BYTES),
        sub(N, N, BYTES),
        l32i(X, SP, B_END),
        sub(X, B, X),
        bnez(X, "row"),
    ]


def limbs():
    """t[j - 1] = t[j] + a[j] * b_i + n[j] * m + carries, for 8 limbs. T is one limb before t[j], N two before n[j].

    A product's high word becomes the next carry, so the registers of carry and high word change places at each limb.
    """
    lines = []
    c1, high1, c2, high2 = C1, HIGH, C2, HIGH2
    for j in range(UNROLLED):
        lines += [
            l32i(LOW, A, 4 * j),
            l32i(X, T, 4 * j + 4),
            muluh(high1, LOW, B_I),
            mull(LOW, LOW, B_I),
            *add_carry(LOW, X, high1, f"{j} t"),
            *add_carry(LOW, c1, high1, f"{j} c1"),
            l32i(X, N, 4 * j + 8),
            muluh(high2, X, M),
            mull(X, X, M),
            *add_carry(LOW, X, high2, f"{j} nm"),
            *add_carry(LOW, c2, high2, f"{j} c2"),
            s32i(LOW, T, 4 * j),
        ]
        c1, high1, c2, high2 = high1, c1, high2, c2
    return lines


def add_carry(total, x, carry, name):
    """total += x, and carry += 1 if that overflows."""
    return [
        add(total, total, x),
        bgeu(total, x, name),
        addi(carry, carry, 1),
        label(name),
    ]


def reduce_once():
    """t -= n if t >= n, and return. Alive: T (at t[-1]), N (at p), BYTES, HIGH (t[k])."""
    above, below, borrow, next_borrow, end = C1, C2, C1, C2, A_END
    return [
        bnez(HIGH, "subtract"),
        # Compare from the highest limb; equal numbers are subtracted too.
        add(above, T, BYTES),
        add(below, N, BYTES),
        label("compare"),
        l32i(LOW, above, 0),
        l32i(X, below, 4),
        bltu(LOW, X, "done"),
        bne(LOW, X, "subtract"),
        addi(above, above, -4),
        addi(below, below, -4),
        bne(above, T, "compare"),
        label("subtract"),
        add(end, T, BYTES),
        movi(borrow, 0),
        label("limb"),
        l32i(LOW, T, 4),
        l32i(X, N, 8),
        movi(next_borrow, 0),
        bgeu(LOW, borrow, "no borrow of the last limb's"),
        movi(next_borrow, 1),
        label("no borrow of the last limb's"),
        sub(LOW, LOW, borrow),
        bgeu(LOW, X, "no borrow"),
        movi(next_borrow, 1),
        label("no borrow"),
        sub(LOW, LOW, X),
        s32i(LOW, T, 4),
        mov(borrow, next_borrow),
        addi(T, T, 4),
        addi(N, N, 4),
        bne(T, end, "limb"),
        label("done"),
        movi(a2, ZERO),
        retw(),
    ]


def turn():
    """turn(t, s, k): byte by byte, from the last of t and the first of s."""
    target, source, start, byte = a6, a3, a2, a4
    return [
        entry(SP, 32),
        *argument(start, 0),
        *argument(source, 1),
        *argument(target, 2),  # 4 * k, the bytes of a number
        add(target, start, target),
        label("byte"),
        l8ui(byte, source, 0),
        addi(source, source, 1),
        addi(target, target, -1),
        s8i(byte, target, 0),
        bne(target, start, "byte"),
        movi(a2, ZERO),
        retw(),
    ]
