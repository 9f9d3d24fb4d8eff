"""The self-test of a board, for `latchkey board selftest`. It is sent to the board as text and runs there.

``walk(stream)`` reads the table of vectors that the desk's tests walk, and says what differs. ``image()`` looks at
what `latchkey board image` froze.
"""

import binascii
import hashlib
import struct
import sys

from latchkey import b64url, jsonstream, jwk, jws, rsa, sha512, strictjson
from latchkey.errors import LatchkeyError

_ROW_BYTES = 4096
_TABLE_BYTES = 1000000
# A part of the image in latchkey_image.PARTS: address, size, SHA-256.
_PART_BYTES = 40
# Above this address flash is code, which an ESP32 reads by words only.
_CODE_FROM = 0x40000000
# The flash MMU's tables (one for each core), their entries; a page's entry is the number of its 64 KB of flash (ESP-IDF
# 5.4: soc/esp32/include/soc/dport_reg.h, soc/esp32*/include/soc/ext_mem_defs.h and reg_base.h).
_MMU = {
    "ESP32": ((0x3FF10000, 0x3FF12000), 64),
    "ESP32C3": ((0x600C5000,), 128),
    "ESP32S3": ((0x600C5000,), 512),
}


def walk(stream):
    """``(rows, wrong)`` of the table in ``stream``; ``wrong``: a list of (name, what came instead)."""
    keys = {}
    rows = 0
    wrong = []
    for item in jsonstream.items(stream, None, _ROW_BYTES, _TABLE_BYTES):
        row = strictjson.parse(item)
        got = _outcome(row, keys)
        rows += 1
        if got != row.get("want", ""):  # pyright: ignore[reportAttributeAccessIssue]
            wrong.append((row["name"], got))  # pyright: ignore
    return rows, wrong


def _outcome(row, keys):
    try:
        return _OPS[row["op"]](row, keys)
    except LatchkeyError as exc:
        return exc.code


def _key(row, keys):
    keys[row["name"]] = jwk.parse_key(row["jwk"])
    return ""


def _jws(row, keys):
    held = [keys[name] for name in row["keys"].split()]
    _, payload, _ = jws.verify_compact(row["token"].encode(), held)
    return "" if "payload" not in row or b64url.decode(row["payload"]) == payload else "payload"


def _jwk(row, _keys):
    jwk.parse_key(row["jwk"])
    return ""


def _set(row, _keys):
    found = jwk.parse_key_set(row["text"].encode())
    if found.refused != row["refused"]:
        return "refused %d" % found.refused
    return " ".join([key.kid or "-" for key in found])


def _rsa(row, _keys):
    key = rsa.PublicKey(binascii.unhexlify(row["n"]), row["e"])
    message = binascii.unhexlify(row["message"])
    rsa.verify_pkcs1v15(key, row["hash"], message, binascii.unhexlify(row["signature"]))
    return ""


def _power(row, _keys):
    got = rsa.PublicKey(binascii.unhexlify(row["n"]), row["e"]).power(binascii.unhexlify(row["s"]))
    return "refused" if got is None else binascii.hexlify(bytes(got)).decode()


def _b64url(row, _keys):
    try:
        return binascii.hexlify(b64url.decode(row["text"])).decode()
    except ValueError:
        return "refused"


def _sha2(row, _keys):
    hasher = (sha512.sha384 if row["hash"] == "sha384" else sha512.sha512)()
    for _ in range(row["times"]):
        hasher.update(row["text"].encode())
    return hasher.hexdigest()


_OPS = {
    "key": _key,
    "jws": _jws,
    "jwk": _jwk,
    "set": _set,
    "rsa": _rsa,
    "power": _power,
    "b64url": _b64url,
    "sha2": _sha2,
}


# ---- the image


def image():
    """The state of the image that `latchkey board image` made: a dict, or None on another one.

    ``wrong``: parts whose bytes are not those that were written. ``pages``: [address, number of the page of flash that
    belongs there, entries of the MMU's tables]; no entries where the chip's tables are not known.
    """
    try:
        import latchkey_image as made  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    wrong, addresses = [], []
    for i, name in enumerate(made.NAMES):
        addr, size = struct.unpack_from("<II", made.PARTS, _PART_BYTES * i)
        if _sha256(addr, size) != made.PARTS[_PART_BYTES * i + 8 : _PART_BYTES * (i + 1)]:
            wrong.append(name)
        if addr >= made.FLASH_FROM and addr < _CODE_FROM:
            addresses += [addr, addr + size - 1]
    pages = _pages(made.FLASH_FROM, min(addresses), max(addresses))
    return {"made_from": made.MADE_FROM, "parts": len(made.NAMES), "wrong": wrong, "pages": pages}


def _sha256(addr, size):
    import machine
    import uctypes

    if addr < _CODE_FROM:
        return hashlib.sha256(uctypes.bytearray_at(addr, size)).digest()
    hasher = hashlib.sha256()
    for at in range(addr, addr + size, 4):
        hasher.update(struct.pack("<I", machine.mem32[at] & 0xFFFFFFFF))
    return hasher.digest()


def _pages(flash_from, first, last):
    import esp32
    import machine

    chip = getattr(sys.implementation, "_machine", "").split(" with ")[-1]
    tables, count = _MMU.get(chip, ((), 1))
    running = esp32.Partition(esp32.Partition.RUNNING).info()[2]  # pyright: ignore[reportArgumentType]
    rows = []
    for page in range(first >> 16, (last >> 16) + 1):
        entries = [machine.mem32[table + 4 * (page % count)] for table in tables]
        rows.append([page << 16, (running + (page << 16) - flash_from) >> 16, entries])
    return rows
