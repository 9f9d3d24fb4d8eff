"""Tokens, key sets and passphrases as people save and paste them, out of a file, standard input or a variable.

Editors and shells add a byte order mark or write UTF-16; mail programs wrap lines; web pages add quotes and zero-width
spaces; ``Bearer`` is written in any case (RFC 9110 section 11.1).
"""

import codecs
import re
import sys

from latchkey_tools import reading
from latchkey_tools.cli import streams

_MOST_BYTES = 256 * 1024
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# Soft hyphen, zero-width space and joiners, byte order mark.
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"
_AROUND = _QUOTES + " \t\r\n\u00a0"
_LEAD = re.compile(r"(authorization\s*:\s*)?bearer\s+", re.I)
_TOKEN = re.compile(rf"CLOUD-[\w.-]+(?=[{_QUOTES},;)}}\]>\s]|$)", re.A)
_CONTINUED = re.compile(rf"([\w.-]+)[{_QUOTES}]?", re.A)
# A longer line is not one that a program has wrapped.
_MOST_WRAPPED = 200


def read(file):
    """The text of a file, or of standard input for "-".

    OSError as of ``open``; ValueError for what is not a text.
    """
    if str(file) == "-":
        return decoded(_standard_input(), "standard input")
    with open(file, "rb") as opened:
        return decoded(reading.bounded(opened, file, _MOST_BYTES), file)


def _standard_input():
    try:
        return reading.bounded(sys.stdin.buffer, "standard input", _MOST_BYTES)
    except OSError as error:
        raise streams.named(error, "standard input") from None


def decoded(data, name):
    """The text in bytes, without its byte order mark; ValueError, which names ``name``."""
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    try:
        return data[len(mark) :].decode(_MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not a UTF-8 text; check which file it is") from None


def bare(text):
    """``text`` without what was pasted around it: blanks, quotes, ``Authorization:`` and ``Bearer``."""
    return _LEAD.sub("", text.translate(_UNSEEN).strip(_AROUND), count=1).strip(_AROUND)


def token(text):
    """The token in a text, its lines joined; what holds no CLOUD- token comes back bare. ValueError for several."""
    lines = bare(text).splitlines()
    starts = [(at, found) for at, line in enumerate(lines) for found in _TOKEN.finditer(line)]
    if len({found[0] for _at, found in starts}) > 1:
        raise ValueError("there is more than one token in it; give one alone")
    if not starts:
        return bare(text)
    at, found = starts[0]
    return found[0] + "".join(_continued(lines[at:], found))


def _continued(lines, found):
    """The parts of a wrapped token in the lines after its first: all of one length but the last, which is shorter."""
    if found.end() < len(lines[0]) or len(lines[0]) > _MOST_WRAPPED:
        return
    width = None
    for line in map(str.strip, lines[1:]):
        part = _CONTINUED.fullmatch(line)
        if not part or len(line) > (width or _MOST_WRAPPED):
            return
        yield part[1]
        width = width or len(line)
        if len(line) < width:
            return
