"""Single bits of a device's flash are flipped, one at a time: what the ledger on real LittleFS makes of each.

    import bit_flips; bit_flips.main(61)       prints a line of JSON for each place of what is kept outside

A device received three lists: the second revokes token 1, the third no longer has token 2. Its settings lie in
the same folder, as on a board; without them the device admits nothing and says ``settings_lost``.
"""

import gc
import json

import lists
from cut_flash import BLOCK_BYTES, CutFlash, mount, unmount
from desk import Outside
from lists import BASE, record
from ram_store import RamOutside
from streams import Bytes

from latchkey.device import config, settings
from latchkey.errors import LatchkeyError
from latchkey.hw.flash import FileStore
from latchkey.ledger import Ledger

BLOCKS = 16
PATH = "/cut"
GOOD, REVOKED = (0, 5, 6), (1, 2)
ADMITTED = ("listed", "unlisted")
OLD = [record(n) for n in (0, 1, 2, 5, 6)]


class Device:
    """``nvs``: what lies outside is not in flash (RamOutside); None: in a folder of its own, as on the desk."""

    def __init__(self, nvs):
        store = FileStore(PATH + "/state", nvs or Outside(PATH + "/outside"))
        self.store, self.nvs = store, nvs
        kept, self.lost = settings.load(store)
        self.provisioned = kept is not None
        self.ledger = Ledger(store, lists.SYSTEM16)

    def hear(self, records, retained, heard):
        try:
            lists.ingest(self.ledger, Bytes(lists.text(records)), retained, heard)
        except LatchkeyError:
            pass

    def states(self):
        return [self.ledger.standing(lists.jti16(n), BASE)[0] for n in GOOD + REVOKED]

    def admits_revoked(self):
        return self.provisioned and [s for s in self.states()[len(GOOD) :] if s in ADMITTED] != []

    def reports(self):
        if not self.provisioned:
            # A folder of the same flash may be lost with the other.
            return self.lost or not self.nvs
        status = self.ledger.status()
        names = ("unknown", "damaged_slots", "damaged_heard_slots", "outside_behind")
        return [name for name in names if status[name]] != []


def image(nvs):
    flash = CutFlash(BLOCKS)
    mount(flash)
    device = Device(nvs)
    made = config.parse(json.dumps({"system_uuid": lists.SYSTEM, "slug": "x"}).encode())
    settings.save(device.store, settings.made_of(made, None, None))
    device.hear(OLD, False, BASE - 60)
    # So that both slots of either kind, and older entries of the directory, hold what was before.
    device.hear(OLD, False, BASE - 50)
    device.hear([dict(r, status="DEACTIVATED") if r["uuid"] == lists.uuid(1) else r for r in OLD], False, BASE - 40)
    newest = [r for r in OLD if r["uuid"] not in (lists.uuid(1), lists.uuid(2))]
    device.hear(newest, False, BASE - 30)
    device.hear(newest, False, BASE + 60)
    unmount()
    return bytes(flash.data)


def judge(data, outside, facts):
    """A device's result for a flash, before and after an old retained list."""
    flash = CutFlash(BLOCKS, data)
    nvs = RamOutside() if outside is not None else None
    if nvs:
        nvs.kept = dict(outside)
    try:
        mount(flash)
    except OSError:
        # The board reports it, and formats flash: nothing is provisioned any more.
        facts["no file system"] += 1
        return
    try:
        device = Device(nvs)
        states = device.states()
        lost = states != ["listed"] * len(GOOD) + ["revoked"] * len(REVOKED) or not device.provisioned
        facts["lost"] += lost
        facts["silent"] += lost and not device.reports()
        facts["admitted"] += device.admits_revoked()
        device.hear(OLD, True, BASE + 90)
        facts["admitted"] += device.admits_revoked()
    finally:
        unmount()


def main(step):
    """One bit of every ``step``-th byte; with 1 all bits of every byte that is not as an erase left it."""
    for kind in (False, True):
        nvs = RamOutside() if kind else None
        data = bytearray(image(nvs))
        facts = {name: 0 for name in ("flips", "lost", "silent", "admitted", "no file system")}
        judge(data, nvs and nvs.kept, facts)
        facts["whole"] = facts["lost"] == facts["admitted"] == 0
        blank = b"\xff" * BLOCK_BYTES
        used = [b for b in range(BLOCKS) if data[b * BLOCK_BYTES : (b + 1) * BLOCK_BYTES] != blank]
        for block in used:
            for at in range(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES, step):
                for bit in range(8) if step == 1 and data[at] != 0xFF else (at // step % 8,):
                    data[at] ^= 1 << bit
                    judge(data, nvs and nvs.kept, facts)
                    data[at] ^= 1 << bit
                    facts["flips"] += 1
            gc.collect()
        facts.update(blocks=len(used), nvs=kind)
        print(json.dumps(facts))
