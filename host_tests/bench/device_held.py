"""Runs on the 32-bit interpreter: what a bulb's device holds beside its modules, once its loop turns.

The device is provisioned over the stand-in of its serial cable and has a list of 20 tokens. Wi-Fi, sockets, TLS and
threads are stand-ins that hold nothing. Each function is a step of its own: this interpreter collects garbage between
two steps only.
"""

import asyncio
import binascii
import gc
import io
import json
import os
import sys

from ram_store import RamStore

_TURNS = 5
_TOKENS = 20


class _Standin:
    """Every attribute of it is another one."""

    def __getattr__(self, _name):
        return _Standin()

    def __getitem__(self, _index):
        return _Standin()

    def __call__(self, *_arguments, **_options):
        return _Standin()


class _Flash:
    """In the place of latchkey.hw.flash: this interpreter's file system has error numbers of its own."""

    store = RamStore(watched=True)

    @staticmethod
    def FileStore(_path, _outside):
        return _Flash.store

    @staticmethod
    def tried(act, *arguments):
        return act(*arguments)


class _Pause:
    """The result of ``asyncio.sleep``: one turn of the loop."""

    def __iter__(self):
        self.over = False
        return self

    def __next__(self):
        if self.over:
            raise StopIteration
        self.over = True


def furnish(names):
    """Stand-ins of what this interpreter lacks; ``esp32``, ``machine`` and ``network`` are those of the tests."""
    for name in names:
        sys.modules[name] = _Standin()
    os.urandom = bytes  # random enough for the pauses between two tries
    sys.modules["latchkey.hw.flash"] = _Flash
    _enlarge_table_of_names()
    asyncio.sleep = asyncio.sleep_ms = lambda _time: _Pause()
    asyncio.create_task = lambda coroutine: coroutine
    asyncio.get_event_loop = _Standin()


def _made(n):
    setattr(_Flash, f"name{n}", None)
    return f"name{n}"


def _enlarge_table_of_names():
    """It doubles when it is full, by 9 KB and more at once, which one name too many would show as the device's."""
    n, room = 0, gc.mem_alloc()
    while gc.mem_alloc() - room < 16 * 1024:
        room = gc.mem_alloc()
        delattr(_Flash, _made(n))
        n += 1


def provision(document):
    """Store the document at that path and a list of tokens; prints what flash holds then."""
    import cable

    cable.provision(document)
    import lists
    from board_config import Board

    from latchkey.ledger import Ledger

    board = Board()
    records = lists.text([lists.record(n) for n in range(_TOKENS)])
    lists.ingest(Ledger(board.store, lists.SYSTEM16, board.ledger_tokens), io.BytesIO(records), False, lists.BASE)
    print(json.dumps([_as_text(_Flash.store.files), _as_text(_Flash.store.outside.kept)]))


def _as_text(files):
    return {name: binascii.hexlify(data).decode() for name, data in files.items()}


def unpack(path):
    """Fill the flash with what ``provision`` printed, which is in the file at ``path``."""
    with open(path) as file:
        files, outside = json.load(file)
    for kept, texts in ((_Flash.store.files, files), (_Flash.store.outside.kept, outside)):
        for name, text in texts.items():
            kept[name] = binascii.unhexlify(text)


def start():
    """Build the device as a chip does, let its loop turn a few times, and keep it."""
    import main

    def turn(loop):
        for _ in range(_TURNS):
            loop.send(None)
        kept.append(loop)
        raise KeyboardInterrupt

    asyncio.run = turn
    try:
        main.run()
    except KeyboardInterrupt:
        pass


kept = []
