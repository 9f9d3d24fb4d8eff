"""One thread for life: it runs the link it was last given, turn by turn, until that is told to stop.

A thread per connection would leave the heap of a small chip in pieces: its stack is 16 KB.
A job has ``.turn()``, ``.stopping`` and ``.close()``, and comes and goes through one locked slot.
"""

import _thread
import sys

from latchkey import limits

# Enough for strict JSON at full depth under a TLS read on a 32-bit chip; frames of 64-bit words take twice as much.
_STACK_BYTES = 16 * 1024 if sys.maxsize < 1 << 32 else 32 * 1024
_lock = _thread.allocate_lock()
_slot = [None, False]  # the next job; whether the thread runs


def run(job, sleep_ms):
    """Hand over a job; the one before it must have been told to stop."""
    with _lock:
        _slot[0] = job
        if _slot[1]:
            return
        _slot[1] = True
    # CPython needs more and takes care of it; MicroPython's default on a chip is 4 KB, too little for TLS.
    if sys.implementation.name == "micropython":
        _thread.stack_size(_STACK_BYTES)
    _thread.start_new_thread(_live, (sleep_ms,))


def _next():
    with _lock:
        job = _slot[0]
        _slot[0] = None
        return job


def _live(sleep_ms):
    while True:
        job = _next()
        if job is None:
            sleep_ms(limits.CLOUD_SLICE_MS)
            continue
        while not job.stopping:
            try:
                job.turn()
            except MemoryError:
                # Even telling of a failure may fail; the thread must live.
                sleep_ms(limits.CLOUD_SLICE_MS)
        job.close()
