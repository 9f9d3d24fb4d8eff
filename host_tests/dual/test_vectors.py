"""The table that a board's self-test walks, on this interpreter. Its rows and reasons: vectors/make_selftest.py."""

import io
import os
import unittest

import walk

from latchkey import sha512


def path_of(name):
    here = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
    for folder in (here + "/../vectors/", "vectors/"):
        try:
            os.stat(folder + name)
            return folder + name
        except OSError:
            pass
    raise OSError(name)


class TestVectors(unittest.TestCase):
    def test_every_row_comes_out_as_the_table_says(self):
        with open(path_of("selftest.json"), "rb") as stream:
            rows, wrong = walk.walk(stream)
        self.assertEqual(wrong, [])
        self.assertEqual(rows, 284)

    def test_a_row_that_differs_is_told(self):
        table = b'[{"op":"b64url","name":"x","text":"AA","want":"01"}]'
        self.assertEqual(walk.walk(io.BytesIO(table)), (1, [("x", "00")]))

    def test_the_kernel_in_use_is_reported(self):
        self.assertIn(sha512.kernel, ("hashlib", "viper", "plain"))
