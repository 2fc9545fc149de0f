"""Numbers for people and for machines; one place decides how many digits."""

import math
from datetime import UTC, datetime
from typing import Final

from fbkit.schema.results import RATE_METRICS as RATES

NONE: Final = "not estimable"


def finite(number: object) -> float | None:
    """The number, or None when it is absent, no number, NaN or infinite."""
    return number if isinstance(number, int | float) and math.isfinite(number) else None


def plain(value: object, *, places: int | None = None) -> str:
    """A value: two decimals in the middle of 0..1, more near the ends, three significant digits elsewhere.

    >>> plain(0.6789), plain(0.0421), plain(0.00042), plain(1234.5)
    ('0.68', '0.042', '0.00042', '1,234')
    """
    number = finite(value)
    if number is None:
        return NONE
    if places is None:
        places = places_of(number)
    return f"{number + 0.0:,.{places}f}".replace("-0." + "0" * places, "0." + "0" * places)


def places_of(number: float) -> int:
    """How many decimals a number is shown with."""
    size = abs(number)
    if 0.1 <= size <= 0.9 or size == 0:
        return 2
    if size > 0.9:
        return 3 if size < 1 else max(0, 2 - math.floor(math.log10(size)))
    return max(3, 1 - math.floor(math.log10(size)))


def interval(value: object, lower: object, upper: object, *, places: int | None = None) -> str:
    """``0.68 [0.64, 0.72]``; without bounds the value alone."""
    number = finite(value)
    if number is None:
        return NONE
    if places is None:
        places = places_of(number)
    if finite(lower) is None or finite(upper) is None:
        return plain(value, places=places)
    return f"{plain(value, places=places)} [{plain(lower, places=places)}, {plain(upper, places=places)}]"


def change(value: float | None, *, metric: str, unit: bool = True) -> str:
    """A change in points (hundredths) for rates, in the metric's own unit otherwise.

    >>> change(-0.1214, metric="recall"), change(0.0031, metric="brier")
    ('-12.1 points', '+0.0031')
    """
    value = finite(value)
    if value is None:
        return NONE
    if metric not in RATES:
        return _signed(value, places=4 if abs(value) < 1 else 2)
    return _signed(100 * value, places=1) + (" points" if unit else "")


def change_interval(
    value: float | None, lower: float | None, upper: float | None, *, metric: str, unit: bool = True
) -> str:
    """``-12.1 points [-15.0, -9.2]``."""
    text = change(value, metric=metric, unit=unit)
    if text == NONE or finite(lower) is None or finite(upper) is None:
        return text
    return f"{text} [{change(lower, metric=metric, unit=False)}, {change(upper, metric=metric, unit=False)}]"


def _signed(number: float, *, places: int) -> str:
    rounded = round(number, places)
    return f"{rounded + 0.0:+,.{places}f}" if rounded else f"{0:.{places}f}"


def share(value: object) -> str:
    """A share as a percentage with one decimal: ``92.0 %``."""
    number = finite(value)
    return NONE if number is None else f"{100 * number:.1f} %"


def count(value: object) -> str:
    """``39,024``."""
    return f"{value:,}" if isinstance(value, int) else NONE


def instant(value: datetime | None) -> str:
    """``2013-06-04 06:00 UTC``; midnight keeps only the day.

    >>> instant(datetime(2013, 6, 4, 6, tzinfo=UTC)), instant(datetime(2013, 6, 4, tzinfo=UTC))
    ('2013-06-04 06:00 UTC', '2013-06-04')
    """
    if value is None:
        return "not known"
    moment = value.astimezone(UTC)
    return (
        moment.strftime("%Y-%m-%d") if (moment.hour, moment.minute) == (0, 0) else moment.strftime("%Y-%m-%d %H:%M UTC")
    )


def digits10(number: float) -> float | None:
    """Ten significant digits, as every exported number carries; None when it is not finite.

    >>> digits10(0.123456789012345), digits10(float("nan"))
    (0.123456789, None)
    """
    return float(f"{number:.10g}") if math.isfinite(number) else None
