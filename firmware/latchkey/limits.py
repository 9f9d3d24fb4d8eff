"""Bounds that several modules or the tools share; what one module needs is a constant in it. And ``const`` for all.

Lengths are bytes unless the name says otherwise. A length is checked before anything is allocated for it.
"""

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython: the same numbers without the compiler's folding

    def const(value):
        return value


# Tokens (V1, V2)
TOKEN_BYTES = const(2048)

# Keys (V4, K3)
KEYS_HELD = const(8)
KEY_SET_BYTES = const(32768)
KID_CHARS = const(128)
RSA_MAX_BITS = const(4096)

# Stores and the ledger (K1, L5 to L8, T2)
YEAR_2020_S = const(1577836800)

# Boards
FACTORY_KEYS_BYTES = const(4096)
