"""The HTTP parser: every head of the table, whole and byte by byte, alike on both interpreters."""

import json
import unittest

from latchkey.api import request, response
from latchkey.errors import FormatError

HEAD_BYTES = 3072


def table(name):
    for folder in ("vectors/", "host_tests/vectors/"):
        try:
            with open(folder + name) as f:
                return json.load(f)
        except OSError:
            pass
    raise OSError(name)


def raw(text):
    """Bytes of a text that stands for Latin-1, which MicroPython cannot encode."""
    return bytes([ord(c) for c in text])


def outcome(call):
    try:
        return call()
    except FormatError as exc:
        return exc.code


def feed(reader, data):
    reader.room()[: len(data)] = data
    reader.held += len(data)


def seen(request, field):
    value = getattr(request, field)
    return value.decode() if isinstance(value, bytes) else value


class TheTable(unittest.TestCase):
    def check(self, case, result):
        with self.subTest(case["name"]):
            if case["code"]:
                self.assertEqual(result, case["code"], case["name"])
                return
            self.assertIsInstance(result, request.Request, case["name"])
            for field, value in case["want"].items():
                self.assertEqual(seen(result, field), value, case["name"] + " " + field)

    def test_every_head_gives_what_the_table_says(self):
        for case in table("http_heads.json"):
            head = raw(case["head"])
            self.check(case, outcome(lambda head=head: request.parse_head(memoryview(head), len(head), head)))

    def test_byte_by_byte_gives_the_same(self):
        buffer = bytearray(HEAD_BYTES)
        reader = request.Reader(buffer)
        for case in table("http_heads.json"):
            if case["head"] == "\r\n":
                continue  # empty lines before a request are let pass
            reader.held = 0
            data = raw(case["head"] + "\r\n")
            self.check(case, outcome(lambda data=data: self.drip(reader, data)))

    def drip(self, reader, data):
        for at in range(len(data)):
            feed(reader, data[at : at + 1])
            request = reader.request()
            if request:
                self.assertEqual(at, len(data) - 1)
                return request
        return None


class TheReader(unittest.TestCase):
    def setUp(self):
        self.reader = request.Reader(bytearray(256))

    def test_pipelined_requests_come_out_one_by_one(self):
        feed(self.reader, b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3")
        self.assertEqual(self.reader.request().path, "/1")
        self.assertEqual(self.reader.request().path, "/2")
        self.assertIsNone(self.reader.request())
        feed(self.reader, b" HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(self.reader.request().path, "/3")
        self.assertEqual(self.reader.held, 0)

    def test_a_body_is_taken_and_what_follows_stays(self):
        feed(self.reader, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
        self.assertEqual(self.reader.request().length, 4)
        body = bytearray(4)
        self.assertEqual(self.reader.move(memoryview(body)), 2)
        feed(self.reader, b"cdGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(self.reader.move(memoryview(body)[2:]), 2)
        self.assertEqual(bytes(body), b"abcd")
        self.assertEqual(self.reader.request().path, "/2")

    def test_a_head_that_fills_the_buffer_is_refused(self):
        feed(self.reader, b"GET / HTTP/1.1\r\n" + b"X-A: " + b"a" * 235)
        self.assertEqual(outcome(self.reader.request), "headers_too_large")

    def test_a_head_of_exactly_the_buffer_is_taken(self):
        head = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
        feed(self.reader, head + b"a" * (252 - len(head)) + b"\r\n\r\n")
        self.assertEqual(self.reader.request().path, "/")

    def test_an_endless_request_line_is_refused_before_its_end(self):
        reader = request.Reader(bytearray(HEAD_BYTES))
        feed(reader, b"GET /" + b"a" * 1100)
        self.assertEqual(outcome(reader.request), "uri_too_long")

    def test_a_request_line_of_1024_bytes_is_taken_however_it_arrives(self):
        reader = request.Reader(bytearray(HEAD_BYTES))
        for byte in b"GET /" + b"a" * 1010 + b" HTTP/1.1\r\nHost: a\r\n\r":
            feed(reader, bytes((byte,)))
            self.assertIsNone(outcome(reader.request))
        feed(reader, b"\n")
        self.assertEqual(len(reader.request().path), 1011)

    def test_what_another_connection_left_is_not_seen(self):
        feed(self.reader, b"GET /secret HTTP/1.1\r\nHost: a\r\n")
        self.reader.request()
        self.reader.held = 0
        feed(self.reader, b"\r\n")
        self.assertIsNone(self.reader.request())
        feed(self.reader, b"GET /x")
        self.assertIsNone(self.reader.request())

    def test_a_bare_line_feed_is_refused_at_once(self):
        feed(self.reader, b"GET / HTTP/1.1\n\n")
        self.assertEqual(outcome(self.reader.request), "bad_request")


class TheAnswer(unittest.TestCase):
    def test_a_head_is_framed(self):
        refusal = response.Response(429, b"busy!", ("Retry-After: 3",))
        refusal.code = "verify_busy"
        head = refusal.head(5, True)
        want = (
            b"HTTP/1.1 429 verify_busy\r\nContent-Type: application/json\r\nContent-Length: 5\r\n"
            b"Cache-Control: no-store\r\nRetry-After: 3\r\nConnection: close\r\n\r\n"
        )
        self.assertEqual(head, want)

    def test_a_stream_has_no_length(self):
        stream = response.Response(200, None, media="text/event-stream")
        self.assertTrue(b"Content-Length" not in stream.head(None, False))


if __name__ == "__main__":
    unittest.main()
