"""Bulb and sensor: fields checked whole, listeners called only for changes."""

import unittest

from latchkey.errors import ConfigError
from latchkey.products import bulb, sensor


class Adapter:
    def __init__(self):
        self.shown = []
        self.blinks = 0
        self.values = (21.5, 40, 90)

    def show(self, state, transition_ms):
        self.shown.append((dict(state), transition_ms))

    def read(self):
        return self.values

    def blink(self):
        self.blinks += 1


def refused(product, fields):
    try:
        product.patch(fields)
    except ConfigError as exc:
        return exc.field
    return None


class Counted(unittest.TestCase):
    def setUp(self):
        self.adapter = Adapter()
        self.changes = 0

    def count(self):
        self.changes += 1

    def watch(self, product):
        product.on_change = self.count
        return product


class TheBulb(Counted):
    def test_each_model_has_its_fields(self):
        for model, more in (("white", set()), ("cct", {"color_temp_k"}), ("rgb", {"rgb"})):
            product = bulb.Product(self.adapter, model)
            self.assertEqual(set(product.state()), {"on", "brightness_pct"} | more)

    def test_bounds_and_kinds_of_each_field(self):
        rgb = bulb.Product(self.adapter, "rgb")
        cct = bulb.Product(self.adapter, "cct")
        ends = ({"brightness_pct": 1}, {"brightness_pct": 100}, {"transition_ms": 0}, {"transition_ms": 60000})
        for fields in ends + ({"on": True}, {"rgb": [0, 255, 7]}, {"brightness_pct": 50.0}):
            self.assertIsNone(refused(rgb, fields), fields)
        for value in (1, 0, None, "true", [], {}):
            self.assertEqual(refused(rgb, {"on": value}), "on")
        for value in (0, 101, -1, True, "5", 5.5, None, 10**18, 1e30, -1e300 * 1e300):
            self.assertEqual(refused(rgb, {"brightness_pct": value}), "brightness_pct")
        for value in ([], [1, 2], [1, 2, 3, 4], [1, 2, 256], [1, 2, True], "red", None):
            self.assertEqual(refused(rgb, {"rgb": value}), "rgb")
        for value in (2199, 6501, 2700.5):
            self.assertEqual(refused(cct, {"color_temp_k": value}), "color_temp_k")
        self.assertEqual(refused(rgb, {"transition_ms": 60001}), "transition_ms")
        self.assertEqual(refused(rgb, {"color_temp_k": 3000}), "color_temp_k")
        self.assertEqual(refused(cct, {"rgb": [1, 2, 3]}), "rgb")

    def test_a_patch_with_one_wrong_field_changes_nothing(self):
        product = self.watch(bulb.Product(self.adapter, "rgb"))
        before = product.state()
        self.assertEqual(refused(product, {"on": True, "rgb": [1, 2, 300]}), "rgb")
        self.assertEqual((product.state(), self.adapter.shown, self.changes), (before, [], 0))

    def test_only_a_change_reaches_the_light_and_the_listeners(self):
        product = self.watch(bulb.Product(self.adapter))
        product.patch({"on": True, "transition_ms": 700})
        product.patch({"on": True})
        product.patch({})
        self.assertEqual(self.adapter.shown, [({"on": True, "brightness_pct": 100}, 700)])
        self.assertEqual(self.changes, 1)

    def test_what_state_answers_is_the_callers_own(self):
        product = bulb.Product(self.adapter)
        product.state()["on"] = True
        self.assertFalse(product.state()["on"])


class TheSensor(Counted):
    def setUp(self):
        Counted.setUp(self)
        self.now = 1764000000
        self.product = self.watch(sensor.Product(self.adapter, lambda: self.now))

    def test_nothing_is_measured_at_first(self):
        self.assertEqual(set(self.product.state().values()), {None})

    def test_a_measurement_is_dated(self):
        self.product.measure()
        want = {"temperature_c": 21.5, "humidity_pct": 40, "battery_pct": 90, "measured_unix_s": 1764000000}
        self.assertEqual(self.product.state(), want)

    def test_listeners_hear_of_moved_values_alone(self):
        self.product.measure()
        self.now += 60
        self.product.measure()
        self.assertEqual(self.changes, 1)
        self.adapter.values = (21.6, 40, 90)
        self.product.measure()
        self.assertEqual(self.changes, 2)

    def test_nothing_can_be_set(self):
        self.assertEqual(refused(self.product, {"temperature_c": 1}), "temperature_c")
        self.assertEqual(self.product.patch({}), self.product.state())

    def test_it_blinks(self):
        self.product.identify()
        self.assertEqual(self.adapter.blinks, 1)


if __name__ == "__main__":
    unittest.main()
