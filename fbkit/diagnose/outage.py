"""Days on which labels were lost on their way in, seen on the labels of predictions made before the current period."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import numpy as np
import polars as pl

from fbkit.diagnose import words
from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.history import History
from fbkit.diagnose.ingest import Counts, Scan, at_most, scan
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.rows import CURRENT, OTHERS, REFERENCE
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import is_mean_of_values
from fbkit.diagnose.visibility import Gap
from fbkit.measure.stats.intervals import quantile

CAUSE: Final = "label_outage"
MOST_COHORTS: Final = 150
"""Days of predictions before the current period that are counted."""
MOST_LAGS: Final = 200
MOST_CELLS: Final = 2_000_000
"""Slice columns with more counts than this are not scanned."""
CLEARER: Final = 1.1
"""A slice must fit so many times better than the whole feed to be named."""
CLEARER_BY: Final = 20.0
"""And by this deviance at least."""
LEAST_LOST: Final = 0.002
"""Share of a window's labels that must have been lost for the days to matter."""
CAUGHT_UP: Final = 3.0
"""Standard errors by which later days must exceed what is expected to make up for the lost ones."""
RELABELLED: Final = 0.4
"""Share of the missing labels of one outcome that must be found with the other one for them not to be lost."""
_PSI_PRIOR: Final = 20.0
_BEFORE: Final = 7
EVERYTHING: Final = ""
DECISION: Final = "decision"
OUTCOME: Final = "outcome"
_OF_DECISION: Final = ("unflagged rows", "flagged rows")
_OF_OUTCOME: Final = ("labels other than positive", "positive labels")
NEXT: Final = (
    "The feed's own record of those days; if it is delivered again, evaluate as of then. "
    "Days on which hardly a label of an old prediction was due cannot be judged."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Days next to each other on which one series fell short; ``psi`` is the share retained by day, ``error`` its own.

    ``first`` and ``last`` (both included) count from the first day of the counts.
    """

    series: int
    first: int
    last: int
    psi: Floats
    error: float
    observed: float
    due: float
    recovered: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What the scan found along the column that fits best."""

    column: str
    values: tuple[str, ...]
    counts: Counts
    found: Scan
    runs: tuple[Run, ...]


def find(scene: Scene, known: History) -> Outage | None:
    """Scan the days; None where no label of an old prediction was due since the current period began."""
    until = int(np.floor(known.as_of + 1e-9))
    begin = int(np.floor(_days(scene.current.start)))
    healthy = np.flatnonzero(known.healthy & (known.made < _days(scene.current.start)))
    healthy = healthy[known.made[healthy] >= begin - MOST_COHORTS]
    if not len(healthy) or until <= begin or known.open < 1:
        return None
    first = int(np.floor(known.made[healthy].min()))
    start = max(int(np.floor(_days(scene.reference.start))) - first, 0)
    table = _Table.of(known, healthy, first=first, days=until - first, calm=begin - first)
    whole = _look(table, EVERYTHING, ("everywhere",), np.zeros(len(healthy), dtype=np.int64), start=start)
    if whole.found.due[:, begin - first :].sum() < 1:
        return None
    best = whole
    for column, values, code in _columns(scene, known, healthy):
        if not table.affordable(len(values)):
            continue
        seen = _look(table, column, values, code, start=start)
        if _clear(seen) > max(CLEARER * _clear(best), _clear(best) + CLEARER_BY + _freedom(seen, best)):
            best = seen
    back = int((known.healthy & np.isfinite(known.positive) & ~np.isfinite(known.lag)).sum())
    return best if scene.silent or not back else _joined_again(best, back)


def _joined_again(outage: Outage, back: int) -> Outage:
    """Labels that an earlier rung found again are not lost, though nobody knows when they arrived."""
    lost = sum(run.due - run.observed for run in outage.runs)
    share = min(1.0, back / lost) if lost > 0 else 0.0
    runs = (
        replace(
            run, psi=run.psi + (1 - run.psi) * share, error=run.error * (1 - share), recovered=max(share, run.recovered)
        )
        for run in outage.runs
    )
    return replace(outage, runs=tuple(runs))


def _days(when: datetime) -> float:
    return when.timestamp() / 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Days of prediction of the old rows, and place (day of prediction, lag) of those that have a label by now."""

    made: Ints
    said: Ints
    place: Ints
    positive: Floats
    first: int
    days: int
    calm: int
    lags: int

    @classmethod
    def of(cls, known: History, rows: Ints, *, first: int, days: int, calm: int) -> Self:
        lags = min(int(np.ceil(known.open)) + 1, MOST_LAGS, days)
        # A nanosecond's rounding must not move an arrival at midnight into the day before.
        made = np.floor(known.made[rows] + 1e-9).astype(np.int64) - first
        said = np.flatnonzero(np.isfinite(known.lag[rows]))
        at = np.floor((known.made + known.lag)[rows[said]] + 1e-9).astype(np.int64) - first
        lag = at - made[said]
        kept = (at < days) & (lag >= 0) & (lag < lags)
        said = said[kept]
        place = made[said] * lags + lag[kept]
        positive = known.positive[rows[said]]
        return cls(made=made, said=said, place=place, positive=positive, first=first, days=days, calm=calm, lags=lags)

    def affordable(self, series: int) -> bool:
        return series * self.calm * self.lags <= MOST_CELLS

    def counts(self, code: Ints, *, series: int, column: str) -> Counts:
        cohorts = max(int(self.made.max()) + 1, self.calm)
        each = cohorts * self.lags
        if column == OUTCOME:
            parts = [np.bincount(self.place, weights=w, minlength=each) for w in (1 - self.positive, self.positive)]
            arrived = np.concatenate(parts)
            predictions = np.tile(np.bincount(self.made, minlength=cohorts), (2, 1))
        else:
            arrived = np.bincount(code[self.said] * each + self.place, minlength=series * each)
            predictions = np.bincount(code * cohorts + self.made, minlength=series * cohorts).reshape(series, cohorts)
        return Counts(
            arrived=arrived.reshape(series, cohorts, self.lags).astype(np.float64),
            made=predictions.astype(np.float64),
            first=self.first,
            days=self.days,
            calm=self.calm,
        )


def _look(table: _Table, column: str, values: Sequence[str], code: Ints, *, start: int) -> Outage:
    counts = table.counts(code, series=len(values), column=column)
    found = scan(counts, start=start)
    runs = _runs(found, calm=counts.calm)
    if column == OUTCOME:
        runs = tuple(run for run in runs if not _relabelled(found, run))
    return Outage(column=column, values=tuple(values), counts=counts, found=found, runs=runs)


def _relabelled(found: Scan, run: Run) -> bool:
    """As many more arrived with the other outcome: labels that were changed, not lost."""
    days = slice(run.first, run.last + 1)
    more = float((found.observed - found.due)[1 - run.series, days].sum())
    return more >= RELABELLED * (run.due - run.observed)


def _columns(scene: Scene, known: History, rows: Ints) -> list[tuple[str, tuple[str, ...], Ints]]:
    """Name, values and code of the old rows for everything that an outage may be limited to."""
    found: list[tuple[str, tuple[str, ...], Ints]] = []
    if known.decision[rows].any():
        found.append((DECISION, _OF_DECISION, known.decision[rows]))
    if not scene.silent and not is_mean_of_values(scene.metric):
        found.append((OUTCOME, _OF_OUTCOME, np.zeros(len(rows), dtype=np.int64)))
    for name, (values, code) in scene.encoded.items():
        both = np.concatenate([code, _code(known.older, name, values)])
        kept = both[rows] >= 0
        if len(values) > 1 and kept.all():
            found.append((name, tuple(f"{name}={value}" for value in values), both[rows]))
    return found


def _code(older: pl.DataFrame, name: str, values: Sequence[str]) -> Ints:
    """Codes of the predictions outside both windows; values that neither window has: the lump, or -1."""
    if older.is_empty():
        return np.zeros(0, dtype=np.int64)
    other = values.index(OTHERS) if OTHERS in values else -1
    text = older[name].cast(pl.String).fill_null("(no value)")
    return text.replace_strict(list(values), list(range(len(values))), default=other, return_dtype=pl.Int64).to_numpy()


def _clear(outage: Outage) -> float:
    return float(outage.found.clear[sorted({run.series for run in outage.runs})].sum())


def _freedom(seen: Outage, best: Outage) -> float:
    """What a finer look gains by chance: one unit for each additional day and series."""
    return 3.0 * max(0, int(seen.found.down.sum()) - int(best.found.down.sum()))


def _runs(found: Scan, *, calm: int) -> tuple[Run, ...]:
    runs: list[Run] = []
    free = np.where(found.down, 0.0, found.observed - found.due)
    # Earlier days are set apart, so that they teach nothing wrong; the current period did not lose by them.
    for series in range(len(found.down)):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], found.down[series].astype(np.int8), [0]])))
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            if end > calm:
                runs.append(_run(found, free, series=series, first=int(first), last=int(end) - 1))
    return tuple(runs)


def _run(found: Scan, free: Floats, *, series: int, first: int, last: int) -> Run:
    days = slice(first, last + 1)
    observed, due = found.observed[series, days], found.due[series, days]
    whole = observed.sum() / due.sum()
    lost = float(due.sum() - observed.sum())
    # What is delivered later was not lost: the days right after, and every flood.
    later = np.zeros(found.due.shape[1], dtype=bool)
    later[last + 1 : last + 1 + max(3, 2 * len(due))] = True
    later[last + 1 :] |= found.flood[series, last + 1 :]
    later &= ~found.down[series]
    more, mean = float(free[series, later].sum()), found.due[series, later]
    error = float(np.sqrt(mean.sum() + found.noise**2 * (mean**2).sum() + 1))
    recovered = min(1.0, more / lost) if more > CAUGHT_UP * error else 0.0
    if recovered:
        free[series, later] *= max(0.0, 1 - recovered * lost / more)
    psi = np.clip((observed + _PSI_PRIOR * whole) / (due + _PSI_PRIOR), 0.0, 1.0)
    return Run(
        series=series,
        first=first,
        last=last,
        psi=psi + (1 - psi) * recovered,
        error=float(np.sqrt(observed.sum() + 1) / due.sum()) * (1 - recovered),
        observed=float(observed.sum()),
        due=float(due.sum()),
        recovered=recovered,
    )


def gaps(scene: Scene, outage: Outage, *, more: float = 0.0) -> tuple[Gap, ...]:
    """The days as gaps of visibility; ``more`` standard errors are added to what is lost."""
    made: list[Gap] = []
    for run in outage.runs:
        rows = outcome = None
        if outage.column == DECISION:
            rows = scene.rows.decision == run.series
        elif outage.column == OUTCOME:
            outcome = run.series
        elif outage.column != EVERYTHING:
            rows = scene.encoded[outage.column][1] == run.series
        start = outage.counts.first + run.first
        for day, psi in enumerate(run.psi):
            lost = float(np.clip(1 - psi + more * run.error, 0.0, 1.0))
            if lost > 0:
                made.append(
                    Gap(start=float(start + day), end=float(start + day + 1), lost=lost, rows=rows, outcome=outcome)
                )
    return tuple(made)


def still_there(outage: Outage, known: History) -> Floats:
    """What every label stands for: itself and those of its lag that the outage took along from healthy cohorts."""
    found, counts = outage.found, outage.counts
    psi = np.ones_like(found.due)
    for run in outage.runs:
        psi[run.series, run.first : run.last + 1] = run.psi
    day = counts.arrival_day
    cells = np.where((day < counts.days)[None], found.cells, 0.0)
    kept = cells * psi[:, np.minimum(day, counts.days - 1)]
    whole, left = cells.sum((0, 1)), kept.sum((0, 1))
    factor = np.where(left > 0, whole / np.maximum(left, 1e-9), 1.0)
    at = np.floor(np.nan_to_num(known.lag)).astype(np.int64)
    return np.clip(factor, 1.0, 5.0)[np.clip(at, 0, len(factor) - 1)]


def repair(
    scene: Scene,
    labels: Labels,
    outage: Outage,
    *,
    before: tuple[Floats, Floats],
    after: tuple[Floats, Floats],
    sides: Sequence[tuple[Floats, Floats]],
) -> Repair:
    """The repair out of visibilities (of positive and of other labels) without and with the gaps."""
    lost = [share_lost(scene, before, after, window=window) for window in (REFERENCE, CURRENT)]
    fires = bool(outage.runs) and max(lost) > LEAST_LOST
    return Repair(
        cause=CAUSE,
        labels=labels.visible(positive=after[0], other=after[1]) if fires else labels,
        fires=fires,
        where=_where(outage),
        evidence=_sentence(outage, lost),
        next_evidence=NEXT,
        frame=ingest_frame(scene, outage),
        numbers=_numbers(outage, lost),
        either_side=tuple(labels.visible(positive=one, other=two) for one, two in sides) if fires else (),
    )


def share_lost(scene: Scene, before: tuple[Floats, Floats], after: tuple[Floats, Floats], *, window: int) -> float:
    """Share of a window's labels that the gaps took, of the outcome that lost more."""
    mine = scene.rows.of(window)
    return max(float((b[mine] - a[mine]).mean()) for b, a in zip(before, after, strict=True))


def _place(outage: Outage, run: Run) -> tuple[str, str]:
    first = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=outage.counts.first + run.first)
    last = first + timedelta(days=run.last - run.first)
    when = f"{first:%Y-%m-%d}" if first == last else f"{first:%Y-%m-%d}..{last:%Y-%m-%d}"
    return when, outage.values[run.series]


def _clearest(outage: Outage) -> list[Run]:
    return sorted(outage.runs, key=lambda run: (-(run.due - run.observed) * (1 - run.recovered), run.first, run.series))


def _where(outage: Outage) -> str:
    if not outage.runs:
        return "everywhere"
    said: list[str] = []
    for run in _clearest(outage)[:3]:
        when, value = _place(outage, run)
        said.append(f"labels that arrive {when}" + ("" if outage.column == EVERYTHING else f", {value}"))
    return "; ".join(said)


def _sentence(outage: Outage, lost: Sequence[float]) -> str:
    if not outage.runs:
        return "On every day as many labels of old predictions arrived as were due."
    run = _clearest(outage)[0]
    when, value = _place(outage, run)
    place = "" if outage.column == EVERYTHING else f" ({value})"
    made_up = f", of the missing ones {words.percent(run.recovered)} came later" if run.recovered else ""
    return (
        f"Of the labels of older predictions{place} {words.count(run.observed)} arrived on {when} where "
        f"{words.count(run.due)} were due{made_up}; by the same share {words.percent(lost[CURRENT])} of the current "
        f"period's labels and {words.percent(lost[REFERENCE])} of the reference's were lost."
    )


def _numbers(outage: Outage, lost: Sequence[float]) -> dict[str, tuple[str, float | None]]:
    run = _clearest(outage)[0] if outage.runs else None
    return {
        "outage_arrived": ("count", None if run is None else run.observed),
        "outage_due": ("count", None if run is None else run.due),
        "outage_caught_up": ("share", None if run is None else run.recovered),
        "outage_lost_reference": ("share", lost[REFERENCE]),
        "outage_lost_current": ("share", lost[CURRENT]),
    }


def ingest_frame(scene: Scene, outage: Outage) -> pl.DataFrame:
    """day, expected, observed, psi, lower, upper, p_value, down: labels of old predictions by day of arrival.

    From a week before the current period (or the first day that is down) to the last day on which any was due, of the
    whole feed or of the slice that fell short most; psi is observed over expected.
    """
    found, counts = outage.found, outage.counts
    line = _clearest(outage)[0].series if outage.runs else 0
    down = found.down[line]
    begin = max(counts.calm - _BEFORE, 0)
    if down.any():
        begin = min(begin, int(np.flatnonzero(down)[0]))
    last = int(np.flatnonzero((found.due[line] >= 1) | down).max(initial=begin))
    days = np.arange(begin, last + 1)
    n, mu = found.observed[line, days], found.due[line, days]
    half = float(quantile(scene.settings.level)) * np.sqrt(n + 1 + (found.noise * mu) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        psi, lower, upper = (np.where(mu >= 1, part / mu, np.nan) for part in (n, np.maximum(n - half, 0), n + half))
    dates = pl.Series((counts.first + days).astype(np.int32)).cast(pl.Date)
    return pl.DataFrame(
        {
            "day": dates,
            "expected": mu,
            "observed": n,
            "psi": psi,
            "lower": lower,
            "upper": upper,
            "p_value": at_most(n, mu, noise=np.array(found.noise)),
            "down": down[days],
        }
    ).with_columns(pl.col("psi", "lower", "upper").fill_nan(None))
