"""GET /v1/tokens: what the ledger holds, in short."""

from latchkey import uuids
from latchkey.errors import ConfigError
from latchkey.limits import const

_TOKENS = const(16)  # in one answer, of less than 2 KB


def _get_tokens(api, request):
    """The tokens of the ledger in short, some at a time: those behind the one that ``?after=`` names."""
    after16 = None
    for pair in request.query.split("&"):
        if pair[:6] == "after=":
            after16 = uuids.or_none(pair[6:])
            if after16 is None:
                raise ConfigError("invalid_field", "after")
    ledger = api.device.ledger
    rows, found = ledger.after(after16, _TOKENS + 1), []
    for jti16, changed_unix_s in rows[:_TOKENS]:
        state, _, end_unix_s, _ = ledger.standing(jti16, None)
        found.append(
            {
                "jti": uuids.to_text(jti16),
                "admits": state == "listed",
                "end_unix_s": end_unix_s,
                "changed_unix_s": changed_unix_s,
            }
        )
    return {"tokens": found, "more": len(rows) > _TOKENS}


ROUTES = (("/v1/tokens", "GET", "configure", _get_tokens, 0, False),)
