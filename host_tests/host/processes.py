"""Looks for processes, without a program of the operating system."""

from pathlib import Path


def processes_that_name(text):
    """Command lines of living processes that have ``text``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found
