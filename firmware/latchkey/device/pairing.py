"""From the box to the owner's network: attempts, the access point, presence (A3, A5, A6).

An attempt runs in RAM: flash learns of new settings once they have worked, so after a power cut the last good ones are
back. The attempt and its result are kept for later requests. The loop calls ``tick`` at every turn.

``radio``: see hw/wifi.py. ``owner``: the device (latchkey.device.app). Times are whole seconds of
``uptime_s``; ``hurry`` divides every window (tests).
"""

from latchkey.errors import NOT_STORED, LatchkeyError
from latchkey.limits import const

_ATTEMPT_S = const(120)
# The answer to the request that began it leaves first, within a second; one that has begun counts as whole.
_PAUSE_S = const(2)
_JOIN_TRIES = const(3)  # a wrong key shows at the first, and at times by mistake
_AP_OPEN_S = const(900)
_AP_AFTER_S = const(120)
_PRESENCE_S = const(600)
_SCAN_WAIT_S = const(10)

# Reasons of a chip that another try does not change; the first two only until the passphrase has worked once.
_PASSPHRASE = ("wifi_wrong_passphrase", "wifi_probably_passphrase")
_FINAL = _PASSPHRASE + ("wifi_not_found", "wifi_wrong_security")
_NO_GATEWAY = (None, "", "0.0.0.0")


class Attempt:
    """Settings that are tried: ``config`` (dict, judged), ``passphrase`` (text or None) if ``wifi``, ``cloud``: whether
    the broker has to take us too, ``by``: ``jti`` and names of trust settings, or None."""

    def __init__(self, config, passphrase=None, wifi=False, cloud=False, by=None):
        self.config = config
        self.passphrase = passphrase
        self.wifi = wifi
        self.cloud = cloud
        self.by = by
        self.starts_s = 0
        self.started = self.joined = False


class Pairing:
    def __init__(self, radio, uptime_s, owner, log, hurry=1):
        self._radio = radio
        self._uptime_s = uptime_s
        self._owner = owner
        self._log = log
        self._hurry = hurry
        self._attempt = None
        self._leaves_s = None
        self._ap_until_s = self._scan_until_s = self._present_until_s = 0

    def pressed(self):
        """Somebody is here: presence for ten minutes (A3)."""
        self._present_until_s = self._uptime_s() + _PRESENCE_S // self._hurry

    @property
    def busy(self):
        """Whether somebody sets this device up: no time to sleep."""
        return self._attempt is not None or self._radio.ap_open

    @property
    def present(self):
        """Whether trust settings may change now: after a press, and in no network, once it has been left (A3)."""
        return self._alone or self.was_pressed

    @property
    def was_pressed(self):
        """The same by the button or by switching alone (K4)."""
        return self._uptime_s() < self._present_until_s

    @property
    def _alone(self):
        return self._owner.unpaired and self._leaves_s is None

    def open(self, scan=True):
        """The access point, for fifteen minutes; none without a passphrase (A5)."""
        if scan and not self._radio.ap_open and self._owner.link:
            # While nobody has joined a scan disturbs nobody; the link does it.
            self._radio.scanning = True
            self._scan_until_s = self._uptime_s() + _SCAN_WAIT_S
        self._open_for(_AP_OPEN_S)

    def check_idle(self):
        """LatchkeyError "attempt_running" while one is: what it would keep was made of the settings before."""
        if self._attempt:
            raise LatchkeyError("attempt_running")

    def begin(self, attempt):
        """Try other settings, once the answer to this request is out. StoreError: nothing has changed."""
        what, ssid = "wifi" if attempt.wifi else "cloud", attempt.config["wifi"]["ssid"]
        self._owner.note({"state": "joining", "what": what, "ssid": ssid, "address": None, "reason": ""})
        attempt.starts_s = self._uptime_s() + _PAUSE_S
        self._attempt = attempt

    def leave(self):
        """Forget the network, which the radio leaves once the answer is out. StoreError: nothing has changed."""
        self._owner.forget(True)
        self._leaves_s = self._uptime_s() + _PAUSE_S

    def tick(self):
        """Do the work that is due now; returns at once."""
        self._radio.turn()
        now = self._uptime_s()
        if self._leaves_s is not None and now >= self._leaves_s:
            self._leaves_s = None
            self._radio.use(None, None)
            self.open()
        if self._attempt and now >= self._attempt.starts_s:
            self._watch(self._attempt, now)
        self._follow_ap(now)

    def status(self):
        """For the person who waits: see docs/openapi.yaml, Pairing."""
        now = self._uptime_s()
        answer = dict(self._owner.settings["attempt"])
        _up, answer["offline"], answer["address"] = self._radio.station()[:3]
        answer["host"] = self._owner.hostname + ".local"
        answer["access_point_s"] = max(0, self._ap_until_s - now) if self._radio.ap_open else 0
        answer["presence_s"] = _PRESENCE_S if self._alone else max(0, self._present_until_s - now)
        return answer

    def _watch(self, attempt, now):
        if not attempt.started:
            return self._start(attempt)
        reason = self._outcome(attempt, now - attempt.starts_s >= _ATTEMPT_S // self._hurry)
        if reason == "":
            reason = self._keep(attempt)
        if reason:
            self._take_back(attempt, reason)

    def _start(self, attempt):
        attempt.started = True
        if attempt.wifi:
            self._open_for(_ATTEMPT_S + _AP_AFTER_S)
            self._radio.use(attempt.config["wifi"]["ssid"], attempt.passphrase)
        if attempt.cloud:
            attempt.cloud = self._owner.link_to(attempt.config, True)
            if not attempt.cloud:
                self._take_back(attempt, "no_memory")

    def _outcome(self, attempt, late):
        """Gives "" once it works, a reason why it will not, or None."""
        reason = self._wifi_outcome(attempt) if attempt.wifi else ""
        if reason == "" and attempt.cloud and self._owner.link.state != "online":
            reason = None
        if reason is not None or not late:
            return reason
        up, why = self._radio.station()[:2]
        if attempt.wifi and not up:
            return why or "no_wifi"
        return self._owner.link.reason or "no_answer"

    def _wifi_outcome(self, attempt):
        """Gives "" once joined, a reason that is final, or None."""
        up, reason, _, gateway, tries = self._radio.station()
        if up:
            attempt.joined = True
            return "no_route" if gateway in _NO_GATEWAY else ""
        final = reason in _FINAL and not (attempt.joined and reason in _PASSPHRASE)
        return reason if final and tries > _JOIN_TRIES else None

    def _keep(self, attempt):
        """Gives "" once flash has it, else why it does not."""
        record = dict(self._owner.settings["attempt"], state="joined", address=self._radio.station()[2])
        passphrase = attempt.passphrase if attempt.wifi else self._owner.settings["wifi_passphrase"]
        try:
            self._owner.keep(attempt.config, attempt.by, attempt=record, wifi_passphrase=passphrase)
        except NOT_STORED:
            return "not_stored"
        self._attempt = None
        self._log("pairing: joined " + record["ssid"])
        if attempt.wifi:
            # Joining moved the access point to another channel, and who waits there needs time to come back.
            self._open_for(_AP_AFTER_S)
        if attempt.cloud:
            # The broker's messages were ignored meanwhile; retained messages come again.
            self._owner.stale = True
        return ""

    def _take_back(self, attempt, reason):
        self._attempt = None
        self._log("pairing: failed, " + reason)
        if attempt.wifi:
            self._radio.use(*self._owner.network())
            self._open_for(_AP_OPEN_S if self._owner.unpaired else _AP_AFTER_S)
        if attempt.cloud:
            self._owner.stale = True
        self._owner.note(dict(self._owner.settings["attempt"], state="failed", reason=reason), True)

    def _follow_ap(self, now):
        wanted = now < self._ap_until_s and self._owner.settings["ap_passphrase"] is not None
        if self._radio.ap_open and not wanted:
            self._radio.close_ap()
        elif wanted and not self._radio.ap_open and not (self._radio.scanning and now < self._scan_until_s):
            # Phones would drop off during a scan that comes late.
            self._radio.scanning = False
            self._radio.open_ap(self._owner.hostname, self._owner.settings["ap_passphrase"])

    def _open_for(self, seconds):
        now = self._uptime_s()
        # An attempt must not shorten a window that the button opened.
        least_s = self._ap_until_s if now < self._present_until_s else 0
        self._ap_until_s = max(now + seconds // self._hurry, least_s)
