# Latchkey's starter, written by `latchkey board deploy`: puts the folder of the newest whole release first on the path.
# There are two, a and b. A folder counts while its file `release` begins with a number above 0 and ends with a line's
# end: "7" good, "7 new" never started, "7 0" to "7 2" unproven, "0" not whole, "0 crashed" given up (main.py).
import os
import sys


def _number(folder):
    try:
        with open(folder + "/release") as file:
            text = file.read(24)
        return int(text.split()[0]) if text[-1:] == "\n" else 0
    except (OSError, ValueError, IndexError):
        return 0


def _newest(root):
    numbers = (_number(root + "a"), _number(root + "b"))
    if any(numbers):
        sys.path.insert(0, root + ("a" if numbers[0] > numbers[1] else "b"))


_newest(os.getcwd().rstrip("/") + "/")
