"""The log ring: bounded, newest lines, no token."""

import unittest

from latchkey.device.log import LogRing


class TheRing(unittest.TestCase):
    def setUp(self):
        self.now = 0
        self.echoed = []
        self.ring = LogRing(lambda: self.now, self.echoed.append, size=3)

    def test_it_is_empty_at_first(self):
        self.assertEqual(self.ring.lines(), [])

    def test_the_newest_lines_stay_in_order(self):
        for n in range(5):
            self.now = n
            self.ring.add("line %d" % n)
        self.assertEqual([line["n"] for line in self.ring.lines()], [2, 3, 4])
        self.assertEqual(self.ring.lines()[0], {"n": 2, "uptime_s": 2, "text": "line 2"})

    def test_what_failed_is_counted_even_if_no_memory_is_left_to_say_what(self):
        def trace(_exc):
            raise MemoryError()

        ring = LogRing(lambda: 0, trace=trace)
        ring.failed("task", ValueError())
        self.assertEqual(ring.faults, 1)

    def test_a_token_is_cut_off(self):
        self.ring.add("odd token CLOUD-eyJhbGciOi.x.y from 10.0.0.2")
        self.assertEqual(self.ring.lines()[0]["text"], "odd token CLOUD-...")
        self.assertEqual(self.echoed, ["odd token CLOUD-..."])

    def test_a_line_that_would_move_a_terminal_keeps_its_ascii(self):
        self.ring.add("joined K\u00fcche \u202eevil\x1b[2J\u009b\n")
        self.assertEqual(self.echoed, ["joined K??che ???evil?[2J???"])
        self.ring.add("joined K\u00fcche")
        self.assertEqual(self.echoed[1], "joined K\u00fcche")

    def test_a_long_line_is_shortened(self):
        self.ring.add("x" * 1000)
        self.assertEqual(len(self.ring.lines()[0]["text"]), 120)


if __name__ == "__main__":
    unittest.main()
