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
        # (name, since_ms, failures, pause_ms) of callers, and of the jti of forged tokens that the ledger lists
        self._callers = []
        self._burnt = []

    def reserve(self, keys, jti16, caller):
        """Make sure that ``keys`` keys (8 at most) can be paid for; TokenError("verify_busy") if they cannot, or while
        ``caller`` has to wait. Returns whether the half reserved for listed tokens was needed.

        All at once: a token of which two of three keys are tried each time would never get in. ``jti16``: the token it
        claims to be, or None; the ledger is asked only where that decides.
        """
        now = self._clock.now_ms()
        _, since_ms, failures, pause_ms = self._row(self._callers, caller)
        wait_ms = since_ms + pause_ms - now
        if wait_ms <= 0:
            units = (now - self._filled_ms) // _BUDGET_REFILL_MS
            self._filled_ms += units * _BUDGET_REFILL_MS
            self._units = min(_BUDGET_UNITS, self._units + units)
            free = self._units - _BUDGET_UNITS // 2
            if free >= keys:
                return False
            if jti16 is not None and not self._row(self._burnt, jti16)[2] and self._admits(jti16):
                free = self._units
                if free >= keys:
                    return True
            wait_ms = _BUDGET_REFILL_MS * (keys - free)
            self._keep(self._callers, caller, failures, wait_ms)
        raise TokenError("verify_busy", "", (wait_ms + 999) // 1000)

    def pay(self):
        """One key is tried."""
        self._units -= 1

    def failed(self, caller, jti16):
        """``caller`` sent a bad signature; ``jti16``: the listed token it claimed to be, or None."""
        failures = self._row(self._callers, caller)[2]
        self._keep(self._callers, caller, failures + 1, min(_PENALTY_MS << min(failures, 8), _PENALTY_MAX_MS))
        self._keep(self._burnt, jti16, 1, 0)

    def passed(self, caller):
        """``caller`` sent a good one: what was before is forgotten."""
        self._keep(self._callers, caller, 0, 0)

    def _keep(self, rows, name, failures, pause_ms):
        rows[:] = [row for row in rows if row[0] != name]
        # A caller without a name is a program of this device's own.
        if name is not None and (failures or pause_ms):
            rows.append((name, self._clock.now_ms(), failures, pause_ms))
            del rows[:-_BUDGET_CALLERS]

    def _row(self, rows, name):
        now = self._clock.now_ms()
        for row in rows:
            if row[0] == name and now - row[1] < _BUDGET_FORGET_MS:
                return row
        return name, 0, 0, 0
