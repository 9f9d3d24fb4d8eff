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
BODY_BYTES = const(1024)
BODY_DEPTH = const(5)
LOG_LINES = const(40)
LOG_CHARS = const(120)

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
CREDENTIAL_BYTES = const(4096)


# Pairing and configuration over the local API (A3, A5, A6), starts (A9), sleep: seconds unless the name says otherwise
PAIRING_BODY_BYTES = const(1024)
CONFIG_BODY_BYTES = const(2048)
CERTIFICATE_BODY_BYTES = const(6144)
CHANGES_BYTES = const(2048)
TRUST_CHANGES = const(4)
ATTEMPT_S = const(120)
ATTEMPT_PAUSE_S = const(1)  # the answer to the request that began it leaves first
JOIN_TRIES = const(3)  # a wrong key shows at the first, and at times by mistake
AP_OPEN_S = const(900)
AP_AFTER_S = const(120)
PRESENCE_S = const(600)
SCAN_WAIT_S = const(10)
CYCLE_S = const(10)  # switched off again sooner, a start counts as one of a row
CYCLES_RETRY_S = const(60)
CYCLES_OPEN = const(5)
CYCLES_RESET = const(10)
CRASHES = const(3)
CRASH_PAUSE_MS = const(2000)
STABLE_S = const(300)

# Provisioning over the serial cable
PROVISION_BYTES = const(16384)
PROVISION_DEPTH = const(5)
DER_BYTES = const(4096)
PASSPHRASE_CHARS = const(63)

# Boards
FACTORY_KEYS_BYTES = const(4096)
