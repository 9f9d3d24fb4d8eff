"""Random histories of a cloud, a lagging broker and a device that loses power, network and clock.

The model is the cloud's true history and has no marks. Never: a token that the cloud revoked, in a list that
this device received, is admitted.
"""

import collections
import json

import lists
import pytest
from fake_clock import FakeClock
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lists import BASE, moment
from ram_store import PowerCut, RamStore
from streams import Bytes

import counts
from latchkey import ledger
from latchkey.errors import FormatError, StoreError
from latchkey.ledger import Ledger
from latchkey.stores.slots import Slots
from latchkey.stores.timefloor import TimeFloor

DAY = 86400
ROLES = [lists.uuid(900 + n) for n in range(3)]
TALLY = collections.Counter()


class Token:
    def __init__(self, n, now, iat, ends):
        self.n = n
        self.created = now
        self.iat = iat
        self.ends = ends
        self.changed = now
        self.roles = list(ROLES)
        self.active = True
        self.gone = False
        self.revoked_at = None  # number of the first list without it, or with it refused

    def record(self, form):
        return lists.record(
            self.n,
            createdAt=moment(self.created, form),
            updatedAt=moment(self.changed, 1) if form != 1 or self.changed != self.created else ...,
            status="ACTIVATED" if self.active else "DEACTIVATED",
            expiresAt=None if self.ends is None else moment(self.ends),
            notBefore=moment(self.iat, 1),
            roles=[{"uuid": r, "name": "r"} for r in self.roles],
            token=lists.token_text(self.n, self.iat),
        )


class Cloud:
    """The true history. ``lists``: every list it published, oldest first: (bytes, jtis in it)."""

    def __init__(self):
        self.now = BASE
        self.tokens = []
        self.lists = []
        self.publish()

    def publish(self):
        standing = [t for t in self.tokens if not t.gone and (t.ends is None or t.ends > self.now)]
        data = json.dumps([t.record(len(self.lists) % 3) for t in reversed(standing)]).encode()
        self.lists.append((data, {t.n for t in standing}))

    def create(self, skew, seconds):
        ends = None if seconds is None else self.now + seconds
        self.tokens.append(Token(len(self.tokens), self.now, self.now + skew, ends))
        self.publish()

    def change(self, which, how):
        if not self.tokens:
            return
        token = self.tokens[which % len(self.tokens)]
        token.changed = self.now
        if how == "status":
            token.active = False
        elif how == "gone":
            token.gone = True
        elif how == "again":
            token.active, token.gone = True, False
        elif how == "extend":
            token.ends = token.ends and token.ends + DAY
        else:
            del token.roles[1:]
        if token.active and not token.gone:
            token.revoked_at = None
        elif token.revoked_at is None:
            token.revoked_at = len(self.lists)
        self.publish()


Received = collections.namedtuple("Received", "number true_unix_s lag_s jtis")


class Device:
    def __init__(self, cloud, bound):
        self.cloud = cloud
        self.bound = bound
        self.store = RamStore(watched=True)
        self.received = []
        self.clock = None
        self.boot()

    def boot(self):
        self.store.cut_after = None
        self.store.readonly = False
        self.clock = FakeClock()
        self.clock.elapsed_ms = self.cloud.now * 1000
        self.floor = TimeFloor(self.store, self.clock, BASE - DAY)
        self.ledger = Ledger(self.store, lists.SYSTEM16, self.bound)

    def set_clock(self, wrong_s):
        self.clock.set_unix_s(self.cloud.now + wrong_s)
        self.floor.source_set()
        self.floor.tls_checked()

    def wait(self, seconds):
        # Ticks are asked for often enough on a device; a long wait here is many short ones.
        self.clock.pass_s(min(seconds, DAY))
        self.floor.floor_unix_s  # noqa: B018
        self.clock.pass_s(max(seconds - DAY, 0) % DAY)
        self.guard(self._tick)

    def _tick(self):
        self.floor.save_if_due()
        self.ledger.save()

    def guard(self, action):
        try:
            action()
        except (StoreError, FormatError):
            pass
        except PowerCut:
            self.boot()

    def listen(self, number, retained, cut=None):
        data, jtis = self.cloud.lists[number]
        heard = self.floor.heard_unix_s()
        stream = Bytes(data if cut is None else data[: len(data) * cut // 100], 999)
        lost = self.ledger.unknown == "damaged"
        found = Received(number, self.cloud.now, max(0, self.cloud.now - heard - 120), jtis)
        try:
            lists.ingest(self.ledger, stream, retained, heard, self.floor.latest_unix_s())
        except StoreError:
            # Its removals count all the same, and after a restart nothing is admitted.
            self.received.append(found)
            raise
        if self.ledger.unknown != "damaged":
            # A ledger that was lost takes live lists, and the very list that was lost.
            self.received.append(found)
            TALLY["recovered by a retained list"] += lost and retained
        self.floor.learn(self.ledger.newest_changed_unix_s)

    def admits(self, token):
        standing = self.ledger.standing(lists.jti16(token.n), token.iat)
        return standing[0], standing


def why(cloud, device, token, state):
    if state == "full":
        return "the list is too long (L7)"
    if state == "unknown":
        return "a list could not be stored (L6)"
    if not device.received or device.received[-1].number < len(cloud.lists) - 1:
        return "the newest list was not received"
    return "dropped by an old list (L5)" if token.n in device.received[-1].jtis else "not in the newest list"


def check(cloud, device):
    for token in cloud.tokens:
        state, standing = device.admits(token)
        admitted = state in ("listed", "unlisted")
        if token.revoked_at is None:
            if token.ends is None or token.ends > cloud.now:
                TALLY["rightful admitted" if admitted else "rightful refused, " + why(cloud, device, token, state)] += 1
            continue
        if not admitted:
            TALLY["revoked refused"] += 1
            continue
        told = [r for r in device.received if r.number >= token.revoked_at]
        if not told:
            TALLY["revoked admitted, never told"] += 1
            continue
        first = told[0]
        seen = any(token.n in r.jtis for r in device.received[: device.received.index(first)])
        if not seen and token.iat > first.true_unix_s - 120 - first.lag_s:
            TALLY["revoked admitted, known limit"] += 1
            continue
        raise AssertionError((token.n, state, standing[3], token.iat - BASE, first.number, first.lag_s, seen))


CHANGES = ("status", "gone", "gone", "again", "extend", "shrink")
WAITS = (0, 1, 9, 61, 119, 121, 600, 3600, DAY, 45 * DAY)
step = st.one_of(
    st.tuples(st.just("create"), st.sampled_from((-1, 0, 1)), st.sampled_from((None, 300, DAY))),
    st.tuples(st.just("change"), st.integers(0, 5), st.sampled_from(CHANGES)),
    st.tuples(st.just("change"), st.integers(0, 5), st.sampled_from(CHANGES)),
    st.tuples(st.just("wait"), st.sampled_from(WAITS)),
    st.tuples(st.just("live")),
    st.tuples(st.just("live")),
    st.tuples(st.just("retained"), st.integers(0, 2)),
    st.tuples(st.just("retained"), st.integers(0, 12)),
    st.tuples(st.just("live cut"), st.integers(1, 99)),
    st.tuples(st.just("power cut"), st.integers(0, 9), st.integers(0, 3)),
    st.tuples(st.just("readonly"), st.integers(0, 3)),
    st.tuples(st.just("restart"), st.booleans()),
    st.tuples(st.just("rot"), st.sampled_from(("ledger.0", "ledger.1", "heard.0", "heard.1")), st.booleans()),
    st.tuples(st.just("all gone")),
    st.tuples(st.just("outside gone")),
    st.tuples(st.just("off"), st.sampled_from((1, 600, DAY, 45 * DAY, 500 * DAY))),
    st.tuples(st.just("clock"), st.sampled_from((0, 0, 0, 30, -30, -90, 3600, -3600, -DAY, 40 * DAY))),
)


def play(cloud, device, move):
    name, rest = move[0], move[1:]
    newest = len(cloud.lists) - 1
    if name == "create":
        cloud.create(*rest)
    elif name == "change":
        cloud.change(*rest)
    elif name == "wait":
        cloud.now += rest[0]
        device.wait(rest[0])
    elif name == "live":
        device.guard(lambda: device.listen(newest, False))
    elif name == "retained":
        device.guard(lambda: device.listen(max(0, newest - rest[0]), True))
    elif name == "live cut":
        device.guard(lambda: device.listen(newest, False, rest[0]))
    elif name == "power cut":
        device.store.cut_after = rest[0]
        device.guard(lambda: device.listen(max(0, newest - rest[1]), rest[1] > 0))
        device.store.cut_after = None
    elif name == "readonly":
        device.store.readonly = True
        device.guard(lambda: device.listen(max(0, newest - rest[0]), rest[0] > 0))
        device.store.readonly = False
    elif name == "off":
        cloud.now += rest[0]
        device.boot()
    elif name == "clock":
        device.set_clock(rest[0])
    else:
        spoil(device, name, rest)


def spoil(device, name, rest):
    if name == "restart":
        if rest[0]:
            device.guard(device.floor.save)
        device.boot()
    elif name == "rot":
        data = device.store.files.pop(rest[0], b"")
        if rest[1] and data:
            device.store.files[rest[0]] = data[:-1] + bytes([data[-1] ^ 1])
        device.boot()
    elif name == "all gone":
        for kind in ("ledger.0", "ledger.1", "heard.0", "heard.1"):
            device.store.files.pop(kind, None)
        device.boot()
    else:
        # One fault at a time: what was lost is still known from outside alone.
        if device.ledger.unknown not in ("damaged", "unstored"):
            device.store.outside.kept.clear()
        device.boot()


def tell(small, moves):
    """``small``: a device that holds 2 tokens and 2 refusals."""
    TALLY["histories"] += 1
    ledger._LEDGER_REFUSALS = 2 if small else 32
    cloud = Cloud()
    device = Device(cloud, 2 if small else 128)
    for n, move in enumerate(moves):
        play(cloud, device, move)
        try:
            check(cloud, device)
        except AssertionError as exc:
            raise AssertionError(f"{exc} after {small, moves[: n + 1]}") from None


def histories(how_many, **more):
    options = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    wrapped = given(st.booleans(), st.lists(step, min_size=30, max_size=60))(tell)
    settings(max_examples=how_many, **options, **more)(wrapped)()


def test_no_revoked_token_of_a_received_list_is_ever_admitted():
    TALLY.clear()
    histories(counts.get("histories"))
    for what, count in sorted(TALLY.items()):
        print(f"{count:8d} {what}")
    assert TALLY["revoked refused"] > 100 and TALLY["rightful admitted"] > 100
    assert TALLY["recovered by a retained list"] > 0


def _believe_old_lists(self, retained, *times):
    return BEGIN(self, False, *times)


def _never_hear(self, retained, _heard, latest):
    return BEGIN(self, retained, 0, latest)


def _forget_the_far(self):
    held, self._held = self._held, b""
    SETTLE(self)
    self._held = held


def _recover_by_any(self, retained, *times):
    return BEGIN(self, retained and not self._lost, *times)


def _nothing(*_args):
    pass


BEGIN = Ledger.begin
SETTLE = ledger._List.settle
WEAKER = {
    "old lists have their full say": (Ledger, "begin", _believe_old_lists),
    "what lies after the marks leaves no trace": (ledger._List, "settle", _forget_the_far),
    "heard stands still": (Ledger, "begin", _never_hear),
    "a ledger that was lost takes any retained list": (Ledger, "begin", _recover_by_any),
    "nothing is kept outside": (Slots, "take_note", _nothing),
    "records that were left out leave no trace": (ledger._List, "_widen_gap", _nothing),
}


@pytest.mark.parametrize("rule", WEAKER)
def test_a_weaker_rule_is_found_out(rule, monkeypatch):
    monkeypatch.setattr(*WEAKER[rule])
    with pytest.raises(AssertionError):
        histories(2000, phases=[Phase.generate])
