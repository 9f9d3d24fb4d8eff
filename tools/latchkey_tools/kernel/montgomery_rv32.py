"""The kernel for RV32IMC: ESP32-C3 and C6. Its function is in ``latchkey.bignum``, "The kernel's contract".

Called as C calls a function: a0 to a3 are ``(self, n_args, n_kw, args)`` of a MicroPython function that takes any
arguments. It uses a0 to a7 and t0 to t6, which the caller does not keep, and no stack. It calls nothing, so it needs no
relocation. The most used values are in a0 to a5, which the 16-bit forms can name.

A carry is what is smaller than one of its summands: after ``add s, s, x`` it is ``sltu c, s, x``.
"""

from latchkey_tools.kernel.rv32 import *

ARGS = a3
ZERO = 1  # MicroPython's small integer 0: value * 2 + 1
UNROLLED = 8  # limbs: the number of limbs is a multiple of it

# product's registers. t, a, b, n walk through the numbers.
T, A, N, B = a0, a1, a2, a6
LOW, X, HIGH = a3, a4, a5
B_I, M = a7, t0  # the row's limb of b, and the row's multiple of n
C1, C2 = t1, t2  # carries of a * b_i and of n * m into the next limb
A_END, B_END, BYTES = t3, t4, t5  # where a and b end; 4 * k


def product():
    """product(t, a, b, p)"""
    return [
        *argument(T, 0),
        *argument(A, 1),
        *argument(B, 2),
        *argument(N, 3),
        *clear(),
        *rows(),
        *reduce_once(),
    ]


def argument(register, index):
    """register = 4 * the small integer args[index]."""
    return [
        lw(register, 4 * index, ARGS),
        addi(register, register, -1),
        add(register, register, register),
    ]


def clear():
    """t[0] to t[k] = 0. Leaves T at t[-1], N at p, A_END, B_END and BYTES set."""
    return [
        lw(BYTES, 4, N),
        slli(BYTES, BYTES, 2),
        add(A_END, A, BYTES),
        add(B_END, B, BYTES),
        mv(X, T),
        add(HIGH, T, BYTES),
        label("clear"),
        sw(zero, 0, X),
        addi(X, X, 4),
        bgeu(HIGH, X, "clear"),
        addi(T, T, -4),
    ]


def rows():
    """For each limb b_i: t = (t + a * b_i + n * m) / 2**32, where m makes the sum divisible. Alive: all of product's.

    Afterwards HIGH holds t[k], which is 0 or 1; T, A and N are where they began.
    """
    return [
        label("row"),
        lw(B_I, 0, B),
        addi(B, B, 4),
        # m = (t[0] + a[0] * b_i) * n' mod 2**32
        lw(X, 4, T),
        lw(LOW, 0, A),
        mul(LOW, LOW, B_I),
        add(LOW, LOW, X),
        lw(M, 0, N),
        mul(M, M, LOW),
        addi(C1, zero, 0),
        addi(C2, zero, 0),
        label("limbs"),
        *limbs(),
        addi(T, T, 4 * UNROLLED),
        addi(A, A, 4 * UNROLLED),
        addi(N, N, 4 * UNROLLED),
        bne(A, A_END, "limbs"),
        # t[k - 1] and t[k] = t[k] + both carries
        lw(LOW, 4, T),
        add(LOW, LOW, C1),
        sltu(HIGH, LOW, C1),
        add(LOW, LOW, C2),
        sltu(X, LOW, C2),
        add(HIGH, HIGH, X),
        sw(LOW, 0, T),
        sw(HIGH, 4, T),
        sub(T, T, BYTES),
        sub(A, A, BYTES),
        sub(N, N, BYTES),
        bne(B, B_END, "row"),
    ]


def limbs():
    """t[j - 1] = t[j] + a[j] * b_i + n[j] * m + carries, for 8 limbs. T is one limb before t[j], N two before n[j]."""
    lines = []
    for j in range(UNROLLED):
        lines += [
            lw(LOW, 4 * j, A),
            lw(X, 4 * j + 4, T),
            mulhu(HIGH, LOW, B_I),
            mul(LOW, LOW, B_I),
            *add_both(X, C1),
            lw(X, 4 * j + 8, N),
            mulhu(HIGH, X, M),
            mul(X, X, M),
            *add_both(X, C2),
            sw(LOW, 4 * j, T),
        ]
    return lines


def add_both(x, carry):
    """LOW += x + carry; carry = HIGH and what overflowed. Destroys x and HIGH."""
    return [
        add(LOW, LOW, x),
        sltu(x, LOW, x),
        add(HIGH, HIGH, x),
        add(LOW, LOW, carry),
        sltu(carry, LOW, carry),
        add(carry, carry, HIGH),
    ]


def reduce_once():
    """t -= n if t >= n, and return. Alive: T (at t[-1]), N (at p), BYTES, HIGH (t[k])."""
    above, below, borrow, end = A, A_END, A, A_END
    return [
        bne(HIGH, zero, "subtract"),
        # Compare from the highest limb; equal numbers are subtracted too.
        add(above, T, BYTES),
        add(below, N, BYTES),
        label("compare"),
        lw(LOW, 0, above),
        lw(X, 4, below),
        bltu(LOW, X, "done"),
        bne(LOW, X, "subtract"),
        addi(above, above, -4),
        addi(below, below, -4),
        bne(above, T, "compare"),
        label("subtract"),
        add(end, T, BYTES),
        addi(borrow, zero, 0),
        label("limb"),
        lw(LOW, 4, T),
        lw(X, 8, N),
        sltu(HIGH, LOW, borrow),
        sub(LOW, LOW, borrow),
        sltu(borrow, LOW, X),
        sub(LOW, LOW, X),
        add(borrow, borrow, HIGH),  # never both
        sw(LOW, 4, T),
        addi(T, T, 4),
        addi(N, N, 4),
        bne(T, end, "limb"),
        label("done"),
        addi(a0, zero, ZERO),
        ret(),
    ]


def turn():
    """turn(t, s, k): byte by byte, from the last of t and the first of s."""
    start, source, target, byte = a0, a1, a2, a4
    return [
        *argument(start, 0),
        *argument(source, 1),
        *argument(target, 2),  # 4 * k, the bytes of a number
        add(target, target, start),
        label("byte"),
        lbu(byte, 0, source),
        addi(source, source, 1),
        addi(target, target, -1),
        sb(byte, 0, target),
        bne(target, start, "byte"),
        addi(a0, zero, ZERO),
        ret(),
    ]
