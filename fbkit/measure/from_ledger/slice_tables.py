"""Tables of slices from a ledger: the same answers as its metrics, looked up where the threshold moves."""

from datetime import datetime
from typing import Any, Final

import numpy as np

from fbkit.errors import ArgumentError
from fbkit.ledger import columns as c
from fbkit.ledger.ledger import Ledger
from fbkit.measure.from_ledger.bins import check_bins
from fbkit.measure.from_ledger.cells import Cells, Question, ask, gather
from fbkit.measure.from_ledger.metrics import ledger_metrics, measures_of, weighing_of
from fbkit.measure.from_ledger.totals import BY_EFFECT, CLUSTERED, Grouped, effects_of, ratio_sums
from fbkit.measure.kinds import Measure, Total
from fbkit.measure.registry import Asked
from fbkit.measure.slicing.cell_rows import CellRows
from fbkit.measure.slicing.decided import KINDS, Coefficients, coefficients, linear, looked_up
from fbkit.measure.slicing.kept import Kept
from fbkit.measure.slicing.slice_table import NO_RATIO, SliceTable, from_frames, looked_table, placed_split
from fbkit.measure.slicing.split import Split
from fbkit.measure.stats.intervals import Array
from fbkit.schema.period import Period

_KEPT: Final = 64


class LedgerTables:
    """A metric by slice in two periods, asked again and again of the same ledger.

    Attributes
    ----------
    thresholds
        The ledger's edges, which another threshold must be one of.
    """

    step = 0.0

    def __init__(
        self,
        ledger: Ledger,
        periods: tuple[Period, Period],
        *,
        level: float = 0.95,
        as_of: str | datetime | None = None,
    ) -> None:
        self.ledger, self.periods, self.level, self.as_of = ledger, periods, level, as_of
        self.weighing = weighing_of(ledger, ledger.manifest.weights)
        self._kept = Kept(_KEPT)

    @property
    def thresholds(self) -> Array:
        return np.array(self.ledger.edges.edges)

    def unmoved(self, *, by: str | None, stage: str) -> str | None:
        """Why another threshold cannot be tried, or None."""
        try:
            for period in self.periods:
                self._question(by, period, stage, binned=True)
        except ArgumentError as error:
            return f"{error.what}; these numbers are at the decisions that were logged"
        if self.weighing.products and by is not None:
            return "by slice, a ledger has weighted counts at the decisions that were logged only"
        return None if len(self.thresholds) else "this ledger has no score bins"

    def table(self, asked: Asked, *, by: str | None, stage: str, threshold: float | None = None) -> SliceTable:
        """The metric by slice; with a threshold (an edge) every row is flagged at ``score >= threshold``."""
        measure = measures_of(asked, self.ledger.contract)[0]
        moved = threshold is not None and measure.uses_flag
        if moved and isinstance(measure, Total) and looked_up(measure) and not self.weighing.products:
            place = self.ledger.edges.first_flagged(float(threshold or 0.0)) - 1
            return self._swept(measure, by, stage, place)
        key = ("asked", measure.name, by, stage, threshold if moved else None)
        return self._kept(key, lambda: self._asked(asked, measure, by, stage, threshold if moved else None))

    def _question(self, by: str | None, period: Period, stage: str, *, binned: bool = False) -> Question:
        question = ask(self.ledger, by=by, period=period, stage=stage, as_of=self.as_of)
        if binned and question.cut:
            check_bins(question)
        return question

    def _values(self, by: str | None) -> list[str | None]:
        return [] if by is None else [*self.ledger.values.get(by, ()), None]

    # As the ledger's metrics say ---------------------------------------------------------------------------------
    def _asked(self, asked: Asked, measure: Measure, by: str | None, stage: str, threshold: float | None) -> SliceTable:
        values = self._values(by)
        place = {value: at for at, value in enumerate(values, start=1)}
        how: dict[str, Any] = {"stage": stage, "level": self.level, "as_of": self.as_of, "threshold": threshold}
        how["weights"] = self.ledger.manifest.weights
        lines: list[tuple[int, int, dict[str, Any]]] = []
        for at, period in enumerate(self.periods):
            whole = ledger_metrics(self.ledger, asked, period=period, **how)
            lines.append((at, 0, whole.row(0, named=True)))
            if by is not None:
                frame = ledger_metrics(self.ledger, asked, by=by, period=period, **how)
                lines += [(at, place[line[by]], line) for line in frame.iter_rows(named=True)]
        split: Split | str = f"{measure.name} {NO_RATIO}"
        if isinstance(measure, Total) and measure.unavailable is None:
            split = self._split(measure, by, stage, threshold)
        return from_frames(measure.name, values, self.periods, lines, split=split)

    def _split(self, measure: Total, by: str | None, stage: str, threshold: float | None) -> Split | str:
        if threshold is not None:
            return "a ledger of weighted rows says at the decisions that were logged only what a slice adds"
        sums = []
        for period in self.periods if by else ():
            question = self._question(by, period, stage)
            cells = gather(question, self.weighing.names)
            sums.append((cells.slice_number, *ratio_sums(cells, measure, weighing=self.weighing)))
        return placed_split(sums, size=len(self._values(by)), transform=measure.transform)

    # Looked up --------------------------------------------------------------------------------------------------
    def _swept(self, measure: Total, by: str | None, stage: str, place: int) -> SliceTable:
        sums, rows, clustered = self._kept(("swept", measure.name, by, stage), lambda: self._sweep(measure, by, stage))
        return looked_table(
            measure, {name: each[place] for name, each in sums.items()}, rows, slices=self._values(by),
            periods=self.periods, stage=ask(self.ledger, stage=stage).stage, level=self.level,
            renamed=(CLUSTERED, BY_EFFECT) if clustered else ("", ""),
        )  # fmt: skip

    def _sweep(self, measure: Total, by: str | None, stage: str) -> tuple[dict[str, Array], CellRows, bool]:
        """Sums at every edge and rows, of the whole before the slices, period by period."""
        own = coefficients(measure)
        parts = []
        for period in self.periods:
            for name in (None, by) if by else (None,):
                question = self._question(name, period, stage, binned=True)
                parts.append(self._cells(question, measure, own, size=len(self._values(name)) or 1))
        sums = {name: np.concatenate([each[name] for each, _ in parts], axis=-1) for name in parts[0][0]}
        rows = CellRows(
            **{name: np.concatenate([getattr(each, name) for _, each in parts]) for name in CellRows.__slots__}
        )
        return sums, rows, self._clustered

    @property
    def _clustered(self) -> bool:
        return self.ledger.manifest.grouped and self.ledger.manifest.repeats

    def _cells(
        self, question: Question, measure: Total, own: Coefficients, *, size: int
    ) -> tuple[dict[str, Array], CellRows]:
        bins = len(self.ledger.edges.edges) + 1
        cut = bool(question.cut)
        cells = gather(question, (c.ROWS,), kind=c.BINS if cut else c.CELLS, binned=not cut, extra=bins)
        held = np.zeros((size, KINDS, bins))
        labels = np.where(cells.state > c.LABELLED_CODES[-1], KINDS - 1, cells.state)
        for kind in np.flatnonzero(cells.counts).tolist():
            held[cells.number, labels[kind]] += cells.sums[c.ROWS][:, kind]
        rows = held.sum(axis=2)
        flagged = (rows[..., None] - np.cumsum(held, axis=2)[..., :-1]).transpose(2, 0, 1)
        asked = {"a": own.a, "b": own.b, **own.bounds}
        sums = {name: linear(rows, flagged, each) for name, each in asked.items()}
        if self._clustered or measure.kind == "mean":
            present = (own.b != 0).astype(np.float64)
            ones = {"aa": own.a * own.a, "ab": own.a * own.b, "bb": own.b * own.b, "units": present, "rows": present}
            spread = {name: linear(rows, flagged, each) for name, each in ones.items()}
            sums |= self._widened(question, measure, sums, spread, size) if self._clustered else spread
        return sums, _cell_rows(cells, labels, size)

    def _widened(
        self, question: Question, measure: Total, sums: dict[str, Array], spread: dict[str, Array], size: int
    ) -> dict[str, Array]:
        """Second moments by the design effect of each slice's own groups of entities."""
        effects, units, numbers = effects_of(question, [measure], weighing=self.weighing)
        place = np.clip(np.searchsorted(numbers, np.arange(size)), 0, max(len(numbers) - 1, 0))
        grouped = Grouped(variance=[effects[0][place]], units=[units[0][place]], effect=True)
        moments = grouped.moments(sums["a"], sums["b"], spread, 0)
        return {name: np.broadcast_to(each, sums["a"].shape) for name, each in moments.items()}


def _cell_rows(cells: Cells, labels: Any, size: int) -> CellRows:
    """Rows by cell when every row is decided by its score."""
    n = cells.sums[c.ROWS].sum(axis=2)
    inside = cells.counts
    marks = {
        "everything": np.ones(len(inside), dtype=bool), "inside": inside, "mature": inside & cells.mature,
        "decided": inside, "labelled": inside & (labels < KINDS - 1), "both": inside & (labels < KINDS - 1),
    }  # fmt: skip
    made = {name: np.zeros(size) for name in marks}
    for name, mark in marks.items():
        made[name][cells.number] = n[:, mark].sum(axis=1)
    return CellRows(**made)
