"""The rows of one version as arrays: what each adds to a measure, and which entity it belongs to."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.measure.kinds import F, Measure, S, Total, Y
from fbkit.measure.scope import ENTITY, IN, Scope, with_entities
from fbkit.measure.stats.intervals import Array
from fbkit.measure.totals import add_losses

Ints = NDArray[np.int64]
_ROW: Final = "\0row"


class Sums(NamedTuple):
    """By row: what a total adds to both sums; and what an unlabelled row would add if it were a 1 or a 0."""

    a: Array
    b: Array
    if_one: tuple[Array, Array] | None = None
    if_zero: tuple[Array, Array] | None = None


class Rows:
    """The rows of one version that count at the stage, as arrays; clusters are numbers of entities that repeat."""

    def __init__(self, scope: Scope, *, measures: Sequence[Measure], keep: pl.Series | None = None) -> None:
        frame, clustered = with_entities(scope.frame, scope.keys)
        frame = frame.filter(pl.col(IN) if keep is None else keep)
        self.frame = frame
        self.clusters: Ints | None = frame[ENTITY].to_numpy() if clustered else None
        self.label: Array = frame[Y].fill_null(np.nan).to_numpy()
        self.flag: Array = frame[F].fill_null(np.nan).to_numpy()
        self.score: Array = frame[S].to_numpy()
        totals = [measure for measure in measures if isinstance(measure, Total)]
        losses = add_losses(frame, totals)
        self.sums = {total.name: _sums(losses[total.loss], total) for total in totals}

    def groups(self, by: Sequence[str]) -> dict[tuple[str | None, ...], Ints]:
        """Row numbers of every slice."""
        if not by:
            return {(): np.arange(self.frame.height)} if self.frame.height else {}
        grouped = self.frame.select(by).with_row_index(_ROW).group_by(by, maintain_order=True).agg(_ROW)
        return {row[:-1]: np.asarray(row[-1], dtype=np.int64) for row in grouped.iter_rows()}

    def clusters_of(self, rows: Ints) -> Ints | None:
        """The entities of these rows; None where none of them repeats."""
        codes = None if self.clusters is None else self.clusters[rows]
        return None if codes is None or len(np.unique(codes)) == len(codes) else codes


def _sums(frame: pl.DataFrame, measure: Total) -> Sums:
    labelled, decided = pl.col(Y).is_not_null(), pl.col(F).is_not_null() if measure.uses_flag else pl.lit(value=True)
    used = decided & labelled if measure.uses_label else decided

    def arrays(rows: pl.DataFrame, where: pl.Expr) -> tuple[Array, Array]:
        made = rows.select(
            pl.when(where).then(part).cast(pl.Float64).fill_null(0.0).fill_nan(0.0).alias(name)
            for name, part in (("a", measure.numerator), ("b", measure.denominator))
        )
        return made["a"].to_numpy(), made["b"].to_numpy()

    known = arrays(frame, used)
    if not measure.uses_label or measure.low is None or measure.transform is not None:
        return Sums(*known)
    free = decided & pl.Series(frame[Y].is_null())
    worlds = [arrays(frame.with_columns(pl.lit(value).alias(Y)), free) for value in (1.0, 0.0)]
    return Sums(*known, *worlds)


def taken(sums: Sums, rows: Ints) -> Sums:
    """The sums of some rows."""
    worlds = (None if world is None else (world[0][rows], world[1][rows]) for world in (sums.if_one, sums.if_zero))
    return Sums(sums.a[rows], sums.b[rows], *worlds)
