"""The documents that people read, and the code blocks in them."""

import re
from collections import namedtuple

from latchkey_tools.boards import build

ROOT = build.ROOT
# language: the word behind the fence, or ""; file: the last file named before it, without folders; line: of the fence
Block = namedtuple("Block", "language text file line")


def pages():
    """Paths of every page."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("boards/**/*.md"), *ROOT.glob("host_tests/*.md")]
    return sorted(found)


def blocks(path):
    """Every Block of the page at ``path``."""
    text = path.read_text()
    for match in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.S | re.M):
        named = re.findall(r"`(?:[\w.-]+/)*([\w-]+\.\w+)`", text[: match.start()])
        yield Block(match[1], match[2], named[-1] if named else None, text.count("\n", 0, match.start()) + 1)


def files(path, language="python"):
    """Name to content of every block in ``language``, where the page names the file before the block."""
    return {block.file: block.text for block in blocks(path) if block.language == language}


def commands(path):
    """Every command of the blocks without a language, one text each; lines that end in a backslash are joined."""
    for block in blocks(path):
        if block.language in ("", "sh"):
            for line in block.text.replace("\\\n", " ").splitlines():
                if line.strip():
                    yield re.sub(r"\s+#.*", "", line.strip())


def table_rows(text, header):
    """Rows (lists of cells) of the markdown table whose header begins with ``header``."""
    body = text.split(header, 1)[1].splitlines()[2:]
    rows = []
    for line in body:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows
