"""Moments as the cloud writes them."""

import json
import unittest

from latchkey import times


def _table():
    path = __file__.rsplit("/", 2)[0] + "/vectors/times.json"
    with open(path) as f:
        return json.load(f)


class TestTimes(unittest.TestCase):
    def test_every_form_in_the_samples_and_its_kin_is_read(self):
        for text, round_up, expected in _table()["good"]:
            with self.subTest(text):
                self.assertEqual(times.parse_unix_s(text, round_up=round_up), expected)
                self.assertEqual(times.parse_unix_s(text.encode(), round_up), expected)

    def test_everything_else_is_a_value_error(self):
        for text in _table()["bad"] + [None, 0, 1747061946, [], {}]:
            with self.subTest(text):
                self.assertRaises(ValueError, times.parse_unix_s, text)

    def test_every_day_of_four_centuries_follows_the_one_before(self):
        days = -1
        for year in (1970, 1971, 1972, 1999, 2000, 2001, 2099, 2100, 2101, 2399, 2400):
            for month in (1, 2, 3, 12):
                first = times.parse_unix_s("%04d-%02d-01T00:00:00" % (year, month))
                last = times.parse_unix_s("%04d-%02d-28T23:59:59" % (year, month))
                self.assertEqual(last - first, 28 * 86400 - 1)
                self.assertGreater(first // 86400, days)
                days = first // 86400
