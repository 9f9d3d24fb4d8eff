"""Requests of strangers leave nothing behind (MicroPython keeps what it interns), and take little while it reads."""

import gc
import unittest

from latchkey import strictjson, uuids
from latchkey.api.request import host_name, parse_head, unescaped
from latchkey.device import config
from latchkey.errors import ConfigError, FormatError


def utf8(point):
    return bytes([0xE0 | point >> 12, 0x80 | (point >> 6) & 63, 0x80 | point & 63])


def read(point):
    strictjson.parse(b'["\\u%04x", "' % point + utf8(point) + b'"]')
    for text in (
        b"792b6149" + utf8(point) + b"1daa-488f-b07a-f684503b0586",
        b"792b6149-1daa-488f-b07a-f684503b058" + utf8(point),
    ):
        try:
            uuids.to_bytes(text.decode())
        except ValueError:
            pass


def called(point):
    host_name(b"lamp.local:" + utf8(point))


def set_up(point):
    text = utf8(point).decode()
    for field in ("name", "slug"):
        try:
            config.judged({"system_uuid": "792b6149-1daa-488f-b07a-f684503b0586", "slug": "x", field: text})
        except ConfigError:
            pass


def used():
    gc.collect()
    return gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0


class Characters(unittest.TestCase):
    def test_no_character_of_a_json_text_a_uuid_a_host_or_a_setting_is_kept(self):
        for take in (read, called, set_up):
            take(0x4000)
            before = used()
            for point in range(0x5000, 0x5200):
                take(point)
            self.assertLess(used() - before, 512, take.__name__ if hasattr(take, "__name__") else "")

    def test_escapes_of_every_length_still_decode(self):
        text = b'"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\u0000"'
        self.assertEqual(strictjson.parse(text), "A\xe9\u20ac\U0001f600\0")


class Heads(unittest.TestCase):
    """Of 1 to 2 KB each: a list of their words would take 16 bytes and more for each byte."""

    def test_a_head_takes_memory_by_its_length_and_not_by_its_words(self):
        host = b"Host: a\r\n"
        for head in (
            b"GET / HTTP/1.1\r\n" + host + b"Connection: " + b"a," * 950 + b"\r\n",
            b"GET" + b" " * 1000 + b"/ HTTP/1.1\r\n" + host,
        ):
            self.assertLess(allocated(parse_or_refuse, head), 24 * 1024)

    def test_a_target_of_percent_signs_is_decoded_without_a_list(self):
        self.assertEqual(unescaped(b"%41%4g%%%2"), b"a%4g%%%2")
        self.assertLess(allocated(unescaped, b"%" * 980), 160 * 1024)


def parse_or_refuse(head):
    try:
        parse_head(memoryview(head), len(head), head)
    except FormatError:
        pass


def allocated(call, data):
    """Bytes that a call takes in all, garbage included; 0 on CPython, which does not say."""
    used()
    gc.disable()
    before = gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
    call(data)
    taken = gc.mem_alloc() - before if before else 0
    gc.enable()
    return taken


if __name__ == "__main__":
    unittest.main()
