"""Start a child process that does not outlive us, and end it for certain."""

import atexit
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import termios

PIPE = subprocess.PIPE
_PR_SET_PDEATHSIG = 1
_WAKE_S = 0.5
# Loaded here, since a forked child of a threaded parent must not wait for the import or loader lock.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent():
    """For ``preexec_fn``: the kernel kills this process when the thread that started it ends (Linux only).

    Ctrl-C works in it also where we were started with SIGINT ignored, as by a script's `&`.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if _LIBC:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(command, controlling_terminal=False, **options):
    """Popen in a session of its own, so that Ctrl-C at our terminal is ours to handle, killed if we die.

    ``controlling_terminal``: standard input is a terminal that becomes the session's. Its end, at our death, ends the
    process also where the kernel has no PR_SET_PDEATHSIG.
    """
    prepare = _with_terminal if controlling_terminal else die_with_parent
    return subprocess.Popen([str(c) for c in command], start_new_session=True, preexec_fn=prepare, **options)


def _with_terminal():
    die_with_parent()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def end(process, grace_s=3):
    """Ask ``process`` to end, then insist; returns its exit status. Safe to call twice, or with None."""
    if process is None:
        return None
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def stop_on_any_signal():
    """Let SIGTERM and a hang-up end this program as Ctrl-C does, and Ctrl-C too where a shell had it ignored.

    Python sees a signal that comes just before a wait, as at a prompt, only once something interrupts the wait. A timer
    does that.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    signal.setitimer(signal.ITIMER_REAL, _WAKE_S, _WAKE_S)
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)  # Python drops the handler when it ends.


def clean_up_undisturbed():
    """Ignore these signals from now on: a terminal that closes sends two, and the second would end the cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def stop_on_signal_or_orphaned(loop, stop):
    """In a child: call ``stop`` at SIGTERM or SIGINT, or when the parent's end of our standard input closes."""
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)

    def readable():
        if not os.read(0, 4096):
            loop.remove_reader(0)
            stop()

    loop.add_reader(0, readable)
