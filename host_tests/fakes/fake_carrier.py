"""A carrier in RAM with one other place, as latchkey.update.upload drives it."""

from latchkey.errors import LatchkeyError, StoreError


class FakeCarrier:
    """``content``: of the other place; ``next``: the place that the next start runs.

    ``full_after``: flash refuses from so many bytes on; ``flip``: index of a byte that flash changes; ``fails``: the
    name of a method that flash refuses; ``short``: of one for which memory is too short. ``reads``: a file is open to
    be read back.
    """

    kind = "files"

    def __init__(self, running="a7", other="b8"):
        self.running, self.other = running, other
        self.new = False
        self.content = None
        self.next = running
        self.calls = []
        self.size = 1 << 20
        self.full_after = self.flip = self.fails = self.short = None
        self.reason = None
        self.returns = self.reads = False

    def unproven(self, sent):
        return sent if self.kind == "image" else self.new

    def room(self):
        return self.size

    def begin(self, _manifest):
        self._call("begin")
        self.content = bytearray()
        return self.other

    def clear(self):
        self._call("clear")
        return range(3)

    def write(self, piece):
        self._call("write")
        if self.full_after is not None and len(self.content) + len(piece) > self.full_after:
            raise StoreError("store_full")
        self.content += bytes(piece)

    def pieces(self):
        self._call("pieces")
        self.reads = True
        try:
            for at in range(0, len(self.content), 4096):
                piece = bytearray(self.content[at : at + 4096])
                if self.flip is not None and at <= self.flip < at + 4096:
                    piece[self.flip - at] ^= 1
                yield piece
        finally:
            self.reads = False

    def switch(self):
        self._call("switch")
        self.next = self.other

    def good(self):
        self._call("good")
        self.new = False

    def back(self, reason):
        self._call("back")
        self.reason, self.returns = reason, True
        self.next = self.other

    def why(self):
        return self.reason

    def restarted(self):
        """The state at the next start."""
        if self.next != self.running:
            self.running, self.other = self.next, self.running
            self.new, self.returns = not self.returns, False

    def _call(self, name):
        self.calls.append(name)
        if self.fails == name:
            raise StoreError("store_failed")
        if self.short == name:
            raise MemoryError
        if self.fails == "refuses " + name:
            raise LatchkeyError("payload_refused")
