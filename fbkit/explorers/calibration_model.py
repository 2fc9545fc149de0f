"""What the calibration explorer shows: curves and numbers of a view, by slice, and before and after recalibration."""

from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.explorers import model
from fbkit.explorers.kept import Kept
from fbkit.explorers.source import Source
from fbkit.explorers.state import View
from fbkit.join.rows import lazy_rows
from fbkit.ledger.build import build
from fbkit.ledger.ledger import Ledger
from fbkit.measure.calibration import calibration, calibration_summary
from fbkit.measure.recalibrate import recalibrate
from fbkit.schema.period import Period

VERSION: Final = "model_version"
PANELS: Final = 9
_DRAWS: Final = 100
_KEPT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Curves and the numbers beside them; ``values`` are the slices of the panels, ``hidden`` how many more there are.

    The curves have the column role ("reference" or "current"), or when ("before" or "after") of a recalibration;
    by slice both frames have the column panel.
    """

    curves: pl.DataFrame
    numbers: pl.DataFrame
    notes: tuple[str, ...] = ()
    values: tuple[str | None, ...] = ()
    hidden: int = 0
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


class CalibrationModel:
    """Curves and numbers, kept once they were computed."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._kept = Kept(_KEPT)

    def periods(self, view: View) -> Shown:
        """Reference and current period over each other."""
        subject = self.source.subject(view)
        parts = [self._period(view, role, period) for role, period in _roles(view)]
        curves, numbers = (pl.concat([part[place] for part in parts], how="vertical_relaxed") for place in (0, 1))
        return Shown(curves=curves, numbers=numbers, notes=(subject.note,) if subject.note else ())

    def _period(self, view: View, role: str, period: Period) -> tuple[pl.DataFrame, pl.DataFrame]:
        def compute() -> tuple[pl.DataFrame, pl.DataFrame]:
            subject = self.source.subject(view)
            how: dict[str, Any] = {"period": period, "stage": view.stage, **subject.options}
            named = pl.lit(role).alias("role")
            curves = calibration(subject.data, **how)
            return curves.with_columns(named), calibration_summary(subject.data, draws=_DRAWS, **how).with_columns(
                named
            )

        return self._kept(("period", *_seen(view), role, period), compute)

    def slices(self, view: View, by: str) -> Shown:
        """The largest slices of a column, or the versions, each with both periods."""
        parts = [self._sliced(view, by, role, period) for role, period in _roles(view)]
        curves, numbers = (pl.concat([part[place] for part in parts], how="vertical_relaxed") for place in (0, 1))
        counted = numbers.group_by("panel").agg(pl.col("n").sum()).sort("n", "panel", descending=[True, False])
        values = counted.get_column("panel").to_list()
        order = counted.head(PANELS).select("panel").with_row_index("order")
        shown = [
            frame.join(order, on="panel", how="inner", nulls_equal=True)
            .sort("order", maintain_order=True)
            .drop("order")
            for frame in (curves, numbers)
        ]
        hidden = max(0, len(values) - PANELS)
        return Shown(curves=shown[0], numbers=shown[1], values=tuple(values[:PANELS]), hidden=hidden)

    def _sliced(self, view: View, by: str, role: str, period: Period) -> tuple[pl.DataFrame, pl.DataFrame]:
        def compute() -> tuple[pl.DataFrame, pl.DataFrame]:
            data, options = self._by(view, by, period)
            how: dict[str, Any] = {"by": by, "stage": view.stage, **options}
            named = pl.lit(role).alias("role")
            curves, numbers = calibration(data, **how), calibration_summary(data, draws=_DRAWS, **how)
            return tuple(frame.rename({by: "panel"}).with_columns(named) for frame in (curves, numbers))  # pyright: ignore[reportReturnType]  # two

        return self._kept(("sliced", *_seen(view), by, role, period), compute)

    def _by(self, view: View, by: str, period: Period) -> tuple[Any, dict[str, Any]]:
        """What to ask by slice: a ledger that knows this column's score bins by whole weeks only is made anew."""
        subject = self.source.subject(view)
        rows = self.source.rows(view) if view.as_of == self.source.as_of else None
        if by == VERSION or rows is None or not isinstance(subject.data, Ledger):
            sliced = subject if by == VERSION or rows is not None else self.source.subject(view, by=by)
            return sliced.data, {"period": period, **sliced.options}
        inside = (pl.col("ts_pred") >= period.start) & (pl.col("ts_pred") < period.end)
        part: Any = model.part(rows, lazy_rows(rows).filter(inside).collect())
        return build(part, edges=subject.data.edges, slices=(by,)), {}

    def recalibrated(self, view: View, method: str) -> Shown:
        """Before and after a map fitted on the reference, judged on the current period.

        Raises
        ------
        ArgumentError
            There are no rows, or nothing to fit on.
        """
        return self._kept(("map", *_seen(view), view.reference, view.now, method), lambda: self._map(view, method))

    def _map(self, view: View, method: str) -> Shown:
        rows = self.source.rows(view)
        if rows is None:
            raise ArgumentError(
                "a recalibration needs the rows",
                got="a ledger",
                allowed="a joined table",
                next_step="explore the joined table: fb.explore.calibration(joined)",
            )
        reference = model.before(view.reference, view.now)
        found = recalibrate(rows, fit=reference, judge=view.now, method=method, stage=view.stage)  # pyright: ignore[reportArgumentType]  # one of the two offered
        moved = view.as_of != self.source.as_of
        notes = ("as of the newest time: rows cannot be moved back",) if moved else ()
        return Shown(curves=found.curves, numbers=found.table, notes=notes, facts={"map": found.map, "fit": reference})


def _seen(view: View) -> tuple[object, ...]:
    """What the rows of a view depend on."""
    return view.filters, view.version, view.as_of, view.stage


def _roles(view: View) -> list[tuple[str, Period]]:
    return [("reference", view.reference), ("current", view.now)]
