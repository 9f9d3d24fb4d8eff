"""The page that a device serves at `/`: the files of firmware/page joined into one, gzipped.

    python -m latchkey_tools.boards.page          make it in build/page, and print its size

An image has it as the bytes of a frozen module, a file system as a file. The policy in it allows the one script and the
one style by their hashes, and calls to the device itself.
"""

import base64
import gzip
import hashlib
import json
import re

from latchkey_tools.boards import build
from latchkey_tools.cli import advice

FOLDER = build.FIRMWARE / "page"
FILE = "page.gz"
MOST_BYTES = 20_000
_PLACE = re.compile(r"@(policy|style|script)@")
# Around these a space says nothing.
_JS_MARKS = r"=+*?:,;(){}<>&|![\]"
_CSS_MARKS = "{};,>"


def html():
    """The whole page as text."""
    script = _tight(_read("page.js"), "//", _JS_MARKS).replace("@words@", _tables(words()))
    style = _tight(_read("page.css"), "/*", _CSS_MARKS)
    parts = {"script": script, "style": style, "policy": policy(script, style)}
    return _PLACE.sub(lambda place: parts[place[1]], _read("page.html"))


def compressed():
    """The page, gzipped, as a device serves it. The same bytes for the same sources. BuildError if it is too large."""
    data = gzip.compress(html().encode(), 9, mtime=0)
    if len(data) >= MOST_BYTES:
        raise build.BuildError(f"the page is {len(data)} bytes gzipped; it has to be below {MOST_BYTES}")
    return data


def policy(script, style):
    """Content-Security-Policy of a page with this script and this style (CSP 3, section 2.3.1)."""
    allowed = f"script-src '{_hash(script)}'; style-src '{_hash(style)}'; connect-src 'self'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(text):
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def _tight(text, comment, marks):
    """Without lines of comment, empty lines, indentation, and spaces around ``marks`` outside of strings."""
    lines = (line.strip() for line in text.splitlines())
    kept = "\n".join(line for line in lines if line and not line.startswith(comment))
    return re.sub(rf'("(?:\\.|[^"\\])*")| *([{marks}]) *', lambda found: found[1] or found[2], kept)


def words():
    """{language: {"page", "codes", "reasons"}}. English words of codes and reasons are those of the command line; only
    what a page can meet is in it."""
    words = json.loads(_read("words.json"))
    german_codes, german_reasons = words["codes_de"], words["reasons_de"]
    english = {"page": words["en"]}
    english["codes"] = {code: (advice.meaning(code), advice.advice(code)) for code in german_codes}
    english["reasons"] = {reason: advice.pairing_advice(reason) for reason in german_reasons}
    return {"en": english, "de": {"page": words["de"], "codes": german_codes, "reasons": german_reasons}}


def _tables(words):
    """A JavaScript string of ``words``: rows of a key and its English words, then of the German words alone. Keys come
    once and without quotes, which saves 550 bytes of the page."""
    english, german = words["en"], words["de"]
    rows = [[[key, *_cells(given)] for key, given in part.items()] for part in english.values()]
    rows += [[_cells(german[name][key]) for key in part] for name, part in english.items()]
    text = "~~".join("~".join("|".join(row) for row in part) for part in rows)
    return json.dumps(text, ensure_ascii=False).replace("<", "\\u003c")


def _cells(given):
    cells = [given] if isinstance(given, str) else list(given)
    if any(mark in cell for cell in cells for mark in "|~"):
        raise build.BuildError(f"words of the page must have no | or ~: {cells}")
    return cells


def make():
    """Path of the page as a module for an image, made if it is not there or old."""
    data = compressed()
    source = f"DATA = {data!r}\n".encode()
    module = build.BUILD / "page" / "latchkey" / "api" / "page_gz.py"
    if not module.exists() or module.read_bytes() != source:
        build.write(module, source)
        build.write(module.with_name(FILE), data)
    return module


def main():
    print(f"{make()}: {len(compressed())} bytes, {len(html().encode())} unpacked")


if __name__ == "__main__":
    main()
