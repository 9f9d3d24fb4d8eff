"""The power goes before, in the middle of and after every program and erase of an update of each store.

    import power_cuts; power_cuts.main(3)         prints a line of JSON for each story

Runs on the unix port with real LittleFS. After each cut the file system is mounted anew: the store must hold the
whole old or the whole new state, and the next update must work.
"""

import gc
import json
import os

import lists
import old_layout
from cut_flash import CutFlash, mount, unmount
from desk import Outside
from fake_clock import FakeClock
from keys import key
from lists import BASE, record
from streams import Bytes

from latchkey import keystore, ledger
from latchkey.device import config, credentials, settings
from latchkey.errors import LatchkeyError
from latchkey.hw.flash import FileStore
from latchkey.stores import slots as slots_
from latchkey.stores import timefloor

BLOCKS = 24
PATH = "/cut"


class Keys:
    """Three key sets, the first of them in the factory's place in stories that begin with an empty flash."""

    def __init__(self, store):
        self.kept = keystore.KeyStore(store, [key(0)])

    def state(self):
        return [k.kid for k in self.kept.keys]

    def step(self, n):
        self.kept.replace([key(10 * n), key(10 * n + 1, None, "RS512", 4096)])


class Tokens:
    """Lists that each revoke, narrow and add."""

    def __init__(self, store):
        self.kept = ledger.Ledger(store, lists.SYSTEM16)

    def state(self):
        found = [self.kept.unknown]
        for n in range(12):
            for iat in range(BASE + 1, BASE + 16001, 1000):
                state, start, end, role_hashes = self.kept.standing(lists.jti16(n), iat)
                found.append((state, start, end, len(role_hashes)))
        return found

    def step(self, n):
        records = [record(m, created=BASE + m) for m in range(n % 6, 10)]
        records[0]["status"] = "DEACTIVATED"
        records[1]["expiresAt"] = lists.moment(BASE + 500 + n)
        records[2]["roles"] = records[2]["roles"] * n
        records.insert(0, record(10 + n, created=BASE + 1000 * n))
        lists.ingest(self.kept, Bytes(lists.text(records)), n > 1, BASE + 1000 * n)


class Heard(Tokens):
    """The same list again and again: only the mark moves."""

    def step(self, n):
        records = [record(m, created=BASE + m) for m in range(10)]
        lists.ingest(self.kept, Bytes(lists.text(records)), True, BASE + 1000 * n)


class Floor:
    def __init__(self, store):
        self.kept = timefloor.TimeFloor(store, FakeClock(), BASE)

    def state(self):
        return self.kept.floor_unix_s

    def step(self, n):
        self.kept.learn(BASE + 1000000 * n)
        self.kept.save()


class Settings:
    """A network, its passphrase and the record of its attempt change as one."""

    def __init__(self, store):
        self._store = store
        self.kept = self

    def state(self):
        found = settings.load(self._store)[0]
        return found and [found["config"]["wifi"]["ssid"], found["wifi_passphrase"], found["attempt"]["ssid"]]

    def step(self, n):
        settings.save(self._store, self.document(n))

    def document(self, n):
        made = config.parse(json.dumps({"system_uuid": lists.SYSTEM, "slug": "x", "issuer": "i" * 200}).encode())
        found = settings.made_of(dict(made, wifi={"ssid": f"net {n}"}), f"secret {n}", None)
        found["attempt"]["ssid"] = f"net {n}"
        return found


class Alone(Settings):
    """The same, with nothing left of what was there before."""

    def step(self, n):
        settings.save(self._store, self.document(n), True)


class Secret:
    def __init__(self, store):
        self._store = self.kept = store

    def state(self):
        return credentials.load(self._store)["key_der"]

    def step(self, n):
        credentials.save(self._store, {"key_der": b"%d" % n * 1200})


class Healing(Tokens):
    """The slot to be written holds garbage."""

    spoilt = ("ledger.0", "ledger.1")


STORIES = (Keys, Tokens, Heard, Healing, Floor, Settings, Alone, Secret)


class TurnedRound(slots_.Slots):
    """The control: the valid slot is erased before its replacement is written."""

    def update(self, *parts):
        if self.slot is not None:
            self._store.remove(self._paths[self.slot])
        slots_.Slots.update(self, *parts)


def turn_round():
    for module in (keystore, ledger, timefloor, settings, credentials):
        module.Slots = TurnedRound


def store():
    """A folder that is watched from another one, as the desk has it."""
    return FileStore(PATH + "/state", Outside(PATH + "/outside"))


def _image(story, steps):
    """Flash after the first ``steps`` updates, each in a boot of its own, and the state it holds."""
    flash = CutFlash(BLOCKS)
    for n in range(steps):
        mount(flash)
        story(store()).step(n + 1)
        unmount()
    mount(flash)
    if steps > 1 and hasattr(story, "spoilt"):
        with open(PATH + "/state/" + story.spoilt[steps % 2], "wb") as file:
            file.write(b"garbage" * 30)
    state = story(store()).state()
    unmount()
    return bytes(flash.data), state


def _cut(story, image, step, at, part):
    """One update with a cut; returns the flash and whether the power did go."""
    flash = CutFlash(BLOCKS, image)
    mount(flash)
    flash.operations = 0
    flash.cut_at, flash.part = at, part
    try:
        story(store()).step(step)
    except LatchkeyError:
        pass
    unmount()
    return flash, flash.dead


def _check(story, flash, step, old, new):
    """The fault after the cut, or None."""
    after = CutFlash(BLOCKS, flash.data)
    mount(after)
    try:
        kept = story(store())
        found = kept.state()
        if found != old and found != new:
            return "neither old nor new"
        kept.step(step)
        wanted = kept.state()
        if story(store()).state() != wanted:
            return "the next update did not work"
    finally:
        unmount()
    return None


def run(story, steps):
    """Every cut of update number ``steps + 1``."""
    image, old = _image(story, steps)
    _, new = _image(story, steps + 1)
    cuts, lost, at, gone = 0, 0, 0, True
    while gone:
        for part in (0, 1, 2):
            flash, gone = _cut(story, image, steps + 1, at, part)
            if not gone:
                break
            wrong = _check(story, flash, steps + 2, old, new)
            cuts += 1
            lost += wrong is not None
        at += 1
        gc.collect()
    return {"story": story.__name__, "after": steps, "cuts": cuts, "lost": lost, "differ": old != new}


def first_start():
    """Every cut of the first start that finds what an earlier version kept."""
    flash = CutFlash(BLOCKS)
    mount(flash)
    wanted = Settings(None).document(1)
    old_layout.write(store(), wanted["config"], wanted["wifi_passphrase"])
    wanted = dict(wanted, ap_passphrase="on the label", trust=old_layout.RECORD["trust"])
    wanted["attempt"] = old_layout.RECORD["trial"]
    unmount()
    image, cuts, lost, gone = bytes(flash.data), 0, 0, True
    while gone:
        for part in (0, 1, 2):
            flash = CutFlash(BLOCKS, image)
            mount(flash)
            flash.operations, flash.cut_at, flash.part = 0, cuts // 3, part
            settings.load(store())
            unmount()
            gone = flash.dead
            lost += not _migrated(flash, wanted)
            cuts += 1
        gc.collect()
    return {"story": "first start", "after": 0, "cuts": cuts, "lost": lost, "differ": True}


def _migrated(flash, wanted):
    mount(CutFlash(BLOCKS, flash.data))
    try:
        found = settings.load(store())[0]
        return found == wanted and [n for n in os.listdir(PATH + "/state") if n[:-2] != "settings"] == []
    finally:
        unmount()


def main(steps, control=False):
    """``steps``: after how many updates at most; 3 sees the first, one into the second slot, and overwriting both."""
    if control:
        turn_round()
    for story in STORIES:
        for before in range(steps + 1):
            print(json.dumps(run(story, before)))
    if not control:
        print(json.dumps(first_start()))
