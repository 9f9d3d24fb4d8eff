"""The small adapters of the cloud link that need no network."""

import os
import unittest

from desk import DeskRadio
from deskclock import DeskClock
from fake_clock import FakeClock
from fake_link import CONFIG, DER, SYSTEM

from latchkey.cloud import session
from latchkey.cloud.link import Link
from latchkey.hw.clock import BoardClock
from latchkey.net import ntp
from latchkey.net.thread import Inbox

SOON, LATER = 1798761600, 2429913600


def der_until(text):
    """As much of a certificate as has its dates."""
    dates = b"\x17\x0d250101000000Z\x17\x0d" + text.encode()
    body = bytes(6) + b"\x30" + bytes((len(dates),)) + dates
    body = b"\x30" + bytes((len(body),)) + body
    return b"\x30" + bytes((len(body),)) + body


STAMP = b"12345678"


def packet(seconds, first=0x24, stratum=1):
    return bytes((first, stratum)) + bytes(22) + STAMP + bytes(8) + seconds.to_bytes(4, "big") + bytes(4)


class TestSettings(unittest.TestCase):
    def test_no_time_after_the_end_of_the_first_certificate_is_believed(self):
        self.assertEqual(session.latest_unix_s(DER, None), 0xFFFFFFFF)
        soon, later = der_until("270101000000Z"), der_until("470101000000Z")
        for ca, own, attempt, end in (
            (soon, later, None, SOON),
            (later, soon, None, SOON),
            (later, soon, later, LATER),
            (soon, later, later, SOON),
            (b"?", soon, None, SOON),
        ):
            held = {"ca_der": ca, "cert_der": own, "key_der": b""}
            tried = attempt and dict(held, cert_der=attempt)
            self.assertEqual(session.latest_unix_s(held, tried), end)

    def test_topics_hold_the_system_in_lower_case(self):
        keys, tokens = session.topics(CONFIG)
        self.assertEqual(keys, b"drivr/v1/company-example/jwks")
        self.assertEqual(tokens, b"drivr/v1/company-example/authorization/localApiTokens/" + SYSTEM.lower().encode())


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

    def test_names_that_nobody_answers_pass_for_no_standstill(self):
        def unanswered(host, *_more):
            steps.append(host)
            raise OSError(-202)

        steps, ask_one, ntp._ask_one = [], ntp._ask_one, unanswered
        try:
            self.assertTrue(ntp.ask(("a", "b"), None, None, lambda: steps.append("alive"), None) is None)
        finally:
            ntp._ask_one = ask_one
        self.assertEqual(steps, ["alive", "a", "alive", "b"])


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


class TestStatus(unittest.TestCase):
    def setUp(self):
        self.clock = FakeClock(1000)
        self.lines = []
        self.link = Link(CONFIG, DER, None, self.clock, 0, self.lines.append)

    def change(self, *args):
        self.clock.pass_s(10)
        self.link.change(*args)

    def test_a_change_is_logged_once_however_often_it_is_tried(self):
        self.change("connecting", "", None)
        for _ in range(5):
            self.change("waiting", "refused", 111)
            self.change("connecting", "", None)
        self.assertEqual(self.lines, ["cloud: connecting", "cloud: waiting refused 111"])
        self.assertEqual((self.link.reason, self.link.since_unix_s), ("refused", 1020))

    def test_another_reason_is_another_change(self):
        self.change("waiting", "refused", 111)
        self.change("waiting", "dns", None)
        self.change("online", "", None)
        self.assertEqual(self.lines[-2:], ["cloud: waiting dns", "cloud: online"])
        self.assertEqual(self.link.since_unix_s, 1030)

    def test_a_lost_connection_is_a_change_even_for_no_reason(self):
        self.change("online", "", None)
        self.change("waiting", "closed", None)
        self.change("connecting", "", None)
        self.change("online", "", None)
        self.assertEqual(self.lines, ["cloud: online", "cloud: waiting closed", "cloud: online"])


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
            self.assertEqual(radio.station()[:2], (up, "" if up else "no_wifi"))


if __name__ == "__main__":
    unittest.main()
