"""How long to wait before the next try: a pause that doubles, with jitter, up to a ceiling.

Jitter takes up to half off the pause, so that a thousand devices whose broker restarted do not come back in the same
second. Randomness is an argument.
"""

from latchkey.limits import const

_JITTER_PERCENT = const(50)


class Backoff:
    """``urandom(n)``: callable giving n random bytes, as ``os.urandom``."""

    def __init__(self, first_ms, ceiling_ms, urandom):
        self._first_ms = first_ms
        self._ceiling_ms = ceiling_ms
        self._urandom = urandom
        self._pause_ms = first_ms

    def next_ms(self):
        """The pause before the next try; the one after it will be twice as long."""
        pause_ms = min(self._pause_ms, self._ceiling_ms)
        self._pause_ms = min(pause_ms * 2, self._ceiling_ms)
        return pause_ms - pause_ms * _JITTER_PERCENT // 100 * self._urandom(1)[0] // 255

    def reset(self):
        """The connection has proven itself: the next pause is the first again."""
        self._pause_ms = self._first_ms
