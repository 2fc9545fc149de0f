"""Counts of two windows compared, and the slice or the day on which rows that something happened to sit."""

from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from scipy.special import bdtr, bdtrc, chdtrc

from fbkit.diagnose import words
from fbkit.diagnose.rows import CURRENT, Flags
from fbkit.diagnose.scene import Scene

DIFFERS_P: Final = 5e-4
"""p-value of a sample-ratio test (Fabijan and others 2019, Diagnosing Sample Ratio Mismatch)."""
_FEWEST_EXPECTED: Final = 5.0
_HELD, _APART, _ALIKE = 0.95, 0.7, 0.5
_DECISIONS: Final = ("not flagged rows", "flagged rows")


def two_shares(first: float, of_first: float, second: float, of_second: float) -> float | None:
    """p-value of two shares being the same: Pearson's chi-square, exact given the total where counts are small.

    None where a side is empty.

    >>> round(two_shares(10, 1000, 30, 1000), 4)
    0.0014
    """
    if of_first <= 0 or of_second <= 0:
        return None
    total, whole = first + second, of_first + of_second
    least = min(total, whole - total) * min(of_first, of_second) / whole
    if least >= _FEWEST_EXPECTED:
        expected = np.array([of_first, of_second]) * total / whole
        gap = (np.array([first, second]) - expected) ** 2
        return float(chdtrc(1, float((gap / expected + gap / (np.array([of_first, of_second]) - expected)).sum())))
    share = of_second / whole
    below, above = float(bdtr(second, int(total), share)), float(bdtrc(second - 1, int(total), share))
    return min(1.0, 2 * min(below, above if second >= 1 else 1.0))


def place(scene: Scene, rows: Flags, *, among: Flags | None = None) -> str:
    """The slice values and the decision that hold these current rows, else the day from which they come.

    ``everywhere`` if none of them.

    Parameters
    ----------
    rows
        Rows that something happened to.
    among
        Rows that it could have happened to; all by default.
    """
    now = scene.rows.of(CURRENT) if among is None else scene.rows.of(CURRENT) & among
    hit = now & rows
    if not hit.any():
        return "everywhere"
    found = [_slice(column, values, code[now], code[hit]) for column, (values, code) in scene.encoded.items()]
    told = [item for item in found if item is not None]
    side = _slice("", _DECISIONS, scene.rows.decision[now], scene.rows.decision[hit])
    names = [item[1] for item in (min(told) if told else None, side) if item is not None]
    if names:
        return ", ".join(names)
    return _onset(scene.rows.frame["ts_pred"].filter(pl.Series(hit)), scene.current.start)


def _slice(column: str, values: tuple[str, ...], around: object, inside: object) -> tuple[float, str] | None:
    """Share of all rows on the values that hold nearly all of the hit ones, and their names."""
    n = np.bincount(np.asarray(around), minlength=len(values)).astype(np.float64)
    k = np.bincount(np.asarray(inside), minlength=len(values)).astype(np.float64)
    rate = k / np.maximum(n, 1)
    chosen = rate >= _ALIKE * rate.max()
    if k[chosen].sum() < _HELD * k.sum() or n[chosen].sum() > _APART * n.sum():
        return None
    names = [f"{column}={values[i]}" if column else values[i] for i in np.flatnonzero(chosen)]
    said = " and ".join(names[:2])
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return float(n[chosen].sum() / n.sum()), f"{said}{more}"


def _onset(times: pl.Series, start: datetime) -> str:
    first = times.min()
    if not isinstance(first, datetime) or first < start + timedelta(days=1):
        return "everywhere"
    return f"predictions from {words.instant(first.replace(hour=0, minute=0, second=0, microsecond=0))} on"
