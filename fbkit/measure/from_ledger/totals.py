"""Ratios of sums from a ledger's cells: value, interval by rows or by groups of entities, worst-case bounds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from fbkit.ledger import columns as c
from fbkit.ledger.view import Whole
from fbkit.measure.from_ledger.cells import Cells, Question, gather
from fbkit.measure.kinds import E0, E1, F, Total, W, Y
from fbkit.measure.scope import Stage
from fbkit.measure.stats.intervals import Array, effective_units, jackknife_variance, ratio_variance
from fbkit.measure.totals import COUNTS, N_ALL, N_BOTH, N_FLAG, N_IN, N_IN_MATURE, N_LABEL, estimate
from fbkit.schema import results

CLUSTERED: Final = "cluster-robust (entity)"
_BY_GROUPS: Final = "cluster-robust (groups of entities)"
BY_EFFECT: Final = "cluster-robust (groups of entities, design effect of the slice)"
_PARTS: Final = ("a", "b", "la", "lb", "ha", "hb")


def count_frame(cells: Cells) -> pl.DataFrame:
    """The key columns of each cell and its rows: all, at the stage, mature, with a decision, a label, both."""
    inside, flag, label = cells.counts, cells.flagged >= 0, cells.labelled
    marks = {
        N_ALL: np.ones(len(inside), dtype=bool),
        N_IN: inside,
        N_IN_MATURE: inside & cells.mature,
        N_FLAG: inside & flag,
        N_LABEL: inside & label,
        N_BOTH: inside & flag & label,
    }
    n = cells.sums[c.ROWS]
    counted = {name: pl.Series((n * mark).sum(axis=1)).cast(pl.Int64) for name, mark in marks.items()}
    return cells.keys().with_columns(**{name: counted[name] for name in COUNTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """How sums are read: plain counts of rows, or the products of weight, label and score."""

    products: bool
    bounded: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The sums of ``cells`` that totals need."""
        plain = (c.ROWS, *c.POWERS, c.FAR)
        return (c.ROWS, c.WEIGHED, *(item.name for item in c.PRODUCTS)) if self.products else plain

    @property
    def light(self) -> tuple[str, ...]:
        """The sums of the other tables."""
        return (c.ROWS, *(item.name for item in c.products_of(c.BINS))) if self.products else (c.ROWS, *c.POWERS[:2])


def total_parts(
    cells: Cells, counts: pl.DataFrame, measures: Sequence[Total], *, weighing: Weighing, level: float
) -> dict[str, pl.DataFrame]:
    """Estimates of all ratio measures, keyed by name."""
    if not measures:
        return {}
    question = cells.question
    sums = _sums(cells, measures, weighing=weighing)
    clustered = question.ledger.manifest.grouped and question.ledger.manifest.repeats
    spread = _spread(cells, measures, weighing=weighing) if clustered or _moments_needed(measures, weighing) else []
    grouped = _grouped(cells, measures, weighing=weighing) if clustered else None
    made: dict[str, pl.DataFrame] = {}
    for position, measure in enumerate(measures):
        columns = {name: values[position] for name, values in sums.items()}
        method = None
        if grouped is not None:
            method = grouped.method
            columns |= grouped.moments(columns["a"], columns["b"], spread[position], position)
        elif weighing.products or measure.kind == "mean":
            columns |= spread[position]
        frame = counts.with_columns(pl.Series(name, values, dtype=pl.Float64) for name, values in columns.items())
        made[measure.name] = _renamed(estimate(frame, measure, level=level, stage=question.stage), method)
    return made


def _moments_needed(measures: Sequence[Total], weighing: Weighing) -> bool:
    return weighing.products or any(measure.kind == "mean" for measure in measures)


def _renamed(part: pl.DataFrame, method: str | None) -> pl.DataFrame:
    return (
        part
        if method is None
        else part.with_columns(pl.col(results.METHOD).str.replace(CLUSTERED, method, literal=True))
    )


def working(cells: Cells, *, weighing: Weighing, kinds: Whole) -> pl.DataFrame:
    """The working columns of :mod:`fbkit.measure.kinds`, one line per cell (and group) and kind; two where fractional.

    ``kinds`` are the kinds of rows that count; lines lie cell by cell within each kind.
    """
    parts: dict[str, list[Array]] = {name: [] for name in (W, E1, E0, Y, F)}
    for kind in kinds.tolist():
        sums = {name: values[:, kind].reshape(-1) for name, values in cells.sums.items()}
        flag = np.nan if cells.flagged[kind] < 0 else float(cells.flagged[kind])
        for label, columns in _by_label(sums, int(cells.state[kind]), products=weighing.products):
            size = len(columns[W])
            columns |= {Y: np.full(size, np.nan if label is None else label), F: np.full(size, flag)}
            for name, values in columns.items():
                parts[name].append(values)
    whole = {name: np.concatenate(values) if values else np.zeros(0) for name, values in parts.items()}
    return pl.DataFrame([pl.Series(name, values, nan_to_null=name in (Y, F)) for name, values in whole.items()])


def _by_label(sums: dict[str, Array], state: int, *, products: bool) -> list[tuple[float | None, dict[str, Array]]]:
    """Weight and losses of rows of one kind, by label; rows without a label have the least and the greatest loss."""
    if products:
        w, s2 = sums["w1y0s0"], sums["w1y0s2"]
        y, ys = sums["w1y1s0"], sums["w1y1s1"]
        far = sums.get("w1y0far")
        both = w - 2 * sums["w1y0s1"] + 2 * s2
    else:
        w, s2, far = sums[c.ROWS], sums["s2"], sums.get(c.FAR)
        y, ys = w, sums["s1"]
        both = w - 2 * ys + 2 * s2
    if state > c.LABELLED_CODES[-1]:
        apart = np.zeros_like(w) if far is None else far
        return [(None, {W: w, E1: (both + apart) / 2, E0: (both - apart) / 2})]
    if state == c.CODE[results.NEGATIVE]:
        return [(0.0, {W: w, E1: both - s2, E0: s2})]
    if not products:
        return [(1.0, {W: w, E1: both - s2, E0: s2})]
    # The share of a row that is a positive loses y (1 - 2s), the rest what a negative loses; their s^2 is counted once.
    return [(1.0, {W: y, E1: y - 2 * ys, E0: s2}), (0.0, {W: w - y, E1: both - s2, E0: s2})]


def _sums(cells: Cells, measures: Sequence[Total], *, weighing: Weighing) -> dict[str, list[Array]]:
    """Sums a, b and the worst-case additions of each measure, by cell (and group)."""
    inside = np.flatnonzero(cells.counts)
    lines = working(cells, weighing=weighing, kinds=inside)
    labelled = pl.col(Y).is_not_null()
    asked: list[pl.Expr] = []
    for position, measure in enumerate(measures):
        decided = pl.col(F).is_not_null() if measure.uses_flag else pl.lit(value=True)
        used = (labelled if measure.uses_label else pl.lit(value=True)) & decided
        made = {"a": (used, measure.numerator), "b": (used, measure.denominator)}
        if weighing.bounded and measure.low is not None and measure.high is not None:
            free = ~labelled & decided
            for name, expression in zip(_PARTS[2:], (*measure.low, *measure.high), strict=True):
                made[name] = (free, expression)
        asked += [
            pl.when(when).then(value).fill_null(0.0).alias(f"{position} {name}") for name, (when, value) in made.items()
        ]
    found = lines.select(asked)
    places = cells.sums[c.ROWS].shape[:1] + cells.sums[c.ROWS].shape[2:]
    shape = (lines.height // max(int(np.prod(places)), 1), *places)
    everything = {name: found.get_column(name).to_numpy().reshape(shape).sum(axis=0) for name in found.columns}
    none = np.zeros(shape[1:])
    names = [name for name in _PARTS if any(f"{position} {name}" in everything for position in range(len(measures)))]
    return {name: [everything.get(f"{position} {name}", none) for position in range(len(measures))] for name in names}


def ratio_sums(cells: Cells, measure: Total, *, weighing: Weighing) -> tuple[Array, Array]:
    """Numerator and denominator of a measure by cell."""
    sums = _sums(cells, [measure], weighing=replace(weighing, bounded=False))
    return sums["a"][0], sums["b"][0]


def _spread(cells: Cells, measures: Sequence[Total], *, weighing: Weighing) -> list[dict[str, Array]]:
    """Sums over rows of products of their own contributions, as :func:`fbkit.measure.totals.sum_cells` has them."""
    made: list[dict[str, Array]] = []
    coefficients = _coefficients(cells, measures)
    for position, measure in enumerate(measures):
        total = {name: np.zeros(cells.sums[c.ROWS].shape[0]) for name in ("aa", "ab", "bb", "units", "rows")}
        for kind in np.flatnonzero(cells.counts).tolist():
            state = int(cells.state[kind])
            if (measure.uses_label and state > c.LABELLED_CODES[-1]) or (measure.uses_flag and cells.flagged[kind] < 0):
                continue
            sums = {name: values[:, kind] for name, values in cells.sums.items()}
            squares = _squares(sums, state, products=weighing.products)
            if measure.loss == "square":
                added = _loss_squares(sums, state, products=weighing.products)
            else:
                added = _products(squares, coefficients[kind][position], state)
            for name, values in added.items():
                total[name] += values
        made.append({**total, "rows": total["units"]})
    return made


def _squares(sums: dict[str, Array], state: int, *, products: bool) -> tuple[Array, Array, Array, Array]:
    """Rows, and sums of w^2, w^2 y and w^2 y^2 of rows of one kind."""
    if products:
        zero = np.zeros_like(sums["w2y0s0"])
        if state == c.CODE[results.NEGATIVE]:
            return sums[c.WEIGHED], sums["w2y0s0"], zero, zero
        return sums[c.WEIGHED], sums["w2y0s0"], sums["w2y1s0"], sums["w2y2s0"]
    n = sums[c.ROWS]
    y = n if state == c.CODE[results.POSITIVE] else np.zeros_like(n)
    return n, n, y, y


def _coefficients(cells: Cells, measures: Sequence[Total]) -> dict[int, list[tuple[float, ...]]]:
    """What a row of weight 1 adds to both sums if its label is 1, 0 or unknown: (a1, b1, a0, b0, a, b)."""
    found: dict[int, list[tuple[float, ...]]] = {}
    flags = sorted({int(flag) for flag in cells.flagged})
    lines = pl.DataFrame(
        [(label, None if flag < 0 else float(flag)) for flag in flags for label in (1.0, 0.0, None)],
        schema={Y: pl.Float64, F: pl.Float64},
        orient="row",
    ).with_columns(pl.lit(1.0).alias(W), pl.lit(0.0).alias(E1), pl.lit(0.0).alias(E0))
    asked = [item for measure in measures for item in (measure.numerator, measure.denominator)]
    numbers = [item.cast(pl.Float64).fill_null(0.0).alias(str(place)) for place, item in enumerate(asked)]
    values = lines.select(numbers).to_numpy()
    by_flag = {flag: values[3 * place : 3 * place + 3] for place, flag in enumerate(flags)}
    for kind, flag in enumerate(cells.flagged.tolist()):
        rows = by_flag[int(flag)]
        found[kind] = [
            tuple(float(rows[label, 2 * place + part]) for label in range(3) for part in range(2))
            for place in range(len(measures))
        ]
    return found


def _products(squares: tuple[Array, Array, Array, Array], ends: tuple[float, ...], state: int) -> dict[str, Array]:
    """Sums of products where a row adds w (a0 (1 - y) + a1 y) above and w (b0 (1 - y) + b1 y) below."""
    n, w2, w2y, w2yy = squares
    a1, b1, a0, b0, a, b = ends
    if state > c.LABELLED_CODES[-1]:
        return {"aa": a * a * w2, "ab": a * b * w2, "bb": b * b * w2, "units": n * (b != 0)}

    def product(one: tuple[float, float], other: tuple[float, float]) -> Array:
        return (
            one[0] * other[0] * (w2 - 2 * w2y + w2yy)
            + (one[0] * other[1] + one[1] * other[0]) * (w2y - w2yy)
            + one[1] * other[1] * w2yy
        )

    top, bottom = (a0, a1), (b0, b1)
    there = {0: b1 != 0, 1: b0 != 0, 2: b0 != 0 or b1 != 0}[state]
    return {"aa": product(top, top), "ab": product(top, bottom), "bb": product(bottom, bottom), "units": n * there}


def _loss_squares(sums: dict[str, Array], state: int, *, products: bool) -> dict[str, Array]:
    """The same for the squared error, s^2 + y (1 - 2 s), out of powers of the score."""
    if not products:
        n, s1, s2, s3, s4 = (sums[name] for name in (c.ROWS, *c.POWERS))
        if state == c.CODE[results.POSITIVE]:
            return {"aa": n - 4 * s1 + 6 * s2 - 4 * s3 + s4, "ab": n - 2 * s1 + s2, "bb": n, "units": n}
        return {"aa": s4, "ab": s2, "bb": n, "units": n}
    loss, squares = sums["w2y0s2"], sums["w2y0s4"]
    if state != c.CODE[results.NEGATIVE]:
        loss = loss + sums["w2y1s0"] - 2 * sums["w2y1s1"]
        squares = squares + sums["w2y2s0"] + 4 * sums["w2y2s2"] + 2 * sums["w2y1s2"]
        squares = squares - 4 * sums["w2y1s3"] - 4 * sums["w2y2s1"]
    return {"aa": squares, "ab": loss, "bb": sums["w2y0s0"], "units": sums[c.WEIGHED]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """Variance by groups of entities: of the cells themselves, or how much larger than by rows it is in their slice."""

    variance: list[Array]
    units: list[Array]
    effect: bool

    @property
    def method(self) -> str:
        return BY_EFFECT if self.effect else _BY_GROUPS

    def moments(self, a: Array, b: Array, spread: dict[str, Array], position: int) -> dict[str, Array]:
        """Second moments that make :func:`fbkit.measure.totals.estimate` find this variance."""
        units, variance = self.units[position], self.variance[position]
        if self.effect:
            variance = variance * by_rows(a, b, spread)
        with np.errstate(invalid="ignore", divide="ignore"):
            bb = np.where(units > 0, np.square(b) / units, np.nan)
            aa = variance * np.square(b) * (units - 1) / units - np.square(a / b) * bb
            aa = np.where(units > 1, aa, np.nan)
        return {"aa": aa, "ab": np.zeros_like(aa), "bb": bb, "units": units, "rows": spread["rows"]}


def by_rows(a: Array, b: Array, spread: dict[str, Array]) -> Array:
    """The variance if rows were independent."""
    return ratio_variance(a, b, spread["aa"], spread["ab"], spread["bb"], units=spread["units"])


def _grouped(cells: Cells, measures: Sequence[Total], *, weighing: Weighing) -> Grouped:
    question = cells.question
    own = (
        question.at is None
        and question.stage.age is None
        and question.flag_from is None
        and question.grain_of(c.GROUPS)
    )
    if own:
        held = gather(question, weighing.light, kind=c.GROUPS, extra=c.BUCKETS)
        variance, units = _jackknife(held, measures, weighing=weighing)
        return Grouped(variance=variance, units=units, effect=False)
    effects, units, numbers = effects_of(question, measures, weighing=weighing)
    place = np.clip(np.searchsorted(numbers, cells.slice_number), 0, max(len(numbers) - 1, 0))
    return Grouped(variance=[part[place] for part in effects], units=[part[place] for part in units], effect=True)


def effects_of(
    question: Question, measures: Sequence[Total], *, weighing: Weighing
) -> tuple[list[Array], list[Array], Whole]:
    """Design effects and worth of groups by slice, and the slices' numbers; made once, then kept.

    Entities repeat less within a day than within a year, so the effect is that of cells about as long as those asked
    for: variances of the slice's cells by groups, over those by rows.
    """
    stage = question.stage if question.stage.age is None else Stage(name=results.STAGE_FINAL)
    grain = {None: None, "1mo": None, "1w": "1w", "1d": "1w" if question.cut else "1d"}[question.every]
    whole = replace(question, every=grain, period=None, at=None, stage=stage, flag_from=None)
    key = ("effects", whole.by, grain, stage.name, weighing, tuple(measure.name for measure in measures))
    kept = question.ledger.views.get(key)
    if kept is None:
        held = gather(whole, weighing.light, kind=c.GROUPS, extra=c.BUCKETS)
        variance, units = _jackknife(held, measures, weighing=weighing)
        by_row = gather(whole, weighing.names)
        sums = _sums(by_row, measures, weighing=replace(weighing, bounded=False))
        spread = _spread(by_row, measures, weighing=weighing)
        numbers, place = np.unique(held.slice_number, return_inverse=True)
        effects: list[Array] = []
        for position in range(len(measures)):
            plain = by_rows(sums["a"][position], sums["b"][position], spread[position])
            known = np.isfinite(plain) & np.isfinite(variance[position])
            tops, bottoms = (np.bincount(place, np.where(known, part, 0.0)) for part in (variance[position], plain))
            with np.errstate(invalid="ignore", divide="ignore"):
                ratio = tops / bottoms
            effects.append(np.where(ratio > 1, ratio, 1.0))
        cells = np.bincount(place)
        units = [np.bincount(place, part) / cells for part in units]
        kept = question.ledger.views[key] = (effects, units, numbers)
    return kept


def _jackknife(held: Cells, measures: Sequence[Total], *, weighing: Weighing) -> tuple[list[Array], list[Array]]:
    """Delete-a-group variance of each measure by cell, and what its groups are worth."""
    sums = _sums(held, measures, weighing=replace(weighing, bounded=False))
    variances: list[Array] = []
    units: list[Array] = []
    for a, b in zip(sums["a"], sums["b"], strict=True):
        top, bottom = a.sum(axis=1), b.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            value = top / bottom
            without = (top[:, None] - a) / (bottom[:, None] - b)
        variances.append(jackknife_variance(value, without, kept=b > 0))
        units.append(effective_units(bottom, np.square(b).sum(axis=1)))
    return variances, units
