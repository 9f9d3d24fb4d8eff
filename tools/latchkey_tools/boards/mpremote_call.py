"""One call of the real mpremote on a serial port."""

import subprocess
import sys


def mpremote(port, arguments, timeout_s, failure):
    """The output of mpremote; ``failure`` (an exception class) with its last words if it failed or took too long."""
    command = [sys.executable, "-m", "mpremote", "connect", port, *arguments]
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise failure(f"mpremote {arguments[0]} took longer than {timeout_s} s") from error
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no words").splitlines()[-1]
        raise failure(f"mpremote {arguments[0]} failed: {words}")
    return done.stdout
