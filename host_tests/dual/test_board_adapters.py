"""The adapters of boards between a product and its pins, on both interpreters; the pins are plain objects here."""

import asyncio
import unittest

from latchkey.hw import battery, room, sht3x
from latchkey.hw.clock import Watchdog
from latchkey.hw.light_pwm import PwmLight
from latchkey.hw.light_rgb import RgbLight
from latchkey.products import fade


class Pin:
    """A PWM output, a lamp, a strip of pixels or a watchdog: keeps the last value that was set, and how often."""

    def __init__(self):
        self.level = None
        self.times = 0

    def duty_u16(self, level):
        self.level = level
        self.times += 1

    fill = value = duty_u16

    def write(self):
        self.times += 1

    def feed(self):
        self.times += 1


def white(on=True, brightness_pct=100, color_temp_k=2200):
    return {"on": on, "brightness_pct": brightness_pct, "color_temp_k": color_temp_k}


class Quick(unittest.TestCase):
    """With blinks of 10 ms."""

    def setUp(self):
        self.blink_ms = fade._BLINK_MS
        fade._BLINK_MS = room._BLINK_MS = 10

    def tearDown(self):
        fade._BLINK_MS = room._BLINK_MS = self.blink_ms


class TestLights(Quick):
    def test_warm_and_cold_share_one_full_light(self):
        warm, cold = Pin(), Pin()
        light = PwmLight(warm, cold)
        self.assertEqual((warm.level, cold.level), (0, 0))
        for kelvin in range(2200, 6501, 100):
            light.show(white(color_temp_k=kelvin))
            self.assertEqual(warm.level + cold.level, 65535)
        light.show(white(brightness_pct=1))
        self.assertEqual((warm.level, cold.level), (6, 0))

    def test_a_fade_ends_exactly_and_another_takes_over(self):
        async def story():
            warm, cold = Pin(), Pin()
            light = PwmLight(warm, cold)
            light.show(white(), 100)
            await asyncio.sleep(0.05)
            self.assertTrue(0 < warm.level < 65535)
            light.show(white(on=False), 60)
            await asyncio.sleep(0.3)
            self.assertEqual((warm.level, cold.level), (0, 0))
            light.show(white(color_temp_k=6500), 60)
            await asyncio.sleep(0.3)
            self.assertEqual((warm.level, cold.level), (0, 65535))

        asyncio.run(story())

    def test_a_blink_ends_as_it_was_and_gives_way_to_a_new_state(self):
        async def story():
            pixels = Pin()
            light = RgbLight(pixels)
            light.show({"on": True, "brightness_pct": 100, "rgb": [255, 10, 0]})
            light.blink()
            await asyncio.sleep(0.005)
            self.assertEqual(pixels.level, (128, 128, 128))
            await asyncio.sleep(0.3)
            self.assertEqual(pixels.level, (255, 10, 0))
            light.blink()
            light.show({"on": False, "brightness_pct": 100, "rgb": [1, 1, 1]})
            await asyncio.sleep(0.1)
            self.assertEqual(pixels.level, (0, 0, 0))

        asyncio.run(story())


class Bus:
    def __init__(self, answer):
        self.answer = answer

    def writeto(self, address, data):
        self.asked = (address, bytes(data))

    def readfrom_into(self, address, buffer):
        buffer[:] = self.answer


class TestSensor(Quick):
    def test_it_measures_and_a_wrong_checksum_is_no_answer(self):
        waits = []
        bus = Bus(b"\xbe\xef\x92\xbe\xef\x92")
        sensor = sht3x.Sht3x(bus, waits.append)
        self.assertEqual(sensor.read(), (85.5, 74.6))
        self.assertEqual((bus.asked, waits), ((0x44, b"\x24\x00"), [16]))
        for at in range(6):
            answer = bytearray(b"\xbe\xef\x92\xbe\xef\x92")
            answer[at] ^= 1
            bus.answer = answer
            with self.assertRaises(OSError):
                sensor.read()

    def test_a_cell_empties_from_full_to_nothing(self):
        percents = [battery.percent_of(mv) for mv in range(3000, 4300, 5)]
        self.assertEqual(percents, sorted(percents))
        self.assertEqual((percents[0], percents[-1]), (0, 100))

    def test_the_lamp_of_a_sensor_ends_dark(self):
        async def story():
            lamp = Pin()
            made = room.RoomSensor(None, lamp, lit=0)
            made.blink()
            await asyncio.sleep(0.3)
            made.blink()
            await asyncio.sleep(0.3)
            self.assertEqual((lamp.level, lamp.times), (1, 12))

        asyncio.run(story())


class TestWatchdog(unittest.TestCase):
    def test_it_is_fed_only_while_the_link_s_number_changes(self):
        wdt = Pin()
        dog = Watchdog(wdt)
        for turns in (1, 2, 2, 2, 3):
            dog.look(turns)
        self.assertEqual(wdt.times, 3)
        dog.look(None)
        dog.look(None)
        self.assertEqual(wdt.times, 5)
