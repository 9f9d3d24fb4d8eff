# Latchkey's starter, written by `latchkey board deploy`: puts the folder of the newest whole release first on the path.
# There are two, a and b. A folder counts once its file `release` holds a number and a line's end, written last of all.
import os
import sys


def _number(folder):
    try:
        with open(folder + "/release") as file:
            text = file.read(12)
        return int(text) if text[-1:] == "\n" else 0
    except (OSError, ValueError):
        return 0


def _newest(root):
    numbers = (_number(root + "a"), _number(root + "b"))
    if any(numbers):
        sys.path.insert(0, root + ("a" if numbers[0] > numbers[1] else "b"))
        # The release's own boot, not this file: its folder comes first.
        __import__("boot")


_newest(os.getcwd().rstrip("/") + "/")
