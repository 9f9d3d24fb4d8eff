"""The cloud's public keys: in RAM, in flash, and those of the factory (K1 to K3).

Kept as raw ``n`` and ``e``. A new set is in force in RAM at once; a burst of changes reaches flash after a pause.
The caller decides who may replace keys (K4, policy ``keys``).
"""

import struct

from latchkey.errors import KeySetError
from latchkey.jwk import Key, counts, parse_key_set
from latchkey.limits import KEYS_HELD, KID_CHARS, RSA_MAX_BITS, const
from latchkey.rsa import PublicKey
from latchkey.stores.slots import Slots

_KEYS_PAUSE_MS = const(2000)
_ALGS = const((None, "RS256", "RS512"))
_HEAD = const("<HBIH")  # bytes of kid (0xFFFF: none), alg, e, bytes of n
_HEAD_BYTES = const(9)
_NO_KID = const(0xFFFF)
_MAX_BYTES = 5 + KEYS_HELD * (_HEAD_BYTES + 4 * KID_CHARS + RSA_MAX_BITS // 8)
_DAY_S = const(86400)


class KeyStore:
    """``factory_keys``: list of ``jwk.Key`` from outside the file system, used while the store holds none. ``dev``:
    whether keys of the simulator count, in flash as everywhere (A10).

    ``.keys``: list of ``jwk.Key``; ``.generation``: int, rises when they change; ``.source``: "flash", "factory",
    "cloud" (not yet in flash) or "none". ``.heard_unix_s``: when the broker or the serial cable brought a
    set last, 0 for never (K4).
    """

    def __init__(self, store, factory_keys=None, dev=True):
        self._slots = Slots(store, "keys", b"k", True)
        self._changed_ms = self._refused = 0
        self._last_refusal = None
        self.generation = self.heard_unix_s = self._noted_unix_s = 0
        self.keys = self._load(dev)
        self.source = "flash" if self.keys else "none"
        if not self.keys and factory_keys:
            self.keys = list(factory_keys)[:KEYS_HELD]
            self.source = "factory"

    def replace(self, keys, now_ms=None, heard_unix_s=None):
        """Use these keys instead (K2), which the broker or the serial cable brought at ``heard_unix_s``; False if they
        are the same.

        ``keys``: list of ``jwk.Key``; the first 8 count. An empty one: KeySetError("no_usable_key"), the old ones stay.
        With ``now_ms`` (of the clock) flash follows by ``save_if_due``; without, before this returns, or StoreError and
        the old ones stay in force.
        """
        if not keys:
            self.refuse("no_usable_key")
            raise KeySetError("no_usable_key")
        if heard_unix_s is not None:
            self.heard_unix_s = heard_unix_s
        keys = list(keys)[:KEYS_HELD]
        changed = _facts(keys) != _facts(self.keys)
        if not changed:
            keys = self.keys  # in the order that flash has
        if now_ms is None:
            self._write(keys)
            self.source = "flash"
        elif changed or self.source == "factory" or self._is_out_of_date():
            # The first set waits for no other: a device that loses it in a power cut opens to nobody.
            self._changed_ms = now_ms if self.keys else now_ms - _KEYS_PAUSE_MS
            self.source = "cloud"
        self.keys = keys
        self.generation += changed
        return changed

    def refuse(self, code):
        """Count a key set that was not taken, and why (K2)."""
        self._refused += 1
        self._last_refusal = code

    def save_if_due(self, now_ms):
        """Write what changed once nothing has for a while; True if it did. StoreError: tried again after a pause."""
        if self.source != "cloud" or now_ms - self._changed_ms < _KEYS_PAUSE_MS:
            return False
        self._changed_ms = now_ms
        self.save()
        return True

    def save(self):
        """Write what changed now, as before a planned restart. StoreError leaves RAM as it is."""
        if self.source == "cloud":
            self._write(self.keys)
            self.source = "flash"

    def status(self):
        """For diagnostics; no key material but ``kid``s."""
        return {
            "source": self.source,
            "keys": [
                {"kid": key.kid, "alg": key.alg, "bits": key.public_key.bits, "e": key.public_key.e}
                for key in self.keys
            ],
            "saved": self.source != "cloud",
            "generation": self.generation,
            "sets_refused": self._refused,
            "last_refusal": self._last_refusal,
            "damaged_slots": list(self._slots.damaged),
        }

    def _is_out_of_date(self):
        """Whether the moment on flash is a day away; the serial cable may set the clock back."""
        return abs(self.heard_unix_s - self._noted_unix_s) >= _DAY_S

    def _write(self, keys):
        packed = pack(keys)
        kept = self._slots.read(_MAX_BYTES) or b""
        # A burst may end where it began.
        if self._is_out_of_date() or packed != kept[: len(packed)]:
            self._slots.write(packed, struct.pack("<I", self.heard_unix_s))
            self._noted_unix_s = self.heard_unix_s

    def _load(self, dev):
        try:
            payload = self._slots.read(_MAX_BYTES)
            if not payload:
                return []
            keys = unpack(payload)
            # The first version stored no moment.
            self.heard_unix_s = self._noted_unix_s = int.from_bytes(payload[len(pack(keys)) :][:4], "little")
            keys = [key for key in keys if counts(key, dev)]
            if not keys:
                self.refuse("no_usable_key")
            return keys
        except (KeySetError, ValueError):
            self.refuse("store_damaged")
            return []


def factory_keys(data, dev):
    """The usable keys of a JWKS (bytes) that the maker wrote outside the file system; None if there are none."""
    try:
        return parse_key_set(data, dev) if data else None
    except KeySetError:
        return None


def pack(keys):
    """Bytes of a list of keys, as flash and factory hold them."""
    parts = [bytes([len(keys)])]
    for key in keys:
        kid = None if key.kid is None else key.kid.encode()
        n_be = key.public_key.n_be
        size = _NO_KID if kid is None else len(kid)
        parts.append(struct.pack(_HEAD, size, _ALGS.index(key.alg), key.public_key.e, len(n_be)))
        parts.append(kid or b"")
        parts.append(n_be)
    return b"".join(parts)


def unpack(data):
    """The keys in ``data`` (bytes-like); ValueError or KeySetError if it is not what ``pack`` made."""
    keys = []
    at = 1
    for _ in range(data[0]):
        if len(data) < at + _HEAD_BYTES:
            raise ValueError("keys")
        kid_bytes, alg, e, n_bytes = struct.unpack(_HEAD, data[at : at + _HEAD_BYTES])
        at += _HEAD_BYTES
        kid = None
        if kid_bytes != _NO_KID:
            kid = str(data[at : at + kid_bytes], "utf-8")
            at += kid_bytes
        if alg >= len(_ALGS) or len(data) < at + n_bytes:
            raise ValueError("keys")
        keys.append(Key(kid, PublicKey(data[at : at + n_bytes], e), _ALGS[alg]))
        at += n_bytes
    return keys


def _facts(keys):
    """Two lists of the same keys, in whatever order, have the same."""
    return {(k.kid, k.public_key.n_be, k.public_key.e, k.alg) for k in keys}
