"""The newest lines of the device's log, in RAM: fixed number, fixed length, no secret.

A text that looks like a token is cut off when a line is added, so that neither an answer nor a
crash dump can show one; a line with control characters keeps its ASCII alone. Nothing here reaches flash.
"""

from latchkey.limits import const

_LOG_LINES = const(40)
_LOG_CHARS = const(120)
_CUT = "CLOUD-"
# Characters that no text for a person may hold, as the UTF-8 of a character in one number, first and last: controls
# (C0, DEL, C1), and what turns, breaks or hides text: Unicode's bidirectional controls, separators, invisible
# operators, byte order marks. The joiners U+200C and U+200D are part of scripts and emojis.
_UNSHOWN = (
    0x00, 0x1F, 0x7F, 0x7F, 0xC280, 0xC29F, 0xD89C, 0xD89C, 0xE2808B, 0xE2808B, 0xE2808E, 0xE2808F,
    0xE280A8, 0xE280AE, 0xE281A0, 0xE281AF, 0xEFBBBF, 0xEFBBBF, 0xEFBFB9, 0xEFBFBB,
)  # fmt: skip


def shown(raw):
    """Whether ``raw`` (bytes of UTF-8) reads on a screen as what it is: no control or bidirectional character."""
    unit = 0
    for byte in raw:
        unit = (unit << 8 | byte) & 0xFFFFFF if byte & 0xC0 == 0x80 else byte
        if 0x20 <= unit < 0x7F:
            continue
        for i in range(0, len(_UNSHOWN), 2):
            if _UNSHOWN[i] <= unit <= _UNSHOWN[i + 1]:
                return False
    return True


class LogRing:
    """``uptime_s``: callable giving seconds since start. ``echo``: callable that also gets each line (a console).
    ``trace``: callable that prints an exception's traceback there. ``.faults``: exceptions that nobody expected."""

    def __init__(self, uptime_s, echo=None, size=_LOG_LINES, trace=None):
        self.uptime_s = uptime_s
        self._echo = echo
        self._trace = trace
        self.faults = 0
        self.last_fault = None
        self._ring = [None] * size
        self._count = 0

    def add(self, text):
        """Keep one line, shortened to the limit."""
        at = text.find(_CUT)
        if at >= 0:
            text = text[:at] + _CUT + "..."
        text = text[:_LOG_CHARS]
        raw = text.encode()
        if not shown(raw):
            text = bytes([b if 32 <= b < 127 else 63 for b in raw]).decode()
        self._ring[self._count % len(self._ring)] = (self._count, self.uptime_s(), text)  # pyright: ignore
        self._count += 1
        if self._echo:
            self._echo(text)

    def failed(self, what, exc):
        """Something ended by an exception that nobody expected, as a mistake in a product does. Its text may quote
        input: it goes to the console alone, with the traceback."""
        self.faults += 1
        try:
            self.last_fault = "%s failed: %s" % (what, type(exc).__name__)
            self.add(self.last_fault)
            if self._trace:
                self._trace(exc)
        except MemoryError:
            pass  # Counted. Nobody is left to take what the log raises.

    def lines(self):
        """The lines held, oldest first: dicts of ``n`` (counts from 0), ``uptime_s`` and ``text``."""
        size = len(self._ring)
        first = max(0, self._count - size)
        kept = [self._ring[n % size] for n in range(first, self._count)]
        return [{"n": n, "uptime_s": at, "text": text} for n, at, text in kept]  # pyright: ignore
