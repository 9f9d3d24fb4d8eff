"""Python's json held to the strictness of latchkey.strictjson: hooks for its ``loads``, and the depth of a value."""

import re


class Loose(Exception):
    pass


def loose(*_):
    raise Loose


def pairs(members):
    if len({name for name, _ in members}) != len(members):
        raise Loose
    return dict(members)


def integer(text):
    return int(text) if len(text.lstrip("-")) <= 19 else loose()


def number(text):
    whole = re.match(r"-?(\d+)", text)[1]
    return float(text) if len(whole) <= 19 and len(text) <= 32 and abs(float(text)) < 1e38 else loose()


def depth(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def fits(value):
    """Whether it is nested as deep, and has as many values, as the firmware takes."""
    return depth(value) <= 6 and values(value) <= 192


def values(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(values, inner))
