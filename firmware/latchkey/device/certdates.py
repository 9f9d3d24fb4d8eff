"""The end of validity of an X.509 certificate in DER (RFC 5280 section 4.1.2.5), and nothing else of it.

Checks no signature and trusts nothing: TLS does that. For diagnostics and for the bound on forged time.
"""

from latchkey import times
from latchkey.limits import const

_UTC_TIME = const(0x17)
_GENERALIZED_TIME = const(0x18)
_VERSION = const(0xA0)


def not_after(der):
    """Unix seconds, or None for None or bytes that are not a certificate."""
    try:
        at, _ = _content(der, _content(der, 0)[0])
        # Before the validity: version, which may be missing, serialNumber, signature, issuer
        for _ in range(4 if der[at] == _VERSION else 3):
            at = _content(der, at)[1]
        not_before, _ = _content(der, at)
        return _time(der, _content(der, not_before)[1])
    except (ValueError, IndexError, TypeError):
        return None


def _time(der, at):
    start, end = _content(der, at)
    digits = der[start:end].decode()
    if der[at] == _UTC_TIME:
        digits = ("20" if digits[:2] < "50" else "19") + digits
    elif der[at] != _GENERALIZED_TIME:
        raise ValueError("time")
    d = digits
    return times.parse_unix_s("%s-%s-%sT%s:%s:%s" % (d[:4], d[4:6], d[6:8], d[8:10], d[10:12], d[12:14]))


def _content(der, at):
    """(start, end) of the content of the element at ``at``."""
    n = der[at + 1]
    at += 2
    if n & 0x80:
        count = n & 0x7F
        if count > 4:
            raise ValueError("length")
        n = int.from_bytes(der[at : at + count], "big")
        at += count
    if at + n > len(der):
        raise ValueError("length")
    return at, at + n
