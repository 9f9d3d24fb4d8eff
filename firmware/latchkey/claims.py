"""The claims of a token (RFC 7519 section 4), typed and bounded. Rules V3, V6 and T3.

Knows neither signatures nor clocks nor lists: who reads claims before the signature is verified calls them unverified.
"""

from latchkey import strictjson, uuids
from latchkey.errors import FormatError, TokenError
from latchkey.limits import const

_NAME_CHARS = const(128)
_ROLES_PER_TOKEN = const(32)
_TIME_END_S = const(253402300800)  # year 10000: later than any time that means something


def parse(payload):
    """The payload's members as a dict, or None if it is not one JSON object."""
    try:
        members = strictjson.parse(payload)
    except FormatError:
        return None
    return members if isinstance(members, dict) else None


class Claims:
    """The claims of a token. ``members``: what ``parse`` gave. A claim that is absent, null or wrong is None.

    ``jti16``: 16 bytes; ``systems``: the UUIDs in ``aud``, 16 bytes each; times in Unix seconds; ``roles``: tuple of
    (uuid16, name); ``fault``: the name of the first claim that is wrong, "payload" without an object, or None.
    """

    def __init__(self, members):
        self.fault = "payload" if members is None else None
        members = members or {}
        self.jti16 = self._read(members, "jti", uuids.to_bytes)
        self.sub = self._read(members, "sub", _text)
        self.iss = self._read(members, "iss", _text_or_none)
        self.name = self._read(members, "name", _text_or_none)
        self.typename = self._read(members, "typename", _text_or_none)
        self.exp = self._read(members, "exp", _time)
        self.nbf = self._read(members, "nbf", _time)
        self.iat = self._read(members, "iat", _time)
        if self.exp is not None and self.iat is not None and self.iat > self.exp:
            self.fault = self.fault or "iat"
        self.roles = self._read(members, "roles", _roles)
        self.systems = self._read(members, "aud", _systems)

    def _read(self, members, name, read):
        try:
            return read(members.get(name))
        except ValueError:
            self.fault = self.fault or name

    def check(self, policy):
        """V6; TokenError("claims_refused") with the name of the claim, ("wrong_system") or ("wrong_issuer")."""
        if self.fault:
            raise TokenError("claims_refused", self.fault)
        self.check_system(policy)
        if policy.issuer is not None and self.iss != policy.issuer:
            raise TokenError("wrong_issuer")

    def check_system(self, policy):
        """TokenError("wrong_system") if ``aud`` is well formed and does not name the policy's System (V3)."""
        if self.systems is not None and policy.system_uuid16 not in self.systems:
            raise TokenError("wrong_system")


def check_times(start_unix_s, end_unix_s, now_unix_s, skew_s):
    """TokenError("not_yet_valid") before ``start_unix_s``, ("expired") from ``end_unix_s`` on; ``None``: no bound."""
    if start_unix_s is not None and now_unix_s + skew_s < start_unix_s:
        raise TokenError("not_yet_valid")
    if end_unix_s is not None and now_unix_s >= end_unix_s + skew_s:
        raise TokenError("expired")


def _text_or_none(value):
    return value if value is None or value == "" else _text(value)


def _text(value):
    if not isinstance(value, str) or not 1 <= len(value) <= _NAME_CHARS:
        raise ValueError("text")
    return value


def _time(value):
    # JSON true is an int to Python; a float would lose seconds on a chip.
    if value is not None and (type(value) is not int or not 0 <= value < _TIME_END_S):
        raise ValueError("time")
    return value


def _systems(aud):
    # A string or a list of strings (RFC 7519 section 4.1.3), which need not all be UUIDs.
    audiences = [aud] if isinstance(aud, str) else aud
    if not isinstance(audiences, list) or not audiences:
        raise ValueError("aud")
    systems = []
    for one in audiences:
        if not isinstance(one, str):
            raise ValueError("aud")
        systems.append(uuids.or_none(one))
    return systems


def _roles(value):
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > _ROLES_PER_TOKEN:
        raise ValueError("roles")
    roles = []
    for role in value:
        if not isinstance(role, dict):
            raise ValueError("roles")
        roles.append((uuids.to_bytes(role.get("uuid")), _text(role.get("name"))))
    return tuple(roles)
