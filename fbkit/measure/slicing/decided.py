"""Rows of cells as small whole numbers, so that a decision made anew at any threshold of a grid is looked up."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.measure.cells import Units, entity_units
from fbkit.measure.kinds import E0, E1, F, Total, W, Y
from fbkit.measure.stats.intervals import Array
from fbkit.measure.tally import sums_by

Whole = NDArray[np.int64]
KINDS: Final = 3  # label 1, label 0, no label
_LINES: Final = [(label, flag) for label in (1.0, 0.0, None) for flag in (0.0, 1.0, None)]
_STEPS: Final = 200


class Coefficients(NamedTuple):
    """What one row adds to a measure's sums, by kind of label (1, 0, none) and decision (0, 1, none)."""

    a: Array
    b: Array
    bounds: dict[str, Array]


def looked_up(measure: Total) -> bool:
    """Whether a measure's sums follow from numbers of rows by label and decision."""
    return measure.needs == "counts" and not (measure.columns or measure.expressions or measure.loss)


def coefficients(measure: Total) -> Coefficients:
    """The measure's own expressions, asked of one row of each kind."""
    lines = pl.DataFrame(_LINES, schema={Y: pl.Float64, F: pl.Float64}, orient="row")
    lines = lines.with_columns(pl.lit(1.0).alias(W), pl.lit(0.0).alias(E1), pl.lit(0.0).alias(E0))
    labelled = pl.col(Y).is_not_null()
    decided = pl.col(F).is_not_null() if measure.uses_flag else pl.lit(value=True)
    used = (labelled if measure.uses_label else pl.lit(value=True)) & decided
    asked = {"a": (used, measure.numerator), "b": (used, measure.denominator)}
    if measure.low is not None and measure.high is not None:
        for name, expression in zip(("la", "lb", "ha", "hb"), (*measure.low, *measure.high), strict=True):
            asked[name] = (~labelled & decided, expression)
    made = lines.select(
        pl.when(when).then(expression).fill_null(0.0).cast(pl.Float64).alias(name)
        for name, (when, expression) in asked.items()
    )
    found = {name: made.get_column(name).to_numpy().reshape(KINDS, 3) for name in asked}
    return Coefficients(found.pop("a"), found.pop("b"), found)


def linear(rows: Array, flagged: Array, each: Array) -> Array:
    """Sums by threshold and cell of what one row adds: ``rows`` by cell and kind, ``flagged`` by threshold too."""
    return flagged @ (each[:, 1] - each[:, 0]) + rows @ each[:, 0]


class Grid(NamedTuple):
    """Equally spaced thresholds; ``step`` is round, and every threshold is what a person would type."""

    thresholds: Array
    step: float

    @classmethod
    def over(cls, low: float | None, high: float | None) -> "Grid":
        """A grid of about 200 steps over the scores from ``low`` to ``high``."""
        if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)) or low == high:
            step, first, last = 0.005, 0.0, 1.0
        else:
            power = 10.0 ** math.floor(math.log10((high - low) / _STEPS))
            sizes = (power * unit for unit in (1, 2, 5, 10))
            step = next(size for size in sizes if (high - low) / _STEPS <= size * (1 + 1e-9))
            first, last = math.floor(low / step) * step, math.ceil(high / step) * step
        count = round((last - first) / step) + 1
        return cls(np.array([round(first + place * step, 9) for place in range(count)]), step)

    def place(self, threshold: float) -> int | None:
        """The place of a threshold (rounded on its way from a browser), or None if it is not on the grid."""
        found = int(np.clip(np.rint((threshold - self.thresholds[0]) / self.step), 0, len(self.thresholds) - 1))
        return found if abs(self.thresholds[found] - threshold) <= 1e-6 * self.step else None


@dataclass(frozen=True, kw_only=True)
class Decided:
    """The rows that count at a stage: cell, kind of label (0: 1, 1: 0, 2: none), decision (2: none), score, entity.

    A row is flagged at threshold number t of ``bins`` if its ``bin`` is larger than t.
    """

    cell: Whole
    cells: int
    kind: Whole
    flag: Whole
    score: Array
    bin: Whole
    bins: int
    entity: pl.Series

    @cached_property
    def units(self) -> Units | None:
        """Rows by cell and entity; None where no entity has two rows in a cell."""
        return None if not len(self.cell) else entity_units(self.entity, self.cell)

    def logged(self, measure: Total, *, threshold: float | None = None) -> dict[str, Array]:
        """The measure's sums by cell, at the decisions that were logged, or with every row decided anew."""
        own = coefficients(measure)
        pair = self.kind * 3 + (self.flag if threshold is None else self.score >= threshold)
        rows = np.bincount(self.cell * KINDS * 3 + pair, minlength=self.cells * KINDS * 3)
        rows = rows.reshape(self.cells, KINDS * 3)
        sums = {name: rows @ each.ravel() for name, each in {"a": own.a, "b": own.b, **own.bounds}.items()}
        a, b = own.a.ravel(), own.b.ravel()
        units = self.units
        if units is None:
            squares = {"aa": rows @ (a * a), "ab": rows @ (a * b), "bb": rows @ (b * b), "units": rows @ (b != 0)}
        else:
            ordered, cell = pair[units.order], self.cell[units.order[units.starts]]
            top, bottom = np.add.reduceat(a[ordered], units.starts), np.add.reduceat(b[ordered], units.starts)
            there = (bottom != 0).astype(np.float64)
            parts = {"aa": top * top, "ab": top * bottom, "bb": bottom * bottom, "units": there}
            squares = {name: sums_by(cell, part, self.cells) for name, part in parts.items()}
        return sums | squares | {"rows": rows @ (b != 0)}

    def swept(self, measure: Total) -> dict[str, Array]:
        """The measure's sums by threshold and cell, every row flagged by its score alone."""
        own = coefficients(measure)
        asked = {"a": own.a, "b": own.b, **own.bounds, "rows": (own.b != 0).astype(np.float64)}
        if self.units is None:
            asked |= {"aa": own.a * own.a, "ab": own.a * own.b, "bb": own.b * own.b, "units": asked["rows"]}
            return {name: linear(*self._counts, each) for name, each in asked.items()}
        return {name: linear(*self._counts, each) for name, each in asked.items()} | self._by_entities(own)

    @cached_property
    def _counts(self) -> tuple[Array, Array]:
        """Rows by cell and kind, and those that are flagged by threshold, cell and kind."""
        shape = (self.cells, KINDS, self.bins + 1)
        key = (self.cell * KINDS + self.kind) * (self.bins + 1) + self.bin
        held = np.bincount(key, minlength=math.prod(shape)).reshape(shape)
        rows = held.sum(axis=2)
        flagged = rows[..., None] - np.cumsum(held, axis=2)[..., : self.bins]
        return rows.astype(np.float64), np.ascontiguousarray(flagged.transpose(2, 0, 1), dtype=np.float64)

    @cached_property
    def _ordered(self) -> tuple[Whole, Whole, Whole]:
        """Rows by entity and, within one, by falling score; the first of each entity, and the entity of each."""
        units = self.units
        assert units is not None, "asked for only where entities repeat"
        first = np.zeros(len(units.order), dtype=np.int64)
        first[units.starts] = 1
        number = np.cumsum(first) - 1
        key = number * (self.bins + 1) + (self.bins - self.bin[units.order])
        return units.order[np.argsort(key, kind="stable")], units.starts, number

    def _by_entities(self, own: Coefficients) -> dict[str, Array]:
        """Sums over entities of products of their own sums: what a row adds when the threshold falls to its score."""
        order, starts, number = self._ordered
        kind, bins, cell = self.kind[order], self.bin[order], self.cell[order]
        place, size = cell * (self.bins + 1) + bins, self.cells * (self.bins + 1)
        first = cell[starts]
        before: list[Array] = []
        moved: list[Array] = []
        none: list[Array] = []
        for each in (own.a, own.b):
            unflagged = np.add.reduceat(each[kind, 0], starts)
            step = each[kind, 1] - each[kind, 0]
            sofar = np.cumsum(step) - step
            before.append(unflagged[number] + sofar - sofar[starts][number])
            moved.append(step)
            none.append(unflagged)
        (top, bottom), (da, db) = before, moved
        added = {"aa": da * (2 * top + da), "ab": top * db + bottom * da + da * db, "bb": db * (2 * bottom + db)}
        start = {"aa": none[0] * none[0], "ab": none[0] * none[1], "bb": none[1] * none[1]}
        made: dict[str, Array] = {}
        for name, part in added.items():
            steps = np.bincount(place, part, minlength=size).reshape(self.cells, self.bins + 1)
            later = steps.sum(axis=1, keepdims=True) - np.cumsum(steps, axis=1)[:, : self.bins]
            made[name] = np.ascontiguousarray((later + np.bincount(first, start[name], self.cells)[:, None]).T)
        return made | {"units": self._entities_with_any(own.b, kind, bins, starts, first)}

    def _entities_with_any(self, each: Array, kind: Whole, bins: Whole, starts: Whole, cell: Whole) -> Array:
        """How many entities have a denominator, by threshold and cell.

        One has none from its last row that counts while flagged up to its first one that counts while it is not.
        """
        on, off = each[kind, 1] != 0, each[kind, 0] != 0
        ends = np.maximum.reduceat(np.where(on & off, self.bins, np.where(on, bins, 0)), starts)
        begins = np.maximum(np.minimum.reduceat(np.where(off, bins, self.bins), starts), ends)
        shape, size = (self.cells, self.bins + 1), self.cells * (self.bins + 1)
        change = np.bincount(cell * shape[1] + ends, minlength=size) - np.bincount(
            cell * shape[1] + begins, minlength=size
        )
        without = np.cumsum(change.reshape(shape), axis=1)[:, : self.bins]
        there = np.bincount(cell, minlength=self.cells)
        return np.ascontiguousarray((there[:, None] - without).T, dtype=np.float64)
