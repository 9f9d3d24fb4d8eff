"""The data about updates on a device: one record, and the maker's two keys, in slots of their own (K1).

The record: ``counter sha256 version`` of the newest release that was good; ``set_counter`` of the newest key set with
a manifest (latchkey.api.keys); ``sent``: the release that was switched to and is not good yet
(``place counter sha256 version reason``) or None; ``last``: the result of the last one (``result version reason``) or
None. Both counters are noted outside the folder too, so that an older folder that comes back does not lower them.
"""

import json
import struct

from latchkey.errors import NOT_STORED, KeySetError
from latchkey.jwk import Key
from latchkey.keystore import pack, unpack
from latchkey.limits import const
from latchkey.stores.slots import Slots

_MOST_BYTES = const(2048)
_KEYS_BYTES = const(2048)
_NOTED = "<II"
_COUNTERS = ("counter", "set_counter")
_NEW = {"counter": 0, "sha256": "", "set_counter": 0}  # of a key that has signed nothing yet


def load(store):
    """The record (dict), of a new device if there is none."""
    slots = _slots(store)
    found = dict(_NEW, version="", sent=None, last=None)
    data = slots.read(_MOST_BYTES)
    try:
        found.update(json.loads(bytes(data)) if data else {})
    except (ValueError, TypeError):
        pass
    if len(slots.note) == struct.calcsize(_NOTED):
        for name, noted in zip(_COUNTERS, struct.unpack(_NOTED, slots.note)):
            found[name] = max(found[name], noted)
    return found


def save(store, record):
    """Keep ``record``; StoreError: nothing has changed."""
    slots = _slots(store)
    slots.note = struct.pack(_NOTED, *[record[name] for name in _COUNTERS])
    slots.write(json.dumps(record).encode())


def keys(store):
    """``[release key, recovery key]`` (jwk.Key); one, or none, where they were not provisioned. None at all if an older
    folder came back: the release key in it may be one that was withdrawn."""
    slots = _key_slots(store)
    data = None if slots.behind else slots.read(_KEYS_BYTES)
    try:
        return unpack(data) if data else []
    except (KeySetError, ValueError):
        return []


def key_counter(held):
    """Of the manifest that brought the release key; 0 for one that came over the serial cable."""
    return int(held[0].kid or 0) if held else 0


def replace_release_key(store, key, counter, held):
    """``key`` and its counter in the place of the first of ``held``. StoreError: all is as before. For another key the
    counters begin anew, and first: the key that leaked may have signed the highest."""
    kept, slots = load(store), _key_slots(store)
    if key.public_key.n_be != held[0].public_key.n_be:
        slots.write(pack(held))  # A full flash refuses this, and could not take the counters back later.
        save(store, dict(kept, **_NEW))
    try:
        slots.write(pack([Key(str(counter), key.public_key, key.alg), held[1]]))
    except NOT_STORED:
        save(store, kept)
        raise


def set_over_cable(store, held):
    """The keys that the serial cable brings. Counters begin anew: they were those of the keys before."""
    _key_slots(store).write(pack([Key(None, key.public_key, key.alg) for key in held]), both=True)
    save(store, dict(load(store), **_NEW))


def _slots(store):
    return Slots(store, "update", b"u", True)


def _key_slots(store):
    return Slots(store, "update_keys", b"m", True)
