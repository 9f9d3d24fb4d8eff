"""The self-test of a board: the same table of vectors that the desk's tests walk.

``walk(stream)`` reads selftest.json and tells what differs. Copied to a board and asked by `make selftest`; no part of
the application.
"""

import binascii

from latchkey import b64url, jsonstream, jwk, jws, rsa, sha512, strictjson
from latchkey.errors import LatchkeyError

_ROW_BYTES = 4096
_TABLE_BYTES = 1000000


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
