"""Standard streams in any state: closed, on a full disk, a broken pipe, an encoding of few letters.

``make_ready()`` once at the start, ``finish()`` at the end. A failed write to standard output is an error that names
it. Remarks that cannot be written to standard error are lost, and the command continues.
"""

import errno
import io
import os
import select
import stat
import sys
import threading


class _Output(io.FileIO):
    """Standard output, named in its errors."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError as error:
            raise named(error, "standard output") from None


class _Remarks(io.FileIO):
    """Standard error, whose own errors cannot be reported anywhere."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError:
            return len(data)


def make_ready():
    """Streams that can be used; those that the caller has replaced stay."""
    _fill_gaps()
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout, "replace")
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Remarks(2, "w", closefd=False), sys.stderr, "backslashreplace")


def end_with_reader():
    """From now on the command ends when nobody reads its standard output any more. One that prints now and then would
    notice that at its next line only, as after `| head -1`."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Output) and stat.S_ISFIFO(os.fstat(1).st_mode):
        threading.Thread(target=_wait_for_its_end, daemon=True).start()


def _wait_for_its_end():
    output = select.poll()
    # No event: poll(2) reports a pipe without a reader always.
    output.register(1, 0)
    output.poll()
    os._exit(1)


def finish(status, say):
    """The exit status after all output is written, or has failed; ``say`` then gets the OSError."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # The interpreter would try again at its end.
        sys.stdout = open(os.devnull, "w")
        # The reader closed the pipe because it needs no more: not a failure. A failure is reported once.
        if not status and not isinstance(error, BrokenPipeError):
            say(error)
        return status or 1
    finally:
        sys.stderr.flush()
    return status


def named(error, stream):
    """The OSError of a standard stream with the stream's name."""
    words = "it is closed" if error.errno == errno.EBADF else error.strerror
    return OSError(error.errno, words, stream)


def _fill_gaps():
    """Opens what is closed, the wrong way round, so that using it fails: else the wallet's file could become number 1,
    and take what is printed."""
    for number, way in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, way)


def _text(raw, before, errors):
    encoding = before.encoding if before else "utf-8"
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=raw.isatty())
