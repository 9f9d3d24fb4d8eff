"""`latchkey token show --qr`: a token as a QR code, alone or in the fragment of the page's address."""

import io
import shutil
import sys
import time

import segno

from latchkey_tools.boards import labels
from latchkey_tools.device.wallet import claims_of
from latchkey_tools.sim.pki import write_private

_MOST_LINK_S = 7 * 86400
_BORDER = 4
SUFFIXES = (".png", ".svg")


def content(token, link):
    """The text of the code; ValueError for a link with a token that lasts too long to be in a browser's history."""
    if not link:
        return token
    end = (claims_of(token) or {}).get("exp")
    if end is None or end - time.time() > _MOST_LINK_S:
        raise ValueError(
            "this token lasts longer than 7 days, and any device at 192.168.4.1 gets a token by a link; make a "
            "shorter one, or leave out --link"
        )
    return f"{labels.PAGE}#token={token}"


def check_file(file):
    """ValueError unless ``file`` is "-" or the name of a PNG or SVG."""
    if str(file) != "-" and file.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{file}: give a name that ends with .png or .svg")


def write(text, file):
    """A QR code of ``text`` into ``file`` (mode 0600), or onto the terminal for "-". ValueError."""
    try:
        code = segno.make(text, error="l", micro=False)
    except segno.DataOverflowError:
        raise ValueError("the token is too long for a QR code") from None
    if str(file) == "-":
        return _print(code)
    out = io.BytesIO()
    code.save(out, kind=file.suffix[1:].lower(), scale=4, border=_BORDER)
    write_private(file, out.getvalue())


def _print(code):
    width = code.symbol_size(border=_BORDER)[0]
    if not sys.stdout.isatty() or shutil.get_terminal_size().columns < width:
        raise ValueError(f"this QR code needs a terminal of {width} columns; name a .png or .svg file instead")
    code.terminal(border=_BORDER, compact=True)
