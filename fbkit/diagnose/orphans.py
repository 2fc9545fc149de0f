"""Did the labels arrive under keys that no prediction has? Then they are not lost but do not join."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from scipy.special import pdtrc

from fbkit.diagnose.rows import CURRENT, REFERENCE, Rows
from fbkit.diagnose.settings import Settings
from fbkit.schema.period import Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """Outcomes whose key matches no prediction.

    Attributes
    ----------
    reference, current
        Their number by the time of the event (the current period's until the last label window closes).
    excess
        Current ones beyond the reference's rate per prediction.
    missing
        Current labels beyond the reference's availability that are missing.
    p
        Poisson probability of so many current ones at the reference's rate.
    explains
        There are enough of them to be the missing labels.
    """

    reference: int
    current: int
    excess: float
    missing: float
    p: float
    explains: bool


def orphans(
    joined: Any, rows: Rows, *, reference: Period, current: Period, until: datetime, settings: Settings
) -> Orphans | None:
    """Count orphans per window; None when the join kept no candidates."""
    candidates = getattr(joined, "candidates", None)
    if candidates is None or "fate" not in candidates.columns or "ts_event" not in candidates.columns:
        return None
    lost = candidates.filter(pl.col("fate") == "orphan")["ts_event"]
    before = int(((lost >= reference.start) & (lost < min(reference.end, current.start))).sum())
    now = int(((lost >= current.start) & (lost < until)).sum())
    n_before, n_now = int(rows.of(REFERENCE).sum()), int(rows.of(CURRENT).sum())
    expected = max(before, 1) * n_now / n_before
    availability = rows.labelled[rows.of(REFERENCE)].mean()
    missing = float(availability * n_now - rows.labelled[rows.of(CURRENT)].sum())
    chance = float(pdtrc(now - 1, expected)) if now else 1.0
    excess = now - before * n_now / n_before
    real = now > settings.orphans_least and chance < settings.shift_p
    explains = real and missing > 0 and excess >= settings.orphans_share * missing
    return Orphans(reference=before, current=now, excess=excess, missing=missing, p=chance, explains=bool(explains))
