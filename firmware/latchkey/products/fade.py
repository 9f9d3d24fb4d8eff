"""A few levels that move together to their targets, in small steps on the loop. At most one task."""

import asyncio

_STEP_MS = 20
_BLINK_MS = 250
_BLINKS = 3


class Fade:
    """``put(levels)`` makes a tuple of whole numbers visible; ``levels``: those at the start, put at once."""

    def __init__(self, put, levels):
        self._put = put
        self._levels = levels
        self._task = None
        put(levels)

    def to(self, target, over_ms):
        """Move to ``target`` within ``over_ms``; a movement under way ends where it is."""
        if over_ms < _STEP_MS:
            self._stop(None)
            self._set(target)
        else:
            self._stop(asyncio.create_task(self._move(self._levels, target, over_ms // _STEP_MS)))

    def blink(self, bright):
        """Three times between ``bright`` and dark, then back to where it was."""
        self._stop(asyncio.create_task(self._blink(self._levels, bright)))

    def _stop(self, following):
        """End the movement. The next one was made before, since memory might not suffice for it (A12)."""
        if self._task:
            self._task.cancel()
        self._task = following

    def _set(self, levels):
        self._levels = levels
        self._put(levels)

    async def _move(self, start, target, steps):
        for step in range(1, steps + 1):
            self._set(tuple([a + (target[i] - a) * step // steps for i, a in enumerate(start)]))
            await asyncio.sleep(_STEP_MS / 1000)

    async def _blink(self, back, bright):
        # The caller that cancels has put its own levels before the cancellation arrives here.
        for _ in range(_BLINKS):
            for levels in (bright, tuple([0] * len(back))):
                self._put(levels)
                await asyncio.sleep(_BLINK_MS / 1000)
        self._put(back)
