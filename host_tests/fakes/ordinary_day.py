"""An ordinary day of the stores on real LittleFS: what it costs in erases and programs.

    import ordinary_day; ordinary_day.main()      prints one line of JSON

A reconnect every 10 minutes brings the retained key set and the retained list again; 20 tokens; 20 changes through the
day come live; the clock is trusted after the first handshake. Every message is applied as the loop does it.
"""

import json

import lists
from cut_flash import CutFlash, mount
from fake_clock import FakeClock
from keys import key
from lists import BASE, record
from ram_store import RamOutside
from streams import Bytes

from latchkey.hw.flash import FileStore
from latchkey.keystore import KeyStore
from latchkey.ledger import Ledger
from latchkey.stores.timefloor import TimeFloor

BLOCKS = 64
MINUTE = 60


class Device:
    def __init__(self):
        # The values outside the store are in NVS on a chip, so they are not counted here.
        store = FileStore("/cut", RamOutside())
        self.clock = FakeClock(BASE)
        self.floor = TimeFloor(store, self.clock, BASE)
        self.keys = KeyStore(store)
        self.ledger = Ledger(store, lists.SYSTEM16)

    def reconnect(self, records):
        self.floor.source_set()
        self.floor.tls_checked()
        self.keys.replace([key(1), key(2)], self.clock.now_ms())
        self.listen(records, True)

    def listen(self, records, retained):
        data = Bytes(lists.text(records))
        lists.ingest(self.ledger, data, retained, self.floor.heard_unix_s(), self.floor.latest_unix_s())
        self.floor.learn(self.ledger.newest_changed_unix_s)

    def tick(self, seconds):
        self.clock.pass_s(seconds)
        self.keys.save_if_due(self.clock.now_ms())
        self.floor.save_if_due()


def _change(records, n, now):
    """Every kind of change in turn: a new token, one revoked, one extended, one gone."""
    if n % 4 == 0:
        records.insert(0, record(100 + n, created=now))
    elif n % 4 == 1:
        records[5].update(status="DEACTIVATED", updatedAt=lists.moment(now))
    elif n % 4 == 2:
        records[7].update(expiresAt=lists.moment(now + 86400), updatedAt=lists.moment(now))
    else:
        records.pop()


def main():
    flash = CutFlash(BLOCKS)
    mount(flash)
    device = Device()
    records = [record(n) for n in range(20)]
    device.reconnect(records)
    device.tick(MINUTE)
    before = flash.programs, flash.erases
    changes = 0
    for minute in range(1440):
        if minute % 10 == 0:
            device.reconnect(records)
        if minute % 72 == 36:
            _change(records, changes, int(device.clock.unix_s()))
            device.listen(records, False)
            changes += 1
        device.tick(MINUTE)
    facts = {"programs": flash.programs - before[0], "erases": flash.erases - before[1], "changes": changes}
    # Whether what is held is what was said.
    facts["right"] = all(
        device.ledger.standing(lists.jti16(n), BASE)[0] == wanted for n, wanted in _wanted(records).items()
    )
    print(json.dumps(facts))


def _wanted(records):
    wanted = {n: "revoked" for n in range(120)}
    for n in wanted:
        for r in records:
            if r["uuid"] == lists.uuid(n) and r["status"] == "ACTIVATED":
                wanted[n] = "listed"
    return wanted
