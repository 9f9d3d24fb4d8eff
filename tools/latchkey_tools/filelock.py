"""One process at a time over one folder."""

import contextlib
import fcntl
import os


@contextlib.contextmanager
def user(lock_path, refusal):
    """Hold the lock file at ``lock_path``; raises ``refusal`` (an exception) where another process holds it."""
    # Mode 0600, since it may lie among secrets, whose folder lets nobody else in.
    with open(os.open(lock_path, os.O_CREAT | os.O_RDWR, 0o600), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refusal from None
        yield


def used(lock_path):
    """Whether a process holds the lock file."""
    try:
        with user(lock_path, BlockingIOError()):
            return False
    except BlockingIOError:
        return True
