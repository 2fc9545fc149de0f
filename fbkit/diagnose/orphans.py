"""What became of the missing labels: arrived under keys that no prediction has, or hidden by an action?"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl
from scipy.special import pdtrc

from fbkit.diagnose.rows import CURRENT, REFERENCE, Rows
from fbkit.diagnose.settings import Settings
from fbkit.join.joined import Joined
from fbkit.schema.period import Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """Outcomes whose key matches no prediction.

    Attributes
    ----------
    reference, current
        Their number by the time of the event (the current period's until the last label window closes).
    missing
        Current labels beyond the reference's availability that are missing.
    explains
        More of them than chance at the reference's rate, and enough to be the missing labels.
    """

    reference: int
    current: int
    missing: float
    explains: bool


def orphans(
    joined: Joined, rows: Rows, *, reference: Period, current: Period, until: datetime, settings: Settings
) -> Orphans | None:
    """Count orphans per window; None when the join kept no candidates."""
    pairs = getattr(joined, "pairs", None)
    if pairs is None:
        return None
    lost = pairs.lazy().filter(pl.col("fate") == "orphan").select("ts_event").collect().to_series()
    before = int(((lost >= reference.start) & (lost < min(reference.end, current.start))).sum())
    now = int(((lost >= current.start) & (lost < until)).sum())
    n_before, n_now = int(rows.of(REFERENCE).sum()), int(rows.of(CURRENT).sum())
    expected = max(before, 1) * n_now / n_before
    missing = _missing(rows)
    chance = float(pdtrc(now - 1, expected)) if now else 1.0
    excess = now - before * n_now / n_before
    real = now > settings.orphans_least and chance < settings.shift_p
    explains = real and missing > 0 and excess >= settings.orphans_share * missing
    return Orphans(reference=before, current=now, missing=missing, explains=bool(explains))


def _missing(rows: Rows) -> float:
    """Labels that the current period lacks at the reference's availability."""
    now = rows.labelled[rows.of(CURRENT)]
    return float(rows.labelled[rows.of(REFERENCE)].mean() * len(now) - now.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Rows whose action hides the outcome.

    Attributes
    ----------
    reference, current
        Their share of the predictions.
    explains
        There are enough of them to be the missing labels.
    """

    reference: float
    current: float
    explains: bool


def blocked(rows: Rows, *, settings: Settings) -> Blocked | None:
    """Count blocked rows per window; None when no action is logged."""
    if "blocked" not in rows.frame.columns or not rows.frame["blocked"].any():
        return None
    hidden = rows.frame["blocked"].fill_null(value=False).to_numpy()
    share = [float(hidden[rows.of(window)].mean()) for window in (REFERENCE, CURRENT)]
    missing = _missing(rows)
    excess = (share[CURRENT] - share[REFERENCE]) * int(rows.of(CURRENT).sum())
    explains = excess > settings.orphans_least and missing > 0 and excess >= settings.orphans_share * missing
    return Blocked(reference=share[REFERENCE], current=share[CURRENT], explains=bool(explains))
