"""What the cloud link is called: its states, the reasons it gives, its topics, its patience.

States: ``stopped``; ``waiting`` (for Wi-Fi, or between two tries); ``connecting``; ``online``
(both topics subscribed); ``partial`` (one subscription refused, the other serves).
A reason is a stable short word; docs/cloud.md has the table. Does not touch a socket.
"""

import errno

from latchkey import limits, uuids
from latchkey.device import certdates
from latchkey.errors import LatchkeyError

_NO_END = limits.const(0xFFFFFFFF)


class LinkError(LatchkeyError):
    """The connection is of no use any more; ``.code`` is the reason, ``.detail`` an int or None."""

    def __init__(self, code, message="", detail=None):
        super().__init__(code, message)
        self.detail = detail


class Timing:
    """How patient the link is. Class attributes are the device's; tests make a hastier instance."""

    connect_ms = limits.CLOUD_CONNECT_MS
    packet_ms = limits.CLOUD_PACKET_MS
    rate_bytes_s = limits.CLOUD_RATE_BYTES_S
    keepalive_s = limits.CLOUD_KEEPALIVE_S
    answer_ms = limits.CLOUD_ANSWER_MS
    first_ms = limits.CLOUD_FIRST_PAUSE_MS
    ceiling_ms = limits.CLOUD_CEILING_MS
    jitter_percent = limits.CLOUD_JITTER_PERCENT
    stable_ms = limits.CLOUD_STABLE_MS
    slice_ms = limits.CLOUD_SLICE_MS
    handover_ms = limits.CLOUD_HANDOVER_MS
    attempt_ms = limits.CLOUD_ATTEMPT_MS
    ntp_ms = limits.NTP_MS
    ntp_port = 123


def topics(slug, system_uuid):
    """(key set topic, token list topic) as bytes."""
    base = "drivr/v1/%s/" % slug
    return (base + "jwks").encode(), (base + "authorization/localApiTokens/" + system_uuid).encode()


class Settings:
    """What the link needs to know, read once from a configuration; nothing in it changes afterwards.

    ``credentials`` and ``attempt_credentials``: dicts of bytes ``ca_der cert_der key_der``; the attempt's may be None.
    """

    def __init__(self, config, credentials, floor_unix_s, attempt_credentials=None):
        system_uuid = config["system_uuid"]
        self.system_uuid16 = uuids.to_bytes(system_uuid)
        # In one spelling: a broker compares topics byte by byte.
        system_uuid = uuids.to_text(self.system_uuid16)
        self.client_id = system_uuid.encode()
        self.topics = topics(config["slug"], system_uuid)
        self.host = config["broker"]["host"]
        self.port = config["broker"]["port"]
        self.ntp_hosts = tuple(config.get("ntp", ()))
        self.credentials = _three(credentials)
        self.attempt_credentials = attempt_credentials and _three(attempt_credentials)
        self.floor_unix_s = floor_unix_s
        # With a later clock no handshake can succeed, so no time server is believed to say more.
        self.latest_unix_s = max([_end_unix_s(one) for one in (self.credentials, self.attempt_credentials) if one])
        self.dev = config["dev"]


def _three(credentials):
    return credentials["ca_der"], credentials["cert_der"], credentials["key_der"]


def _end_unix_s(credentials):
    """When the CA's certificate or the client's ends; a certificate without a readable end never does."""
    return min([certdates.not_after(der) or _NO_END for der in credentials[:2]])


def connect_reason(number):
    """Reason for an errno of a TCP connect. lwIP says ECONNRESET where Linux says ECONNREFUSED."""
    if number in (errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED):
        return "refused"
    return "no_answer" if number == errno.ETIMEDOUT else "no_route"


# Of several flaws the first here is told.
_TLS_WORDS = (
    ("trusted CA", "cert_wrong_ca"),
    ("does not match", "cert_wrong_name"),
    ("in the future", "cert_not_yet_valid"),
    ("has expired", "cert_expired"),
)
# Chips leave out mbedTLS's texts.
_MBEDTLS = {-0x7780: "cert_refused", -0x7280: "closed"}


def tls_reason(args):
    """Reason for the arguments of an exception out of TLS: ``closed`` for an errno, ``tls_failed`` for the unknown."""
    number = args[0] if args and isinstance(args[0], int) else 0
    if number in _MBEDTLS:
        return _MBEDTLS[number]
    text = " ".join([str(a) for a in args])
    for words, reason in _TLS_WORDS:
        if words in text:
            return reason
    return "closed" if number > 0 else "tls_failed"


class Status:
    """State, reason and since when; a change is logged once. Lives on the loop."""

    def __init__(self, unix_s, log):
        self._unix_s = unix_s
        self._log = log
        self.state = "stopped"
        self.reason = ""
        self.detail = None
        self.since_unix_s = unix_s()

    def change(self, state, reason, detail):
        """Note a state; waiting and connecting in turn for the same reason is no change, nor is another ``detail``."""
        if reason == "" and state == "connecting":
            reason, detail = self.reason, self.detail
        tries = ("waiting", "connecting")
        same = reason == self.reason and (state == self.state or (state in tries and self.state in tries))
        self.state, self.reason, self.detail = state, reason, detail
        if same:
            return
        self.since_unix_s = self._unix_s()
        self._log("cloud: " + " ".join([str(w) for w in (state, reason, detail) if w not in ("", None)]))
