"""Pseudo-terminals: a number is given out again, to anybody, as soon as its terminal is closed."""

import re
from pathlib import Path


def held():
    """Paths of the pseudo-terminals whose first end this process holds open."""
    found = set()
    for info in Path("/proc/self/fdinfo").iterdir():
        try:
            index = re.search(r"^tty-index:\s*(\d+)", info.read_text(), re.M)
        except FileNotFoundError:
            continue
        if index:
            found.add(f"/dev/pts/{index[1]}")
    return found
