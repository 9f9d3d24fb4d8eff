"""A process behind a pseudo-terminal that looks like a board on a serial port.

The device has a terminal of its own. A second pseudo-terminal is the serial port that `mpremote` opens. A thread
carries bytes between the two, copies what the device says to a log, starts the process again when it ends, and answers
a soft reset the way a chip's REPL does. A process that ended to sleep is started again when its timer or its button
says so.
"""

import fcntl
import os
import select
import signal
import termios
import threading
import time
import tty
from pathlib import Path

from latchkey_tools.desk import children

_TICK_S = 0.02
_CRASH_PAUSE_S = 0.2
# How long a program of the flash has to look for Ctrl-C; what is typed at the prompt does not look.
_LOOKS_WITHIN_S = 5.0
_AT_PROMPT_S = 0.1
# A pseudo-terminal has room for 12 KB, a deploy's facts are as long, and mpremote reads them when it gets to run.
_UNREAD_BYTES = 1024 * 1024
_CTRL_A, _CTRL_B, _CTRL_C = 1, 2, 3


class Bridge:
    """``command(cause, run_main)`` gives the argument list of the device's process; ``log_path`` gets its output.

    ``cause``: power, reset, soft, panic, or what ended a deep sleep: timer, button. ``sleep`` is asked for that:
    ``forget()`` at power-on; ``begins()`` once the process has ended, True if it sleeps now; ``over()``: timer, button,
    or None while it lasts.
    """

    def __init__(self, command, log_path, sleep=None):
        self._command = command
        self._sleep = sleep
        self._log = open(log_path, "ab", buffering=0)
        # The interpreter keeps a history of its prompt at home, which here is the device's folder.
        self._environment = {**os.environ, "HOME": str(Path(log_path).parent)}
        self._port, port_end = os.openpty()
        tty.setraw(port_end)
        self.path = os.ttyname(port_end)
        # Closed, so that the port shows whether somebody has it open: a serial line keeps nothing for late readers.
        os.close(port_end)
        os.set_blocking(self._port, False)
        self._unread = b""
        self._wake_out, self._wake_in = os.pipe()
        self._changed = threading.Condition()
        self._wanted = self._closing = False
        self._device = self._process = self._failure = None
        self.asleep = False
        self._forget_session()
        self.starts = 0
        self._thread = threading.Thread(target=self._run, name="serial port", daemon=True)
        self._thread.start()

    @property
    def running(self):
        return self._process is not None

    @property
    def pid(self):
        process = self._process
        return process.pid if process else None

    def power_on(self):
        """Returns once the process is started; raises what kept it from starting."""
        self._want(True)
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure

    def power_off(self):
        self._want(False)

    def close(self):
        """End the device and the thread, close the port. Safe to call twice."""
        if self._thread.is_alive():
            self._closing = True
            self._want(False)
            self._thread.join()
            os.close(self._port)
            os.close(self._wake_in)
            os.close(self._wake_out)
            self._log.close()

    def _want(self, power):
        with self._changed:
            self._wanted = power
            if self._thread.is_alive():
                os.write(self._wake_in, b".")
                self._changed.wait_for(lambda: (self.running or self.asleep) == power or self._failure, timeout=10)

    # Everything below runs in the thread. It alone starts the process: the kernel ends a child with the *thread*
    # that started it (PR_SET_PDEATHSIG), so no caller's thread may.

    def _run(self):
        try:
            while not self._closing or self.running or self.asleep:
                self._follow_switch()
                self._carry()
        finally:
            if self.running:
                self._kill()

    def _follow_switch(self):
        if self._wanted and self.asleep:
            self._wake_up(self._sleep.over())
        elif self._wanted and not self.running:
            if self._sleep:
                self._sleep.forget()
            self._start_or_tell("power")
        elif not self._wanted:
            self._turn_off()

    def _wake_up(self, cause):
        if cause:
            self.asleep = False
            self._start_or_tell(cause)

    def _turn_off(self):
        if self.running:
            self._kill()
        if self.asleep:
            self.asleep = False
            self._announce()

    def _start_or_tell(self, cause):
        try:
            self._start(cause, True)
        except Exception as failure:  # whatever it was belongs to the caller of power_on, in another thread
            self._wanted, self._failure = False, failure
            if self._device is not None:
                os.close(self._device)
                self._device = None
            self._announce()

    def _start(self, cause, run_main):
        command = self._command(cause, run_main)
        self._device, device_end = os.openpty()
        os.set_blocking(self._device, False)
        _set_modes(device_end)
        try:
            self._process = children.spawn(
                command,
                stdin=device_end,
                stdout=device_end,
                stderr=device_end,
                controlling_terminal=True,
                env=self._environment,
            )
        finally:
            os.close(device_end)
        self.starts += 1
        self._forget_session()
        self._announce()

    def _kill(self):
        self._process.send_signal(signal.SIGKILL)
        self._reap()

    def _reap(self):
        status = self._process.wait()
        os.close(self._device)
        self._process = self._device = None
        self._announce()
        return status

    def _announce(self):
        with self._changed:
            self._changed.notify_all()

    def _forget_session(self):
        self._raw = False
        self._enter_raw_at_prompt = False
        self._held = b""
        self._interrupted_until = 0.0
        self._prompted = self._broken_off = False
        self._tail = b""
        self._returns = b""

    def _carry(self):
        readers = [self._wake_out] + ([self._device] if self.running else [])
        if self._somebody_listens():
            readers.append(self._port)
        ready, _, _ = select.select(readers, [self._port] if self._unread else [], [], _TICK_S)
        if self._unread:
            self._pass_unread()
        if self._wake_out in ready:
            os.read(self._wake_out, 64)
        if self._device in ready:
            self._from_device()
        elif self._returns:
            held, self._returns = self._returns, b""
            self._pass_on(held)
        if self._port in ready:
            self._from_client()
        if self.running:
            self._release()

    def _somebody_listens(self):
        poll = select.poll()
        poll.register(self._port, select.POLLIN)
        return not any(event & select.POLLHUP for _, event in poll.poll(0))

    def _from_device(self):
        try:
            data = os.read(self._device, 4096)
        except BlockingIOError:
            return
        except OSError:  # EIO: the process has closed its terminal
            data = b""
        if not data:
            return self._ended()
        # The REPL writes CR LF itself and the terminal adds a CR before every LF: one is enough. CRs at the end of a
        # read wait for what follows them.
        data = self._returns + data
        self._returns = data[len(data.rstrip(b"\r")) :]
        self._pass_on(data[: len(data) - len(self._returns)].replace(b"\r\r\n", b"\r\n"))

    def _pass_on(self, data):
        self._tail = (self._tail + data)[-16:]
        self._say(data)
        if self._tail.endswith(b">>> "):
            self._prompted = True
            if self._enter_raw_at_prompt:
                self._enter_raw_at_prompt = False
                self._to_device(bytes((_CTRL_A,)))

    def _ended(self):
        """The process ended by itself: 0 is the REPL's Ctrl-D, SIGKILL its own reset, anything else a crash."""
        raw, held, broken_off = self._raw, self._held, self._broken_off
        status = self._reap()
        if not self._wanted:
            return
        if self._sleep and self._sleep.begins():
            self.asleep = True
            return
        cause = {0: "soft", -signal.SIGKILL: "reset"}.get(status, "panic")
        if cause == "soft":
            self._say(b"\r\nMPY: soft reboot\r\n")
        else:
            time.sleep(_CRASH_PAUSE_S)
        stay_in_repl = cause == "soft" and raw
        self._start(cause, not (stay_in_repl or broken_off))
        self._raw = self._enter_raw_at_prompt = stay_in_repl
        if broken_off:
            self._raw, self._held, self._interrupted_until = raw, held, time.monotonic() + _LOOKS_WITHIN_S

    def _from_client(self):
        try:
            data = os.read(self._port, 4096)
        except OSError:
            return
        if not self.running:
            return
        for byte in data:
            if byte in (_CTRL_A, _CTRL_B):
                self._raw = byte == _CTRL_A
        self._held += data
        self._release()

    def _release(self):
        """Pass input on. After a Ctrl-C to a running program the rest waits for the prompt: the interpreter throws
        away what is typed before it (tcsetattr with TCSAFLUSH).

        The unix port would raise Ctrl-C out of its signal handler, at any moment: in the middle of a garbage
        collection the heap then stays locked, between two programs nothing catches it. So Ctrl-C is never a signal.
        A program of the flash looks for it (boards/desk/start.py); one that does not loses its process, and the next
        begins at the prompt.
        """
        if self._interrupted_until and self._program_runs():
            if time.monotonic() > self._interrupted_until:
                self._broken_off = True
                self._process.send_signal(signal.SIGKILL)
            return
        self._interrupted_until = 0.0
        end = len(self._held)
        if bytes((_CTRL_C,)) in self._held and self._program_runs():
            end = self._held.index(_CTRL_C) + 1
            self._interrupted_until = time.monotonic() + (_AT_PROMPT_S if self._prompted else _LOOKS_WITHIN_S)
        self._to_device(self._held[:end])
        self._held = self._held[end:]

    def _program_runs(self):
        """While a program runs the terminal is line by line; the REPL reads single keys, also during raw paste."""
        line_by_line = termios.tcgetattr(self._device)[3] & termios.ICANON
        return bool(line_by_line) or self._raw and not self._tail.endswith((b">>> ", b">"))

    def _to_device(self, data):
        if self.running and data:
            _written(self._device, data)

    def _say(self, data):
        self._log.write(data)
        self._unread = (self._unread + data)[-_UNREAD_BYTES:]
        self._pass_unread()

    def _pass_unread(self):
        """Send as much as there is room for. It is lost if nobody has the port open."""
        passed = _written(self._port, self._unread) if self._somebody_listens() else len(self._unread)
        self._unread = self._unread[passed:]


def _written(fd, data):
    """How much of ``data`` there was room for."""
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0


def _set_modes(fd):
    """No echo: a board does not echo, and what is typed may be secret while this is logged. Ctrl-C ends a line."""
    modes = termios.tcgetattr(fd)
    modes[3] &= ~(termios.ECHO | termios.ECHOE | termios.ECHOK | termios.ECHOCTL | termios.ISIG)
    modes[6][termios.VEOL] = bytes((_CTRL_C,))
    termios.tcsetattr(fd, termios.TCSANOW, modes)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, b"\x18\x00\x50\x00\x00\x00\x00\x00")
