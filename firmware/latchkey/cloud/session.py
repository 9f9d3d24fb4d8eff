"""Staying connected: Wi-Fi, time, broker, subscriptions, and a growing pause after every failure.

Works in turns, each of which waits at most a slice, so that a thread or a loop can drive it. What it finds out it
puts as messages: ``("state", state, reason, detail)``, ``("tls", unix_s)`` (end of the broker's certificate, or
None), ``("time", unix_s, source)``, ``("attempt", kept, reason)``, and those of the intake.
"""

import os

from latchkey import limits
from latchkey.cloud.backoff import Backoff
from latchkey.cloud.decode import Intake
from latchkey.cloud.mqtt import Client
from latchkey.cloud.reasons import LinkError
from latchkey.device import certdates
from latchkey.net import ntp
from latchkey.net.transport import Transport, context

_TOPIC_WORDS = ("jwks", "localApiTokens")
_NTP_AGAIN_MS = 6 * 3600 * 1000
# Dates were wrong, or may have been: chips leave out mbedTLS's texts.
_DATES = ("cert_expired", "cert_not_yet_valid")
_TIME_DOUBTS = _DATES + ("tls_failed",)
# A broker that restarts may close early too, but not every time.
_EARLY_ENDS = 3
_ATTEMPT_ENDS = ("cert_refused", "credentials_bad", "broker_refused", "subscription_refused")
# May be a broker's way to say the same, if nothing else comes for a while. That nobody was reached says nothing.
_ATTEMPT_DOUBTS = ("closed_early", "closed", "stalled", "tls_failed", "bad_packet")


def _random_byte():
    return os.urandom(1)[0]


class Keeper:
    """``settings``: a ``link.Settings``; ``put(message)`` waits for room, ``tell(message)`` does not and says whether
    there was any; ``alive()`` raises LinkError to give up."""

    def __init__(self, settings, radio, clock, timing, put, tell, alive):
        self._settings = settings
        self._radio = radio
        self._clock = clock
        self._timing = timing
        self._put = put
        self._tell = tell
        self._alive = alive
        self._intake = Intake(settings.system_uuid16, put, settings.dev)
        self._backoff = Backoff(timing.first_ms, timing.ceiling_ms, timing.jitter_percent, _random_byte)
        self._client = self._transport = None
        self._attempt = settings.attempt_credentials is not None
        self._context = self._new_context()
        self._since_ms = clock.now_ms()
        self._doubted_ms = None
        self._pause_ms = 0
        self._refused = None
        self._synced_ms = None
        self._first_server = 0
        self._early = 0
        self._checked = False
        self._state = self._told = None

    def turn(self, wait_ms):
        """One piece of work, or a wait of ``wait_ms`` (0 to return at once)."""
        try:
            self._alive()
            self._turn(wait_ms)
        except LinkError as e:
            self._lost(e)
        except Exception as e:
            # One cloud message or session must never end the thread.
            self._lost(LinkError("no_memory" if isinstance(e, MemoryError) else "internal"))
        self._retell()

    def close(self):
        """Close the connection, if there is one."""
        if self._transport:
            self._transport.close()
        self._client = self._transport = None

    def _turn(self, wait_ms):
        self._radio.errand()
        if not self._radio.up():
            self._no_radio(wait_ms)
        elif self._client:
            self._online(wait_ms)
        elif self._elapsed_ms() >= self._pause_ms:
            self._connect()
        elif wait_ms:
            self._clock.sleep_ms(min(self._pause_ms - self._elapsed_ms(), wait_ms))

    def _no_radio(self, wait_ms):
        self.close()
        self._set("waiting", self._radio.why())
        # Back on air the broker is tried at once: the pause belongs to the broker.
        self._pause_ms = 0
        if wait_ms:
            self._clock.sleep_ms(wait_ms)

    def _online(self, wait_ms):
        self._client.turn(wait_ms)
        if self._elapsed_ms() > self._timing.stable_ms:
            self._backoff.reset()
        if self._refused and self._elapsed_ms() > self._timing.ceiling_ms:
            raise LinkError("subscription_refused", "", self._refused)

    def _connect(self):
        self._set("connecting", "")
        self._retell()
        self._ask_time()
        self._client = self._open()
        self._checked = self._synced_ms is not None
        self._put(("tls", certdates.not_after(self._transport.peer_certificate())))
        self._subscribe()
        self._since_ms = self._clock.now_ms()
        if self._attempt:
            self._end_attempt(True, "")

    def _new_context(self):
        """Made while the heap is still whole; None if the credentials are no good."""
        settings = self._settings
        try:
            return context(*(settings.attempt_credentials if self._attempt else settings.credentials))
        except LinkError:
            return None

    def _open(self):
        settings = self._settings
        if self._context is None:
            # Memory may have been short.
            self._context = self._new_context()
        if self._context is None:
            raise LinkError("credentials_bad")
        self._transport = Transport(self._context, self._clock, self._timing.slice_ms, self._alive_on_air)
        client = Client(
            settings.client_id, settings.host, settings.port, self._transport, self._clock, self._timing,
            settings.topics, self._intake.serve,
        )  # fmt: skip
        client.open()
        return client

    def _subscribe(self):
        topics = self._settings.topics
        refused = [_TOPIC_WORDS[i] for i in range(len(topics)) if not self._client.subscribe(topics[i])]
        self._refused = ", ".join(refused) if refused else None
        # A new certificate that loses a subscription is no better than the old one.
        if refused and (self._attempt or len(refused) == len(_TOPIC_WORDS)):
            raise LinkError("subscription_refused", "", self._refused)
        if refused:
            self._set("partial", "subscription_refused", self._refused)
        else:
            self._set("online", "")

    def _alive_on_air(self):
        self._alive()
        if not self._radio.up():
            raise LinkError("no_wifi")

    def _ask_time(self):
        """T4: never shake hands with a clock behind the floor; ask the network if nobody set the clock."""
        if self._clock.host_trusted:
            return
        if self._clock.unix_s() < self._settings.floor_unix_s:
            self._clock.set_unix_s(self._settings.floor_unix_s)
        if self._checked and self._clock.now_ms() - self._synced_ms < _NTP_AGAIN_MS:
            return
        hosts = self._radio.ntp_hosts() + self._settings.ntp_hosts
        first = self._first_server % max(len(hosts), 1)
        hosts = hosts[first:] + hosts[:first]
        unix_s = ntp.ask(hosts, self._clock, self._timing, self._alive_on_air, self._believable)
        if unix_s is not None:
            self._synced_ms = self._clock.now_ms()
            self._clock.set_unix_s(unix_s)
            self._put(("time", unix_s, "ntp"))

    def _believable(self, unix_s):
        # Once TLS has checked the clock the floor follows it, so an unchecked answer may then only correct its drift.
        if self._checked:
            return abs(unix_s - self._clock.unix_s()) <= limits.CLOCK_AHEAD_S
        return self._settings.floor_unix_s <= unix_s <= self._settings.latest_unix_s

    def _lost(self, e):
        """Close, judge an attempt, and pause."""
        code = e.code
        if code == "closed" and not self._client:
            # Most often our certificate is not welcome and its alert was overtaken by the reset.
            code = "closed_early"
        self.close()
        if not self._checked and not self._clock.host_trusted:
            code = self._doubt_time(code)
        if self._attempt:
            self._judge_attempt(code)
        self._since_ms = self._clock.now_ms()
        self._pause_ms = self._backoff.next_ms()
        self._set("waiting", code, e.detail)

    def _doubt_time(self, code):
        """``code`` of a failure while no handshake has checked the clock: another time server is asked first next
        time, since the one that answers first may be wrong for ever."""
        if code in _TIME_DOUBTS:
            self._first_server += 1
        if self._synced_ms is None:
            return "clock_unset" if code == "cert_not_yet_valid" else code
        return "clock_doubted" if code in _DATES else code

    def _judge_attempt(self, code):
        late = False
        if code in _ATTEMPT_DOUBTS:
            now_ms = self._clock.now_ms()
            self._doubted_ms = now_ms if self._doubted_ms is None else self._doubted_ms
            late = now_ms - self._doubted_ms > self._timing.attempt_ms
        self._early += code == "closed_early"
        if late or code in _ATTEMPT_ENDS or self._early >= _EARLY_ENDS:
            self._end_attempt(False, code)

    def _end_attempt(self, kept, reason):
        self._attempt = False
        if not kept:
            self._context = self._new_context()
        self._put(("attempt", kept, reason))

    def _set(self, state, reason, detail=None):
        self._state = (state, reason, detail)

    def _retell(self):
        # Told without waiting: a full queue holds up neither a reconnect nor a stop, and only the newest counts.
        state = self._state
        if state and state != self._told and self._tell(("state",) + state):
            self._told = state

    def _elapsed_ms(self):
        return self._clock.now_ms() - self._since_ms
