"""How much signature work strangers may order (V9).

One unit is one key tried on one token. The purse refills steadily; its lower half
is kept for tokens that the ledger lists, so that nobody on the network can lock
the owner out by sending forgeries. Whoever sent a bad signature waits before the
next unknown token, longer each time; nobody else waits for him.
"""

from latchkey.errors import TokenError
from latchkey.limits import BUDGET_CALLERS, BUDGET_FORGET_MS, BUDGET_REFILL_MS, BUDGET_UNITS, PENALTY_MAX_MS, PENALTY_MS


class Budget:
    """``clock`` gives ``ticks_ms()`` and ``ticks_diff_ms(later, earlier)``."""

    def __init__(self, clock):
        self._clock = clock
        self._units = BUDGET_UNITS
        self._refilled_ms = clock.ticks_ms()
        self._callers = []  # [caller, failures, failed_ms], latest last, at most BUDGET_CALLERS

    def charge(self, listed):
        """Pay for one key; TokenError("verify_busy") when the purse, or a stranger's half of it, is empty.

        ``listed()`` tells whether the ledger admits the token; asked only when that decides, since it reads flash.
        """
        self._refill()
        spare = self._units - BUDGET_UNITS // 2
        if spare <= 0 and (self._units <= 0 or not listed()):
            raise _busy(BUDGET_REFILL_MS * (1 - spare))
        self._units -= 1

    def admit(self, caller):
        """TokenError("verify_busy") while ``caller`` still waits for an earlier bad signature."""
        row = self._row(caller)
        if row is not None:
            waited = self._clock.ticks_diff_ms(self._clock.ticks_ms(), row[2])
            pause = min(PENALTY_MS << min(row[1] - 1, 8), PENALTY_MAX_MS)
            if waited < pause:
                raise _busy(pause - waited)

    def failed(self, caller):
        """``caller`` sent a bad signature."""
        row = self._row(caller)
        if row is None:
            row = [caller, 0, 0]
        else:
            self._callers.remove(row)
        self._callers.append([caller, row[1] + 1, self._clock.ticks_ms()])
        if len(self._callers) > BUDGET_CALLERS:
            del self._callers[0]

    def passed(self, caller):
        """``caller`` sent a good one: forgotten is what was before."""
        row = self._row(caller)
        if row is not None:
            self._callers.remove(row)

    def _row(self, caller):
        now = self._clock.ticks_ms()
        for row in self._callers:
            if row[0] == caller:
                # Negative: so long ago that the tick counter turned over.
                if 0 <= self._clock.ticks_diff_ms(now, row[2]) < BUDGET_FORGET_MS:
                    return row
                self._callers.remove(row)
                return None
        return None

    def _refill(self):
        now = self._clock.ticks_ms()
        gained = self._clock.ticks_diff_ms(now, self._refilled_ms) // BUDGET_REFILL_MS
        if gained < 0 or self._units + gained >= BUDGET_UNITS:
            # Full, or not asked for so long that the tick counter turned over.
            self._units = BUDGET_UNITS
            self._refilled_ms = now
        elif gained:
            self._units += gained
            self._refilled_ms += gained * BUDGET_REFILL_MS


def _busy(wait_ms):
    return TokenError("verify_busy", "", (wait_ms + 999) // 1000)
