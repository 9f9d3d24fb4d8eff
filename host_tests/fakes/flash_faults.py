"""The stores on a real LittleFS when it is full, read-only, or has garbage in one of its blocks.

import flash_faults; flash_faults.main()      prints a line of JSON for each story and fault
"""

import gc
import json

from cut_flash import BLOCK_BYTES, CutFlash, mount, unmount
from power_cuts import BLOCKS, PATH, STORIES, _image, store

from latchkey.errors import StoreError

STEPS = 5
_ENOSPC = 28  # MicroPython's errno module lacks it
_NOISE = bytes([(i * 167 + (i >> 8) * 59 + 13) & 0xFF for i in range(BLOCK_BYTES)])


def fill():
    """Write until the file system is full, byte by byte at the end."""
    for n, size in enumerate((4096, 512, 64, 8, 1)):
        with open(PATH + f"/filler{n}", "wb") as file:
            try:
                while True:
                    file.write(b"x" * size)
                    file.flush()
            except OSError as exc:
                if exc.errno != _ENOSPC:
                    raise


def _attempt(story, step):
    try:
        story(store()).step(step)
    except StoreError as exc:
        return exc.code
    return None


def refused(story, full):
    """One update of a full or a read-only file system, and one once there is room again."""
    image, old = _image(story, STEPS)
    _, new = _image(story, STEPS + 1)
    flash = CutFlash(BLOCKS, image)
    mount(flash)
    if full:
        fill()
    unmount()
    mount(flash, readonly=not full)
    code = _attempt(story, STEPS + 1)
    unmount()
    mount(flash)
    state = story(store()).state()
    if full:
        _empty()
    again = _attempt(story, STEPS + 2)
    unmount()
    fault = "full" if full else "readonly"
    found = {"story": story.__name__, "fault": fault, "code": code, "again": again}
    # A list that was received and not stored: after the restart the ledger admits nothing (L6).
    return dict(found, old=state == old or _closed(state), new=state == new)


def _empty():
    import os

    for n in range(5):
        os.remove(PATH + f"/filler{n}")


def _damaged(kept):
    found = kept.kept.status() if hasattr(kept.kept, "status") else {}
    return [name for name in found if name.startswith("damaged") and found[name]] or getattr(kept.kept, "damaged", ())


def garbage(story):
    """Every block in turn holds zeros, ones or noise."""
    history = [_image(story, n) for n in range(STEPS + 1)]
    image = history[-1][0]
    result = {name: 0 for name in ("newest", "older", "nothing", "silent", "wrong")}
    result.update(story=story.__name__, fault="garbage")
    for block in range(BLOCKS):
        for fill in (b"\x00" * BLOCK_BYTES, b"\xff" * BLOCK_BYTES, _NOISE):
            flash = CutFlash(BLOCKS, image)
            flash.view[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES] = fill
            _judge(story, flash, [state for _, state in history], result)
            gc.collect()
    return result


def _judge(story, flash, states, result):
    try:
        mount(flash)
    except OSError:
        # No file system at all, which the board reports; the factory's keys are what is left.
        pass
    try:
        watched = store()
        kept = story(watched)
        state = kept.state()
        if state == states[-1]:
            result["newest"] += 1
        elif state == states[0] or _closed(state):
            result["nothing"] += 1
        else:
            result["older" if state in states else "wrong"] += 1
            result["silent"] += not (_damaged(kept) or watched.behind)
    finally:
        unmount()


def _closed(state):
    """A ledger that knows of its loss and admits nothing."""
    return isinstance(state, list) and state[0] == "damaged" and not [s for s in state[1:] if s[0] == "listed"]


def main():
    for story in STORIES:
        print(json.dumps(refused(story, True)))
        print(json.dumps(refused(story, False)))
        print(json.dumps(garbage(story)))
