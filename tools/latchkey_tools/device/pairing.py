"""Pairing from a laptop: a token that may configure, and the wait while networks change. No terminal here.

    info, here = enter(device)                       here: the Pass of a token that may configure
    with Search(host, here) as search:
        outcome = Following(search, ...).follow(wait_s)

A device that answers is asked for its System first: a token goes only to the one that the search began with.
"""

import ipaddress
import queue
import threading
import time
from collections import namedtuple

from latchkey_tools.cli import show
from latchkey_tools.cli.advice import pairing_advice
from latchkey_tools.device import access, offline_check
from latchkey_tools.device.local_api import Device, Refusal, Unreachable, local_name, parse_host, sources
from latchkey_tools.device.wallet import Wallet, WalletError, claims_of, end_words

EVERY_S = 2
# A joining device may be silent so long; then the person is asked to look at the networks.
SILENT_S = 10
# So long a place that knows more may still speak, once it is clear that the device has joined.
GRACE_S = 3
_CONNECT_S, _ANSWER_S = 3, 8

JOINED, FAILED, LOST = "joined", "failed", "lost"
TOLD, HIDDEN, REFUSED, STRANGER, SILENT = "told", "hidden", "refused", "stranger", "silent"

# state: of the three; reason: the device's, or ""; happened, todo: texts, None where all is well; address: in the
# network, or None; seen_at: the place that answered, or None
Outcome = namedtuple("Outcome", "state reason happened todo ssid address seen_at")
# what: of the five; value: by what, the Pairing, a Refusal, a System UUID or a text; info: of /v1/info or None
Sighting = namedtuple("Sighting", "place what value info")


def enter(device, token_file=None, name=None, meet=None):
    """(info, Pass) with the first fitting token that may configure here; Refusal, Unreachable. ``meet``: called with
    info before any token is looked at."""
    device.choose_channel()
    info = device.info()
    if meet:
        meet(info)

    def attempt(here):
        show.say(f"token {here.label}: {checked_here(here.token)}")
        _require_configure(device, here)

    return info, access.through(info, attempt, token_file, name)[1]


def _require_configure(device, here):
    permissions = device.call("GET", "/v1/whoami", here.token).get("permissions") or []
    if "configure" not in permissions:
        may = ", ".join(permissions) or "nothing"
        words = f"The token {here.label} may {may} here; this needs one that may configure."
        raise Refusal(0, "insufficient_scope", words)


def checked_here(token, now_unix_s=None):
    """The result of this machine's own check of a token, in words."""
    now = time.time() if now_unix_s is None else now_unix_s
    ends = end_words(claims_of(token) or {}, now)
    try:
        verdict = offline_check.judge(token, Wallet().key_sets())
    except WalletError:
        return f"its signature cannot be checked here; it {ends}"
    if verdict.signature == "good":
        return f"its signature is good by the key set {verdict.key[0]}; it {ends}"
    if verdict.signature == "bad":
        return f"its signature is bad by the key sets kept here, which may be old or another Domain's; it {ends}"
    return f"its signature cannot be checked here, where no key set is kept; it {ends}"


class Search:
    """Requests one System's Pairing at several places at once, until the block is left.

    Each place has a thread of its own: a name look-up that hangs cannot be interrupted, and must not delay the others.
    ``host``: as the person gave it; scheme and port are taken over to the other places. ``here``: the Pass to ask
    with.
    """

    def __init__(self, host, here, ca=None):
        self.system = here.system
        self.host = host
        self._scheme, self._port = _scheme_and_port(host)
        self._token, self._ca = here.token, ca
        self._sightings = queue.Queue()
        self._ended = threading.Event()
        self._places = set()
        self._look_at(host)
        self.look_at(local_name(self.system))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended.set()

    def look_at(self, address):
        """Ask there too. ``address``: name or IP address."""
        name = f"[{address}]" if ":" in address else address
        self._look_at(f"{self._scheme}://{name}:{self._port}")

    def next(self, timeout_s):
        """A Sighting, or None."""
        try:
            return self._sightings.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def _look_at(self, place):
        if place not in self._places:
            self._places.add(place)
            for source in sources():
                threading.Thread(target=self._keep_asking, args=(place, source), daemon=True).start()

    def _keep_asking(self, place, source):
        while not self._ended.is_set():
            self._sightings.put(Sighting(place, *self._ask(place, source)))
            self._ended.wait(EVERY_S)

    def _ask(self, place, source):
        """(what, value, info) of one visit."""
        info = None
        try:
            with Device(place, self._ca, _ANSWER_S, _CONNECT_S, source) as device:
                info = device.info()
                system = info["system_uuid"] or info["state"]
                if system != self.system:
                    return STRANGER, system, info
                return TOLD, device.call("GET", "/v1/pairing", self._token, patient=False), info
        except Refusal as refusal:
            return HIDDEN if refusal.code == "plain_http" else REFUSED, refusal, info
        except (Unreachable, ValueError, OSError) as error:
            return SILENT, str(error), info


class Following:
    """Follows an attempt to its end.

    ``ssid``: the network that was asked for, or None for whatever the device is in. ``unpaired``: the device was in no
    network before, so that it is in this one if it answers there. ``tell``: shows a text as long as it holds.
    ``before``: the Pairing of an earlier attempt, where it is not certain that the device got this one.
    """

    def __init__(self, search, ssid, unpaired, tell, before=None):
        self._search = search
        self._ssid = ssid
        self._unpaired = unpaired
        self._tell = tell
        self._before = before and _attempt_of(before)
        self._strangers = set()
        self._heard_s = time.monotonic()
        self._last = None
        self._hidden_at = None
        self._joined_s = None

    def follow(self, wait_s):
        """The Outcome; a Refusal of the token where that ends it."""
        deadline_s = time.monotonic() + wait_s
        self._tell(self._trying())
        while time.monotonic() < deadline_s:
            sighting = self._search.next(min(0.5, wait_s))
            outcome = self._judge(sighting) if sighting else None
            if outcome:
                return outcome
            if self._joined_s is not None and time.monotonic() - self._joined_s > GRACE_S:
                return self._joined_unseen()
            if time.monotonic() - self._heard_s > SILENT_S:
                self._tell(self._silent())
        return self._joined_unseen() if self._joined_s is not None else self._lost()

    def _judge(self, sighting):
        """The Outcome if this sighting decides it."""
        if sighting.what == STRANGER:
            self._meet(sighting)
        elif sighting.what != SILENT:
            self._heard_s = time.monotonic()
            judges = {TOLD: self._told, HIDDEN: self._hidden, REFUSED: self._refused}
            return judges[sighting.what](sighting)

    def _told(self, sighting):
        pairing = self._last = sighting.value
        if _is_address(pairing.get("address")):
            self._search.look_at(pairing["address"])
        state, ssid = pairing.get("state"), pairing.get("ssid")
        if state == "joining":
            return self._tell(self._trying())
        old = self._before == _attempt_of(pairing)
        if state == "failed" and not old:
            return _failed(pairing, sighting.place)
        if state == "joined" and not old and (self._ssid is None or ssid == self._ssid):
            return Outcome(JOINED, "", None, None, ssid, pairing.get("address"), sighting.place)
        happened = "the device does not have this attempt: it never got it, or was reset"
        return Outcome(LOST, "", happened, "run it again", self._ssid, None, sighting.place)

    def _hidden(self, sighting):
        """It answers in a network, and plain HTTP may not read the attempt there (A2)."""
        self._hidden_at = sighting.place
        if self._unpaired and sighting.info.get("state") == "ready" and self._joined_s is None:
            self._joined_s = time.monotonic()

    def _joined_unseen(self):
        """It was in no network, is ready now, and answers: it has joined."""
        host = parse_host(self._hidden_at)[1]
        elsewhere = _is_address(host) and self._hidden_at != self._search.host
        address = (self._last or {}).get("address") or (host if elsewhere else None)
        return Outcome(JOINED, "", None, None, self._ssid, address, self._hidden_at)

    def _refused(self, sighting):
        if access.is_of_one_token(sighting.value):
            raise sighting.value

    def _meet(self, sighting):
        if sighting.place not in self._strangers:
            self._strangers.add(sighting.place)
            words = f"another System ({sighting.value}) answers at {sighting.place}"
            self._tell(f"{words}; it is sent no token")

    def _trying(self):
        """The wait and its longest time; the time so far is shown beside it."""
        if self._ssid is None:
            return "the device is trying it; it ends within 2 minutes"
        return f"the device is joining {show.plain(self._ssid)}: up to 2 minutes, under 1 if its passphrase is wrong"

    def _silent(self):
        network = f", or in {show.plain(self._ssid)}" if self._ssid else ""
        return f"nothing answers; is this machine still in the device's network{network}? still looking"

    def _lost(self):
        happened, todo = self._hidden_words() if self._hidden_at else self._lost_words()
        address = (self._last or {}).get("address")
        return Outcome(LOST, "", happened, todo, self._ssid, address, self._hidden_at)

    def _hidden_words(self):
        happened = "the device answers, but does not tell over plain HTTP from this network how it ended"
        return happened, f"ask: {how_to_ask(self._search.host)}, or by HTTPS"

    def _lost_words(self):
        later = how_to_ask(self._search.host)
        if time.monotonic() - self._heard_s <= SILENT_S:
            return "the attempt is still running", f"ask later: {later}"
        happened = "the device cannot be reached from here any more"
        if self._ssid is None:
            return happened, f"see to the network of this machine, then ask: {later}"
        ssid = show.plain(self._ssid)
        return (
            f"{happened}; it may have joined {ssid}, and this machine has not",
            f"ask: {later}; where that is gone, join {ssid} and look: latchkey device find",
        )


def how_to_ask(host):
    """The command that asks how the newest attempt ended, and where: plain HTTP may ask on the access point alone (A2).

    ``host``: as the person gave it.
    """
    command = f"latchkey pair --status {show.plain(host)}"
    return command if parse_host(host)[0] else f"{command} (with this machine on the device's access point)"


def _failed(pairing, place=None):
    reason = pairing.get("reason") or ""
    happened, todo = pairing_advice(reason)
    return Outcome(FAILED, reason, happened, todo, pairing.get("ssid"), None, place)


def failure(pairing):
    """The Outcome of a Pairing whose attempt has failed, None of any other."""
    return _failed(pairing) if pairing.get("state") == "failed" else None


def _attempt_of(pairing):
    return [pairing.get(part) for part in ("state", "what", "ssid", "address", "reason")]


def _scheme_and_port(host):
    secure, _name, port = parse_host(host)
    return "https" if secure else "http", port


def _is_address(text):
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False
