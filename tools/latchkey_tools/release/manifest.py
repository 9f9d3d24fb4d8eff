"""The file to hand around: a manifest, a newline, the payload. The manifest is a compact JWS (RFC 7515 section 7.1)
with a ``typ`` of its own, so that no token passes as one.

    made = signed(RELEASE, members, sign, "RS256", payload)       bytes of a file
    found = read(path)                                            a File; ValueError for any other file
"""

import base64
import hashlib
import json
import re
from collections import namedtuple
from pathlib import Path

from latchkey_tools import reading
from latchkey_tools.release import payload
from latchkey_tools.release.keys import HASHES, fits
from latchkey_tools.sim.signing import b64url

RELEASE, KEYS, RELEASE_KEY = TYPES = "latchkey-release", "latchkey-keys", "latchkey-release-key"
# The bounds of a device (firmware/latchkey/update/manifest.py).
MOST_BYTES = 2048
MOST_COUNTER = 2**31 - 1

_OF_PAYLOAD = {"counter": int, "size": int, "sha256": str}
_MEMBERS = {
    RELEASE: {"product": str, "boards": list, "kind": str, "version": str, "room": int, **_OF_PAYLOAD},
    KEYS: {"slug": str, "issuer": str | None, "iat": int, **_OF_PAYLOAD},
    RELEASE_KEY: {"counter": int, "n": str, "e": str},
}

# path: where it is; typ: of TYPES; members: dict of the manifest; line: its bytes; payload: bytes; alg: its algorithm
File = namedtuple("File", "path typ members line payload alg")


def text(name, value):
    """``value`` if a device takes such a text in a manifest; ValueError, which calls it ``name``."""
    if not re.fullmatch(r"[!-~]{1,1024}", value):
        raise ValueError(f"{name} {value[:40]!r}: write letters, digits and signs of ASCII, without blanks")
    return value


def described(data):
    """The members that say what a payload (bytes) is."""
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def signed(typ, members, sign, alg, data=b"", public=None, other=None):
    """The bytes of a file. ``sign``: as of keys; ``public``: the key that the signature must fit, or None; ``other``:
    one that it must not fit."""
    signing_input = f"{_part({'alg': alg, 'typ': typ})}.{_part(members)}".encode()
    signature = sign(signing_input)
    if public and not fits(public, alg, signing_input, signature):
        raise ValueError("the signature is not of the key in --public: sign with the private key that belongs to it")
    if other and fits(other, alg, signing_input, signature):
        raise ValueError("the new release key is the recovery key: make another one, and keep the recovery key offline")
    line = signing_input + b"." + b64url(signature).encode()
    if len(line) > MOST_BYTES:
        raise ValueError(f"the manifest has {len(line)} bytes, and a device takes {MOST_BYTES}; shorten its texts")
    return line + b"\n" + data


def read(path):
    """The File at ``path``, of which neither signature nor payload is checked; ValueError, OSError."""
    content = reading.content(path)
    line, end, data = content.partition(b"\n")
    try:
        parts = [_bytes(part) for part in line.split(b".")]
        header, members = map(json.loads, parts[:2])
        typ, alg = header["typ"], header["alg"]
        good = end and len(line) <= MOST_BYTES and len(parts) == 3 and alg in HASHES and _whole(typ, members)
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise ValueError(f"{path} is not a file that `latchkey release` made; check which file it is")
    return File(Path(path), typ, members, line, data, alg)


def fault(file):
    """The fault of a File's payload, in words; None if it is whole."""
    members = file.members
    if file.typ == RELEASE_KEY:
        return "bytes follow its manifest" if file.payload else None
    if len(file.payload) != members["size"]:
        return f"it has {len(file.payload):,} bytes of {members['size']:,}"
    if hashlib.sha256(file.payload).hexdigest() != members["sha256"]:
        return "its SHA-256 is not that of its manifest"
    try:
        if members.get("kind") == "files":
            payload.listed(file.payload)
    except ValueError as problem:
        return str(problem)
    return None


def whole(path, *types):
    """The File at ``path`` if it is whole and of one of ``types``; else ValueError."""
    file = read(path)
    if file.typ not in types:
        raise ValueError(f"{path} {_USE[file.typ]}")
    if wrong := fault(file):
        raise ValueError(f"{path} is damaged: {wrong}; get it again")
    return file


_USE = {
    RELEASE: "is a release; give it to `latchkey device update`",
    KEYS: "is a signed key set; give it to `latchkey device keys`",
    RELEASE_KEY: "is a new release key; give it to `latchkey device update`",
}


def is_of(file, key):
    """Whether the owner of a public key has signed a File."""
    signing_input, _, signature = file.line.rpartition(b".")
    return fits(key, file.alg, signing_input, _bytes(signature))


def _whole(typ, members):
    shape = _MEMBERS[typ]
    return isinstance(members, dict) and all(_fits(members.get(name), kind) for name, kind in shape.items())


def _fits(value, kind):
    if kind is list and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        return False
    return isinstance(value, kind) and not isinstance(value, bool)


def _part(value):
    return b64url(json.dumps(value, separators=(",", ":")).encode())


def _bytes(part):
    # b64decode takes the + and / of the other alphabet too.
    if not re.fullmatch(rb"[\w-]*", part):
        raise ValueError("this is not base64url")
    return base64.b64decode(part + b"=" * (-len(part) % 4), b"-_", validate=True)
