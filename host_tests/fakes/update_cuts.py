"""The power goes before, in the middle of and after every program and erase of a whole update.

    import update_cuts; update_cuts.main("facts.json", every, step)      prints a line of JSON for each story

The device is the real one over stand-ins of radio and link, the starter that of boards/common/start/. One run of a
story writes down every operation on the flash; what a cut leaves is what the operations before it made.
``facts.json``: see host/test_update_cuts.py. ``every``: after so many cuts the next update is tried too. ``step``: of
so many operations in a row the power goes at one.
"""

import gc
import json
import os
import sys

from cut_flash import BLOCK_BYTES, CutFlash, mount, unmount
from desk import Outside
from fake_radio import FakeRadio
from flash_faults import fill
from keys import key
from lists import BASE, ingest, jti16, record, text
from program_slots import Chip, Partition
from setting_up import NOW, Board, FakeClock
from setting_up import provisioned as settled
from streams import Bytes
from updating import Body, Updated

from latchkey import jwk
from latchkey.device import credentials
from latchkey.hw.flash import FileStore
from latchkey.update import folders, programs
from latchkey.update import record as record_

PATH = "/cut"
OLD, NEW, NEXT = "1.0.0", "2.0.0", "3.0.0"


class Journal(CutFlash):
    """Writes every operation to ``done``, which several may share: (which flash, where, bytes)."""

    def __init__(self, blocks, data, done, which):
        CutFlash.__init__(self, blocks, data)
        self.done, self.which = done, which

    def _operate(self, at, buf):
        self.done.append((self.which, at, bytes(buf)))
        return CutFlash._operate(self, at, buf)


class Runs(KeyboardInterrupt):
    """The starter started a release. Of what ends one, the starter lets only the console's interrupt pass."""


class Reset(BaseException):
    """The starter restarted the board."""


class Main:
    def run():
        raise Runs


class Machine:
    PWRON_RESET = 1
    cause = 1

    def reset_cause():
        return Machine.cause

    def reset():
        raise Reset

    def WDT(timeout):
        pass


def quiet(*_words):
    """The starter's print: what is printed here is read as JSON."""


def store():
    return FileStore(PATH + "/state", Outside(PATH + "/outside"))


def provision(update_keys):
    """Settings, keys, credentials, a ledger, and the maker's keys."""
    kept = store()
    for name, data in settled("Old").files.items():
        file = kept.create(name)
        file.write(data)
        file.close()
    credentials.save(kept, {"key_der": b"\x30key", "cert_der": b"\x30cert", "ca_der": b"\x30ca"})
    record_.set_over_cable(kept, [jwk.parse_key(members) for members in update_keys])
    device = Updated(board(kept, None))
    device.keystore.replace([key(0), key(1)])
    ingest(device.ledger, Bytes(text([record(n, created=BASE + n) for n in range(8)])), False, BASE)


def board(kept, carrier):
    made = Board(kept, FakeRadio(), FakeClock(NOW))
    made.fitted = carrier
    return made


def survivors(device):
    """The data that every update keeps."""
    held = device.credentials
    standing = [device.ledger.standing(jti16(n), BASE + n)[0] for n in range(9)]
    return [device.config, device.settings["trust"], [k.kid for k in device.keystore.keys], standing, repr(held)]


class Files:
    """Folders on one flash. ``release``: version to {"line", "payload"}."""

    kind = "files"

    def __init__(self, facts, images=None, done=None):
        self.releases, self.starter = facts["releases"], facts["starter"]
        self._blocks = facts["blocks"]
        self.flash = [Journal(self._blocks, images and images[0], [] if done is None else done, 0)]
        mount(self.flash[0], PATH)
        self._installed = {version: unpacked(found["payload"]) for version, found in self.releases.items()}

    def install(self):
        """A good release in a; in b one that went before it and has other files."""
        for folder, mark, version in (("b", "1\n", NEXT), ("a", "2\n", OLD)):
            for name, data in self._installed[version].items():
                make_folders(PATH + "/" + folder + "/" + name)
                put(PATH + "/" + folder + "/" + name, data)
            put(PATH + "/" + folder + "/release", mark.encode())

    def start(self, power=False):
        """Run the starter until a release runs; its carrier, None if none does."""
        Machine.cause = Machine.PWRON_RESET if power else 2
        unmount()
        mount(self.flash[0], PATH)
        while True:
            path = sys.path[:]
            os.chdir(PATH)
            try:
                for source in self.starter:
                    exec(source, {"__name__": "__main__", "print": quiet})
                return None
            except Runs:
                return folders.running()
            except Reset:
                Machine.cause = 2
            finally:
                sys.path[:] = path
                os.chdir("/")

    def runs(self, carrier):
        """Version of the release that runs, if it is whole; else None."""
        for version, files in self._installed.items():
            if self._holds(PATH + "/" + carrier.running[0], files):
                return version
        return None

    def _holds(self, folder, files):
        try:
            return all([get(folder + "/" + name) == data for name, data in files.items()])
        except OSError:
            return False

    def end(self):
        unmount()


class Slots:
    """Programs in two slots, and the stores on a flash of their own."""

    kind = "image"

    def __init__(self, facts, images=None, done=None):
        done = [] if done is None else done
        images = images or (None, None)
        self.releases = facts["programs"]
        self._whole = {version: get(found["payload"]) for version, found in self.releases.items()}
        self.chip = Partition._chip = Chip(facts["slot_blocks"], data=images[1])
        slots = Journal(self.chip.flash.blocks, self.chip.flash.data, done, 1)
        self.chip.flash = slots
        self.flash = [Journal(24, images[0], done, 0), slots]
        mount(self.flash[0], PATH)

    def install(self):
        self.flash[1].view[2 * BLOCK_BYTES : 2 * BLOCK_BYTES + len(self._whole[OLD])] = self._whole[OLD]
        self.chip.start()

    def start(self, power=False):
        unmount()
        mount(self.flash[0], PATH)
        self.chip.start()
        return programs.Programs(Partition(Partition.RUNNING))

    def runs(self, carrier):
        for version, data in self._whole.items():
            if bytes(self.chip.view(self.chip.running)[: len(data)]) == data:
                return version
        return None

    def end(self):
        unmount()


def put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def get(path):
    with open(path, "rb") as file:
        return file.read()


def make_folders(path):
    for at in range(len(PATH) + 1, len(path)):
        if path[at] == "/":
            try:
                os.mkdir(path[:at])
            except OSError:
                pass


def unpacked(path):
    """Name to bytes of a payload of files."""
    head, _, content = get(path).partition(b"\n\n")
    files = {}
    for line in head.split(b"\n"):
        _, size, name = line.split(b" ")
        files[name.decode()], content = content[: int(size)], content[int(size) :]
    return files


def send(place, device, version):
    found = place.releases[version]
    data = found["line"].encode() + b"\n" + get(found["payload"])
    return device.put("", body=Body(data))[0]


def good(place):
    """Sent, started, online, started again."""
    device = Updated(board(store(), place.start()))
    device.link.state = "online"
    device.turn()
    Updated(board(store(), place.start()))


def crashed(place):
    """Sent, and no start of it lasts."""
    for _ in range(4):
        carrier = place.start()
    Updated(board(store(), carrier))


def crashed_on_a_full_flash(place):
    """The same where nothing has room any more: the starter's count is rewritten in place."""
    place.start()
    fill()
    for _ in range(3):
        carrier = place.start()
    Updated(board(store(), carrier))


def not_good(place):
    """Sent, and neither online nor asked for fifteen minutes."""
    device = Updated(board(store(), place.start()))
    device.board.clock.pass_s(901)
    device.turn()
    Updated(board(store(), place.start()))


def journal(kind, facts, images, ends):
    """(operations of the story, how many of them until it was sent, version that runs in the end)."""
    done = []
    place = kind(facts, images, done)
    device = Updated(board(store(), place.start(True)))
    status = send(place, device, NEW)
    if status != 202:
        raise ValueError(status, device.response.body)
    sent = len(done)
    ends(place)
    last = place.runs(place.start())
    place.end()
    return done, sent, last


def wrong(kind, facts, images, before, again, found):
    """The fault of a device whose power went, or None; ``found`` counts what runs."""
    place = kind(facts, images)
    try:
        carrier = place.start(True)
        version = place.runs(carrier) if carrier else None
        if version not in (OLD, NEW):
            return "no whole release"
        found["old" if version == OLD else "new"] += 1
        device = Updated(board(store(), carrier))
        if survivors(device) != before:
            return "something is lost"
        status, answer = device.call("GET", "/v1/firmware")
        if status != 200 or version == OLD and answer["state"] != "good":
            return "no answer"
        device.link.state = "online"
        device.turn()
        device = Updated(board(store(), place.start()))
        if place.runs(device.carrier) != version or device.firmware()["state"] != "good":
            return "it does not stay"
        if device.firmware()["counter"] != (2 if version == NEW else 0):
            return "the counter is wrong"
        if again and (send(place, device, NEXT) != 202 or place.runs(place.start()) != NEXT):
            return "the next update does not work"
    finally:
        place.end()
    return None


def installed(kind, facts):
    """The flash of a provisioned device, and the part of it that every update keeps."""
    place = kind(facts)
    place.install()
    provision(facts["keys"])
    before = survivors(Updated(board(store(), place.start(True))))
    images = [bytes(flash.data) for flash in place.flash]
    place.end()
    return images, before


def full(path):
    """Print which release runs after three crashes on a full flash."""
    facts = ready(path)
    print(json.dumps(journal(Files, facts, installed(Files, facts)[0], crashed_on_a_full_flash)[2]))


def cuts(kind, facts, ends, every, step):
    images, before = installed(kind, facts)
    done, sent, last = journal(kind, facts, images, ends)
    state = [bytearray(data) for data in images]
    found = {"story": kind.kind + " " + ends.__name__, "operations": len(done), "cuts": 0, "lost": 0, "ends": last}
    found["old"] = found["new"] = 0
    for n, (which, at, data) in enumerate(done):
        # Every story begins with the same upload: its cuts count once. Counted from ``sent``, every story has some.
        cut = (n - sent) % step == 0 and (ends is good or n >= sent)
        for size in (0, len(data) // 2) if cut else ():
            torn = [bytearray(part) for part in state]
            torn[which][at : at + size] = data[:size]
            if size:
                torn[which][at + size] &= 0x5A
            judge(kind, facts, torn, before, every, found)
        state[which][at : at + len(data)] = data
    judge(kind, facts, state, before, every, found)
    return found


def judge(kind, facts, images, before, every, found):
    why = wrong(kind, facts, images, before, found["cuts"] % every == 0, found)
    found["cuts"] += 1
    if why:
        found["lost"] += 1
        found.setdefault("why", why)
    gc.collect()


def main(path, every, step=1, control=False):
    """``control``: the file `release` is written before the contents."""
    facts = ready(path)
    if control:
        turn_round()
    for kind, ends in ((Files, good), (Files, crashed), (Files, not_good), (Slots, good), (Slots, not_good)):
        print(json.dumps(cuts(kind, facts, ends, every, step)))
        if control:
            return


def ready(path):
    sys.modules["machine"], sys.modules["main"], sys.modules["boot"] = Machine, Main, Machine
    with open(path) as file:
        return json.load(file)


def turn_round():
    inner = folders.Folders.begin

    def begin(self, manifest):
        name = inner(self, manifest)
        folders._keep(self._other, name[1:])
        return name

    folders.Folders.begin = begin
