"""The real mpremote against one serial port, with failures in words that say what to do next.

    cable = SerialCable("/dev/ttyUSB0")
    cable.run("exec", "print(6 * 7)")         what it printed
    cable.json_lines(script)                  the JSON objects that a script prints, one on each line

Every run interrupts the board's program and, as mpremote does, begins with a soft reset that does not start it again.
"""

import contextlib
import json
import os
import queue
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import serial

from latchkey_tools import filelock
from latchkey_tools.boards import build
from latchkey_tools.desk import children

# mpremote says something at least at every file; a file of 20 KB takes 4 s at 115200 baud. To store a provisioned
# document took an emulated ESP32 up to 40 s.
QUIET_S = 60
# How long a start is waited for; that ESP32 took 6 to 20 s.
_START_S = 30
# How long a board that failed already is waited for until its program runs again.
_BRIEF_S = 5

# While the program is interrupted nobody feeds the watchdog, so it gets ten minutes; then the board starts again.
LONG_WATCHDOG = """
try:
    __import__("machine").WDT(timeout=600000)
except (AttributeError, ValueError, OSError):
    pass
"""


# In the folder of a vboard: the link to its serial port, and what is locked while it runs.
LINK, LOCK = "serial", "vboard.lock"
# Ctrl-U: what was typed and not entered goes; Ctrl-B: a prompt, also out of the raw REPL.
_CLEAR_LINE = b"\x15\x02"
_PROMPTS = (">>> ", "... ")
_PROMPT_S = 1.5
# The first log line of main, the first word of a failed start, and the prompt.
_STARTED = ("started: ", "Traceback", ">>> ")

_FULL = "the board's file system is full: remove what is not needed (`mpremote fs ls`) and run the same again"
_GONE = "it was unplugged, or another program has it open; `latchkey board list` shows the ports there are"
_SIGNS = (
    ("failed to access", "gone", "{port} cannot be opened: " + _GONE),
    ("device disconnected", "gone", "{port} went away; plug the board in and run the same again"),
    ("could not enter raw repl", "silent", "nothing on {port} answers as MicroPython; is its image on the board?"),
    ("Errno 28", "full", _FULL),
    ("ENOSPC", "full", _FULL),
    ("No space left", "full", _FULL),
    ("no module named", "missing", "the firmware is not on the board ({detail}); run `latchkey board deploy` first"),
    ("MemoryError", "memory", "the board ran out of memory; power it off and on and run the same again"),
    ("serial", "gone", "{port} broke off; check cable and power and run the same again"),
)


class CableError(Exception):
    """A board did not do what it was asked; the text says what to do. ``kind``: a short stable word."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


def started(heard):
    """Which of the signs of a start, good or bad, are first in what a board said; None before it did."""
    found = [sign for sign in _STARTED if sign in heard]
    return min(found, key=heard.index) if found else None


def check_port(port):
    """CableError unless ``port`` is named and, if it is a path, there and not of a vboard that has ended."""
    folder = Path(port).parent
    if Path(port).name == LINK and (folder / LOCK).exists() and not filelock.used(folder / LOCK):
        # The link of one that was killed is still there, and another terminal may have got its number.
        todo = f"start it again: `latchkey vboard --folder {shlex.quote(str(folder))}`"
        raise CableError("gone", f"{port} is of a vboard that has ended; {todo}")
    if not port or (os.sep in port and "://" not in port and not os.path.exists(port)):
        words = f"there is no {port}" if port else "no port was named"
        raise CableError("gone", f"{words}; `latchkey board list` shows the ports there are")


def sole_use(port):
    """A context in which no other `latchkey` has ``port``, else CableError.

    mpremote locks a port too, but unlocks it between two runs.
    """
    folder = build.BUILD / "ports"
    folder.mkdir(parents=True, exist_ok=True)
    name = os.path.realpath(port) if os.path.exists(port) else port
    return filelock.user(folder / f"{name.strip('/').replace('/', '-')}.lock", busy(port))


def busy(port):
    """The CableError of a port that somebody else has."""
    return CableError("busy", f"{port} is in use by another program; stop that, or wait until it has ended")


class SerialCable:
    """``port``: as mpremote takes it. ``quiet_s``: how long the board may be silent before it counts as gone, by
    default QUIET_S."""

    def __init__(self, port, quiet_s=None):
        self.port = port
        self._quiet_s = quiet_s or QUIET_S

    def run(self, *arguments, on_line=None):
        """Run mpremote with ``arguments``; returns all it printed. ``on_line``: called with each line as it comes."""
        check_port(self.port)
        command = [sys.executable, "-m", "mpremote", "connect", self.port, *arguments]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = subprocess.Popen([str(c) for c in command], env=environment, text=True, errors="replace", **streams)
        try:
            printed = self._listen(process, on_line)
        finally:
            children.end(process, grace_s=1)
            process.stdout.close()
        if process.returncode:
            raise self._failure(printed)
        return printed

    def json_lines(self, script):
        """The JSON objects that ``script``, run on the board, prints."""
        return objects(self.run("exec", script))

    @contextlib.contextmanager
    def stopped(self, *refusals):
        """Around what stops the board's program: it is restarted at the end, whatever ends it; nobody else gets in.

        ``refusals``: exceptions after which the board still answers, so that its start is waited for.
        """
        check_port(self.port)
        with sole_use(self.port):
            try:
                yield
            except BaseException as end:
                answers = isinstance(end, (*refusals, KeyboardInterrupt))
                with contextlib.suppress(CableError):
                    SerialCable(self.port, self._quiet_s if answers else min(self._quiet_s, _BRIEF_S)).restart()
                raise
            self.restart()

    def restart(self):
        """Restart the board and wait until its program says that it has started, or an error; returns its output.

        A booting board ignores its input, so the next command would fail.
        """
        self.run("reset")
        if not os.path.exists(self.port):
            return ""  # by the network
        heard, data = "", b""
        deadline = time.monotonic() + min(_START_S, self._quiet_s)
        while time.monotonic() < deadline and (data or not started(heard)):
            try:
                with serial.Serial(self.port, 115200, timeout=0.2, exclusive=True) as line:
                    while time.monotonic() < deadline and (data or not started(heard)):
                        data = line.read(line.in_waiting or 1)
                        heard += data.decode(errors="replace")
            except (OSError, serial.SerialException):
                time.sleep(0.1)  # a USB port leaves while its board restarts
        return heard

    def interact(self, on_restart):
        """mpremote's REPL on this terminal, without a reset; returns its exit status and the output of a restart.

        A board that was left at its prompt is restarted, since its program does not run: ``on_restart()`` before that;
        None for one that was not.
        """
        check_port(self.port)
        command = [sys.executable, "-m", "mpremote", "connect", self.port, "resume", "repl"]
        with sole_use(self.port):
            status = subprocess.run(command).returncode
            if not self._at_prompt():
                return status, None
            on_restart()
            return status, self.restart()

    def _at_prompt(self):
        """Whether the board's REPL answers. A program that runs does not read what is sent."""
        heard = ""
        deadline = time.monotonic() + _PROMPT_S
        with contextlib.suppress(OSError, serial.SerialException):
            with serial.serial_for_url(self.port, 115200, timeout=0.1) as line:
                line.write(_CLEAR_LINE)
                while time.monotonic() < deadline and not heard.endswith(_PROMPTS):
                    heard += line.read(line.in_waiting or 1).decode(errors="replace")
        return heard.endswith(_PROMPTS)

    def _listen(self, process, on_line):
        lines = queue.Queue()
        threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
        heard = []
        while True:
            try:
                line = lines.get(timeout=self._quiet_s)
            except queue.Empty:
                words = f"the board on {self.port} fell silent; check cable and power and run the same again"
                raise CableError("silent", words) from None
            if line is None:
                process.wait()
                return "".join(heard)
            heard.append(line)
            if on_line:
                on_line(line.strip())

    def _failure(self, printed):
        last = (printed.strip().splitlines() or ["no words"])[-1]
        for sign, kind, words in _SIGNS:
            if sign in printed:
                return CableError(kind, words.format(port=self.port, detail=last))
        return CableError("failed", f"mpremote failed on {self.port}: {last}")


def _pump(stream, lines):
    try:
        for line in stream:
            lines.put(line)
    except ValueError:
        pass  # closed, since the board fell silent
    lines.put(None)


def objects(printed):
    """The JSON objects among the lines of ``printed``."""
    return [found for found in map(_object, printed.splitlines()) if found is not None]


def _object(line):
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
