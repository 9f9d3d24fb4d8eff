"""The few parts of unittest that the dual tests use, for MicroPython, which has none.

Same names and meaning as CPython's. A run that collected nothing fails.
"""

import sys


class SkipTest(Exception):
    pass


class _Raises:
    def __init__(self, expected):
        self.expected = expected
        self.exception = None

    def __enter__(self):
        return self

    def __exit__(self, kind, exc, _tb):
        if kind is None:
            raise AssertionError("%r was not raised" % (self.expected,))
        self.exception = exc
        return issubclass(kind, self.expected)


class _SubTest:
    def __init__(self, words):
        self.words = words

    def __enter__(self):
        return self

    def __exit__(self, kind, _exc, _tb):
        if kind is not None:
            print("  in", self.words)
        return False


def _fail(msg, text):
    raise AssertionError(text if msg is None else "%s: %s" % (msg, text))


class TestCase:
    def setUp(self):
        pass

    def tearDown(self):
        pass

    def fail(self, msg=None):
        _fail(msg, "failed")

    def subTest(self, msg=None, **words):
        return _SubTest((msg, words))

    def skipTest(self, reason):
        raise SkipTest(reason)

    def assertRaises(self, expected, call=None, *args, **kwargs):
        if call is None:
            return _Raises(expected)
        with _Raises(expected):
            call(*args, **kwargs)

    def assertEqual(self, a, b, msg=None):
        if not a == b:
            _fail(msg, "%r != %r" % (a, b))

    def assertNotEqual(self, a, b, msg=None):
        if a == b:
            _fail(msg, "%r == %r" % (a, b))

    def assertTrue(self, x, msg=None):
        if not x:
            _fail(msg, "%r is not true" % (x,))

    def assertFalse(self, x, msg=None):
        if x:
            _fail(msg, "%r is not false" % (x,))

    def assertIs(self, a, b, msg=None):
        if a is not b:
            _fail(msg, "%r is not %r" % (a, b))

    def assertIsNone(self, x, msg=None):
        if x is not None:
            _fail(msg, "%r is not None" % (x,))

    def assertIsNotNone(self, x, msg=None):
        if x is None:
            _fail(msg, "is None")

    def assertIn(self, a, b, msg=None):
        if a not in b:
            _fail(msg, "%r not in %r" % (a, b))

    def assertNotIn(self, a, b, msg=None):
        if a in b:
            _fail(msg, "%r in %r" % (a, b))

    def assertLess(self, a, b, msg=None):
        if not a < b:
            _fail(msg, "%r >= %r" % (a, b))

    def assertLessEqual(self, a, b, msg=None):
        if not a <= b:
            _fail(msg, "%r > %r" % (a, b))

    def assertGreater(self, a, b, msg=None):
        if not a > b:
            _fail(msg, "%r <= %r" % (a, b))

    def assertGreaterEqual(self, a, b, msg=None):
        if not a >= b:
            _fail(msg, "%r < %r" % (a, b))

    def assertIsInstance(self, x, kind, msg=None):
        if not isinstance(x, kind):
            _fail(msg, "%r is no %r" % (x, kind))


def _run_one(case, name):
    test = case()
    test.setUp()
    try:
        getattr(test, name)()
    finally:
        test.tearDown()


def run_module(module):
    """Run every test of ``module``; return the number that failed (1 when there was none to run)."""
    ran = failed = 0
    for case in list(module.__dict__.values()):
        if not (isinstance(case, type) and issubclass(case, TestCase)):
            continue
        for name in sorted(n for n in dir(case) if n.startswith("test")):
            ran += 1
            try:
                _run_one(case, name)
            except SkipTest as exc:
                print("SKIP", name, exc)
            except Exception as exc:
                failed += 1
                print("FAIL", case.__name__, name)
                sys.print_exception(exc)
    print("ran %d, failed %d" % (ran, failed))
    return failed if ran else 1


def main():
    sys.exit(1 if run_module(sys.modules["__main__"]) else 0)
