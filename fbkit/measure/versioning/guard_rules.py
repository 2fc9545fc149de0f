"""When a guardrail holds: how much worse, how much is allowed, how many more rows would settle it."""

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, Final

from fbkit.measure.stats.intervals import quantile
from fbkit.measure.user import Metric
from fbkit.measure.versions import CHAMPION, DIFFERENCE
from fbkit.schema import results

POWER: Final = 0.8
"""Chance that the rows asked for will settle it, if the difference stays what it is."""
LOWER_IS_BETTER: Final = (
    "brier", "log_loss", "mcb", "ece", "smooth_ece", "mae", "rmse", "mape", "wape", "pinball", "false_positive_rate",
    "error_", "latency_", "cost_", "spend", "timeout_share", "fallback_share",
)  # fmt: skip
"""Beginnings of the names of losses; a team's own metric says so itself."""
_MOST: Final = 10**12


def worsening(
    name: str, cell: Mapping[str, Any], *, metric: Metric | None = None
) -> tuple[float | None, float | None, float | None, float | None]:
    """How much worse the challenger is, with its interval and its worst case; a bias is worse the farther from zero.

    >>> worsening("brier", {"difference": 0.01, "lower": -0.01, "upper": 0.03, "bound_lower": -0.2, "bound_upper": 0.1})
    (0.01, -0.01, 0.03, 0.1)
    """
    difference, lower, upper = cell[DIFFERENCE], cell[results.LOWER], cell[results.UPPER]
    if difference is None:
        return None, None, None, None
    if name == "bias" and metric is None:
        return *_away_from_zero(cell[CHAMPION], difference, lower, upper), None
    if metric.better == "lower" if metric is not None else name.startswith(LOWER_IS_BETTER):
        return difference, lower, upper, cell[results.BOUND_UPPER]
    turned = [None if number is None else -number for number in (difference, upper, lower, cell[results.BOUND_LOWER])]
    return turned[0], turned[1], turned[2], turned[3]


def _away_from_zero(
    champion: float, difference: float, lower: float | None, upper: float | None
) -> tuple[float, float | None, float | None]:
    moved = [None if step is None else abs(champion + step) - abs(champion) for step in (difference, lower, upper)]
    drop, ends = moved[0] or 0.0, [end for end in moved[1:] if end is not None]
    if lower is None or upper is None or len(ends) < 2:
        return drop, None, None
    least = -abs(champion) if lower <= -champion <= upper else min(ends)
    return drop, least, max(ends)


def allowed_drop(max_drop: str, champion: float) -> float:
    """The largest drop in the metric's own unit; a percentage is of the champion's value.

    >>> allowed_drop("5%", 0.8), allowed_drop("0.05", 0.8)
    (0.04, 0.05)
    """
    number = float(max_drop.removesuffix("%"))
    return abs(champion) * number / 100 if max_drop.endswith("%") else number


def more_rows(n: int, *, half: float, gap: float, level: float) -> int | None:
    """How many more rows bring an interval of half width ``half`` clear of a limit at distance ``gap``.

    With a chance of 80 %, if the difference stays what it is and errors shrink with the root of the rows; None where
    no number of rows will do.

    >>> more_rows(1000, half=0.02, gap=0.01, level=0.95)
    7173
    """
    if gap <= 0 or n <= 0:
        return None
    z = float(quantile(level))
    factor = ((z + NormalDist().inv_cdf(POWER)) / z * half / gap) ** 2
    needed = math.ceil(n * (factor - 1))
    return max(needed, 1) if needed < _MOST else None


def fieller(top: tuple[float, float], bottom: tuple[float, float], *, z: float) -> tuple[float | None, float | None]:
    """Interval of the ratio of two independent estimates (value, standard error); None where it has no end.

    Fieller 1954, doi:10.1111/j.2517-6161.1954.tb00159.x.

    >>> lower, upper = fieller((2.0, 0.2), (4.0, 0.4), z=1.96)
    >>> round(lower, 3), round(upper, 3)
    (0.377, 0.663)
    """
    (a, error_a), (b, error_b) = top, bottom
    leading = b * b - (z * error_b) ** 2
    if leading <= 0:
        return None, None
    root = math.sqrt(max((a * b) ** 2 - leading * (a * a - (z * error_a) ** 2), 0.0))
    return (a * b - root) / leading, (a * b + root) / leading
