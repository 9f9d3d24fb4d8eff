"""NAME=VALUE words and the configuration of a device. Judging values is the device's; here they only get their types.

body_of(["policy.plain_http=read", "roles.Installer=control"], config)     the body of PATCH /v1/config
"""

from latchkey_tools.device import answer_shapes

# The others are plain texts.
_NUMBERS = ("broker.port", "policy.skew_s")
_LISTS = ("hosts", "ntp")
_OBJECTS = ("broker", "policy", "roles")
# For completion.
SETTABLE = ("name", "hosts", "slug", "issuer", "ntp", "roles", "broker.host", "broker.port")
SETTABLE += ("policy.unlisted", "policy.clock_unset", "policy.keys", "policy.plain_http", "policy.skew_s")
_NAMES = ("name", "slug", "issuer", "model", "system_uuid", "dev", *_LISTS, *_OBJECTS)


def body_of(words, config):
    """The dict to send. ``config``: the configuration in force. ValueError names a wrong word."""
    body = {}
    for word in words:
        path, equals, text = word.partition("=")
        top, _, member = path.partition(".")
        if not equals:
            raise ValueError(f"{word[:80]}: write NAME=VALUE")
        _check_name(top, member)
        if not member:
            body[top] = _value(top, text)
        elif top == "roles":
            # The device replaces them whole, so that one of them takes the others along.
            _set_role(body.setdefault(top, dict(config.get(top) or {})), member, text)
        else:
            body.setdefault(top, {})[member] = _value(path, text)
    return body


def _check_name(top, member):
    if top == "wifi":
        raise ValueError("the network changes by `latchkey pair`, which tries it before it is kept")
    if top not in _NAMES or (member and top not in _OBJECTS):
        raise ValueError(f"there is no setting {top[:40]}; there are {', '.join(_NAMES)}")


def _set_role(roles, name, text):
    """An empty value takes it out."""
    if text == "":
        roles.pop(name, None)
    else:
        roles[name] = text


def _value(path, text):
    if path in _NUMBERS:
        return _number(text)
    if path in _LISTS:
        return _list(path, text)
    if path in _OBJECTS:
        return _json(path, text, dict, '{"...": ...}')
    if path == "issuer" and text in ("", "null"):
        return None
    return {"true": True, "false": False}.get(text, text) if path == "dev" else text


def _number(text):
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _list(path, text):
    if text.startswith("["):
        return _json(path, text, list, '["..."]')
    return [one.strip() for one in text.split(",") if one.strip()]


def _json(path, text, kind, form):
    value = answer_shapes.parse(text)
    if not isinstance(value, kind):
        raise ValueError(f"{path} is written as JSON, such as {path}='{form}'")
    return value


def flat(config):
    """{dotted name: value} of a configuration."""
    found = {}
    for name, value in config.items():
        if isinstance(value, dict) and value:
            found |= {f"{name}.{member}": one for member, one in value.items()}
        else:
            found[name] = value
    return found


def changes_between(before, now):
    """[(dotted name, value before, value now)] of what differs; None for what is not there."""
    old, new = flat(before), flat(now)
    return [(n, old.get(n), new.get(n)) for n in dict.fromkeys([*old, *new]) if old.get(n) != new.get(n)]
