"""DRIVR's Timespan scalar: ISO 8601 durations or whole seconds; also `1D`, as DRIVR's guide writes it."""

import re

MAX_S = 10 * 365 * 86400
_FORM = re.compile(r"P?(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.A)
# Years and months have no fixed length in ISO 8601; 365 and 30 days are our choice.
_SECONDS = (365 * 86400, 30 * 86400, 7 * 86400, 86400, 3600, 60, 1)


def parse_s(value):
    """Seconds in a Timespan (int or text); ValueError for anything else, nothing, or more than ten years."""
    seconds = value if isinstance(value, int) and not isinstance(value, bool) else _parse_text(value)
    if not 0 < seconds <= MAX_S:
        raise ValueError(f"a Timespan lies between 1 second and {MAX_S} seconds")
    return seconds


def _parse_text(value):
    if not isinstance(value, str):
        raise ValueError("a Timespan is text or an integer")
    if value.isascii() and value.isdigit() and len(value) <= 10:
        return int(value)
    match = _FORM.fullmatch(value) if len(value) <= 40 else None
    if not match or not any(match.groups()) or value.endswith("T"):
        raise ValueError("not a Timespan; write 1D, P1D, PT1H or whole seconds")
    return sum(int(count or 0) * unit for count, unit in zip(match.groups(), _SECONDS, strict=True))
