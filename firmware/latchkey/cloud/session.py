"""Staying connected: Wi-Fi, time, broker, subscriptions, and a growing pause after every failure.

Runs in the link's thread, in turns, each of which waits at most a slice. It puts its findings as messages, see
the table in latchkey.cloud.messages.
"""

import os

from latchkey import uuids
from latchkey.cloud.backoff import Backoff
from latchkey.cloud.messages import Intake
from latchkey.cloud.mqtt import Client
from latchkey.cloud.reasons import LinkError
from latchkey.device import certdates
from latchkey.limits import const
from latchkey.net import ntp
from latchkey.net.thread import SLICE_MS
from latchkey.net.transport import Transport, context
from latchkey.stores.timefloor import CLOCK_AHEAD_S

_TOPIC_WORDS = ("jwks", "localApiTokens")
_NTP_AGAIN_MS = const(6 * 3600 * 1000)
_DRIFT_MS = const(10000000)  # in which a clock may go wrong by a second: 100 ppm
_NO_END = const(0xFFFFFFFF)
# Dates were wrong, or may have been: chips leave out mbedTLS's texts.
_DATES = ("cert_expired", "cert_not_yet_valid")
_TIME_DOUBTS = _DATES + ("tls_failed",)
# A broker that restarts may close early too, but not every time.
_EARLY_ENDS = const(3)
_ATTEMPT_ENDS = ("cert_refused", "credentials_bad", "broker_refused", "subscription_refused")
# May be a broker's way to say the same, if nothing else comes for a while. That nobody was reached says nothing.
_ATTEMPT_DOUBTS = ("closed_early", "closed", "stalled", "tls_failed", "bad_packet")


class Timing:
    """How patient the link is. Class attributes are the device's; tests make a hastier instance."""

    connect_ms = 20000  # name, TCP, TLS and CONNACK together
    packet_ms = 15000  # any packet, to which its size over the slowest rate is added
    rate_bytes_s = 2048
    keepalive_s = 60
    answer_ms = 15000
    first_ms = 1000
    ceiling_ms = 300000
    stable_ms = 60000  # online this long, and the pauses start over
    slice_ms = SLICE_MS
    handover_ms = 30000
    attempt_ms = 120000
    ntp_ms = 3000
    ntp_port = 123


def topics(config):
    """(key set topic, token list topic) as bytes, the System in one spelling: a broker compares byte by byte."""
    base = "drivr/v1/" + config["slug"]
    system = uuids.to_text(uuids.to_bytes(config["system_uuid"]))
    return (base + "/jwks").encode(), (base + "/authorization/localApiTokens/" + system).encode()


def latest_unix_s(credentials, attempt):
    """When the first of the CA's and the client's certificates ends: with a later clock no handshake can succeed, so no
    time server is believed to say more. Of two pairs the later counts; a certificate without a readable end never
    ends."""
    pairs = [one for one in (credentials, attempt) if one]
    return max([min([certdates.not_after(one[name]) or _NO_END for name in ("ca_der", "cert_der")]) for one in pairs])


class Keeper:
    """The first five arguments are Link's. ``link``: ``put(message)`` waits for room, ``offer(message)`` does not and
    says whether there was any; ``alive()`` raises LinkError to give up."""

    def __init__(self, config, credentials, attempt, floor_unix_s, radio, clock, timing, link):
        self._config = config
        self._credentials = credentials
        self._trying = attempt  # credentials that the broker has yet to take
        self._floor_unix_s = floor_unix_s
        self._latest_unix_s = latest_unix_s(credentials, attempt)
        self._radio = radio
        self._clock = clock
        self._timing = timing
        self._link = link
        self._system_uuid16 = uuids.to_bytes(config["system_uuid"])
        self._intake = Intake(self._system_uuid16, link.put, config["dev"])
        self._backoff = Backoff(timing.first_ms, timing.ceiling_ms, os.urandom)
        self._client = self._transport = None
        self._context = self._new_context()
        self._since_ms = clock.now_ms()
        self._doubted_ms = None
        self._pause_ms = 0
        self._refused = None
        self._synced_ms = None
        self._first_server = 0
        self._early = 0
        self._checked = False
        self._state = self._sent = None

    def turn(self):
        """One piece of work, or a wait of at most a slice."""
        try:
            self._link.alive()
            self._turn()
        except LinkError as e:
            self._lost(e)
        except Exception as e:
            # One cloud message or session must never end the thread.
            self._lost(LinkError("no_memory" if isinstance(e, MemoryError) else "internal"))
        self._send_state()

    def close(self):
        """Close the connection, if there is one."""
        if self._transport:
            self._transport.close()
        self._client = self._transport = None

    def _turn(self):
        if self._radio.scanning:
            self._radio.scan()
        passed_ms = self._clock.now_ms() - self._since_ms
        if not self._radio.up():
            self.close()
            self._state = ("waiting", self._radio.station()[1], None)
            # Back on air the broker is tried at once: the pause belongs to the broker.
            self._pause_ms = 0
            self._clock.sleep_ms(self._timing.slice_ms)
        elif self._client:
            self._client.turn(self._timing.slice_ms)
            if passed_ms > self._timing.stable_ms:
                self._backoff.reset()
            if self._refused and passed_ms > self._timing.ceiling_ms:
                raise LinkError("subscription_refused", self._refused)
        elif passed_ms >= self._pause_ms:
            self._connect()
        else:
            self._clock.sleep_ms(min(self._pause_ms - passed_ms, self._timing.slice_ms))

    def _connect(self):
        self._state = ("connecting", "", None)
        self._send_state()
        self._ask_time()
        self._client = self._open()
        self._checked = self._synced_ms is not None
        self._link.put(("tls", certdates.not_after(self._transport.peer_certificate())))
        self._subscribe()
        self._since_ms = self._clock.now_ms()
        if self._trying:
            self._end_attempt(True, "")

    def _new_context(self):
        """Made while the heap is still whole; None if the credentials cannot be used."""
        one = self._trying or self._credentials
        try:
            return context(one["ca_der"], one["cert_der"], one["key_der"])
        except LinkError:
            return None

    def _open(self):
        if self._context is None:
            # Memory may have been short.
            self._context = self._new_context()
        if self._context is None:
            raise LinkError("credentials_bad")
        self._transport = Transport(self._context, self._clock, self._timing.slice_ms, self._alive_on_air)
        broker = self._config["broker"]
        client = Client(
            uuids.to_text(self._system_uuid16).encode(), broker["host"], broker["port"], self._transport, self._clock,
            self._timing, topics(self._config), self._intake.serve,
        )  # fmt: skip
        client.open()
        return client

    def _subscribe(self):
        found = topics(self._config)
        refused = [_TOPIC_WORDS[i] for i in range(len(found)) if not self._client.subscribe(found[i])]
        self._refused = ", ".join(refused) if refused else None
        # A new certificate that loses a subscription is no better than the old one.
        if refused and (self._trying or len(refused) == len(_TOPIC_WORDS)):
            raise LinkError("subscription_refused", self._refused)
        if refused:
            self._state = ("partial", "subscription_refused", self._refused)
        else:
            self._state = ("online", "", None)

    def _alive_on_air(self):
        self._link.alive()
        if not self._radio.up():
            raise LinkError("no_wifi")

    def _ask_time(self):
        """T4: never shake hands with a clock behind the floor; ask the network if nobody set the clock."""
        if self._clock.host_trusted:
            return
        if self._clock.unix_s() < self._floor_unix_s:
            self._clock.set_unix_s(self._floor_unix_s)
        if self._checked and self._clock.now_ms() - self._synced_ms < _NTP_AGAIN_MS:
            return
        # The gateway first, which often is a time server. (MicroPython does not show DHCP's option 42.)
        gateway = self._radio.station()[3]
        hosts = ((gateway,) if gateway else ()) + tuple(self._config.get("ntp", ()))
        first = self._first_server % (len(hosts) or 1)
        hosts = hosts[first:] + hosts[:first]
        unix_s = ntp.ask(hosts, self._clock, self._timing, self._alive_on_air, self._believable)
        if unix_s is not None:
            self._synced_ms = self._clock.now_ms()
            self._clock.set_unix_s(unix_s)
            # A clock that TLS has checked was only corrected: it stays trusted, though no broker may answer now.
            if not self._checked:
                self._link.put(("time",))

    def _believable(self, unix_s):
        # Once TLS has checked the clock the floor follows it, so an unchecked answer may then only correct its drift.
        if self._checked:
            passed_ms = self._clock.now_ms() - self._synced_ms
            return abs(unix_s - self._clock.unix_s()) <= CLOCK_AHEAD_S + passed_ms // _DRIFT_MS
        return self._floor_unix_s <= unix_s <= self._latest_unix_s

    def _lost(self, e):
        """Close, judge an attempt, and pause."""
        code = e.code
        if code == "closed" and not self._client:
            # Most often our certificate is not welcome and its alert was overtaken by the reset.
            code = "closed_early"
        self.close()
        if not self._checked and not self._clock.host_trusted:
            # Another time server is asked first next time: the one that answers first may be wrong for ever.
            if code in _TIME_DOUBTS:
                self._first_server += 1
            if code in _DATES and self._synced_ms is not None:
                code = "clock_doubted"
            elif code == "cert_not_yet_valid":
                code = "clock_unset"
        if self._trying:
            self._judge_attempt(code)
        self._since_ms = self._clock.now_ms()
        self._pause_ms = self._backoff.next_ms()
        self._state = ("waiting", code, e.detail)

    def _judge_attempt(self, code):
        late = False
        if code in _ATTEMPT_DOUBTS:
            now_ms = self._clock.now_ms()
            self._doubted_ms = now_ms if self._doubted_ms is None else self._doubted_ms
            late = now_ms - self._doubted_ms > self._timing.attempt_ms
        if code == "closed_early":
            self._early += 1
        if late or code in _ATTEMPT_ENDS or self._early >= _EARLY_ENDS:
            self._end_attempt(False, code)

    def _end_attempt(self, kept, reason):
        self._trying = None
        if not kept:
            self._context = self._new_context()
        self._link.put(("attempt", kept, reason))

    def _send_state(self):
        # Without waiting: a full queue delays neither a reconnect nor a stop, and only the newest counts.
        state = self._state
        if state and state != self._sent and self._link.offer(("state",) + state):
            self._sent = state
