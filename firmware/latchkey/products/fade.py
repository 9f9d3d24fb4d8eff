"""A light whose levels move together to their targets, in small steps on the loop. At most one task."""

# A light that extends it brings levels and put.
# pyright: reportAttributeAccessIssue=false

import asyncio

from latchkey.limits import const

_STEP_MS = const(20)
_BLINK_MS = 250
_BLINKS = const(3)


class Fade:
    """A light extends it and has ``levels(state)``, a tuple of whole numbers for a state that is on, and
    ``put(levels)``, which makes them visible. ``dark``, ``bright``: those of a light that is off, and of one that
    blinks."""

    def __init__(self, dark, bright):
        self._dark = self._now = dark
        self._bright = bright
        self._task = None
        self.put(dark)

    def show(self, state, transition_ms=0):
        """Move to ``state`` within ``transition_ms``; a movement under way ends where it is."""
        target = self.levels(state) if state["on"] else self._dark
        if transition_ms < _STEP_MS:
            self._stop(None)
            self._set(target)
        else:
            self._stop(asyncio.create_task(self._move(self._now, target, transition_ms // _STEP_MS)))

    def blink(self):
        """Three times between bright and dark, then back to where it was."""
        self._stop(asyncio.create_task(self._blink(self._now)))

    def _stop(self, following):
        """End the movement. The next one was made before, since memory might not suffice for it (A12)."""
        if self._task:
            self._task.cancel()
        self._task = following

    def _set(self, levels):
        self._now = levels
        self.put(levels)

    async def _move(self, start, target, steps):
        for step in range(1, steps + 1):
            self._set(tuple([a + (target[i] - a) * step // steps for i, a in enumerate(start)]))
            await asyncio.sleep(_STEP_MS / 1000)

    async def _blink(self, back):
        # The caller that cancels has put its own levels before the cancellation arrives here.
        for _ in range(_BLINKS):
            for levels in (self._bright, self._dark):
                self.put(levels)
                await asyncio.sleep(_BLINK_MS / 1000)
        self.put(back)
