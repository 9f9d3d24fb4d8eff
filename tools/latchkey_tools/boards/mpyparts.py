"""The parts of an .mpy file: names, constants, code (MicroPython's tools/mpy-tool.py describes version 6)."""

_FIXED = range(5)  # fun_table, None, False, True, Ellipsis: a type and nothing more
_TEXT, _BYTES, _TUPLE = 5, 6, 10


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 4  # magic, version, flags, bits of small integers

    def number(self):
        """Seven bits a byte, the highest first; the last byte has no high bit."""
        value = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value

    def skip_name(self):
        length = self.number()
        # An odd number means one of the interpreter's own names.
        if not length & 1:
            self.at += (length >> 1) + 1

    def skip_constant(self):
        kind = self.data[self.at]
        self.at += 1
        if kind in _FIXED:
            return
        length = self.number()
        if kind == _TUPLE:
            for _ in range(length):
                self.skip_constant()
        else:
            self.at += length + (kind in (_TEXT, _BYTES))

    def skip_tables(self):
        """(bytes of names, of constants), which lie in front of the code."""
        names, constants = self.number(), self.number()
        start = self.at
        for _ in range(names):
            self.skip_name()
        middle = self.at
        for _ in range(constants):
            self.skip_constant()
        return middle - start, self.at - middle


def parts(data):
    """(bytes of names, of constants, of code and header) of the .mpy file ``data``, which they add up to."""
    names, constants = Reader(data).skip_tables()
    return names, constants, len(data) - names - constants
