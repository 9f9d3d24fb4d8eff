"""The decisions of the device's owner and maker: which tokens to expect, and what a role may do.

Permissions are ordered, each holding those before it: read < control < configure.
A role that the table does not know gives nothing (V7).
"""

from latchkey import uuids

PERMISSIONS = ("read", "control", "configure")

# The two roles of DRIVR's own documentation; everything else is the maker's to add.
DEFAULT_ROLES = {"Domain Owner": "configure", "System Maintainer": "configure"}


class Policy:
    """The settings a verification needs, checked once.

    ``system_uuid``: text. ``issuer``: exact text of ``iss``, or None for any. ``unlisted``: "accept" or
    "refuse" (L4). ``clock_unset``: "floor" or "refuse" (T3). ``roles``: role name or role UUID (text) to a
    permission. Raises ValueError.
    """

    def __init__(
        self,
        system_uuid: str,
        issuer: str | None = None,
        skew_s: int = 60,
        unlisted: str = "accept",
        clock_unset: str = "floor",
        roles: dict | None = None,
    ):
        self.system_uuid16 = uuids.to_bytes(system_uuid)
        self.issuer = issuer
        self.skew_s = skew_s
        self.unlisted = _one_of(unlisted, ("accept", "refuse"))
        self.clock_unset = _one_of(clock_unset, ("floor", "refuse"))
        # Two tables, since MicroPython warns where one mixes text and bytes.
        self._by_uuid, self._by_name = {}, {}
        for role, permission in (DEFAULT_ROLES if roles is None else roles).items():
            level = 1 + PERMISSIONS.index(_one_of(permission, PERMISSIONS))
            uuid16 = uuids.or_none(role)
            if uuid16:
                self._by_uuid[uuid16] = level
            else:
                self._by_name[role] = level

    def permissions(self, roles) -> tuple:
        """Names of what ``roles`` ((uuid16, name), ...) permit, lowest first; an empty tuple for nothing."""
        level = 0
        for uuid16, name in roles:
            level = max(level, self._by_uuid.get(uuid16, 0), self._by_name.get(name, 0))
        return PERMISSIONS[:level]


def _one_of(value, allowed):
    if value not in allowed:
        raise ValueError(value)
    return value
