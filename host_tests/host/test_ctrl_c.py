"""A Ctrl-C that falls into a finalizer, where Python drops exceptions, ends the command all the same."""

import subprocess
import sys

SCRIPT = """
import os, signal, time
from latchkey_tools.cli import main

class Interrupted:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

@main.app.command()
def waits():
    Interrupted()
    print("waiting", flush=True)
    time.sleep(60)

main.main()
"""


def test_a_ctrl_c_in_a_finalizer_is_not_lost():
    ended = subprocess.run([sys.executable, "-c", SCRIPT, "waits"], capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "waiting\n", "")
