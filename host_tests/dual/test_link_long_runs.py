"""What the cloud link does after more days than the tick counter can tell apart (6.2, half a turn of 2**30 ms)."""

import unittest

from fake_clock import FakeClock

from latchkey.hw.keeper import Keeper
from latchkey.link import Timing

DAY_S = 86400


class Clock(FakeClock):
    def sleep_ms(self, ms):
        self.pass_s(ms / 1000)


class Radio:
    on_air = True

    def up(self):
        return self.on_air

    def errand(self):
        """Nothing to do."""

    def why(self):
        return "no_wifi"

    def ntp_hosts(self):
        return ()


class Settings:
    trial_credentials = None
    credentials = (b"", b"", b"")
    system_uuid16 = bytes(16)
    floor_unix_s = 0
    dev = False
    ntp_hosts = ()
    topics = (b"a", b"b")


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
        self._since_ms = self._clock.ticks_ms()
        self._set("online", "")


class ALink(unittest.TestCase):
    def test_that_was_online_for_a_week_connects_again_after_a_moment_without_wifi(self):
        clock, radio = Clock(host_trusted=True), Radio()
        keeper = Connecting(Settings, radio, clock, Timing(), self.fail, lambda _message: True, lambda: None)
        keeper.turn(200)
        self.assertEqual(keeper.tries, 1)
        for _ in range(24 * 7):
            clock.pass_s(3599)
            keeper.turn(200)
        radio.on_air = False
        keeper.turn(200)
        radio.on_air = True
        for _ in range(10):
            keeper.turn(200)
        self.assertEqual(keeper.tries, 2)


if __name__ == "__main__":
    unittest.main()
