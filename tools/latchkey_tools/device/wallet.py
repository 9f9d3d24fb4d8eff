"""The technician's wallet: tokens, key sets to check them with, labels and the newest trip, in one file of this user's
alone.

The folder is LATCHKEY_WALLET, or ``latchkey`` in the user's data folder; mode 0700, its file 0600. A wallet that others
can read is not used. Every change is written beside the old file and renamed over it, under a lock.
"""

import contextlib
import errno
import fcntl
import json
import math
import os
import re
import shlex
import stat
import time
from collections import namedtuple
from pathlib import Path

import platformdirs

from latchkey_tools import folders, uuids
from latchkey_tools.cli import show
from latchkey_tools.device import answer_shapes
from latchkey_tools.sim.pki import write_private
from latchkey_tools.sim.signing import unb64url

FILE_NAME = "wallet.json"
PREFIX = "CLOUD-"
_FORM = re.compile(r"CLOUD-[\w-]+\.[\w-]+\.[\w-]*", re.A)
# Every place where a token's header may begin: base64url of `{` and what JSON has after it.
_HEADER = re.compile(r"(?=(e[yw][\w-]{6,700})\.[\w-])", re.A)
_NAMED = re.compile(r'"uuid"\s*:\s*"(?:urn:uuid:)?\{?([0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12})\}?"', re.A | re.I)
_BEGINNING = re.compile(r"CLOUD-ey[\w-]{6}", re.A | re.I)
# labels: {System UUID: Label}; trip: what `latchkey trip` packed last, or None
_EMPTY = {"version": 2, "tokens": [], "key_sets": {}, "labels": {}, "trip": None}
_OLD_VERSION = 1

# replaces: uuids of the tokens that this one is to replace once the device has accepted it
Entry = namedtuple("Entry", "uuid name token added_unix_s replaces", defaults=((),))
# The text of a device's label, without its System UUID.
Label = namedtuple("Label", "name host access_point ap_passphrase")


class WalletError(Exception):
    """The wallet cannot do that; the text says what to do and holds no token."""


class Unsafe(Exception):
    """Refused, since a secret would be seen by others; the text says what to do."""


def default_folder():
    named = os.environ.get("LATCHKEY_WALLET")
    return Path(named) if named else platformdirs.user_data_path("latchkey", appauthor=False)


class Wallet:
    """``entries()``, ``key_sets()``, ``labels()`` and ``trip()`` read it as it is now; the other calls change it.

    ``clock`` gives Unix seconds.
    """

    def __init__(self, folder=None, clock=time.time):
        self.folder = Path(folder or default_folder())
        self.path = self.folder / FILE_NAME
        self.clock = clock

    def entries(self):
        """Every token, the newest addition last."""
        return [_entry(kept) for kept in self._read()["tokens"]]

    def key_sets(self):
        """{name: JWKS dict}."""
        return self._read()["key_sets"]

    def labels(self):
        """{System UUID: Label}."""
        return {system: Label(**kept) for system, kept in self._read()["labels"].items()}

    def trip(self):
        """The dict that ``keep_trip`` kept, or None."""
        return self._read()["trip"]

    def add(self, token, name=None, replaces=()):
        """Keep a token under a name nobody else has; returns its Entry. One with the same uuid is replaced.

        ``replaces``: uuids of tokens that ``settle`` removes later.
        """
        claims = claims_of(token)
        if claims is None:
            raise WalletError("this is not a token: it begins with CLOUD- and has three parts")
        with self._changing() as content:
            jti = uuids.canonical(claims["jti"])
            others = [kept for kept in content["tokens"] if uuids.folded(kept["uuid"]) != jti]
            entry = Entry(jti, _free_name(name or jti[:8], others), token, int(self.clock()), tuple(replaces))
            content["tokens"] = [*others, entry._asdict()]
        return entry

    def check_writable(self):
        """Raises what ``add`` would raise: the wallet is written as it is, on the way that a change takes."""
        with self._changing():
            pass

    def find(self, word):
        """The Entry of that name, uuid, or beginning of a uuid; WalletError if there is not exactly one."""
        entries = self.entries()
        exact = [e for e in entries if word == e.name or uuids.folded(word) == e.uuid]
        found = exact or [e for e in entries if uuids.begins(e.uuid, word)]
        if len(found) == 1:
            return found[0]
        if found:
            raise WalletError(f"{len(found)} tokens begin with {word}; write more of the uuid")
        raise WalletError(f"no token is called {word}; `latchkey token list` shows them")

    def remove(self, entry):
        with self._changing() as content:
            content["tokens"] = [kept for kept in content["tokens"] if uuids.folded(kept["uuid"]) != entry.uuid]

    def settle(self, entry, may_go=lambda old: True):
        """Remove the tokens that ``entry`` replaces, as far as ``may_go(Entry)``; returns their Entries.

        With the last of them their name becomes free, and the new token takes it: scripts go on with ``--token NAME``.
        """
        with self._changing() as content:
            kept = [_entry(one) for one in content["tokens"]]
            old = [one for one in kept if one.uuid in entry.replaces]
            gone = [one for one in old if may_go(one)]
            left = tuple(one.uuid for one in old if one not in gone)
            name = gone[0].name if gone and not left else entry.name
            new = entry._replace(name=name, replaces=left)
            rest = [new if one.uuid == entry.uuid else one for one in kept if one not in gone]
            content["tokens"] = [one._asdict() for one in rest]
        return gone

    def keep_keys(self, name, key_set):
        """Keep a JWKS (dict) under ``name``, in place of what had that name."""
        with self._changing() as content:
            content["key_sets"][name] = key_set

    def keep_labels(self, labels):
        """Keep {System UUID: Label} beside the labels that are there; a System's newer label replaces the older."""
        with self._changing() as content:
            content["labels"] |= {system: label._asdict() for system, label in labels.items()}

    def keep_trip(self, trip):
        """Keep a trip (dict) in place of the one before."""
        with self._changing() as content:
            content["trip"] = trip

    def fitting(self, system_uuid):
        """Entries for a System, the best to try first: not expired, then the one made last."""
        return self.fitting_each([system_uuid])[system_uuid]

    def fitting_each(self, system_uuids):
        """{System UUID: the same} for several, of one reading."""
        now = self.clock()
        found = [(claims_of(e.token) or {}, e) for e in self.entries()]
        found.sort(key=lambda pair: _rank(pair[0], now), reverse=True)
        fits = {}
        for claims, entry in found:
            for system in dict.fromkeys(systems_of(claims)):
                fits.setdefault(system, []).append(entry)
        return {one: fits.get(uuids.folded(one), []) if isinstance(one, str) else [] for one in system_uuids}

    def systems(self):
        """System UUIDs that some token here is for, in the order of the wallet."""
        seen = {system: None for e in self.entries() for system in systems_of(claims_of(e.token) or {})}
        return list(seen)

    def _read(self):
        try:
            _refuse_if_open(self.folder, 0o700)
            _refuse_if_open(self.path, 0o600)
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return json.loads(json.dumps(_EMPTY))
        except (ValueError, RecursionError):
            content = None
        content = _as_of_now(content)
        if isinstance(content, dict) and content.get("version") not in (None, _EMPTY["version"]):
            raise WalletError(f"{self.path} was written by another version of this command; update this one")
        if not _is_sound(content):
            raise WalletError(f"{self.path} is damaged; move it away to start with an empty wallet")
        return content

    @contextlib.contextmanager
    def _changing(self):
        """The content, written back whole if the block ends well; one change at a time on this machine."""
        folders.make(self.folder)
        _refuse_if_open(self.folder, 0o700)
        with open(os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR, 0o600), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = self._read()
            yield content
            # With indent CPython takes its encoder in Python: 2.5 ms for 100 tokens, and not 0.7.
            self._write(json.dumps(content).encode())

    def _write(self, data):
        """All or nothing, a power cut included: the new file is on the disk before it takes the old one's name."""
        part = self.path.with_suffix(".part")
        write_private(part, data)
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, self.path)


def holds_token(text):
    """Whether ``text`` holds a token, with its CLOUD- or without, or the beginning of one."""
    return bool(_BEGINNING.search(text)) or any(_is_header(found[1]) for found in _HEADER.finditer(text))


def claims_of(token):
    """The claims a token makes (dict), unverified; None if it does not even look like one."""
    if not _FORM.fullmatch(token):
        return None
    try:
        claims = _decoded(token.split(".")[1])
        uuids.canonical(claims["jti"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return claims


def systems_of(claims):
    """The System UUIDs that ``aud`` names, in the form in which they are compared."""
    aud = claims.get("aud")
    return [uuids.folded(a) for a in (aud if isinstance(aud, list) else [aud]) if isinstance(a, str)]


def is_for(claims, system_uuid):
    return isinstance(system_uuid, str) and uuids.folded(system_uuid) in systems_of(claims)


def roles_of(claims):
    """Names of the roles; a role without one by its UUID."""
    roles = claims.get("roles")
    named = [r for r in roles if isinstance(r, dict)] if isinstance(roles, list) else []
    return [str(r.get("name") or r.get("uuid")) for r in named]


def lives(claims, now_unix_s):
    """Whether a token has not ended; one whose end is not a time is refused by devices."""
    end = claims.get("exp")
    return end is None or answer_shapes.time(end) and end > now_unix_s


def end_words(claims, now_unix_s):
    """ "ends in 3 hours", "ended 2 days ago"; "never ends" only of a token that says so."""
    end = claims.get("exp")
    if end is None:
        return "never ends"
    if not answer_shapes.time(end):
        return "has an unreadable end"
    return f"{'ends' if end > now_unix_s else 'ended'} {show.when(end, now_unix_s)}"


def uuid_in(answer):
    """The uuid of the token in a GraphQL answer (bytes), even one that is cut off or has errors too; or None."""
    text = answer.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        text = json.dumps(json.loads(text).get("data"))
    made = [claims_of(token) for token in _FORM.findall(text)]
    named = [claims["jti"] for claims in made if claims] + _NAMED.findall(text)
    return uuids.canonical(named[0]) if named else None


def _decoded(segment):
    """The JSON in a base64url segment; ValueError or RecursionError. Values that JSON cannot write become texts."""
    return json.loads(unb64url(segment), parse_constant=str, parse_float=_finite)


def _finite(text):
    """The float in a JSON number, or ``text`` where it is beyond all floats."""
    return float(text) if math.isfinite(float(text)) else text


def _is_header(segment):
    try:
        return isinstance(_decoded(segment), dict)
    except (ValueError, RecursionError):
        return False


def _entry(kept):
    """The Entry of a dict of the wallet's file."""
    return Entry(**(kept | {"uuid": uuids.folded(kept["uuid"]), "replaces": tuple(kept["replaces"])}))


def _as_of_now(content):
    """The content of the file's first version in the form of this one; anything else unchanged."""
    if not isinstance(content, dict) or content.get("version") != _OLD_VERSION:
        return content
    if not isinstance(content.get("tokens"), list):
        return content
    tokens = [{**kept, "replaces": []} if isinstance(kept, dict) else kept for kept in content["tokens"]]
    return {"labels": {}, "trip": None} | content | {"version": _EMPTY["version"], "tokens": tokens}


def _is_sound(content):
    """Whether the wallet's file holds what this module writes."""
    if not isinstance(content, dict) or content.keys() != _EMPTY.keys():
        return False
    tables = (content["key_sets"], content["labels"])
    if not isinstance(content["tokens"], list) or not all(isinstance(table, dict) for table in tables):
        return False
    if not isinstance(content["trip"], dict | None) or not all(map(_is_label, content["labels"].values())):
        return False
    return all(map(_is_entry, content["tokens"])) and all(isinstance(one, dict) for one in content["key_sets"].values())


def _is_label(kept):
    return _has_texts(kept, Label._fields) and kept.keys() == set(Label._fields)


def _is_entry(kept):
    if not _has_texts(kept, ("uuid", "name", "token")) or kept.keys() != set(Entry._fields):
        return False
    replaces = kept["replaces"]
    is_list = isinstance(replaces, list) and all(isinstance(one, str) for one in replaces)
    return is_list and type(kept["added_unix_s"]) is int


def _has_texts(kept, names):
    return isinstance(kept, dict) and all(isinstance(kept.get(name), str) for name in names)


def _rank(claims, now_unix_s):
    made = claims.get("iat")
    return lives(claims, now_unix_s), made if type(made) is int else 0


def _free_name(name, others):
    taken = {kept["name"] for kept in others}
    numbered = (f"{name}-{n}" for n in range(2, len(taken) + 3))
    return name if name not in taken else next(n for n in numbered if n not in taken)


def _refuse_if_open(path, mode):
    found = path.stat().st_mode
    if stat.S_ISREG(found) and mode & 0o100:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    if found & 0o077:
        raise Unsafe(f"others can read {path}; if that did no harm, `chmod {mode:o} {shlex.quote(str(path))}`")
