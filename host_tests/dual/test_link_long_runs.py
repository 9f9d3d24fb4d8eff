"""The cloud link after more days than the tick counter can tell apart (6.2, half a turn of 2**30 ms)."""

import unittest

from fake_clock import FakeClock
from fake_link import CONFIG, Noting

from latchkey.cloud.reasons import LinkError
from latchkey.cloud.session import Keeper, Timing
from latchkey.net import ntp

DAY_S = 86400
NOW = 1800000000


class Radio:
    on_air, scanning = True, False

    def up(self):
        return self.on_air

    def station(self):
        return (self.on_air, "" if self.on_air else "no_wifi", None, None, 1)


class Link:
    """The link that session.Keeper needs. ``messages``: the messages that it put."""

    def __init__(self):
        self.messages = []
        self.put = self.messages.append

    def offer(self, _message):
        return True

    def alive(self):
        """Never gives up."""


def made(kind, radio, clock, link, servers=()):
    """A ``kind`` of Keeper that believes in no time before NOW, and in none after 400 days from there."""
    config = dict(CONFIG, ntp=servers)
    empty = {"ca_der": b"", "cert_der": b"", "key_der": b""}
    keeper = kind(config, empty, None, NOW, radio, clock, Timing(), link)
    keeper._latest_unix_s = NOW + 400 * DAY_S
    return keeper


class Quiet:
    """A connection on which nothing happens."""

    def __init__(self, clock):
        self.clock = clock

    def turn(self, _wait_ms):
        self.clock.pass_s(1)


class Connecting(Keeper):
    """Connects without a network."""

    tries = 0

    def _connect(self):
        self.tries += 1
        self._client = Quiet(self._clock)
        self._since_ms = self._clock.now_ms()
        self._state = ("online", "", None)


class ALink(unittest.TestCase):
    def test_that_was_online_for_a_week_connects_again_after_a_moment_without_wifi(self):
        clock, radio = FakeClock(host_trusted=True), Radio()
        keeper = made(Connecting, radio, clock, Link())
        keeper.turn()
        self.assertEqual(keeper.tries, 1)
        for _ in range(24 * 7):
            clock.pass_s(3599)
            keeper.turn()
        radio.on_air = False
        keeper.turn()
        radio.on_air = True
        for _ in range(10):
            keeper.turn()
        self.assertEqual(keeper.tries, 2)


class Handshaking(Keeper):
    """Connects if the clock is right, else ``code`` is the reason."""

    code = "cert_expired"

    def _open(self):
        if abs(self._clock.unix_s() - NOW) > DAY_S:
            raise LinkError(self.code)
        self._transport = Noting(("peer_certificate", "close"), peer_certificate=None)
        return Quiet(self._clock)

    def _subscribe(self):
        self._state = ("online", "", None)


class TimeServers(unittest.TestCase):
    def setUp(self):
        self.clock, self.asked, self.ask_one = FakeClock(), [], ntp._ask_one

    def tearDown(self):
        ntp._ask_one = self.ask_one

    def keeper(self, code="cert_expired", **answers):
        def ask_one(host, _clock, _timing, _alive):
            self.asked.append(host)
            return answers[host]

        ntp._ask_one = ask_one
        self.link = Link()
        keeper = made(Handshaking, Radio(), self.clock, self.link, sorted(answers))
        keeper.code = code
        return keeper

    def test_an_answer_that_cannot_be_is_passed_over_for_the_next_server_s(self):
        for wrong in (NOW - 1, NOW + 400 * DAY_S + 1, 0, 0xFFFFFFFF, None):
            self.clock.set_unix_s(NOW)
            keeper = self.keeper(a=wrong, b=NOW + 5)
            keeper.turn()
            self.assertIn(("time",), self.link.messages, wrong)
            self.assertTrue(0 <= self.clock.unix_s() - NOW - 5 < 10, wrong)

    def test_no_server_that_can_be_right_leaves_the_clock_at_the_floor(self):
        keeper = self.keeper(a=NOW + 500 * DAY_S)
        keeper.turn()
        self.assertTrue(0 <= self.clock.unix_s() - NOW < 10)
        self.assertEqual([m[0] for m in self.link.messages], ["tls"])

    def test_one_that_dates_refute_is_not_asked_first_again(self):
        for code, reason in (
            ("cert_expired", "clock_doubted"),
            ("cert_not_yet_valid", "clock_doubted"),
            ("tls_failed", "tls_failed"),
        ):
            self.asked.clear()
            keeper = self.keeper(code, a=NOW + 300 * DAY_S, b=NOW + 5)
            keeper.turn()
            self.assertEqual(keeper._state, ("waiting", reason, None))
            for _ in range(10):
                keeper.turn()
            self.assertEqual((self.asked, keeper._state[0]), (["a", "b"], "online"))

    def test_a_correction_ends_no_trust_while_the_broker_is_away(self):
        keeper = self.keeper(a=NOW)
        keeper.turn()
        self.assertEqual([m[0] for m in self.link.messages], ["time", "tls"])
        for days, server_s, corrected in ((1, 30, True), (1, 90, False), (90, 90, True), (90, 900, False)):
            self.link.messages.clear()
            self.clock.pass_s(days * DAY_S)
            now_s = self.clock.unix_s()
            ntp._ask_one = lambda *_parts, found=now_s + server_s: found
            keeper._ask_time()
            self.assertEqual(self.link.messages, [])
            self.assertEqual(self.clock.unix_s() - now_s, server_s if corrected else 0)

    def test_a_certificate_that_is_too_old_by_the_floor_itself_is_too_old(self):
        keeper = self.keeper(a=None)
        keeper._floor_unix_s = NOW + 2 * DAY_S
        keeper.turn()
        self.assertEqual(keeper._state, ("waiting", "cert_expired", None))


if __name__ == "__main__":
    unittest.main()
