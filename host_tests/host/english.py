"""Texts of the project that people read, and patterns of English that they are free of.

``faults(path)`` gives the place, the pattern and the sentence of each. Code, quotes and addresses are left out.
"""

import ast
import functools
import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What to avoid: (regular expression, what to write instead). Case counts only where the expression says so.
PATTERNS = [
    (r"(?:^|[.!?] |\n) ?(?:Who|Whom|Whoever|Whatever|Whichever|What) (?!to\b)(?![^.!?:]*\?)", "the subject first"),
    (r"(?<!here )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|fewer\b|larger\b|better\b)", '"is not a"'),
    (r"(?<!here )\b(?:is|are|was|were) none\b", '"is not one", "does not exist"'),
    (r"(?i)\b(?:stands?|stood)\b(?! for\b| in for\b|-)", '"is", "is written"'),
    (r"(?i)\btold\b|\b(?:it|which|that|this|device|board|log|status|file|one) tells\b", '"reported", "says"'),
    (r"(?i)\b(?:heard|hears)\b", '"received", "arrives"'),
    (r"(?i)\b(?:house|purse|burnt|doors?)\b", "the thing itself"),
    (r"(?i)\bholds? the line\b|\bhold(?:s|ing)? still\b|\bwithout a word\b", "what happens"),
    (r"(?i)\basks for\b", '"needs", "requests"'),
    (r"(?i)\b(?:the|by|over the) wire\b", '"serial cable"'),
    (r"(?i)\btrials?\b", '"attempt"'),
    (r"(?i)\bsince \d+ (?:s|seconds|minutes|hours|days)\b", '"for 6 seconds"'),
    (r"(?i)\blets? (?:\w+ )?in\b", '"accepts"'),
    (r"(?i)\bin (?:its|their|our) way\b", "what is there already"),
    (r"(?i)\bknows? nothing of\b|\bshall\b", '"does not have"; "must", "will"'),
    (r"(?i)\b(?:comes?|came|becomes?|became) of\b", '"the result"'),
    (r"(?i)\bputs? out\b|\bg(?:ives?|ave) way\b", '"is closed", "is used instead"'),
    (r"(?i)\b(?:for|from|to|by|with) who\b", '"a client that"'),
    (r"(?i)\bthat (?:are|is) ours\b|\bfor want of\b|\bof (?:these|those) the\b", "a plain order of words"),
    (r"(?i)\b(?:is|are|be|and|once|lets?) let go\b|\bletting go\b|\blets? go of\b", '"is released", "is unloaded"'),
    (r"(?i)\b(?:one|row) an? (?:line|core|device|row)\b(?! is\b)", '"one for each device"'),
    (r"(?i)\bholds? up (?:nobody|neither|the (?:loop|others))\b", '"delays"'),
]
_PATTERNS = [(re.compile(pattern), better) for pattern, better in PATTERNS]
_FENCE = re.compile(r"^ *(```|~~~).*?^ *\1", re.M | re.S)
# Quotes are what a program prints or somebody types.
_APART = re.compile(r"``.+?``|`[^`]+`|\]\([^)]*\)|https?://\S+|\"[^\"\n]{1,120}\"", re.S)
_HEADING = re.compile(r"^#+ .*|^\|.*", re.M)


@functools.cache
def files():
    """Every file with text for people, relative to the project."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("boards/**/*.md"), *ROOT.glob("host_tests/*.md")]
    for folder in ("firmware", "boards", "tools", "host_tests"):
        found += (ROOT / folder).rglob("*.py")
    return sorted(path.relative_to(ROOT) for path in found if "node_modules" not in path.parts)


def faults(path):
    """(line, better, words around) of every pattern in the file ``path``, relative to the project."""
    source = (ROOT / path).read_text()
    pieces = _python(source, path.parts[0] != "tools") if path.suffix == ".py" else _markdown(source)
    for line, text in pieces:
        yield from ((line + at, better, words) for at, better, words in found(text))


def found(text):
    """(lines before, better, words around) of every pattern in ``text``."""
    plain = _APART.sub(_blank, text)
    flat = re.sub(r"\n(?=[^\n-])", " ", plain)
    for pattern, better in _PATTERNS:
        for match in pattern.finditer(flat):
            yield text.count("\n", 0, match.end()), better, flat[max(0, match.start() - 20) : match.end() + 30].strip()


def _blank(match):
    """As long, and of as many lines."""
    return re.sub(r"[^\n]", "_", match.group())


def _markdown(source):
    yield 1, _HEADING.sub(_blank, _FENCE.sub(_blank, source))
    # Cells of tables begin no sentence, but have the words.
    for match in re.finditer(r"^\|.*", source, re.M):
        yield source.count("\n", 0, match.start()) + 1, " " + match.group()


def _python(source, docstrings_only):
    yield from _comments(source)
    tree = ast.parse(source)
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node):
            yield node.body[0].lineno, ast.get_docstring(node, clean=True)
    if not docstrings_only:
        yield from _messages(tree)


def _comments(source):
    """Comments, those of lines without code between them as one text."""
    begun, lines, last = 0, [], -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1 or token.line.strip() != token.string:
            if lines:
                yield begun, "\n".join(lines)
            begun, lines = token.start[0], []
        lines.append(token.string.lstrip("# "))
        last = token.start[0]
    if lines:
        yield begun, "\n".join(lines)


def _messages(tree):
    """Texts of a program that are more than a word; not its docstrings, nor a program in a text."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    inside |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            text = node.value
        else:
            continue
        if " " in text.strip() and "\n" not in text:
            yield node.lineno, text
