"""Runs on the unix port: strict JSON. argv: file of lines, each a text in hexadecimal and what it shows, or refused."""

import sys
from binascii import unhexlify

from latchkey import strictjson
from latchkey.errors import FormatError


def show(value):
    """One text for one value, the same on every interpreter; of a float only that it is one."""
    if isinstance(value, dict):
        return "{" + ",".join([show(k) + ":" + show(value[k]) for k in sorted(value)]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([show(item) for item in value]) + "]"
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        return "s" + "-".join([hex(ord(c)) for c in value])
    return "float" if isinstance(value, float) else str(value)


def outcome(data):
    """The content of ``data``, the same with strings as str and as bytes; or the code of its refusal."""
    shown = [_outcome(data, as_bytes) for as_bytes in (False, True)]
    assert shown[0] == shown[1], (data, shown)
    return shown[0]


def _outcome(data, as_bytes):
    try:
        return show(strictjson.parse(data, as_bytes=as_bytes))
    except FormatError as exc:
        return exc.code


def main():
    count = 0
    with open(sys.argv[1]) as rows:
        for line in rows:
            text, want = line[:-1].split(" ")
            if outcome(unhexlify(text)) != want:
                print("differs", line)
                sys.exit(1)
            count += 1
    print(count)


if __name__ == "__main__":
    main()
