"""A token checked with one call, for projects without Latchkey's ledger, flash and clock (as umqtt.simple is to MQTT).

Rules V1 to V7 of docs/protocol.md without the ledger, the budget and the memory of V8 and V9: every call costs a
signature, and a token that the cloud has revoked passes until it expires.

``exp`` and ``nbf`` count with 60 s of tolerance, and a token without ``exp`` has no end. A time before 2020 is refused
("clock_unset"): the clock of a chip starts in 1970 or 2000, and either would let expired tokens pass.
"""

from latchkey import jws
from latchkey.claims import Claims, check_times, parse
from latchkey.errors import TokenError
from latchkey.limits import YEAR_2020_S
from latchkey.policy import Policy


def check(
    token: bytes | str, keys: list, audience: str, now_unix_s: int, issuer: str | None = None, roles: dict | None = None
) -> dict:
    """The claims of ``token`` as a dict, as they are in its JSON; TokenError with the code of what is wrong.

    ``token``: with ``CLOUD-``. ``keys``: what ``jwk.parse_key_set`` gives. ``audience``: text of the System UUID that
    ``aud`` has to name. ``now_unix_s``: the time, from a clock that you trust. ``issuer``: exact text of ``iss``, or
    None for any. ``roles``: role name or role UUID to "read", "control" or "configure"; then the dict has
    "permission", the highest that the token's roles give, and a token without one is refused ("no_permission").
    ValueError for an ``audience`` or ``roles`` that is not one.
    """
    policy = Policy(audience, issuer, roles=roles)
    if now_unix_s < YEAR_2020_S:
        raise TokenError("clock_unset")
    if isinstance(token, str):
        token = token.encode()
    payload = jws.verify_compact(jws.of_token(token), keys)[1]
    members = parse(payload)
    claims = Claims(members)
    claims.check(policy)
    check_times(claims.nbf, claims.exp, now_unix_s, policy.skew_s)
    if roles is not None:
        permissions = policy.permissions(claims.roles)
        if not permissions:
            raise TokenError("no_permission")
        members["permission"] = permissions[-1]  # pyright: ignore[reportOptionalSubscript]
    return members  # pyright: ignore[reportReturnType]
