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
