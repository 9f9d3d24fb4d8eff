"""How much signature work strangers may order (V9).

One unit is one key tried on one token. Units refill at a fixed rate. The lower half is reserved for tokens that the
ledger lists, so that nobody on the network can lock the owner out by sending forgeries. After a forgery with the
``jti`` of a listed token, that ``jti`` cannot use the lower half for a while. A peer that sent a bad signature waits
before its next unknown token is tried, longer each time. Other peers do not wait for it.
"""

from latchkey.errors import TokenError
from latchkey.limits import const

# A key tried costs a chip 11 million instructions by pow, an eighth of it by the kernel: two a second are a tenth of
# its time at most.
_BUDGET_UNITS = const(16)
_BUDGET_REFILL_MS = const(500)
_BUDGET_CALLERS = const(8)
_BUDGET_FORGET_MS = const(60000)
_PENALTY_MS = const(1000)
_PENALTY_MAX_MS = const(16000)


class Budget:
    """``clock`` gives ``now_ms()``; ``admits(jti16)`` asks the ledger."""

    def __init__(self, clock, admits):
        self._clock = clock
        self._admits = admits
        self._units = _BUDGET_UNITS
        self._filled_ms = clock.now_ms()  # until when it has been refilled
        self._callers = []  # [caller, failures, since_ms, pause_ms], latest last, at most BUDGET_CALLERS
        self._burnt = []  # [jti16, None, since_ms] of forged tokens that the ledger lists, likewise

    def reserve(self, keys, jti16, caller):
        """Make sure that ``keys`` keys (8 at most) can be paid for; TokenError("verify_busy") if they cannot, or while
        ``caller`` has to wait. Returns whether the half reserved for listed tokens was needed.

        All at once: a token of which two of three keys are tried each time would never get in. ``jti16``: the token it
        claims to be, or None; the ledger is asked only where that decides.
        """
        self._check_waited(caller)
        self._refill()
        free = self._units - _BUDGET_UNITS // 2
        if free >= keys:
            return False
        if jti16 is not None and self._row(self._burnt, jti16) is None and self._admits(jti16):
            if self._units >= keys:
                return True
            free = self._units
        pause_ms = _BUDGET_REFILL_MS * (keys - free)
        self._wait(caller, 0, pause_ms)
        raise _busy(pause_ms)

    def pay(self):
        """One key is tried."""
        self._units -= 1

    def failed(self, caller, jti16):
        """``caller`` sent a bad signature; ``jti16``: the listed token it claimed to be, or None."""
        row = self._row(self._callers, caller)
        failures = 1 + (row[1] if row else 0)
        self._wait(caller, failures, min(_PENALTY_MS << min(failures - 1, 8), _PENALTY_MAX_MS))
        if jti16 is not None:
            self._keep(self._burnt, [jti16, None, self._clock.now_ms()])

    def passed(self, caller):
        """``caller`` sent a good one: forgotten is what was before."""
        row = self._row(self._callers, caller)
        if row is not None:
            self._callers.remove(row)

    def _check_waited(self, caller):
        row = self._row(self._callers, caller)
        if row is not None:
            waited = self._clock.now_ms() - row[2]
            if waited < row[3]:
                raise _busy(row[3] - waited)

    def _wait(self, caller, failures, pause_ms):
        # A caller without a name is a program of this device's own.
        if caller is not None:
            row = self._row(self._callers, caller)
            failures = failures or (row[1] if row else 0)
            self._keep(self._callers, [caller, failures, self._clock.now_ms(), pause_ms])

    def _keep(self, rows, new):
        row = self._row(rows, new[0])
        if row is not None:
            rows.remove(row)
        rows.append(new)
        if len(rows) > _BUDGET_CALLERS:
            del rows[0]

    def _row(self, rows, name):
        now = self._clock.now_ms()
        for row in rows:
            if row[0] == name:
                if now - row[2] < _BUDGET_FORGET_MS:
                    return row
                rows.remove(row)
                return None
        return None

    def _refill(self):
        units = (self._clock.now_ms() - self._filled_ms) // _BUDGET_REFILL_MS
        self._filled_ms += units * _BUDGET_REFILL_MS
        self._units = min(_BUDGET_UNITS, self._units + units)


def _busy(wait_ms):
    return TokenError("verify_busy", "", (wait_ms + 999) // 1000)
