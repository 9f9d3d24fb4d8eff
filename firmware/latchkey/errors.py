"""The errors that callers tell apart; the cause is a stable short code.

One class is one decision of a caller; what exactly was wrong is ``.code``, which tests assert and the local API sends
(the table is docs/codes.md). A message never leaves the device and never holds token, key or secret bytes.
"""


class LatchkeyError(Exception):
    """Base of all. ``code``: stable ASCII word; ``message``: a detail or empty; ``retry_after_s``: whole seconds, or
    None."""

    def __init__(self, code, message="", retry_after_s=None):
        super().__init__(code + ": " + message if message else code)
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class TokenError(LatchkeyError):
    """The token is refused."""


class KeySetError(LatchkeyError):
    """A key, or a whole key set, that cannot be used; the keys held stay in force."""


class StoreError(LatchkeyError):
    """Flash refused or lost something; the last good state stays in force."""


# The errors that storing may raise. Made once: an except clause that makes its tuple needs memory, and raises when that
# is out.
NOT_STORED = (StoreError, MemoryError)


class FormatError(LatchkeyError):
    """Bytes from outside (JSON, HTTP, a list) that are not what they must be."""


class ConfigError(LatchkeyError):
    """A configuration that is refused whole. ``field``: dotted path of the offender."""

    def __init__(self, code, field, message=""):
        super().__init__(code, message)
        self.field = field
