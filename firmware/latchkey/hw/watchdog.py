"""The watchdog: fed only when both the loop and the link have made progress since it was fed last."""


class Watchdog:
    """``wdt``: a ``machine.WDT`` that runs. ``look`` is to be called on the loop at least every few seconds."""

    def __init__(self, wdt):
        self._wdt = wdt
        self._turns = None

    def look(self, link_turns):
        """The loop goes round; ``link_turns``: any number that changes whenever the link makes progress, or None
        for a device without a link. An unchanged number feeds nothing."""
        if link_turns is None or link_turns != self._turns:
            self._turns = link_turns
            self._wdt.feed()
