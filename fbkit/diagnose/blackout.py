"""Days on which next to no label arrived at all: an outage even where labels come too soon for old ones to be due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose import words
from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.history import History
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.outage import CAUSE, share_lost
from fbkit.diagnose.rows import CURRENT, REFERENCE
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.visibility import Gap, learn, visible

SILENT: Final = 0.2
"""A day that brings less than this share of what is due is dark: no loss in a slice does that to the whole feed."""
FEWEST_DUE: Final = 30.0
BEYOND: Final = 6.0
"""Relative standard deviations of healthy days by which a dark day must fall short."""
NOT_MADE_UP: Final = 0.5
"""Share of the missing labels that must not have come on later days."""
NEXT: Final = "The feed's own record of those days; if it is delivered again, evaluate as of then."


@dataclass(frozen=True, slots=True, kw_only=True)
class Dark:
    """One day of arrival (days since 1970): labels of all predictions, old and young, against those due."""

    day: int
    observed: float
    due: float

    @property
    def kept(self) -> float:
        return self.observed / self.due


def dark_days(scene: Scene, known: History) -> list[Dark]:
    """Days since the current period began on which the feed was silent; none if it was silent all the time.

    What is due on a day are the predictions of the days before, times the share of the reference's predictions that a
    label reached after so many days.
    """
    begin, until = _day(scene.current.start), int(np.floor(known.as_of + 1e-9))
    first = int(np.floor(known.made.min() + 1e-9))
    if until - begin < 2:
        return []
    made = np.floor(known.made + 1e-9).astype(np.int64) - first
    told = np.isfinite(known.lag)
    at = np.floor((known.made + np.nan_to_num(known.lag)) + 1e-9).astype(np.int64) - first
    days = until - first
    cohorts = np.bincount(made, minlength=days)[:days].astype(np.float64)
    lag = (at - made)[told & known.healthy & known.closed]
    if not len(lag) or not cohorts[: begin - first].sum():
        return []
    rate = np.bincount(lag[lag >= 0]) / max(1, int((known.healthy & known.closed).sum()))
    due = np.convolve(cohorts, rate)[:days]
    observed = np.bincount(at[told & (at >= 0) & (at < days)], minlength=days)[:days].astype(np.float64)
    calm = (np.arange(days) < begin - first) & (due >= FEWEST_DUE)
    if calm.sum() < 5:
        return []
    spread = float(np.std(observed[calm] / due[calm]))
    later = np.arange(begin - first, days)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = observed / due
    dark = [
        Dark(day=first + int(d), observed=float(observed[d]), due=float(due[d]))
        for d in later
        if due[d] >= FEWEST_DUE and kept[d] < SILENT and 1 - kept[d] > BEYOND * spread
    ]
    judged = int((due[later] >= FEWEST_DUE).sum())
    if not dark or len(dark) >= judged:
        return []
    after = slice(dark[0].day - first, days)
    short = float((due[after] - observed[after]).sum())
    # What is delivered again later was not lost.
    return dark if short > NOT_MADE_UP * sum(d.due - d.observed for d in dark) else []


def blackout(
    scene: Scene, labels: Labels, known: History, *, before: tuple[Floats, Floats]
) -> tuple[Repair, tuple[Gap, ...]] | None:
    """The repair and its gaps, or None where the feed was never silent; ``before`` is the visibility without it."""
    dark = dark_days(scene, known)
    if not dark:
        return None
    gaps = tuple(Gap(start=float(d.day), end=float(d.day + 1), lost=1 - d.kept, rows=None, outcome=None) for d in dark)
    laws = learn(known, fewest=scene.settings.fewest_arrivals)
    after = visible(scene, known, (laws, laws), gaps=gaps)
    lost = [share_lost(scene, before, after, window=window) for window in (REFERENCE, CURRENT)]
    observed, due = sum(d.observed for d in dark), sum(d.due for d in dark)
    made = Repair(
        cause=CAUSE,
        labels=labels.visible(positive=after[0], other=after[1]),
        fires=True,
        where=f"labels that arrive {_when(dark)}",
        evidence=(
            f"{words.count(observed)} labels arrived on {_when(dark)} where {words.count(due)} were due; by the same "
            f"share {words.percent(lost[CURRENT])} of the current period's labels were lost."
        ),
        next_evidence=NEXT,
        frame=pl.DataFrame(
            {
                "day": [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=d.day) for d in dark],
                "expected": [d.due for d in dark],
                "observed": [d.observed for d in dark],
                "psi": [d.kept for d in dark],
            }
        ),
        numbers={
            "outage_arrived": ("count", observed),
            "outage_due": ("count", due),
            "outage_lost_reference": ("share", lost[REFERENCE]),
            "outage_lost_current": ("share", lost[CURRENT]),
        },
    )
    return made, gaps


def _day(when: datetime) -> int:
    return int(np.floor(when.timestamp() / 86_400))


def _when(dark: Sequence[Dark]) -> str:
    first, last = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=d.day) for d in (dark[0], dark[-1]))
    return f"{first:%Y-%m-%d}" if len(dark) == 1 else f"{first:%Y-%m-%d}..{last:%Y-%m-%d}"
