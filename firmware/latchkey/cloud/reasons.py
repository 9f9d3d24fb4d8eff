"""Why the cloud link is not online: stable short words. docs/cloud.md has the table. Touches no socket."""

import errno

from latchkey.errors import LatchkeyError


class LinkError(LatchkeyError):
    """The connection is of no use any more; ``.code`` is the reason, ``.detail`` a number, a text or None."""

    def __init__(self, code, detail=None):
        super().__init__(code)
        self.detail = detail


def connect_reason(number):
    """Reason for an errno of a TCP connect. lwIP says ECONNRESET where Linux says ECONNREFUSED."""
    if number in (errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED):
        return "refused"
    if number == errno.ENOMEM:
        return "no_memory"
    return "no_answer" if number == errno.ETIMEDOUT else "no_route"


# Of several flaws the first in this order is reported.
_TLS_WORDS = (
    ("trusted CA", "cert_wrong_ca"),
    ("does not match", "cert_wrong_name"),
    ("in the future", "cert_not_yet_valid"),
    ("has expired", "cert_expired"),
)
# Chips leave out mbedTLS's texts.
_MBEDTLS = {-0x7780: "cert_refused", -0x7280: "closed"}
# Memory outside MicroPython's heap was too short: for the session's buffers (ENOMEM, MBEDTLS_ERR_SSL_ALLOC_FAILED), or
# in the handshake, for a certificate, key, point, digest, cipher or RSA number (mbedtls/*.h, *_ALLOC_FAILED).
_NO_MEMORY = (errno.ENOMEM, -0x7F00, -0x2880, -0x3F80, -0x4D80, -0x5180, -0x6180, -0x4290, -0x4310)


def tls_reason(args):
    """Reason for the arguments of an exception out of TLS: ``closed`` for an errno, ``tls_failed`` for the unknown."""
    number = args[0] if args and isinstance(args[0], int) else 0
    if number in _NO_MEMORY:
        return "no_memory"
    if number in _MBEDTLS:
        return _MBEDTLS[number]
    text = " ".join(map(str, args))
    for words, reason in _TLS_WORDS:
        if words in text:
            return reason
    return "closed" if number > 0 else "tls_failed"
