"""Moments as DRIVR writes them: ISO 8601 with or without zone and fraction, to Unix seconds.

``2025-05-12T14:59:06.718846``, ``...06+00:00``, ``...06.7Z``: no zone means UTC (all three stand
in one documented record). A date alone, week dates and ordinal dates are refused. Leap second 60 counts as
the next second. Years 1 to 9999, so the answer may be negative and may pass 32 bits.
"""

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_unix_s(text, round_up=False):
    """Whole Unix seconds (int) of ``text`` (str); a fraction is dropped, or with ``round_up`` counts as a second.

    ValueError for anything else.
    """
    if not isinstance(text, str) or not 19 <= len(text) <= 48:
        raise ValueError("time")
    if text[4] != "-" or text[7] != "-" or text[10] not in "Tt " or text[13] != ":" or text[16] != ":":
        raise ValueError("time")
    seconds = _days(_number(text[:4], 9999), _number(text[5:7], 12), _number(text[8:10], 31)) * 86400
    seconds += _number(text[11:13], 23) * 3600 + _number(text[14:16], 59) * 60 + _number(text[17:19], 60)
    zone = _after_fraction(text)
    seconds -= _offset_s(text[zone:])
    if round_up and text[20:zone].strip("0"):
        seconds += 1
    return seconds


def _number(digits, most):
    for c in digits:
        # int() takes signs, blanks and underscores.
        if not "0" <= c <= "9":
            raise ValueError("time")
    value = int(digits)
    if value > most:
        raise ValueError("time")
    return value


def _days(year, month, day):
    """Days from 1970-01-01 in the proleptic Gregorian calendar."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if year < 1 or month < 1 or not 1 <= day <= _DAYS[month - 1] or (month == 2 and day == 29 and not leap):
        raise ValueError("time")
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 + day - 719163
    for m in range(month - 1):
        days += _DAYS[m]
    return days - (1 if month > 2 and not leap else 0)


def _after_fraction(text):
    """Where the zone begins: after the fraction, if there is one."""
    at = 19
    if text[19:20] == "." or text[19:20] == ",":
        at = 20
        while at < len(text) and "0" <= text[at] <= "9":
            at += 1
        if at == 20:
            raise ValueError("time")
    return at


def _offset_s(zone):
    """Seconds east of UTC of ``""``, ``"Z"``, ``"+01:00"`` or ``"+0100"``."""
    if zone in ("", "Z", "z"):
        return 0
    if zone[0] not in "+-" or len(zone) not in (5, 6) or (len(zone) == 6 and zone[3] != ":"):
        raise ValueError("time")
    offset_s = _number(zone[1:3], 23) * 3600 + _number(zone[-2:], 59) * 60
    return -offset_s if zone[0] == "-" else offset_s
