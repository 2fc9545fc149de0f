"""Reliability curves and drift from a ledger's score bins and slice counts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger import columns as c
from fbkit.ledger.ledger import Ledger
from fbkit.measure.drift import COLUMNS, FLOATS
from fbkit.measure.evaluation import stamped
from fbkit.measure.from_ledger.bins import Histogram, bin_cells, histograms
from fbkit.measure.from_ledger.cells import Question, ask, gather, span
from fbkit.measure.from_ledger.metrics import weighing_of
from fbkit.measure.from_ledger.reliability import BY_EFFECT, check_probabilities, effect_of
from fbkit.measure.metrics import check_level
from fbkit.measure.reliability import CURVE, CURVE_COLUMNS
from fbkit.measure.scope import Slices, Stage
from fbkit.measure.shift import LARGEST_CATEGORIES, chi2_columns, ks_columns, psi_columns
from fbkit.measure.stats.corp import isotonic, isotonic_lines
from fbkit.measure.stats.intervals import Array, benjamini_hochberg, wilson
from fbkit.schema import results
from fbkit.schema.period import Comparison, Period, floor_day

_SEED: Final = 20_210_217
_DRAWS: Final = 400


def ledger_calibration(
    ledger: Ledger,
    *,
    by: Slices = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    bins: int = 10,
    curves: tuple[Literal["corp", "bins"], ...] = ("corp", "bins"),
    level: float = 0.95,
    weights: str | None = None,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """The curves of :func:`fbkit.calibration`: equal bins exactly where their ends are edges, CORP on the score bins.

    A score bin that lies across the end of an equal bin counts where its mean score lies; ``score_lower`` and
    ``score_upper`` of CORP's blocks are mean scores of score bins. Bands are drawn bin by bin; where entities repeat,
    bands and intervals are those of as many rows as their groups make them worth.
    """
    check_level(level)
    check_probabilities(ledger, bins)
    question = ask(ledger, by=by, period=period, stage=stage, as_of=as_of)
    effect = effect_of(question)
    weighing = weighing_of(ledger, weights)
    cells = bin_cells(question, weighing=weighing)
    keys = cells.keys().drop(results.PERIOD_START)
    parts: list[pl.DataFrame] = []
    for place, histogram in enumerate(histograms(cells, weighing=weighing)):
        if not histogram.n.sum() > 0:
            continue
        slices = [pl.lit(keys.item(place, name), dtype=pl.String).alias(name) for name in question.by]
        for curve in curves:
            made = _corp(histogram, level, effect) if curve == "corp" else _equal(histogram, bins, level, effect)
            parts.append(made.select(*slices, *CURVE_COLUMNS))
    floats = dict.fromkeys(CURVE_COLUMNS[1:9], pl.Float64)
    schema = dict.fromkeys(question.by, pl.String) | {CURVE: pl.String} | floats | {"n": pl.Int64, "method": pl.String}
    order = pl.col(CURVE).replace_strict({"corp": 0, "bins": 1}, return_dtype=pl.Int8)
    frame = pl.DataFrame(schema=schema)
    if parts:
        frame = pl.concat(parts).sort(*question.by, order, "score_lower", nulls_last=True)
    known: Any = ledger
    call = {"by": question.by, "period": str(question.limits), "stage": question.stage.name, "weights": weights}
    return stamped(frame, known, call="calibration", bins=bins, curves=curves, level=level, **call)


def _corp(histogram: Histogram, level: float, effect: float) -> pl.DataFrame:
    """One line per block of the isotonic fit on the score bins."""
    held = np.flatnonzero(histogram.n > 0)
    n, y, mean = histogram.n[held], histogram.positive[held], histogram.mean[held]
    fitted = isotonic(y / n, n)
    change = np.diff(fitted) > 1e-12
    block = np.concatenate([[0], np.cumsum(change)])
    starts = np.flatnonzero(np.concatenate([[True], change]))
    rng = np.random.default_rng(_SEED)
    size = np.maximum(np.rint(n / effect), 1).astype(np.int64)
    drawn = rng.binomial(size, np.clip(mean, 0, 1), size=(_DRAWS // 4, len(n))) / size
    centre = np.add.reduceat(n * mean, starts) / np.add.reduceat(n, starts)
    position = np.clip(np.searchsorted(mean, centre, side="right") - 1, 0, len(n) - 1)
    fits = isotonic_lines(drawn, n)[:, position]
    ends = mean[starts], mean[np.append(starts[1:], len(n)) - 1]
    return _curve("corp", block, n, y, n * mean, ends=ends, drawn=fits, level=level, effect=effect)


def _equal(histogram: Histogram, bins: int, level: float, effect: float) -> pl.DataFrame:
    """One line per equal-width bin of 0..1 that holds a row."""
    held = np.flatnonzero(histogram.n > 0)
    n, y, score = histogram.n[held], histogram.positive[held], (histogram.n * histogram.mean)[held]
    place = np.clip((histogram.mean[held] * bins).astype(np.int64), 0, bins - 1)
    used, block = np.unique(place, return_inverse=True)
    total = np.bincount(block, weights=n)
    mean = np.bincount(block, weights=score) / total
    rng = np.random.default_rng(_SEED)
    size = np.maximum(np.rint(total / effect), 1).astype(np.int64)
    drawn = rng.binomial(size, np.clip(mean, 0, 1), size=(_DRAWS, len(used))) / size
    ends = used / bins, (used + 1) / bins
    return _curve("bins", block, n, y, score, ends=ends, drawn=drawn, level=level, effect=effect)


def _curve(
    name: str,
    block: np.ndarray,
    n: Array,
    y: Array,
    score: Array,
    *,
    ends: tuple[Array, Array],
    drawn: Array,
    level: float,
    effect: float,
) -> pl.DataFrame:
    total, positive, scores = (np.bincount(block, weights=values) for values in (n, y, score))
    lower, upper = wilson(positive / effect, total / effect, level=level)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    numbers = (ends[0], ends[1], scores / total, positive / total, lower, upper, low, high)
    made = pl.DataFrame(dict(zip(CURVE_COLUMNS[1:9], numbers, strict=True)))
    return made.with_columns(
        pl.lit(name).alias(CURVE),
        pl.Series("n", np.rint(total)).cast(pl.Int64),
        pl.lit("Wilson, score bins" if effect == 1 else f"Wilson (effective n), {BY_EFFECT}").alias("method"),
    )


def ledger_drift(
    ledger: Ledger,
    comparison: Comparison,
    *,
    columns: str | Sequence[str] | None = None,
    every: str | None = None,
    level: float = 0.95,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """The score's and the slices' lines of :func:`fbkit.drift`.

    The score is compared over the ledger's own bins: PSI over those nearest to the reference's deciles, KS at the
    edges (the rows' is at most a bin's share larger). Slices are exact.

    Raises
    ------
    ArgumentError
        A column that the ledger did not count.
    """
    check_level(level)
    asked = counted_columns(ledger, columns)
    reference, current = resolved(ledger, comparison)
    told: dict[str, Any] = {"every": every, "level": level, "as_of": as_of}
    frame = pl.concat([_shift(ledger, name, reference, current, **told) for name in asked])
    tested = frame.get_column("ks_p_value").fill_null(frame.get_column("chi2_p_value")).to_numpy()
    frame = frame.with_columns(pl.Series("p_adjusted", benjamini_hochberg(tested), nan_to_null=True))
    known: Any = ledger
    periods = [str(reference), str(current)]
    call = {"columns": asked, "periods": periods, **told, "as_of": None if as_of is None else str(as_of)}
    return stamped(frame, known, call="drift", **call).select(COLUMNS)


def counted_columns(ledger: Ledger, columns: str | Sequence[str] | None) -> list[str]:
    """The columns asked for, by default the score and every slice; one that was not counted is an ArgumentError."""
    allowed = ["score", *(name for name in ledger.slices if (c.CELLS, (name,)) in ledger.tables)]
    asked = allowed if columns is None else [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))
    for name in asked:
        if name not in allowed:
            raise ArgumentError(
                "the ledger did not count this column",
                got=name,
                allowed=", ".join(allowed),
                next_step="compare the joined rows: fb.drift(joined, ...)",
            )
    return asked


def resolved(ledger: Ledger, comparison: Comparison) -> tuple[Period, Period]:
    """Reference and current period; what was left open is fixed by the ledger's days."""
    if comparison.reference is not None and comparison.current is not None:
        return comparison.reference, comparison.current
    days = span(ledger)
    if days is None:
        raise ArgumentError(
            "an empty ledger has no periods",
            got="no predictions",
            allowed="a ledger with predictions",
            next_step="build the ledger from a longer log",
        )
    delay = timedelta(days=ledger.manifest.delay_days or 0.0)
    fixed = comparison.resolve(last_mature=floor_day(ledger.as_of - delay), first=days.start, latest=days.end)
    return fixed.periods()


def counts_of(question: Question, name: str) -> tuple[Array, list[Any]]:
    """Rows by time cell and bin (or slice value), and the starts of the cells."""
    if name == "score":
        size = len(question.ledger.edges.edges) + 1
        cells = gather(question, (c.ROWS,), binned=True, extra=size)
        return cells.sums[c.ROWS].sum(axis=1), [cells.starts[place] for place in cells.number]
    cells = gather(question, (c.ROWS,))
    size, width = len(question.ledger.values[name]) + 1, len(cells.starts)
    made = np.zeros((width, size))
    made[cells.number % width, cells.number // width] = cells.sums[c.ROWS].sum(axis=1)
    return made, cells.starts


def _shift(
    ledger: Ledger,
    name: str,
    reference: Period,
    current: Period,
    *,
    every: str | None,
    level: float,
    as_of: str | datetime | None,
) -> pl.DataFrame:
    by = None if name == "score" else name
    any_row: dict[str, Any] = {"stage": results.STAGE_ANY, "as_of": as_of}
    before, _ = counts_of(ask(ledger, by=by, period=reference, **any_row), name)
    asked = ask(ledger, by=by, period=current, every=every, **any_row)
    after, starts = counts_of(asked, name)
    first = before.sum(axis=0)
    n, m = int(first.sum()), after.sum(axis=1)
    kept, method = score_bins(first) if name == "score" else value_bins(ledger, name, first, after)
    old: Array = np.bincount(kept, weights=first).astype(np.float64)
    made: dict[str, Array] = {}
    if n and len(after):
        new = np.stack([np.bincount(kept, weights=line, minlength=len(old)).astype(np.float64) for line in after])
        made |= psi_columns(old, new)
        if name == "score":
            with np.errstate(invalid="ignore", divide="ignore"):
                gaps = np.abs(np.cumsum(after, axis=1) / m[:, None] - np.cumsum(first) / n).max(axis=1)
            made |= ks_columns(gaps, n, m, level=level)
        else:
            made |= chi2_columns(old, new)
    rows = len(starts)
    numbers = [pl.Series(key, made.get(key, np.full(rows, np.nan)), nan_to_null=True) for key in FLOATS]
    nulls = (0.0, np.zeros(rows)) if name == "score" else (float(first[-1]), after[:, -1])
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = nulls[0] / n if n else np.nan, nulls[1] / m
    frame = pl.DataFrame(
        [
            pl.Series(results.PERIOD_START, [start if every else current.start for start in starts], dtype=_INSTANT),
            *numbers,
            pl.Series("null_rate_reference", np.full(rows, rates[0]), nan_to_null=True),
            pl.Series("null_rate_current", rates[1], nan_to_null=True),
            pl.Series("n_reference", np.full(rows, n, dtype=np.int64)),
            pl.Series("n_current", m).cast(pl.Int64),
        ]
    )
    start, end = pl.lit(current.start, dtype=_INSTANT), pl.lit(current.end, dtype=_INSTANT)
    cell_end = pl.col(results.PERIOD_START).dt.offset_by(every) if every else end
    reason = None if n else "no predictions in the reference period"
    return frame.with_columns(
        pl.lit(name).alias("column"),
        pl.lit("score" if name == "score" else "categorical").alias("kind"),
        pl.max_horizontal(results.PERIOD_START, start).alias(results.PERIOD_START),
        pl.min_horizontal(cell_end, end).alias(results.PERIOD_END),
        pl.lit(method).alias("method"),
        pl.when(pl.lit(reason).is_null() & (pl.col("n_current") == 0))
        .then(pl.lit("no predictions in the current period"))
        .otherwise(pl.lit(reason, dtype=pl.String))
        .alias(results.REASON),
    )


_INSTANT: Final = pl.Datetime("us", "UTC")


def score_bins(reference: Array) -> tuple[np.ndarray, str]:
    """Score bins put together into about ten of equal share in the reference."""
    share = np.cumsum(reference) / max(reference.sum(), 1.0)
    edges = (
        np.unique([int(np.argmin(np.abs(share[:-1] - step / 10))) for step in range(1, 10)]) if len(share) > 1 else []
    )
    code = np.searchsorted(np.asarray(edges, dtype=np.int64), np.arange(len(reference)), side="left")
    names = f"PSI ({len(edges) + 1} bins nearest to the deciles of the reference); "
    return code, names + f"KS at {len(reference) - 1} edges, p asymptotic; Benjamini-Hochberg"


def value_bins(ledger: Ledger, name: str, first: Array, after: Array) -> tuple[np.ndarray, str]:
    """Categories in order of their rows, those past the largest together; null, where it occurs, is the last."""
    method = "PSI (categories); chi-square; Benjamini-Hochberg"
    total, texts = after.sum(axis=0), ledger.values[name]
    order = sorted(range(len(texts)), key=lambda place: (-first[place], -total[place], texts[place]))
    place = np.zeros(len(first), dtype=np.int64)
    for rank, code in enumerate(order):
        place[code] = min(rank, LARGEST_CATEGORIES)
    place[-1] = min(len(texts), LARGEST_CATEGORIES + 1)
    return place, method
