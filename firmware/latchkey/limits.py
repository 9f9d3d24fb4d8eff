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
JOSE_HEADER_BYTES = const(512)
TOKEN_PREFIX = b"CLOUD-"

# Keys (V4, K3)
KEYS_HELD = const(8)
KEY_SET_BYTES = const(32768)
KID_CHARS = const(128)
RSA_MIN_BITS = const(2048)
RSA_MAX_BITS = const(4096)

# Claims (V6): characters of a name, roles read from one token
NAME_CHARS = const(128)
ROLES_PER_TOKEN = const(32)

# Verified results remembered (V8)
REMEMBERED = const(4)
REMEMBERED_PER_SUB = const(2)

# Key sets
JWK_BYTES = const(4096)

# Stores and the ledger (K1, L5 to L8, T2)
ROLES_PER_RECORD = const(8)
YEAR_2020_S = const(1577836800)

# Boards
FACTORY_KEYS_BYTES = const(4096)
