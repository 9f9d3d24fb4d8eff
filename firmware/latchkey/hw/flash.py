"""The store of latchkey.stores.slots as files in a folder of a mounted file system.

On LittleFS ``close`` commits a file's new content in one step; on other systems it may not, and slots do not
rely on it. Every OSError becomes a StoreError: "store_full", "store_readonly" or "store_failed".
"""

import errno
import os

from latchkey.errors import StoreError

_CODES = {
    28: "store_full",  # ENOSPC; MicroPython's errno module lacks these three
    27: "store_full",  # EFBIG
    30: "store_readonly",  # EROFS
    errno.EACCES: "store_readonly",
    errno.EPERM: "store_readonly",
}


class FileStore:
    """Files directly inside the folder ``path``, which is made if it is not there. ``outside``: keeps a few
    bytes of each name elsewhere (``read(name) write(name, bytes)``), None for none. ``.behind``: see
    latchkey.stores.slots. ``.keeps_format``: what is written can be read by the release before."""

    keeps_format = False

    def __init__(self, path, outside=None):
        self.outside = outside
        self.behind = set()
        self._folder = path.rstrip("/") + "/"
        try:
            os.mkdir(path)
        except OSError:
            pass  # It is there, or the first write says why not.

    def open(self, name):
        """File to read, or None if there is none of that name."""
        try:
            return _File(open(self._folder + name, "rb"))
        except OSError as exc:
            if exc.errno == errno.ENOENT:
                return None
            raise store_error(exc)

    def create(self, name):
        """Empty file to write; what it held before is gone once it is closed, on some systems at once."""
        return _File(tried(open, self._folder + name, "wb"))

    def remove(self, name):
        """Remove the file if there is one."""
        try:
            os.remove(self._folder + name)
        except OSError as exc:
            if exc.errno != errno.ENOENT:
                raise store_error(exc)


class _File:
    def __init__(self, file):
        self._file = file

    def readinto(self, buf):
        return tried(self._file.readinto, buf)

    def seek(self, offset, whence=0):
        return tried(self._file.seek, offset, whence)

    def write(self, data):
        tried(self._file.write, data)

    def close(self):
        """All written bytes are durable when this returns."""
        try:
            tried(self._file.flush)
            if hasattr(os, "fsync"):
                tried(os.fsync, self._file.fileno())
        finally:
            tried(self._file.close)


def tried(act, *arguments):
    """The result of ``act``; its OSError becomes a StoreError."""
    try:
        return act(*arguments)
    except OSError as exc:
        raise store_error(exc)


def store_error(exc):
    return StoreError(_CODES.get(exc.errno, "store_failed"), "errno %s" % exc.errno)
