"""One thread for life, which runs the link it was last given, turn by turn, until that stops; and the queue between it
and the loop.

A thread per connection would leave the heap of a small chip in pieces: its stack is 16 KB.
A job has ``.turn()``, ``.stopping`` and ``.close()``, and comes and goes through one locked slot.
"""

import _thread
import sys

SLICE_MS = 200  # how late a stop or a lost Wi-Fi may be noticed
# Enough for strict JSON at full depth under a TLS read on a 32-bit chip; frames of 64-bit words take twice as much.
_STACK_BYTES = 16 * 1024 if sys.maxsize < 1 << 32 else 32 * 1024
_NO_THREAD = (OSError, RuntimeError, MemoryError)
_lock = _thread.allocate_lock()
_slot = [None, False]  # the next job; whether the thread runs


class Inbox:
    """The one thing that thread and loop share: a bounded, locked queue of immutable messages.

    The list behind it has its full length from the start: on the unix port, which has no GIL, two threads may not even
    resize one list. Nothing is ever dropped; the writer waits.
    """

    def __init__(self, size):
        self._slots = [None] * size
        self._lock = _thread.allocate_lock()
        self._head = 0
        self._held = 0

    def offer(self, message):
        """True if the message was taken, False if the queue is full."""
        with self._lock:
            if self._held == len(self._slots):
                return False
            self._slots[(self._head + self._held) % len(self._slots)] = message
            self._held += 1
            return True

    def take(self):
        """The oldest message, or None."""
        with self._lock:
            if not self._held:
                return None
            message = self._slots[self._head]
            self._slots[self._head] = None
            self._head = (self._head + 1) % len(self._slots)
            self._held -= 1
            return message


def run(job, sleep_ms):
    """Run ``job`` next; the one before it must have been stopped. MemoryError if a thread finds none."""
    with _lock:
        _slot[0] = job
        if _slot[1]:
            return
        _slot[1] = True
    # CPython needs more and takes care of it; MicroPython's default on a chip is 4 KB, too little for TLS.
    if sys.implementation.name == "micropython":
        _thread.stack_size(_STACK_BYTES)
    try:
        _thread.start_new_thread(_live, (sleep_ms,))
    except _NO_THREAD:
        _slot[:] = (None, False)
        raise MemoryError("no memory for a thread")


def _live(sleep_ms):
    while True:
        with _lock:
            job = _slot[0]
            _slot[0] = None
        if job is None:
            sleep_ms(SLICE_MS)
            continue
        while not job.stopping:
            try:
                job.turn()
            except MemoryError:
                # Even telling of a failure may fail; the thread must live.
                sleep_ms(SLICE_MS)
        job.close()
