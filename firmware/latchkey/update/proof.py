"""Whether the release that runs is good, and the way back if it is not.

It is good once the device is online, or has answered a request with a valid token after a minute of serving; a device
without settings, after that minute. Never in the safe state (A9), which goes back. So does a release that is not good
within fifteen minutes. Loaded at the start; of a good release nothing is held.
"""

from latchkey.device import lazy
from latchkey.limits import const

_SERVES_S = const(60)
_LIMIT_S = const(900)
_AGAIN_S = const(60)  # after flash refused
_record = lazy.Rare("latchkey.update.record")


def begin(device):
    """The Proof of an unproven release, None of a good one. A step that a power cut interrupted is finished."""
    carrier, store = device.board.carrier(), device.board.store
    if carrier is None:
        return None
    with _record as record:
        kept = record.load(store)
        sent = kept["sent"]
        here = sent if sent and sent["place"] == carrier.running else None
        # A bootloader starts an unproven program once: at the next start it was marked good, if it runs still. A soft
        # reset leaves the bootloader out.
        started = here and here.get("started") and device.board.reset_cause != "soft"
        if carrier.unproven(bool(here and not started)):
            if sent:  # If it is not here, a deploy took its place.
                device.try_to_store(record.save, store, dict(kept, sent=here and dict(here, started=True)))
            return Proof(device, carrier)
        if here:
            device.try_to_store(record.save, store, _good(kept))
        elif sent:
            if carrier.kind == "image":
                # The bootloader would take the next reset for another failure.
                device.try_to_store(carrier.good)
            reason = sent["reason"] or carrier.why() or ("reset" if sent.get("started") else "not_started")
            device.log.add("update: went back from %s, %s" % (sent["version"], reason))
            last = {"result": "went_back", "version": sent["version"], "reason": reason}
            device.try_to_store(record.save, store, dict(kept, sent=None, last=last))
    return None


class Proof:
    """Whose release ``carrier`` holds. ``turn`` is due at every turn of the loop; at ``limit_s`` it goes back."""

    def __init__(self, device, carrier):
        self._device, self._carrier = device, carrier
        # The release before must be able to read what this one writes.
        device.board.store.keeps_format = True
        self._answered = 0
        self._due_s = 0
        hurry = device.board.hurry
        self._serves_s, self.limit_s = -(-_SERVES_S // hurry), -(-_LIMIT_S // hurry)

    def turn(self):
        """Decide what is due; what flash refuses is tried again a minute later."""
        device = self._device
        now = device.uptime_s()
        if now < self._due_s:
            return
        if device.safe or now >= self.limit_s:
            self._due_s = now + _AGAIN_S
            self._go_back("crashed" if device.safe else "not_good")
        elif self._is_good(device, now):
            self._due_s = now + _AGAIN_S
            self._keep()

    def _is_good(self, device, now):
        if device.link and device.link.state == "online":
            return True
        if now < self._serves_s:
            self._answered = device.server.answered
            return False
        return device.config is None or device.server.answered != self._answered

    def _keep(self):
        device = self._device
        store = device.board.store
        with _record as record:
            if not device.try_to_store(self._carrier.good):
                return
            kept = record.load(store)
            if kept["sent"] and not device.try_to_store(record.save, store, _good(kept)):
                return
        device.log.add("update: good")
        device.proof = None
        store.keeps_format = False

    def _go_back(self, reason):
        device, store = self._device, self._device.board.store
        with _record as record:
            kept = record.load(store)
            if kept["sent"]:
                kept["sent"]["reason"] = reason
                device.try_to_store(record.save, store, kept)
        device.log.add("update: goes back, " + reason)
        if device.try_to_store(self._carrier.back, reason):
            device.restart()


def _good(kept):
    """The record once the release that was sent is good."""
    sent = kept["sent"]
    counter = max(kept["counter"], sent["counter"])
    return dict(kept, counter=counter, sha256=sent["sha256"], version=sent["version"], sent=None, last=None)
