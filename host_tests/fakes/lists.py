"""Token lists as the cloud publishes them, for tests: records like those of the documented sample."""

import binascii
import json

from latchkey.stores.timefloor import FLOOR_AHEAD_S, HEARD_MARGIN_S
from latchkey.stores.tokenlist import NEVER, parse_records

SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"
OTHER = "f3a20f70-3021-42f5-b9b9-9ea62e2eac2a"
SYSTEM16 = binascii.unhexlify(SYSTEM.replace("-", ""))
OWNER = "8d86661d-985d-4878-a8f5-69723acfa364"
BASE = 1747061946  # 2025-05-12T14:59:06Z, the sample's moment


def ingest(ledger, stream, retained, heard_unix_s=None, latest_unix_s=None, system16=SYSTEM16):
    """Bring ``ledger`` a whole list from ``stream``; the other arguments as of ``Ledger.begin``. FormatError,
    StoreError, OSError. Without ``heard_unix_s`` no time is known; ``latest_unix_s`` is 400 days after it."""
    if latest_unix_s is None:
        latest_unix_s = heard_unix_s + HEARD_MARGIN_S + FLOOR_AHEAD_S if heard_unix_s else NEVER
    ledger.begin(retained, heard_unix_s or 0, latest_unix_s)
    try:
        for record in parse_records(stream, system16):
            ledger.add((record,))
        ledger.commit()
    finally:
        ledger.abort()


def uuid(n):
    """Text of a UUID that looks random and is ``n``'s."""
    h = binascii.hexlify(((n + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 & (1 << 128) - 1).to_bytes(16, "big")).decode()
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))


def jti16(n):
    return binascii.unhexlify(uuid(n).replace("-", ""))


def moment(unix_s, form=0):
    """``unix_s`` (may have a fraction) in one of the forms of the samples."""
    whole = int(unix_s)
    days, rest = divmod(whole, 86400)
    year, month, day = _civil(days)
    text = f"{year:04d}-{month:02d}-{day:02d}T{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    micro = int((unix_s - whole) * 1000000)
    if micro or form == 2:
        text += f".{micro:06d}"
    return text + ("", "+00:00", "Z")[form]


def _civil(days):
    # Days since 1970 to a date, counting years from March.
    days += 719468
    era = days // 146097
    doe = days - era * 146097
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    return yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) // 5 + 1


def _b64url(data):
    text = binascii.b2a_base64(data).decode().strip()
    return text.replace("+", "-").replace("/", "_").replace("=", "")


def token_text(n, iat, filler=0):
    """Text like a token's; its signature is nothing."""
    payload = {"jti": uuid(n), "iat": iat, "aud": SYSTEM, "name": 'a "iat": 99' + "x" * filler}
    header = _b64url(b'{"alg":"RS512","typ":"JWT"}')
    return "CLOUD-" + ".".join((header, _b64url(json.dumps(payload).encode()), "c" * 342))


def record(n, created=BASE, iat=None, **changes):
    """One member of a list. A change to ``...`` (Ellipsis) leaves that name out."""
    found = {
        "uuid": uuid(n),
        "createdAt": moment(created),
        "updatedAt": moment(created),
        "status": "ACTIVATED",
        "expiresAt": None,
        "notBefore": moment(created, 1),
        "systemUuid": SYSTEM,
        "roles": [{"uuid": OWNER, "name": "Domain Owner"}],
        "token": token_text(n, created if iat is None else iat),
        "subject": {"uuid": uuid(n + 1000), "name": "DrivrUser", "type": "USER"},
    }
    found.update(changes)
    return {k: v for k, v in found.items() if v is not ...}


def text(records):
    return json.dumps(records).encode()
