"""UUIDs as text: one form, either case, nothing else."""

import unittest

from latchkey import uuids

GOOD = "792b6149-1daa-488f-b07a-f684503b0586"


class Uuids(unittest.TestCase):
    def test_text_becomes_bytes_and_text_again(self):
        self.assertEqual(uuids.to_bytes(GOOD)[:4], b"\x79\x2b\x61\x49")
        self.assertEqual(uuids.to_text(uuids.to_bytes(GOOD)), GOOD)

    def test_bytes_are_read_as_text_is(self):
        self.assertEqual(uuids.to_bytes(GOOD.encode()), uuids.to_bytes(GOOD))

    def test_case_makes_no_difference(self):
        self.assertEqual(uuids.to_bytes(GOOD.upper()), uuids.to_bytes(GOOD))

    def test_everything_else_is_refused(self):
        for bad in (
            None,
            7,
            bytearray(GOOD.encode()),
            GOOD.encode()[:-1] + b"\xe9",
            GOOD.encode()[:-1] + b"\0",
            "",
            GOOD[:-1],
            GOOD + "0",
            " " + GOOD[:-1],
            "{" + GOOD[:-2] + "}",
            GOOD.replace("-", ""),
            GOOD.replace("-", "_"),
            "792b61491-daa-488f-b07a-f684503b0586",
            "792b6149--daa-488f-b07a-f684503b0586",
            "792b6149-1daa-488f-b07a-f684503b058g",
            "792b6149-1daa-488f-b07a-f684503b05 6",
            "792b6149-1daa-488f-b07a-f684503b05\u00e9",
            "792b6149-1daa-488f-b07a-f684503b05\u0663\u0663"[:36],
        ):
            with self.assertRaises(ValueError):
                uuids.to_bytes(bad)


if __name__ == "__main__":
    unittest.main()
