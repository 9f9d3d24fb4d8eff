"""The desk's clock, which needs nothing of a chip."""

import time

from latchkey.hw.clock import BoardClock


class DeskClock(BoardClock):
    """Time of the host, which keeps it; with ``start_unset``, a clock that begins at 0 and counts."""

    def __init__(self, start_unset=False):
        super().__init__(None)
        self.host_trusted = not start_unset
        self._offset_s = -int(time.time()) if start_unset else 0

    def unix_s(self):
        return int(time.time()) + self._offset_s

    def set_unix_s(self, unix_s):
        # A desk whose host keeps the time is not ours to set.
        if not self.host_trusted:
            self._offset_s = unix_s - int(time.time())
