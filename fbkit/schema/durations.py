"""Durations as people write them: ``30m``, ``6h``, ``7d``, ``8w``."""

import re
from datetime import timedelta

from fbkit.errors import ArgumentError

# Beyond a century sums of times leave the calendar, and nobody waits that long for a label.
LONGEST = timedelta(days=36_500)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*")


def parse_duration(text: str | timedelta) -> timedelta:
    """Read a duration such as ``"7d"``.

    >>> parse_duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    if isinstance(text, timedelta):
        return text
    match = _PATTERN.fullmatch(str(text))
    if match is None:
        raise ArgumentError(
            "a duration could not be read",
            got=text,
            allowed="a number and a unit s, m, h, d or w",
            next_step='write for example "7d"',
        )
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > LONGEST.total_seconds():
        raise ArgumentError(
            "a duration is too long",
            got=text,
            allowed="at most 36500d, a hundred years",
            next_step="write a shorter one",
        )
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """Write a duration in its largest whole unit (days rather than weeks).

    >>> format_duration(timedelta(hours=48)), format_duration(timedelta(hours=36))
    ('2d', '36h')
    """
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(value, timedelta(seconds=_UNITS[unit]))
        if not rest:
            return f"{count}{unit}"
    return f"{value.days * 86_400 + value.seconds}.{value.microseconds:06d}".rstrip("0") + "s"
