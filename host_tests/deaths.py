"""A device's process that dies fails its test at once, and the failure names the signal.

No test waits out a limit for a dead process: the death itself (SIGCHLD) ends the wait. This holds for every process of
`children.spawn` that runs MicroPython; ``@pytest.mark.device_dies`` is for tests that kill one on purpose.
"""

import os
import signal

import pytest

from latchkey_tools.boards import build
from latchkey_tools.desk import children

# A soft reset, an own reset or a power cut, and how rigs end a process in order.
_EXPECTED = (0, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
_watched = []
_armed = False


def watch():
    """From now on, for the life of this process."""
    real = children.spawn

    def spawn(command, **options):
        process = real(command, **options)
        if str(command[0]) == str(build.micropython()):
            _watched.append(process)
        return process

    children.spawn = spawn
    signal.signal(signal.SIGCHLD, lambda _number, _frame: check() if _armed else None)


def arm(item):
    """``item`` is the test that a death fails from now on; None for none."""
    global _armed
    _armed = item is not None and not item.get_closest_marker("device_dies")


def check():
    """Fail if a device's process has died; each death counts once."""
    for process in _watched[:]:
        status = _status(process)
        if status is not None:
            try:
                _watched.remove(process)
            except ValueError:  # another signal came in between, and its call took care of this one
                continue
            if _armed and status not in _EXPECTED:
                pytest.fail(f"a device's process ended: {_word(status)}: {' '.join(process.args)}")


def _status(process):
    """Its exit status as Popen has it, or None while it lives; it is left for its owner to reap."""
    if process.returncode is None:
        try:
            ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # reaped a moment ago by its owner's thread
            return process.poll()
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
    return process.returncode


def _word(status):
    return signal.Signals(-status).name if status < 0 else f"status {status}"
