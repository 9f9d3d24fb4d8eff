"""Moments as DRIVR writes them: ISO 8601 with or without zone and fraction, to Unix seconds.

``2025-05-12T14:59:06.718846``, ``...06+00:00``, ``...06.7Z``: no zone means UTC (all three are
in one documented record). A zone may be hours alone (``+00``), as databases print it. A date alone, week dates and
ordinal dates are refused. Leap second 60 counts as the next second. Years 1 to 9999: the answer may be negative
and may pass 32 bits.
"""

from latchkey.limits import const

# Days of a year before each month, without leap days.
_BEFORE = const((0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365))


def parse_unix_s(text, round_up=False):
    """Whole Unix seconds (int) of ``text`` (str or bytes); ValueError for anything else.

    A fraction is dropped, or with ``round_up`` counts as a second.
    """
    # As bytes: on MicroPython a character taken out of a str is interned, kept for ever.
    raw = text.encode() if isinstance(text, str) else text if isinstance(text, bytes) else b""
    if not 19 <= len(raw) <= 48 or raw[10] not in b"Tt ":
        raise ValueError("time")
    if raw[4:5] + raw[7:8] + raw[13:14] + raw[16:17] != b"--::":
        raise ValueError("time")
    days = _days(_number(raw[:4], 9999), _number(raw[5:7], 12), _number(raw[8:10], 31))
    seconds = (days * 24 + _number(raw[11:13], 23)) * 3600 + _number(raw[14:16], 59) * 60 + _number(raw[17:19], 60)
    rest = raw[19:]
    if rest and rest[0] in b".,":
        zone = rest[1:].lstrip(b"0123456789")
        fraction = rest[1 : len(rest) - len(zone)]
        if not fraction:
            raise ValueError("time")
        if round_up and fraction.strip(b"0"):
            seconds += 1
        rest = zone
    return seconds - _offset_s(rest) if rest else seconds


def _number(digits, most):
    # int() takes signs, blanks and underscores; isdigit() of bytes knows ASCII's digits alone.
    value = int(digits) if digits.isdigit() else most + 1
    if value > most:
        raise ValueError("time")
    return value


def _days(year, month, day):
    """Days from 1970-01-01 in the proleptic Gregorian calendar."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if year < 1 or month < 1 or not 1 <= day <= _BEFORE[month] - _BEFORE[month - 1] + (leap and month == 2):
        raise ValueError("time")
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 + _BEFORE[month - 1] + day - 719163
    return days + (leap and month > 2)


def _offset_s(zone):
    """Seconds east of UTC of ``b"Z"``, ``b"+01:00"``, ``b"+0100"`` or ``b"+01"``."""
    if zone.lower() == b"z":
        return 0
    if len(zone) == 3:
        zone += b"00"
    if zone[0] not in b"+-" or len(zone) not in (5, 6) or (len(zone) == 6 and zone[3:4] != b":"):
        raise ValueError("time")
    offset_s = _number(zone[1:3], 23) * 3600 + _number(zone[-2:], 59) * 60
    return -offset_s if zone[:1] == b"-" else offset_s
