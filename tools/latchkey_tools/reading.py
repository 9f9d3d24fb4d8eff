"""The content of a file that the user names, never read without a bound: /dev/zero and an image of a disk end too."""

import errno

# Larger than any flash that a device has.
MOST_BYTES = 32 * 1024 * 1024


def content(path):
    """The bytes of the file ``path``; OSError as of ``open``, and for a file that is too large."""
    with open(path, "rb") as file:
        return bounded(file, path)


def bounded(file, name, most=MOST_BYTES):
    """The bytes of an open file, ``most`` at most; the OSError for a larger one calls it ``name``."""
    data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most // 1024:,} KB, the most that is read here", str(name))
    return data
