"""The negative control where only positives are reported: how many come late from old cohorts, by day of arrival."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from scipy.special import chdtrc

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.old_cohorts import DAY, SPREAD_P, Excess
from fbkit.diagnose.rows import Flags
from fbkit.diagnose.scene import Scene
from fbkit.schema.label import longest_delay

FEWEST_OLD: Final = 50
"""Positives of closed old cohorts that a law of arrival needs."""
_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The excess of positives by decision, and how much of each row's positives would come after the change.

    ``due`` has one entry per row of the windows, 0..1.
    """

    excess: tuple[Excess, Excess]
    due: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    made: Ints
    arrived: Ints
    bin_of: Ints
    bins: int
    decision: Ints


def silent_excesses(scene: Scene, *, since: int, as_of: int) -> Silence | None:
    """Positives of straddling cohorts that arrived since then against the rates and arrivals of closed older cohorts.

    None where older cohorts hold too few positives.
    """
    rows = _rows(scene)
    width = int(longest_delay(scene.joined).total_seconds() * 1e6)
    due = np.zeros(len(scene.rows))
    found: list[Excess] = []
    for decision in (0, 1):
        mine = rows.decision == decision
        closed = mine & (rows.made < since - width)
        reported = closed & (rows.arrived < since)
        if reported.sum() < FEWEST_OLD:
            found.append(_nothing(decision))
            continue
        lags = np.sort((rows.arrived - rows.made)[reported])
        found.append(_excess(rows, mine, closed, lags, decision=decision, since=since, as_of=as_of, width=width))
        own = scene.rows.decision == decision
        made = scene.rows.frame["ts_pred"].dt.epoch("us").to_numpy()[own]
        due[own] = _reached(lags, as_of - made) - _reached(lags, since - made)
    first, second = found
    return Silence(excess=(first, second), due=due) if max(first.n, second.n) else None


def _rows(scene: Scene) -> _Rows:
    start = min(scene.reference.start, scene.current.start) - longest_delay(scene.joined)
    kept = (pl.col("ts_pred") >= start) & (pl.col("ts_pred") < scene.current.start) & ~pl.col("blocked")
    reported = pl.col("rule").is_not_null() & (pl.col("label") == 1)
    frame = (
        scene.joined.frame.lazy()
        .filter(kept)
        .select(
            pl.col("ts_pred").dt.epoch("us").alias("made"),
            pl.when(reported).then(pl.col("ts_arrival").dt.epoch("us")).fill_null(_NEVER).alias("arrived"),
            pl.col("flagged").fill_null(value=False).cast(pl.Int64),
            "score",
        )
        .collect()
    )
    return _Rows(
        made=frame["made"].to_numpy(),
        arrived=frame["arrived"].to_numpy(),
        bin_of=np.searchsorted(scene.edges, frame["score"].to_numpy(), side="right").astype(np.int64),
        bins=scene.bins,
        decision=frame["flagged"].to_numpy(),
    )


def _reached(lags: Ints, age: Ints) -> Floats:
    """Share of the positives that have arrived by an age."""
    return np.searchsorted(lags, np.maximum(age, 0), side="right") / len(lags)


def _excess(
    rows: _Rows, mine: Flags, closed: Flags, lags: Ints, *, decision: int, since: int, as_of: int, width: int
) -> Excess:
    n = np.bincount(rows.bin_of[closed], minlength=rows.bins)
    n1 = np.bincount(rows.bin_of[closed & (rows.arrived < since)], minlength=rows.bins)
    base = (n1.sum() + 0.5) / (n.sum() + 1)
    rate = (n1 + base) / (n + 1)
    told = mine & (rows.made >= since - width) & (rows.made < since)
    made, arrived, bin_of = rows.made[told], rows.arrived[told], rows.bin_of[told]
    before, whole = _reached(lags, since - made), _reached(lags, as_of - made)
    after = whole - before
    late = arrived >= since
    observed = float((late & (arrived <= as_of)).sum())
    expected, variance = _foretold(rate, n, bin_of, after)
    spread = _spread(rows, closed, rate, since=since)
    early = _foretold(rate, n, bin_of, before)
    both = _foretold(rate, n, bin_of, whole)
    n_early = float((arrived < since).sum())
    gap, scale = observed - expected, expected / max(early[0], 1e-9)
    against = (gap - scale * (n_early - early[0])) / ((variance + scale**2 * early[1]) * spread) ** 0.5
    day = (arrived[late & (arrived <= as_of)] - since) // DAY
    by_day = np.bincount(day) if len(day) else np.zeros(1)
    # Without the strongest day, whose expectation is at least its share of the time that is left.
    steady = gap - float(by_day.max()) + expected / max(len(by_day), 1)
    exposed = float(((1 - rate[bin_of]) * after).sum())
    return Excess(
        decision=decision,
        n=round(observed + exposed),
        observed=observed,
        expected=expected,
        variance=variance * spread,
        before=against,
        whole=(n_early + observed - both[0]) / (both[1] * spread) ** 0.5,
        steady=steady / (variance * spread) ** 0.5,
    )


def _foretold(rate: Floats, n: Ints, bin_of: Ints, share: Floats) -> tuple[float, float]:
    """Expected positives and their variance, that of the rates included."""
    m = np.bincount(bin_of, weights=share, minlength=len(rate))
    chance = rate[bin_of] * share
    noise = float((chance * (1 - chance)).sum() + (m**2 * rate * (1 - rate) / (n + 1)).sum())
    return float((m * rate).sum()), max(noise, 1e-9)


def _spread(rows: _Rows, closed: Flags, rate: Floats, *, since: int) -> float:
    """How much more the cohorts of a day differ than their positives explain; 1 if not beyond chance."""
    day = (rows.made[closed] - rows.made[closed].min()) // DAY
    reported = (rows.arrived[closed] < since).astype(np.float64)
    expected = rate[rows.bin_of[closed]]
    gap, size = np.bincount(day, weights=reported - expected), np.bincount(day, weights=expected * (1 - expected))
    held = size > 1
    count = int(held.sum())
    if count < 2:
        return 1.0
    statistic = float((gap[held] ** 2 / size[held]).sum())
    return max(1.0, statistic / (count - 1)) if chdtrc(count - 1, statistic) < SPREAD_P else 1.0


def _nothing(decision: int) -> Excess:
    return Excess(decision=decision, n=0, observed=0, expected=0, variance=0, before=0, whole=None, steady=0)
