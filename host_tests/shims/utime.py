"""``time`` under its other name, with the functions that MicroPython adds. Integers here do not wrap."""

import time


def ticks_ms():
    return time.monotonic_ns() // 1000000


def ticks_diff(later, earlier):
    return later - earlier


def sleep_ms(ms):
    time.sleep(ms / 1000)
