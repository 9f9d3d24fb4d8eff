"""Every bound on what comes from outside, in one place.

Lengths are bytes unless the name says otherwise. A length is checked against
these before anything is allocated for it.
"""

try:
    from micropython import const
except ImportError:  # CPython: the same numbers without the compiler's folding

    def const(value):
        return value


# Tokens (V1, V2)
TOKEN_BYTES = const(2048)
JOSE_HEADER_BYTES = const(512)
TOKEN_PREFIX = b"CLOUD-"

# JSON
JSON_DEPTH = const(6)

# Keys (V4, K3)
KEYS_HELD = const(8)
KEY_SET_BYTES = const(32768)
KID_CHARS = const(128)
RSA_MIN_BITS = const(2048)
RSA_MAX_BITS = const(4096)

# Claims (V6): characters of a name, roles read from one token
NAME_CHARS = const(128)
ROLES_PER_TOKEN = const(32)
