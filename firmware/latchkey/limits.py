"""Every bound on what comes from outside, in one place.

Lengths are bytes unless the name says otherwise. A length is checked against
these before anything is allocated for it.
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

# Verified results remembered (V8), and the work strangers may order (V9).
# A key tried costs a chip 11 million instructions by pow, an eighth of it by the kernel: two a second are a tenth of
# its time at most.
REMEMBERED = const(4)
REMEMBERED_PER_SUB = const(2)
BUDGET_UNITS = const(16)
BUDGET_REFILL_MS = const(500)
BUDGET_CALLERS = const(8)
BUDGET_FORGET_MS = const(60000)
PENALTY_MS = const(1000)
PENALTY_MAX_MS = const(16000)

# Local API: a buffer holds a whole head
CONNECTIONS = const(4)
ROOM_BYTES = const(1536)  # held before a change is stored, free for all that must not fail after it
HEAD_BYTES = const(3072)

# Key sets
JWK_BYTES = const(4096)

# Stores and the ledger (K1, L5 to L8, T2)
LIST_ITEM_BYTES = const(4096)
LIST_BYTES = const(2097152)
ROLES_PER_RECORD = const(8)
LEDGER_TOKENS = const(128)  # admitting records; a setting of the board
LEDGER_REFUSALS = const(32)
KEYS_PAUSE_MS = const(2000)
HEARD_MARGIN_S = const(120)
FLOOR_SAVE_S = const(3600)
FLOOR_AHEAD_S = const(400 * 86400)
CLOCK_AHEAD_S = const(60)
YEAR_2020_S = const(1577836800)
CONFIG_BYTES = const(4096)

# Provisioning over the serial cable
PROVISION_BYTES = const(16384)
DER_BYTES = const(4096)

# Boards
FACTORY_KEYS_BYTES = const(4096)
