"""Strict JSON: what RFC 8259 allows, what we refuse beyond it, alike on every interpreter."""

import unittest

from latchkey import strictjson
from latchkey.errors import FormatError

GOOD = (
    (b"{}", {}),
    (b" \t\r\n[ ] ", []),
    (b'"a"', "a"),
    (b'""', ""),
    (b"0", 0),
    (b"-0", 0),
    (b"-12", -12),
    (b"9999999999999999999", 9999999999999999999),
    (b"-9999999999999999999", -9999999999999999999),
    (b"1.5", 1.5),
    (b"-0.25", -0.25),
    (b"1e3", 1000.0),
    (b"25E-2", 0.25),
    (b"1E+1", 10.0),
    (b"[true,false,null]", [True, False, None]),
    (b'{"a":{"b":[1,{"c":"d"}]},"e":2}', {"a": {"b": [1, {"c": "d"}]}, "e": 2}),
    (b'{"":1," ":2}', {"": 1, " ": 2}),
    (b'"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t'),
    (b'"x\\u0041\\u00e9\\u20AC\\ud83d\\ude00y"', "xA\u00e9\u20ac\U0001f600y"),
    (b'"\\u0000\x7f"', "\0\x7f"),
    (b'"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"', "\u00e9\u20ac\U0001f600"),
    (b'"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"', "\ud7ff\ue000\U0010ffff"),
    (b'["\\\\",","]', ["\\", ","]),
    (b'["\\"",1]', ['"', 1]),
    (b"[[[[[[1]]]]]]", [[[[[[1]]]]]]),
)

# At every place of a value.
BAD_VALUES = {
    "not JSON": (b"x", b"tru", b"truex", b"nul", b"None", b"True", b"undefined", b"'a'", b"// x\n1", b"/**/1"),
    "numbers": (
        b"-",
        b"+1",
        b"01",
        b"-01",
        b"00",
        b"1.",
        b".5",
        b"1.e1",
        b"1e",
        b"1e+",
        b"0x10",
        b"1_000",
        b"- 1",
        b"1a",
    ),
    "not numbers": (b"NaN", b"-NaN", b"Infinity", b"-Infinity", b"inf", b"nan", b"\xd9\xa1"),
    "huge numbers": (
        b"10000000000000000000",
        b"9" * 4000,
        b"-" + b"9" * 20,
        b"1e39",
        b"-1e400",
        b"1e999999",
        b"0." + b"1" * 40,
    ),
    "control characters": (b'"\0"', b'"\n"', b'"a\x1fb"', b'"a\\n\tb"', b'{"a\rb":1}'),
    "surrogates": (
        b'"\\ud800"',
        b'"\\udc00"',
        b'"\\ud800x"',
        b'"\\ud800\\n"',
        b'"\\ud800\\ud800"',
        b'"\\udc00\\ud800"',
    ),
    "UTF-8": (
        b'"\xff"',
        b'"\x80"',
        b'"\xc3"',
        b'"\xc3x"',
        b'"\xe2\x82"',
        b'"\xf0\x9f\x98"',
        b'"a\xe9b"',
        b'"\xe2\x28\xa1"',
    ),
    "overlong UTF-8": (b'"\xc0\x80"', b'"\xc1\xbf"', b'"\xe0\x9f\xbf"', b'"\xf0\x8f\xbf\xbf"'),
    "beyond Unicode": (
        b'"\xed\xa0\x80"',
        b'"\xed\xbf\xbf"',
        b'"\xf4\x90\x80\x80"',
        b'"\xf5\x80\x80\x80"',
        b'"\xf8\x88\x80\x80\x80"',
    ),
    "duplicate names": (b'{"a":1,"a":1}', b'{"a":1,"\\u0061":2}', b'[{"x":{"y":1,"z":2,"y":3}}]'),
}

# As a whole text.
BAD_TEXTS = {
    "nothing": (b"", b" ", b"\n"),
    "trailing bytes": (b"1 1", b"{}x", b"{}{}", b"[]]", b'""""', b"1,", b"{}\0", b"null\0", b"[] \x0b"),
    "frames": (b"[", b"]", b"{", b"}", b"[1", b"[1}", b'{"a":1]', b"[1,", b"[,1]", b"[1,]", b"[1 2]", b"[1,,2]"),
    "members": (
        b'{"a"}',
        b'{"a":}',
        b'{"a" 1}',
        b'{"a":1,}',
        b"{,}",
        b"{1:2}",
        b"{a:1}",
        b'{"a":1 "b":2}',
        b'{"a"::1}',
    ),
    "strings": (
        b'"',
        b'"abc',
        b'"a\\',
        b'"a\\"',
        b'"\\x"',
        b'"\\U0041"',
        b'"\\u12"',
        b'"\\u 123"',
        b'"\\u+123"',
        b'"\\u12g4"',
    ),
    "byte order marks": (b"\xef\xbb\xbf{}", b"\xfe\xff\0{\0}", b"\xff\xfe{\0}\0"),
    "UTF-16": (b"{\0}\0", b"\0{\0}"),
    "spaces": (b"\xa0{}", b"\x0c{}", b"\x0b1", b"\xe2\x80\xa8{}"),
    "depth": (b"[[[[[[[1]]]]]]]", b'{"a":' * 7 + b"1" + b"}" * 7, b"[" * 5000, b'{"a":[' * 2000),
}


def refused(data, **words):
    try:
        strictjson.parse(data, **words)
    except FormatError as exc:
        return exc.code == "json_refused"
    return False


class TestStrictJson(unittest.TestCase):
    def test_reads_what_the_grammar_allows(self):
        for data, want in GOOD:
            with self.subTest(data=data):
                got = strictjson.parse(data)
                self.assertEqual(got, want)
                self.assertIs(type(got), type(want))

    def test_refuses_everything_else_with_one_code(self):
        for why in BAD_TEXTS:
            for data in BAD_TEXTS[why]:
                self.assertTrue(refused(data), "%s: %r" % (why, data[:40]))

    def test_refuses_a_bad_value_wherever_it_stands(self):
        for why in BAD_VALUES:
            for data in BAD_VALUES[why]:
                for text in (data, b'{"a":' + data + b"}", b"[" + data + b"]", b'[[],{"a":[0,' + data + b"]}]"):
                    self.assertTrue(refused(text), "%s: %r" % (why, text[:40]))

    def test_refuses_every_cut_of_a_text(self):
        text = b'{"a":[1,2.5e1,true,null,"x\\n\\ud83d\\ude00\xc3\xa9"],"b":{"c":"d"}}'
        strictjson.parse(text)
        for i in range(len(text)):
            self.assertTrue(refused(text[:i]), i)

    def test_tells_integers_from_floats_and_true(self):
        self.assertIs(type(strictjson.parse(b"1")), int)
        self.assertIs(type(strictjson.parse(b"1.0")), float)
        self.assertIs(type(strictjson.parse(b"1e0")), float)
        self.assertIs(strictjson.parse(b"true"), True)

    def test_depth_is_the_callers(self):
        self.assertTrue(refused(b"[1]", max_depth=0))
        self.assertEqual(strictjson.parse(b"1", max_depth=0), 1)
        self.assertEqual(strictjson.parse(b"[[1],[2]]", max_depth=2), [[1], [2]])
        self.assertTrue(refused(b"[[[1]]]", max_depth=2))

    def test_192_values_are_taken_and_no_more(self):
        for one in (b"[]", b"{}", b"1", b'"a"', b"true"):
            self.assertEqual(len(strictjson.parse(b"[" + b",".join([one] * 191) + b"]")), 191)
            self.assertTrue(refused(b"[" + b",".join([one] * 192) + b"]"))
        self.assertTrue(refused(b'{"a":[' + b",".join([b"[[1]]"] * 64) + b"]}"))

    def test_takes_any_bytes(self):
        for kind in (bytes, bytearray, memoryview):
            self.assertEqual(strictjson.parse(kind(b'{"a":"b"}')), {"a": "b"})

    def test_strings_and_names_come_as_bytes_where_these_are_wanted(self):
        for data, want in (
            (b'{"a":["b",1]}', {b"a": [b"b", 1]}),
            (b'{"\\u0061":"\\n","":"\xc3\xa9"}', {b"a": b"\n", b"": b"\xc3\xa9"}),
            (b'\n"\\ud83d\\ude00"', b"\xf0\x9f\x98\x80"),
        ):
            self.assertEqual(strictjson.parse(data, as_bytes=True), want)
        self.assertTrue(refused(b'{"a":1,"\\u0061":2}', as_bytes=True))

    def test_a_bad_byte_is_found_wherever_it_stands(self):
        for size in (1, 2, 125, 126, 127, 253, 254, 255, 300):
            good = b'"' + b" ~" * (size // 2) + b"\x7f" * (size % 2) + b'"'
            self.assertEqual(strictjson.parse(good, as_bytes=True), good[1:-1])
            for at in range(1, size + 1):
                for bad in (b"\0", b"\x1f", b"\x80", b"\xff"):
                    self.assertTrue(refused(good[:at] + bad + good[at + 1 :]), (size, at, bad))

    def test_long_strings_with_many_escapes_come_out_whole(self):
        self.assertEqual(strictjson.parse(b'"' + b'\\"x' * 2000 + b'"'), '"x' * 2000)
        self.assertEqual(strictjson.parse(b'"' + b"y" * 20000 + b'"'), "y" * 20000)

    def test_utf8_is_judged_alike_at_every_border(self):
        border = b"\x41\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf4\xf5\xff"
        accepted = 0
        for a in border:
            for b in border:
                for c in border:
                    accepted += not refused(bytes((0x22, a, b, c, 0x22)))
                    if a in (0xF0, 0xF4):
                        accepted += not refused(bytes((0x22, a, b, c, 0x80, 0x22)))
        # So many of the same sequences CPython's strict decoder accepts.
        self.assertEqual(accepted, 272)
