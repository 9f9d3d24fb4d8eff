"""UUIDs as people and other programs write them (RFC 9562 section 4), in the one form in which they are compared here.

Without hyphens, in braces, as a URN, in upper case: all become 8-4-4-4-12 in lower case where they come in.
"""

import re

# uuid.UUID also takes hyphens anywhere, "0x" and digits of other alphabets.
_FORM = re.compile(
    r"(?:urn:uuid:)?(\{)?([0-9a-f]{8}(-?)[0-9a-f]{4}(?:\3[0-9a-f]{4}){2}\3[0-9a-f]{12})(?(1)\})", re.A | re.I
)
_WRITTEN = re.compile(r"^\s*(urn:uuid:)?\{?|-|\}?\s*$", re.A | re.I)
# So many digits of a UUID may stand for it.
_LEAST_DIGITS = 4


def canonical(text):
    """8-4-4-4-12 in lower case; ValueError for what is not a UUID."""
    found = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if not found:
        raise ValueError("not a UUID")
    digits = found[2].replace("-", "").lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def folded(text):
    """``canonical`` of a UUID, any other text in lower case: for comparing what may be neither."""
    try:
        return canonical(text)
    except ValueError:
        return text.lower()


def begins(uuid, word):
    """Whether ``word`` is the beginning of a canonical ``uuid``, however it is written."""
    digits = _WRITTEN.sub("", word).lower()
    return len(digits) >= _LEAST_DIGITS and uuid.replace("-", "").startswith(digits)
