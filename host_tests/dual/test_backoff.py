"""Pauses between tries."""

import unittest

from latchkey.cloud.backoff import Backoff


def pauses(count, byte):
    backoff = Backoff(1000, 60000, lambda _n: bytes([byte]))
    return [backoff.next_ms() for _ in range(count)], backoff


class TestBackoff(unittest.TestCase):
    def test_pauses_double_up_to_the_ceiling_and_stay_there(self):
        self.assertEqual(pauses(8, 0)[0], [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000])

    def test_jitter_takes_off_at_most_its_share(self):
        self.assertEqual(pauses(3, 255)[0], [500, 1000, 2000])
        for byte in (1, 77, 254):
            got, whole = pauses(8, byte)[0], pauses(8, 0)[0]
            for i in range(8):
                self.assertTrue(whole[i] // 2 <= got[i] <= whole[i])

    def test_reset_begins_again_with_the_first_pause(self):
        _, backoff = pauses(5, 0)
        backoff.reset()
        self.assertEqual(backoff.next_ms(), 1000)


if __name__ == "__main__":
    unittest.main()
