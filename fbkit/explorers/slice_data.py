"""What the slices explorer asks: tables of both periods, weeks by slice, the wide search; kept where asked again."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.charts.slices import ALL, slice_labels
from fbkit.errors import ArgumentError
from fbkit.explorers.source import Source
from fbkit.explorers.state import View
from fbkit.join.rows import lazy_rows, no_rows
from fbkit.ledger.ledger import Ledger
from fbkit.measure.from_ledger.bins import FROM_BINS
from fbkit.measure.metrics import metrics
from fbkit.measure.slice_changes import RowTables, SliceTable, grid_of, slice_tables
from fbkit.measure.slice_search import find_slices
from fbkit.measure.slicing.kept import Kept
from fbkit.schema.period import Comparison
from fbkit.schema.protocols import JoinedLike

_KEPT: Final = 8
_VERSION: Final = "model_version"


class SliceData:
    """Answers for a source.

    Attributes
    ----------
    own
        The threshold that is in use, or one half.
    limits, step
        Between which thresholds one may be tried, and the least move.
    places
        The only thresholds there are (the edges of a ledger); empty where rows can be decided anew at any.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._tables, self._weeks, self._labels = Kept(_KEPT), Kept(_KEPT), Kept(_KEPT)
        self.places: tuple[float, ...] = ()
        if source.joined is not None:
            self.grid = grid_of(source.joined)
            self.step = self.grid.step
            self.limits = (float(self.grid.thresholds[0]), float(self.grid.thresholds[-1]))
            self.own = self.nearest(_logged(source.joined))
        else:
            self.grid = None
            self.step = 0.0
            self.places = source.ledger().edges.edges or (0.5,)
            self.limits = (self.places[0], self.places[-1])
            self.own = self.nearest(source.contract.decision.threshold or 0.5)

    def nearest(self, threshold: float) -> float:
        """The nearest threshold of the grid, or of the ledger's edges."""
        places = np.array(self.places) if self.grid is None else self.grid.thresholds
        return float(places[np.argmin(np.abs(places - threshold))])

    def shown(self, threshold: float) -> float:
        """What the control shows for a threshold."""
        if self.places:
            return self.nearest(threshold)
        return min(max(threshold, self.limits[0]), self.limits[1])

    def columns(self, by: str | None) -> list[str]:
        """The columns to slice by, the one that was asked for among them."""
        versions = [_VERSION] if len(self.source.versions) > 1 else []
        known = [*self.source.slices, *versions]
        return known if by is None or by in known else [by, *known]

    # Tables -----------------------------------------------------------------------------------------------------
    def table(self, view: View) -> tuple[SliceTable, str]:
        """The metric by slice in both periods, and which filter could not be applied."""
        tables, note = self._asked(view)
        return tables.table(view.metric, by=view.by, stage=view.stage, threshold=view.threshold), note

    def get_ready(self, view: View) -> None:
        """Make what a moved threshold is looked up in."""
        if self.unmoved(view) is None and self.source.contract.model.task == "binary":
            self.table(view.but(threshold=self.own))

    def unmoved(self, view: View) -> str | None:
        """Why another threshold cannot be tried, or None."""
        return self._asked(view)[0].unmoved(by=view.by, stage=view.stage)

    def _asked(self, view: View) -> tuple[Any, str]:
        """What answers for a view: the slices of its own column are all shown, whichever is in focus."""
        narrow = others(view)
        periods = (view.reference, view.now)
        if self.source.joined is not None and view.as_of == self.source.as_of:
            rows: Any = self.source.rows(narrow)
            key = (narrow.filters, narrow.version)
            first: RowTables = self._tables(key, lambda: RowTables(rows, periods, grid=self.grid))
            return self._tables((*key, periods), lambda: first.moved(periods)), ""
        subject = self.source.subject(narrow, by=view.by, bins=view.metric in FROM_BINS or view.threshold is not None)
        key = (id(subject.data), view.as_of, periods)
        return self._tables(key, lambda: slice_tables(subject.data, periods, **subject.options)), subject.note

    def labels(self, slices: Sequence[str | None]) -> Mapping[Any, str]:
        """What the slices are called in the pictures."""
        return self._labels(tuple(slices), lambda: slice_labels(slices))

    # Over time --------------------------------------------------------------------------------------------------
    def over_time(self, view: View) -> pl.DataFrame:
        """The metric by slice and week."""
        narrow = others(view)
        key = (narrow.filters, narrow.version, view.metric, view.by, view.stage, view.as_of)
        return self._weeks(key, lambda: self._over_time(view, narrow))

    def _over_time(self, view: View, narrow: View) -> pl.DataFrame:
        subject = self.source.subject(narrow, by=view.by, bins=view.metric in FROM_BINS)
        how: dict[str, Any] = {"by": view.by, "every": "1w", "stage": view.stage}
        try:
            frame = metrics(subject.data, view.metric, **how, **subject.options)
        except ArgumentError:
            rows = self.source.rows(narrow) if isinstance(subject.data, Ledger) else None
            if rows is None or view.as_of != self.source.as_of:
                raise
            frame = metrics(rows, view.metric, **how)
        return frame if view.by is not None else frame.with_columns(pl.lit(ALL).alias(""))

    # The wide search --------------------------------------------------------------------------------------------
    def question(self, view: View) -> object:
        """What a search depends on."""
        return (view.filters, view.version, view.metric, view.stage, view.reference, view.now, view.as_of)

    def searched(self, view: View) -> JoinedLike:
        """The rows that a search goes through."""
        rows = self.source.rows(view)
        if rows is None or view.as_of != self.source.as_of:
            raise ArgumentError(
                "the search needs the rows as they are known now",
                got="a ledger" if rows is None else "an earlier time",
                allowed="a joined table, as of its own time",
                next_step="explore what loop.join() returns, or let go of the earlier time",
            )
        return rows

    def find(self, rows: JoinedLike, view: View, *, depth: int) -> pl.DataFrame:
        """The slices that the change comes from; those that do not stand out fill the list."""
        weeks = Comparison(reference=view.reference, current=view.now)
        named = rows.contract.slices.columns or rows.contract.features.columns
        how: dict[str, Any] = {} if named else {"columns": self.source.slices}
        return find_slices(rows, weeks, metric=view.metric, stage=view.stage, depth=depth, keep_unclear=True, **how)


def others(view: View) -> View:
    """The view without the filter of its own column: its slices stand beside each other."""
    return view.but(focus={name: value for name, value in view.focus.items() if name != view.by})


def _logged(joined: JoinedLike) -> float:
    """The median of the thresholds that were logged."""
    if "threshold" not in no_rows(joined).columns:
        return 0.5
    found = lazy_rows(joined).select(pl.col("threshold").cast(pl.Float64).median()).collect().item()
    return 0.5 if found is None else float(found)
