"""Streams that behave in every way a network stream may."""


class Bytes:
    """Gives ``data`` in pieces of at most ``step`` bytes; ``error_at``: raises OSError once that many were given."""

    def __init__(self, data, step=1000000, error_at=None):
        self.data = data
        self.at = 0
        self.step = step
        self.error_at = error_at

    def readinto(self, buf):
        if self.error_at is not None and self.at >= self.error_at:
            raise OSError(104)
        n = min(len(buf), self.step, len(self.data) - self.at)
        buf[:n] = self.data[self.at : self.at + n]
        self.at += n
        return n


class Endless:
    """``head`` once, then ``body`` for ever."""

    def __init__(self, head, body):
        self.rest = head
        self.body = body
        self.given = 0

    def readinto(self, buf):
        if not self.rest:
            self.rest = self.body
        n = min(len(buf), len(self.rest))
        buf[:n] = self.rest[:n]
        self.rest = self.rest[n:]
        self.given += n
        return n
