"""The one thing that the cloud thread and the loop share: a bounded, locked queue of immutable messages.

The list behind it has its full length from the start: on the unix port, which has no GIL, two
threads may not even resize one list. Nothing is ever dropped; the writer waits.
"""

import _thread


class Inbox:
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
