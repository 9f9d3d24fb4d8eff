"""Items of a long array, whatever pieces they come in."""

import json
import unittest

from streams import Bytes, Endless

from latchkey import jsonstream
from latchkey.errors import FormatError


def _read(text, step=1000000, **options):
    data = text if isinstance(text, bytes) else text.encode()
    out = []
    for item in jsonstream.items(Bytes(data, step), **options):
        out.append(item)
    return out


WHOLE = (
    ("[]", []),
    (" [ ] \n", []),
    ("[1]", [b"1"]),
    ("[1,2 , 3]", [b"1", b"2", b"3"]),
    ('["a","b]"]', [b'"a"', b'"b]"']),
    ('["\\"]","\\\\"]', [b'"\\"]"', b'"\\\\"']),
    ('[{"a":"}"},{"b":"\\"}{"}]', [b'{"a":"}"}', b'{"b":"\\"}{"}']),
    ('[{"a":{"b":[{}]}} ,\n{}]', [b'{"a":{"b":[{}]}}', b"{}"]),
    ("[[1,[2]],[]]", [b"[1,[2]]", b"[]"]),
    ("[true,null,-1.5e3]", [b"true", b"null", b"-1.5e3"]),
    ('[{"\\\\":"\\\\\\"{"}]', [b'{"\\\\":"\\\\\\"{"}']),
    ('[{"\u00e9":"\u20ac}"}]', ['{"\u00e9":"\u20ac}"}'.encode()]),
)
BROKEN = (
    "", " ", "{", "{}", "null", "1", '"a"', "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1]]", "[1],", "[1]x",
    "[{]", '[{"a":1]', '["a]', '["a"', '["a\\', "[}]", "[:]", "]", "[{}{}]", '[{"a":"\\"}]', "\ufeff[]",
)  # fmt: skip


class TestItems(unittest.TestCase):
    def test_items_come_whole_in_pieces_of_any_size(self):
        for text, expected in WHOLE:
            for step in (1, 2, 3, 5, 1000):
                with self.subTest(text, step=step):
                    self.assertEqual(_read(text, step), expected)
                    self.assertEqual(_read(text, step, item_limit=32), expected)

    def test_a_broken_frame_is_refused_in_pieces_of_any_size(self):
        for text in BROKEN:
            for step in (1, 3, 1000):
                with self.subTest(text, step=step):
                    self.assertRaises(FormatError, _read, text, step)

    def test_every_cut_of_a_list_is_noticed(self):
        text = b'[{"a":"b"},{"c":[1,"\\"]"]} , "x"]'
        for cut in range(len(text)):
            with self.subTest(cut):
                with self.assertRaises(FormatError) as caught:
                    _read(text[:cut], 4)
                self.assertEqual(caught.exception.code, "truncated")

    def test_a_member_is_found_among_others(self):
        for step in (1, 7, 1000):
            text = '{"a":[1,{"keys":[9]}],"keys": [{"k":1}, 2],"z":{"y":"]"} , "w" : "v", "n":1}'
            self.assertEqual(_read(text, step, member="keys"), [b'{"k":1}', b"2"])
            self.assertEqual(_read('{"keys":[]}', step, member="keys"), [])

    def test_a_member_that_is_missing_doubled_or_no_array_is_refused(self):
        for text in (
            "{}",
            "[]",
            '{"a":1}',
            '{"keys":1}',
            '{"keys":{}}',
            '{"keys":[],"keys":[]}',
            '{"keys":[]',
            '{"keys":[]}}',
            '{"keys" []}',
            "{keys:[]}",
            '{"keys":[],}',
            '{,"keys":[]}',
            '{"a":tru,"keys":[]}',
            '{"a":,"keys":[]}',
            '{"a":{"b":1,"b":2},"keys":[]}',
            '{1:2,"keys":[]}',
        ):
            with self.subTest(text):
                self.assertRaises(FormatError, _read, text, 1000, member="keys")

    def test_an_item_at_the_limit_passes_and_one_byte_more_does_not(self):
        for size in (99, 100):
            item = '"' + "x" * (size - 2) + '"'
            for step in (1, 30, 1000):
                self.assertEqual(_read("[" + item + ",1]", step, item_limit=100), [item.encode(), b"1"])
        item = '"' + "x" * 99 + '"'
        for step in (1, 30, 1000):
            self.assertEqual(_read("[" + item + ",1]", step, item_limit=100), [None, b"1"])

    def test_a_long_item_is_passed_over_whatever_is_in_it(self):
        filler = '"f":"%s","o":{"uuid":"inner","x":["uuid",{"uuid":"deep"}]}' % ('}{\\\\\\"[,' * 100)
        for text in (
            '{"uuid":"abc",%s}' % filler,
            '{%s,"uuid" : "abc"}' % filler,
            "[[%s], {}]" % filler.replace('"f":', "").replace('"o":', ""),
            '"%s"' % ("\\\\" * 100),
            "1" * 200,
        ):
            for step in (1, 2, 3, 7, 1000):
                with self.subTest(text[:20], step=step):
                    self.assertEqual(_read("[1," + text + ",2]", step, item_limit=64), [b"1", None, b"2"])

    def test_a_list_that_never_ends_is_given_up_at_the_limit(self):
        for body in (b"{},", b'"', b"[", b'\\"', b" ", b'{"a":', b"1"):
            stream = Endless(b"[{}," if body == b"{}," else b"[", body)
            with self.subTest(body):
                with self.assertRaises(FormatError) as caught:
                    for _ in jsonstream.items(stream, total_limit=5000, item_limit=300):
                        pass
                if body not in (b'"',):
                    self.assertEqual(caught.exception.code, "too_large")
                self.assertLess(stream.given, 5500)

    def test_a_stream_that_fails_passes_its_error_on(self):
        with self.assertRaises(OSError):
            for _ in jsonstream.items(Bytes(b"[1,2,3]", 1, error_at=3)):
                pass

    def test_it_finds_what_the_json_module_finds(self):
        value = [{"n": i, "s": ']}"\\' * (i % 7), "l": [[], {"x": "\u20ac"}] * (i % 3)} for i in range(50)]
        for step in (1, 11, 4096):
            found = [json.loads(item) for item in _read(json.dumps(value), step)]
            self.assertEqual(found, value)
