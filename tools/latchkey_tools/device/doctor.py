"""Walks the chain from a laptop to a device and its cloud, and says at each link how it holds. No terminal here.

``examine(host)`` gives a Link for each of LINKS, in that order.
"""

import time
from collections import namedtuple

from latchkey_tools.cli import show
from latchkey_tools.cli.advice import advice, link_advice, update_advice
from latchkey_tools.device import access, answer_shapes, offline_check, pairing
from latchkey_tools.device.local_api import ACCESS_POINT, ACCESS_POINTS, Device, Refusal, Unreachable, todo_of
from latchkey_tools.device.wallet import Wallet, WalletError, claims_of, lives

LINKS = ("reachable", "TLS", "provisioned", "clock", "keys", "token", "roles", "application", "network", "cloud link")
OK, WEAK, BROKEN, UNSEEN = "ok", "weak", "broken", "not seen"
CLOCK_TOLERANCE_S = 300
_CAPPED = "plain HTTP from the network may not see this"
_OPEN_ACCESS_POINT = (
    "press its button for 3 seconds (without one: switch it on five times, less than ten seconds each), join its "
    f"access point with this machine, then: latchkey doctor {ACCESS_POINT}"
)
# By which a device's clock and the cloud's may differ, unless its settings say otherwise (V6).
SKEW_S = 60
_CLOCKS = "check the clock of this machine; if that is right, set the device's time over the serial cable"
# The mark lies so long before the receipt (docs/protocol.md, L).
HEARD_MARGIN_S = 120

# Memory that Wi-Fi's own buffers may need at any moment, by estimate.
SPARE_BYTES = 8 * 1024
# A certificate that ends sooner is worth a word: the device warns from the same day on (docs/cloud.md).
ENDS_SOON_S = 60 * 86400
_PROVES = "let it reach the broker, or run this again after a minute: an answer to a valid token proves the release too"
_RENEW = "latchkey certificate renew: with --host over HTTPS or the access point, with --port by serial cable"
_RENEW_HTTPS = "latchkey certificate renew --https --port PORT, by serial cable"
_RENEW_CA = "get the CA's new certificate from the broker's owner, and: latchkey board provision --ca, by serial cable"
# Of diagnostics and their cloud: (link, whose certificate, what to do)
_DATES = {
    "cert_not_after": ("cloud link", "this device's certificate", _RENEW),
    "broker_cert_not_after": ("cloud link", "the broker's certificate", "have who runs the broker renew it"),
    "ca_not_after": ("cloud link", "the certificate of the broker's CA on this device", _RENEW_CA),
    "https_cert_not_after": ("TLS", "the device's certificate for HTTPS", _RENEW_HTTPS),
}

_WORN = "if this is still so after the next restart, its flash is worn: replace the device"
_LOST = "provision it again over the serial cable; if this happens twice, its flash is worn: replace the device"
# Why tokens are refused as ledger_unknown (docs/protocol.md, L6): (what was seen, what else to do).
_UNKNOWN = {
    "damaged": ("the token list was lost: the device admits no token of it", ""),
    "unstored": ("the newest token list could not be stored", f"; {_WORN}"),
    "unreadable_uuid": ("the token list has a record that cannot be read", ""),
}

# name: of LINKS; verdict; seen: what was found; todo: what the person can do, or None
Link = namedtuple("Link", "name verdict seen todo")

# Which link a refusal points at.
_LINK_OF = {"unprovisioned": "provisioned", "no_keys": "keys", "clock_unset": "clock", "no_permission": "roles"}
_LINK_OF |= {"insufficient_scope": "roles", "plain_http": "TLS", "tls_required": "TLS", "wrong_host": "reachable"}
# Codes of a state that say that the application does not run.
_FAULTS = ("safe_boot", "server_error")
_LINK_OF |= {
    "full_house": "reachable",
    "ledger_unknown": "cloud link",
    "ledger_full": "cloud link",
    "unlisted": "cloud link",
}


class Examination:
    """``links`` fills up as the walk goes on; the first verdict about a link counts."""

    def __init__(self, device, token_file=None, token=None, now_unix_s=None):
        self.links = {}
        self._device = device
        self._chosen = token_file, token
        self._now = time.time() if now_unix_s is None else now_unix_s

    def walk(self):
        """Every link that can be seen from here."""
        try:
            info = self._reach()
            self._provisioned(info)
            passed, grant = self._enter(info)
            self._application(passed, grant)
            self._network(passed, grant, info)
            self._look_inside(passed, grant)
        except Unreachable as error:
            self._break("TLS" if error.link == "tls" else "reachable", *_split(error))
        except Refusal as refusal:
            self._blame(refusal)

    def in_order(self):
        unseen = "cannot be seen from here"
        return [self.links.get(name, Link(name, UNSEEN, unseen, None)) for name in LINKS]

    def _note(self, name, verdict, seen, todo=None):
        self.links.setdefault(name, Link(name, verdict, seen, todo))

    def _break(self, name, seen, todo):
        """A link that breaks while others are looked at is broken, whatever was noted before."""
        self.links[name] = Link(name, BROKEN, seen, todo)

    def _reach(self):
        self._device.choose_channel()
        info = self._device.info()
        self._note("reachable", OK, f"{self._device.url}: {info.get('product')} {info.get('version') or ''}")
        if self._device.secure:
            self._note("TLS", OK, "HTTPS, its certificate is verified")
            self._ends("TLS", "this certificate", self._device.certificate_end_unix_s, _RENEW_HTTPS)
            todo = "have the authority renew its certificate, and give the new one with --ca"
            self._ends("TLS", "the certificate of --ca", self._device.ca_end_unix_s, todo)
        elif self._device.host in ACCESS_POINTS:
            self._note("TLS", OK, "plain HTTP on the device's own access point")
        else:
            todo = "prefer the access point or HTTPS for settings"
            self._note("TLS", WEAK, "plain HTTP: who holds the Wi-Fi key can read the token", todo)
        return info

    def _provisioned(self, info):
        if info.get("state") == "settings_lost":
            self._break("provisioned", "its settings were there, and cannot be read", _LOST)
        if info.get("state") in ("unprovisioned", "settings_lost"):
            raise Refusal(0, "unprovisioned")
        development = ", for development" if info.get("dev") else ""
        self._note("provisioned", OK, f"System {info.get('system_uuid')}, {info.get('state')}{development}")

    def _enter(self, info):
        """The first Pass that opens, and its grant; else the Refusal that says most. Each token tried has a line."""
        refused = []
        for here in access.passes(info, *self._chosen):
            try:
                grant = self._device.call("GET", "/v1/whoami", here.token)
            except Refusal as refusal:
                refused.append((here, refusal))
                if not access.is_of_one_token(refusal):
                    break
                continue
            self._admitted(here.label, grant)
            self._add_lines("token", refused)
            return here, grant
        here, refusal = access.telling(refused) if access.is_of_one_token(refused[-1][1]) else refused[-1]
        self._blame_token(refusal, here)
        self._blame(refusal)
        if len(refused) > 1 or "token" in self.links:
            self._note("token", UNSEEN, "")
            self._add_lines("token", refused, instead=True)
        raise refusal

    def _add_lines(self, name, refused, instead=False):
        """A line for each [(Pass, Refusal)], below what was seen or in its place."""
        link = self.links[name]
        lines = [f"{here.label}: {refusal.code}: {refusal.words}" for here, refusal in refused]
        self.links[name] = link._replace(seen="\n".join(lines if instead else [link.seen, *lines]))

    def _admitted(self, label, grant):
        end = grant.get("exp_unix_s")
        if "exp_unix_s" not in grant:
            self._note("token", OK, f"{label}: opens")
        elif end is not None and end + SKEW_S <= self._now:
            words = f"{label}: opens, though it ended {show.when(end, self._now)} by this machine's clock"
            self._note("token", WEAK, words, _CLOCKS)
        else:
            ends = "never ends" if end is None else f"ends {show.when(end, self._now)}"
            self._note("token", OK, f"{label}: opens, {ends}")
        self._note("roles", OK, "may " + ", ".join(grant.get("permissions") or ["nothing"]))

    def _blame_token(self, refusal, here):
        """A refusal whose cause shows when the token is looked at here."""
        if refusal.code == "bad_signature" and self._verified_here(here.token):
            todo = "let the device reach the broker, or load keys over the serial cable"
            self._note("keys", BROKEN, f"a key set here verifies {here.label}, the device's keys do not", todo)
        elif refusal.code == "not_yet_valid" and self._begun(here.token):
            self._note("clock", BROKEN, "the device's clock is behind", advice("clock_unset"))
        elif refusal.code == "expired" and self._lives(here.token):
            todo = "make a new token; if that is refused too, set the device's time over the serial cable"
            self._note("clock", WEAK, "the device's clock is ahead, or the cloud has cut the token short", todo)
        elif refusal.code == "revoked":
            todo = "make a new token; one that is good in the cloud was dropped by an old list and comes with the next"
            self._note("token", BROKEN, f"{here.label}: revoked: {refusal.words}", todo)

    def _verified_here(self, token):
        try:
            return offline_check.judge(token, Wallet().key_sets()).signature == "good"
        except WalletError:
            return False

    def _begun(self, token):
        start = (claims_of(token) or {}).get("nbf")
        return not answer_shapes.time(start) or start <= self._now

    def _lives(self, token):
        return lives(claims_of(token) or {}, self._now + SKEW_S)

    def _blame(self, refusal):
        if refusal.status:
            self._note("reachable", OK, self._device.url)
        if not any(link.verdict == BROKEN for link in self.links.values()):
            name = _LINK_OF.get(refusal.code, "token")
            self._break(name, f"{refusal.code}: {refusal.words}", refusal.todo)

    def _application(self, passed, grant):
        """The product's own application; in its safe state the device runs without it (A9)."""
        if "read" not in (grant.get("permissions") or []):
            return
        try:
            self._device.call("GET", "/v1/state", passed.token)
            self._note("application", OK, "runs")
            self._release(passed)
        except Refusal as refusal:
            verdict = BROKEN if refusal.code in _FAULTS else UNSEEN
            self._note("application", verdict, f"{refusal.code}: {refusal.words}", refusal.todo)

    def _release(self, passed):
        """A release that may still go back, or that went back; a device without updates says nothing of it."""
        try:
            firmware = self._device.call("GET", "/v1/firmware", passed.token)
        except Refusal:
            return
        if firmware.get("state") == "unproven":
            left = show.span(firmware.get("goes_back_s") or 0)
            words = f"runs {firmware.get('version')}, which is not proven yet: in {left} the release before is back"
            self._weaken(words, _PROVES)
        elif last := firmware.get("last"):
            happened, todo = update_advice(last.get("reason"))
            self._weaken(f"runs {firmware.get('version')}; {last.get('version')} went back: {happened}", todo)

    def _network(self, passed, grant, info):
        newest = self._newest_attempt(passed, grant)
        failed = newest and pairing.failure(newest)
        if newest and newest.get("state") == "joining":
            self._note("network", WEAK, "the device is trying another network or broker", todo_of("attempt_running"))
        elif info.get("state") == "pairing":
            self._in_no_network(failed)
        elif failed:
            words = f"the newest attempt failed: {failed.happened}; the settings before it are back"
            self._note("network", WEAK, words, failed.todo)
        elif newest and newest.get("offline"):
            happened, todo = link_advice(newest["offline"])
            self._note("network", WEAK, f"none now: {happened}", todo)
        elif newest is not None:
            ssid, address = newest.get("ssid"), newest.get("address")
            words = f"in {ssid}, as {address}" if ssid and address else "connected"
            self._note("network", OK, words)

    def _newest_attempt(self, passed, grant):
        """Its Pairing (dict), or None where that cannot be seen."""
        if "configure" not in (grant.get("permissions") or []):
            return None
        try:
            return self._device.call("GET", "/v1/pairing", passed.token)
        except Refusal as refusal:
            return {} if refusal.code == "not_found" else None

    def _in_no_network(self, failed):
        if failed:
            self._break("network", f"none: the newest attempt failed: {failed.happened}", failed.todo)
        else:
            self._note("network", WEAK, "none yet", f"give it one: latchkey pair {self._device.url}")

    def _look_inside(self, passed, grant):
        if "configure" not in (grant.get("permissions") or []):
            return self._unseen_inside("only a token that may configure sees this")
        try:
            facts = self._device.call("GET", "/v1/diagnostics", passed.token)
        except Refusal as refusal:
            if refusal.code in _FAULTS:
                self._break("application", f"{refusal.code}: {refusal.words}", refusal.todo)
            if refusal.code == "plain_http":
                return self._unseen_inside(_CAPPED, _OPEN_ACCESS_POINT)
            return self._unseen_inside(f"{refusal.code}: {refusal.todo}")
        self._faults(facts.get("faults") or {})
        self._stores(facts.get("stores_behind") or [])
        self._memory(facts.get("heap") or {})
        self._clock(facts.get("clock") or {})
        self._keys(facts.get("keys") or {})
        self._cloud(facts.get("cloud") or {}, facts.get("ledger") or {})
        self._dates(facts | (facts.get("cloud") or {}))

    def _dates(self, ends):
        for name, (link, whose, todo) in _DATES.items():
            # Over HTTPS the connection has shown its certificate.
            if not (link == "TLS" and self._device.secure):
                self._ends(link, whose, ends.get(name), todo)

    def _ends(self, name, whose, end_unix_s, todo):
        """A certificate that ends soon makes a link weak; what was seen of it before stays."""
        if end_unix_s is None or end_unix_s > self._now + ENDS_SOON_S:
            return
        words = f"{whose} {'ends' if end_unix_s > self._now else 'ended'} {show.moment(end_unix_s, self._now)}"
        link = self.links[name]
        verdict = WEAK if link.verdict == OK else link.verdict
        todo = "; ".join(filter(None, (link.todo, todo)))
        self.links[name] = Link(name, verdict, f"{link.seen}; {words}", todo)

    def _unseen_inside(self, why, todo=None):
        # It opened, so there are keys, and one of them made this token.
        self._note("keys", OK, "it holds the key that signed the token")
        for name in ("clock", "network", "cloud link"):
            self._note(name, UNSEEN, why, todo)

    def _faults(self, faults):
        if faults.get("count"):
            words = f"runs, with {faults['count']} errors in its program since start, the last: {faults.get('last')}"
            todo = "read the traceback: latchkey board monitor (line numbers: latchkey board deploy --lines)"
            self._weaken(words, todo)

    def _stores(self, behind):
        if behind:
            words = f"runs; a fault of its flash brought back an older state of: {', '.join(map(str, behind))}"
            self._weaken(words, "compare `latchkey device config` with what you set, and set it again")

    def _memory(self, heap):
        """A device that is online holds its own TLS session; below this, another one finds no memory (hw/memory.py)."""
        lowest = heap.get("idf_lowest_bytes")
        if lowest is not None and lowest < SPARE_BYTES:
            words = f"runs, but had only {lowest:,} bytes of memory left outside MicroPython's heap"
            self._weaken(words, "use a frozen image (`latchkey board image`), or leave HTTPS out on this chip")

    def _weaken(self, words, todo):
        """The application runs, but not as it should; what was found to be worse stays."""
        if self.links.get("application", Link(None, OK, None, None)).verdict == OK:
            self.links["application"] = Link("application", WEAK, words, todo)

    def _clock(self, clock):
        floor = clock.get("floor_unix_s") or 0
        ahead_s = floor - self._now
        # The floor of a trusted clock is the clock; of another it may lie in the past.
        if ahead_s > CLOCK_TOLERANCE_S or (clock.get("trusted") and ahead_s < -CLOCK_TOLERANCE_S):
            way = "later" if ahead_s > 0 else "earlier"
            self._note("clock", BROKEN, f"it believes that it is {show.span(ahead_s)} {way} than here", _CLOCKS)
        elif clock.get("trusted"):
            self._note("clock", OK, "set and checked")
        else:
            earliest = show.moment(floor, self._now)
            self._note("clock", WEAK, f"not set; it only knows that it is after {earliest}", advice("clock_unset"))

    def _keys(self, keys):
        held = keys.get("keys") or []
        refused = keys.get("sets_refused")
        words = f"{len(held)} held, from {keys.get('source')}"
        words += f"; {refused} key sets refused, the last as {keys.get('last_refusal')}" if refused else ""
        self._note("keys", OK if held else BROKEN, words, None if held else advice("no_keys"))

    def _cloud(self, link, ledger):
        if ledger.get("unknown") or ledger.get("saved") is False:
            words, more = _UNKNOWN.get(ledger.get("unknown") or "unstored", ("the token list is not known", ""))
            self._note("cloud link", BROKEN, words, advice("ledger_unknown") + more)
        elif link.get("state") == "online":
            heard = ledger.get("heard_unix_s")
            words = f", the list arrived {show.when(heard + HEARD_MARGIN_S, self._now)}" if heard else ""
            self._online("online" + words, ledger)
        else:
            happened, todo = link_advice(link.get("reason") or "nothing")
            lasting = f" for {show.span(self._now - link['since'])}" if link.get("since") is not None else ""
            self._note("cloud link", BROKEN, f"{link.get('state')}{lasting}: {happened}", todo)

    def _online(self, words, ledger):
        todo = advice("ledger_full") if ledger.get("full") else None
        faults = ["the token list is longer than the device can hold"] if todo else []
        if ledger.get("damaged_slots") or ledger.get("damaged_heard_slots"):
            faults.append("a copy of the token list is damaged")
        # One is what a power cut leaves.
        if (ledger.get("outside_behind") or 0) > 1:
            faults.append(f"the note of the token list's age lacks {ledger['outside_behind']} updates")
        todo = todo or (faults and _WORN) or None
        self._note("cloud link", WEAK if faults else OK, "; ".join([words, *faults]), todo)


def examine(host, ca=None, token_file=None, token=None):
    """The Links of one device."""
    with Device(host, ca) as device:
        examination = Examination(device, token_file, token)
        examination.walk()
    return examination.in_order()


def works(links):
    """Whether local calls get through and something carries them out, with or without the cloud."""
    verdicts = {link.name: link.verdict for link in links}
    return verdicts.get("roles") == OK and verdicts.get("application") != BROKEN


def _split(error):
    """(what was seen, what to do) of a text that says both."""
    seen, _, todo = str(error).partition("; ")
    return seen, todo or None
