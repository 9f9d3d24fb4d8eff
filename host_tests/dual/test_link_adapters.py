"""The small adapters of the cloud link that need no network."""

import os
import unittest

from desk import DeskRadio

from latchkey.cloud.inbox import Inbox
from latchkey.hw.clock import BoardClock, DeskClock
from latchkey.net import ntp

STAMP = b"12345678"


def packet(seconds, first=0x24, stratum=1):
    return bytes((first, stratum)) + bytes(22) + STAMP + bytes(8) + seconds.to_bytes(4, "big") + bytes(4)


class TestNtp(unittest.TestCase):
    def test_seconds_are_counted_from_1970_in_both_eras(self):
        self.assertEqual(ntp.parse(packet(2208988800 + 1800000000), STAMP), 1800000000)
        # 2036-02-07 06:28:16 is second 0 of era 1.
        self.assertEqual(ntp.parse(packet(4), STAMP), 2085978500)

    def test_what_is_no_answer_gives_nothing(self):
        good = packet(3900000000)
        self.assertTrue(ntp.parse(good, STAMP) is not None)
        forged = [packet(3900000000, a, b) for a, b in ((0xE4, 1), (0x23, 1), (0x24, 0), (0x24, 16))]
        for bad in forged + [b"", good[:47], packet(0)]:
            self.assertTrue(ntp.parse(bad, STAMP) is None)
        self.assertTrue(ntp.parse(good, b"x" * 8) is None)


class TestInbox(unittest.TestCase):
    def test_messages_come_out_in_their_order_and_none_is_dropped(self):
        inbox = Inbox(3)
        taken = []
        for n in range(10):
            while not inbox.offer((n,)):
                taken.append(inbox.take())
        while True:
            message = inbox.take()
            if message is None:
                break
            taken.append(message)
        self.assertEqual(taken, [(n,) for n in range(10)])

    def test_a_full_one_takes_no_more(self):
        inbox = Inbox(1)
        self.assertTrue(inbox.offer("a"))
        self.assertFalse(inbox.offer("b"))
        self.assertEqual(inbox.take(), "a")
        self.assertTrue(inbox.take() is None)


class FakeRtc:
    def datetime(self, fields):
        self.fields = fields


class TestClocks(unittest.TestCase):
    def test_the_desk_has_the_time_of_its_host_and_does_not_set_it(self):
        clock = DeskClock()
        clock.set_unix_s(5)
        self.assertTrue(clock.host_trusted)
        self.assertTrue(clock.unix_s() > 1790000000)

    def test_an_unset_desk_counts_from_the_beginning_until_it_is_set(self):
        clock = DeskClock(start_unset=True)
        self.assertFalse(clock.host_trusted)
        self.assertTrue(0 <= clock.unix_s() < 5)
        clock.set_unix_s(1800000000)
        self.assertTrue(0 <= clock.unix_s() - 1800000000 < 5)

    def test_a_board_is_set_in_the_fields_of_its_rtc(self):
        rtc = FakeRtc()
        BoardClock(rtc).set_unix_s(1795488223)
        # 2026-11-24, a Tuesday (1)
        self.assertEqual(rtc.fields, (2026, 11, 24, 1, 2, 43, 43, 0))

    def test_milliseconds_pass(self):
        clock = DeskClock()
        since = clock.now_ms()
        clock.sleep_ms(20)
        self.assertTrue(15 <= clock.now_ms() - since < 5000)


class TestDeskRadio(unittest.TestCase):
    path = "uplink-%d.tmp" % (id(object()) % 100000)

    def tearDown(self):
        try:
            os.remove(self.path)
        except OSError:
            pass

    def test_it_is_up_unless_the_file_says_down(self):
        self.assertTrue(DeskRadio().up())
        self.assertTrue(DeskRadio(self.path).up())
        for words, up in (("down\n", False), ("up", True), ("", True)):
            with open(self.path, "w") as file:
                file.write(words)
            radio = DeskRadio(self.path)
            self.assertEqual(radio.up(), up, words)
            self.assertEqual(radio.why(), "no_wifi")


if __name__ == "__main__":
    unittest.main()
