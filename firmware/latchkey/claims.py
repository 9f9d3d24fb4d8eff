"""The claims of a token (RFC 7519 section 4), typed and bounded. Rules V3 and V6.

``unverified_*`` functions look at what nobody has vouched for yet; ``read`` is for
a payload whose signature is good. Neither knows what time it is or who is listed.
"""

from latchkey import strictjson, uuids
from latchkey.errors import FormatError, TokenError
from latchkey.limits import NAME_CHARS, ROLES_PER_TOKEN

_TIME_END_S = 253402300800  # year 10000: later than any time that means something


class Claims:
    """What a verified token says. Times are Unix seconds or None; ``jti16`` is 16 bytes."""

    def __init__(self, members):
        self.jti16 = _uuid(members.get("jti"))
        self.sub = _text(members.get("sub"), required=True)
        self.iss = _text(members.get("iss"))
        self.name = _text(members.get("name"))
        self.typename = _text(members.get("typename"))
        self.exp = _time(members.get("exp"))
        self.nbf = _time(members.get("nbf"))
        self.iat = _time(members.get("iat"))
        if self.exp is not None and self.iat is not None and self.iat > self.exp:
            raise _refused("iat is later than exp")
        self.roles = _roles(members.get("roles"))


def parse_unverified(payload):
    """The payload's members as a dict, or None if it is no JSON object: then only the signature may judge."""
    try:
        members = strictjson.parse(payload)
    except FormatError:
        return None
    return members if isinstance(members, dict) else None


def unverified_wrong_aud(members, system_uuid16):
    """True if ``aud`` is well formed and does not name this System (V3)."""
    try:
        return not names_system(members.get("aud"), system_uuid16)
    except TokenError:
        return False


def unverified_exp(members):
    """``exp`` in Unix seconds, or None where it is absent or not a time."""
    try:
        return _time(members.get("exp"))
    except TokenError:
        return None


def unverified_jti(members):
    """16 bytes of ``jti``, or None."""
    try:
        return _uuid(members.get("jti"))
    except TokenError:
        return None


def read(members, policy):
    """``Claims`` of a payload with a good signature; TokenError with the code of the first claim that is wrong.

    ``members``: the dict of ``parse_unverified`` or None; ``policy`` gives ``system_uuid16`` and ``issuer``.
    """
    if members is None:
        raise _refused("the payload is not a JSON object")
    claims = Claims(members)
    if not names_system(members.get("aud"), policy.system_uuid16):
        raise TokenError("wrong_system")
    if policy.issuer is not None and claims.iss != policy.issuer:
        raise TokenError("wrong_issuer")
    return claims


def names_system(aud, system_uuid16):
    """Whether ``aud`` (a string or a list of strings, RFC 7519 section 4.1.3) names the System."""
    audiences = [aud] if isinstance(aud, str) else aud
    if not isinstance(audiences, list) or not audiences:
        raise _refused("aud")
    found = False
    for one in audiences:
        if not isinstance(one, str):
            raise _refused("aud")
        found = found or _same_uuid(one, system_uuid16)
    return found


def _same_uuid(text, b16):
    try:
        return uuids.to_bytes(text) == b16
    except ValueError:
        return False


def _refused(message):
    return TokenError("claims_refused", message)


def _uuid(value):
    try:
        return uuids.to_bytes(value)
    except ValueError:
        raise _refused("a UUID")


def _text(value, required=False):
    if value is None and not required:
        return None
    if not isinstance(value, str) or len(value) > NAME_CHARS or (required and not value):
        raise _refused("a text")
    return value


def _time(value):
    # JSON true is an int to Python; a float would lose seconds on a chip.
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < _TIME_END_S:
        raise _refused("a time")
    return value


def _roles(value):
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > ROLES_PER_TOKEN:
        raise _refused("roles")
    return tuple([_role(role) for role in value])


def _role(role):
    if not isinstance(role, dict):
        raise _refused("roles")
    return (_uuid(role.get("uuid")), _text(role.get("name"), required=True))
