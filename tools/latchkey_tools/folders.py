"""Folders that the user names."""

import errno
import os
from pathlib import Path


def make(path, mode=0o700):
    """The folder ``path`` (Path), made with those above it if it is not there; OSError.

    A file of that name is NotADirectoryError: "File exists" would not say what is wrong with it.
    """
    path = Path(path)
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    return path
