"""The power goes before, in the middle of and after every program and erase of an update of each store.

    import power_cuts; power_cuts.main(3)         prints a line of JSON for each story

Runs on the unix port with real LittleFS. After each cut the file system is mounted anew: the store must hold the
whole old or the whole new state, and the next update must work.
"""

import gc
import json

import lists
from cut_flash import CutFlash, mount, unmount
from desk import Outside
from fake_clock import FakeClock
from keys import key
from lists import BASE, record
from streams import Bytes

from latchkey import keystore, ledger
from latchkey.device import config, settings
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
                s = self.kept.standing(lists.jti16(n), iat)
                found.append((s.state, s.start_unix_s, s.end_unix_s, len(s.role_hashes)))
        return found

    def step(self, n):
        records = [record(m, created=BASE + m) for m in range(n % 6, 10)]
        records[0]["status"] = "DEACTIVATED"
        records[1]["expiresAt"] = lists.moment(BASE + 500 + n)
        records[2]["roles"] = records[2]["roles"] * n
        records.insert(0, record(10 + n, created=BASE + 1000 * n))
        self.kept.ingest(Bytes(lists.text(records)), n > 1, BASE + 1000 * n)


class Heard(Tokens):
    """The same list again and again: only the mark moves."""

    def step(self, n):
        records = [record(m, created=BASE + m) for m in range(10)]
        self.kept.ingest(Bytes(lists.text(records)), True, BASE + 1000 * n)


class Floor:
    def __init__(self, store):
        self.kept = timefloor.TimeFloor(store, FakeClock(), BASE)

    def state(self):
        return self.kept.floor_unix_s

    def step(self, n):
        self.kept.learn(BASE + 1000000 * n)
        self.kept.save()


class Config:
    def __init__(self, store):
        self.kept = config.ConfigStore(store)

    def state(self):
        found = self.kept.load()
        return found and found["name"]

    def step(self, n):
        document = {"system_uuid": lists.SYSTEM, "slug": "x", "name": f"name {n}", "issuer": "i" * 200}
        self.kept.save(json.dumps(document).encode())


class Secret:
    def __init__(self, store):
        self.kept = config.CredentialStore(store)

    def state(self):
        return self.kept.load()["key_der"]

    def step(self, n):
        self.kept.save({"key_der": b"%d" % n * 1200})


class Healing(Tokens):
    """The slot to be written holds garbage."""

    spoilt = ("ledger.0", "ledger.1")


class Network:
    """Its name, its passphrase and the record of its attempt stand in three stores and change as one."""

    def __init__(self, store):
        self._store = store

    def state(self):
        made, credentials, changes = settings.load(self._store)
        return [made and made["wifi"]["ssid"], credentials["wifi_passphrase"], changes["attempt"]["ssid"]]

    def step(self, n):
        made = config.parse(json.dumps({"system_uuid": lists.SYSTEM, "slug": "x"}).encode())
        made["wifi"] = {"ssid": f"net {n}"}
        attempt = dict(settings.idle(), ssid=f"net {n}")
        changes = {"attempt": attempt, "trust": {"changes": 0, "last": []}}
        settings.commit(self._store, config=made, wifi_passphrase=f"secret {n}", changes=changes)


STORIES = (Keys, Tokens, Heard, Healing, Floor, Config, Secret)


class TurnedRound(slots_.Slots):
    """The control: what counts goes before what replaces it stands."""

    def writer(self):
        if self.slot is not None:
            self._store.remove(self._paths[self.slot])
        return slots_.Slots.writer(self)


def turn_round():
    for module in (keystore, ledger, timefloor, config):
        module.Slots = TurnedRound
    # And without its journal.
    settings.commit = lambda store, **parts: settings._carry_out(store, parts)


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
    """What is wrong after the cut, or None."""
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


def main(steps, control=False):
    """``steps``: after how many updates at most; 3 sees the first, one into the second slot, and overwriting both."""
    if control:
        turn_round()
    for story in STORIES + (Network,):
        for before in range(steps + 1):
            print(json.dumps(run(story, before)))
