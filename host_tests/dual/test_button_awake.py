"""A button's words, and when a sensor on battery sleeps."""

import unittest

from fake_clock import FakeClock

from latchkey.device.button import Button
from latchkey.device.sleep import Awake


class Pin:
    level = 1

    def value(self):
        return self.level


def look(button, down, clock):
    """The button's result while it is pressed or not."""
    button._pin.level = int(not down)
    return button.look(clock.now_ms())


class TestButton(unittest.TestCase):
    def press(self, seconds, step_s=0.02):
        """The results while the button is held for so long and released."""
        clock = FakeClock()
        button = Button(Pin())
        said = [look(button, False, clock)]
        for n in range(int(seconds / step_s) + 1):
            said.append(look(button, n * step_s < seconds, clock))
            clock.pass_s(step_s)
        said.append(look(button, False, clock))
        return [word for word in said if word]

    def test_short_long_and_longer_are_told_apart(self):
        for seconds, words in (
            (0.02, []),
            (0.2, ["press"]),
            (2.9, ["press"]),
            (3.2, ["long"]),
            (9.8, ["long"]),
            (10.2, ["long", "reset"]),
            (30, ["long", "reset"]),
        ):
            self.assertEqual(self.press(seconds), words, seconds)

    def test_a_loop_that_was_held_up_says_the_longer_one_alone(self):
        self.assertEqual(self.press(12, 11), ["reset"])

    def test_a_button_that_is_stuck_says_nothing(self):
        clock = FakeClock()
        button = Button(Pin())
        for _ in range(1000):
            self.assertEqual(look(button, True, clock), None)
            clock.pass_s(0.1)
        look(button, False, clock)
        look(button, True, clock)
        clock.pass_s(4)
        self.assertEqual(look(button, True, clock), "long")

    def test_one_press_after_the_other(self):
        clock = FakeClock()
        button = Button(Pin())
        said = []
        for down in (0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0):
            said.append(look(button, bool(down), clock))
            clock.pass_s(0.02)
        self.assertEqual([word for word in said if word], ["press", "press"])


class TestAwake(unittest.TestCase):
    def test_switched_on_or_woken_by_hand_it_stays_five_minutes(self):
        for timed, wakes in ((False, 0), (False, 5)):
            awake = Awake(300, timed, wakes)
            self.assertTrue(awake.opens)
            self.assertEqual((awake.due(299, False), awake.due(300, False)), (False, True))

    def test_every_twelfth_measurement_opens_it_for_a_minute_and_the_others_do_not(self):
        opened = [n for n in range(1, 37) if Awake(300, True, n).opens]
        self.assertEqual(opened, [12, 24, 36])
        self.assertEqual((Awake(300, True, 12).due(59, False), Awake(300, True, 12).due(60, False)), (False, True))
        self.assertTrue(Awake(300, True, 1).due(0, False))

    def test_while_somebody_is_there_it_stays_and_a_minute_longer(self):
        awake = Awake(300, True, 12)
        self.assertFalse(awake.due(59, True))
        self.assertFalse(awake.due(119, False))
        self.assertTrue(awake.due(120, False))

    def test_measurements_keep_their_distance(self):
        awake = Awake(300, True, 12)
        self.assertEqual([awake.sleep_ms(s) for s in (0, 60, 299, 300, 301)], [300000, 240000, 1000, 300000, 299000])


if __name__ == "__main__":
    unittest.main()
