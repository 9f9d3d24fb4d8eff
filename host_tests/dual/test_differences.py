"""Where the interpreters differ, and the firmware is written for all: docs/differences.md line by line."""

import asyncio
import binascii
import gc
import hashlib
import io
import json
import sys
import time
import unittest

try:
    import micropython
except ImportError:
    micropython = None

MICROPYTHON = sys.implementation.name == "micropython"
WASM = sys.platform == "webassembly"


def raises(call, *kinds):
    try:
        call()
    except kinds:
        return True
    return False


def caught_both_ways():
    """(by one name, by a tuple): whether an except clause catches a MemoryError while nothing can be allocated."""
    for how in (_caught_by_name, _caught_by_tuple):
        if MICROPYTHON:
            micropython.heap_lock()
        try:
            found = how()
        except MemoryError:
            found = False
        if MICROPYTHON:
            micropython.heap_unlock()
        yield found


def _caught_by_name():
    try:
        raise MemoryError()
    except MemoryError:
        return True


def _caught_by_tuple():
    try:
        raise MemoryError()
    except (ValueError, MemoryError):
        return True


class Differences(unittest.TestCase):
    def test_an_except_clause_of_two_errors_needs_memory_on_micropython(self):
        self.assertEqual(list(caught_both_ways()), [True, not MICROPYTHON])

    def test_json_is_lenient_on_micropython(self):
        self.assertEqual(raises(lambda: json.loads("[1 2]"), ValueError), not MICROPYTHON)
        self.assertEqual(json.loads('{"a":1,"a":2}'), {"a": 2})
        self.assertEqual(raises(lambda: json.loads("NaN"), ValueError), MICROPYTHON)

    def test_hashlib_has_no_sha512_on_micropython(self):
        self.assertEqual(hasattr(hashlib, "sha512"), not MICROPYTHON)
        self.assertEqual(hasattr(hashlib.sha256(b""), "hexdigest"), not MICROPYTHON)

    def test_a_digest_is_taken_once_on_micropython(self):
        h = hashlib.sha256(b"x")
        h.digest()
        self.assertEqual(raises(h.digest, ValueError), MICROPYTHON)

    def test_integers_have_no_bit_length_on_micropython(self):
        self.assertEqual(hasattr(1, "bit_length"), not MICROPYTHON)

    def test_base64_skips_stray_characters_on_both(self):
        self.assertEqual(binascii.a2b_base64(b"QU*JD"), b"ABC")

    def test_the_epoch_is_1970_on_every_desk(self):
        self.assertEqual(time.gmtime(0)[0], 1970)

    def test_words_are_as_wide_as_a_chip_s_on_the_32_bit_interpreter_only(self):
        self.assertEqual(sys.maxsize, (1 << (31 if WASM else 63)) - 1)

    def test_isdigit_takes_other_digits_on_cpython_only(self):
        self.assertEqual("\u0663".isdigit(), not MICROPYTHON)

    def test_invalid_utf8_is_refused_by_both_when_decoded(self):
        self.assertTrue(raises(lambda: b"\xff\xfe".decode(), UnicodeError, ValueError))

    def test_micropython_decodes_surrogates_and_overlong_forms_that_cpython_refuses(self):
        lenient = [not raises(lambda b=b: b.decode(), UnicodeError, ValueError) for b in (b"\xed\xa0\x80", b"\xc0\x80")]
        self.assertEqual(lenient, [MICROPYTHON, MICROPYTHON])

    def test_bytesio_readinto_answers_with_a_count_on_both(self):
        buffer = bytearray(4)
        self.assertEqual(io.BytesIO(b"abcdef").readinto(buffer), 4)

    def test_threads_share_no_lock_on_the_unix_port(self):
        self.assertEqual(getattr(sys.implementation, "_thread", None), "unsafe" if MICROPYTHON and not WASM else None)

    def test_asyncio_runs_nothing_by_itself_on_the_32_bit_interpreter(self):
        self.assertEqual([hasattr(asyncio, name) for name in ("run", "start_server")], [not WASM, not WASM])

    def test_the_32_bit_interpreter_collects_no_garbage_before_the_end_of_a_run(self):
        if not MICROPYTHON:
            return
        gc.collect()
        before = gc.mem_alloc()
        bytearray(10000)
        gc.collect()
        self.assertEqual(gc.mem_alloc() - before >= 10000, WASM)

    def test_docstrings_cost_nothing_on_micropython(self):
        self.assertEqual(raises(lambda: raises.__doc__, AttributeError), MICROPYTHON)


if __name__ == "__main__":
    unittest.main()
