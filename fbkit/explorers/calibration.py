"""Do scores still mean what they say: the reliability diagram of a slice and a period."""

from functools import cache
from typing import Any

import polars as pl
import traitlets

from fbkit.charts import calibration as charts
from fbkit.charts.text import clean, count_text, stage_name
from fbkit.explorers import model
from fbkit.explorers.base import Explorer, dropdown, tie
from fbkit.measure.calibration import calibration, calibration_summary
from fbkit.schema.period import Comparison
from fbkit.schema.protocols import JoinedLike

PERIODS = [("current", "current"), ("reference", "reference"), ("both together", "both")]
EVERYTHING = "\0everything"


class CalibrationModel:
    """Curves and Brier parts of a period and a slice, kept once they were computed."""

    def __init__(self, joined: JoinedLike, comparison: Comparison | None) -> None:
        self.joined = joined
        self.columns = model.slice_columns(joined)
        self.reference, self.current = model.fix_periods(joined, comparison)
        frames = {
            "reference": model.within(joined, self.reference, self.columns),
            "current": model.within(joined, self.current, self.columns),
        }
        self._frames = frames | {"both": pl.concat(frames.values())}
        self.table = cache(self._table)

    def _table(self, by: str | None, value: str | None, period: str, stage: str) -> tuple[pl.DataFrame, dict[str, Any]]:
        frame = self._frames[period]
        if by is not None and value != EVERYTHING:
            frame = frame.filter(pl.col(by).cast(pl.String).eq_missing(value))
        rows = model.part(self.joined, frame)
        summary = calibration_summary(rows, stage=stage, draws=0)
        line = summary.row(0, named=True) if summary.height else dict.fromkeys(summary.columns)
        return calibration(rows, stage=stage), line


class CalibrationExplorer(Explorer):
    """Reliability diagram with CORP steps, consistency band and histogram.

    Attributes
    ----------
    by, value
        Slice column and its value; ``calibration.EVERYTHING`` as value is no slice.
    period
        "reference", "current" or "both".
    stage
        "final" or "any".
    """

    by = traitlets.Unicode(allow_none=True)
    value = traitlets.Unicode(EVERYTHING, allow_none=True)
    period = traitlets.Unicode("current")
    stage = traitlets.Unicode("final")

    def __init__(self, joined: JoinedLike, comparison: Comparison | None = None, *, by: str | None = None) -> None:
        self.model = CalibrationModel(joined, comparison)
        columns = self.model.columns
        super().__init__(by=by or (columns[0] if columns else None))
        offered = model.choices(columns) or [("(no slice column)", None)]
        self._values = dropdown("is", self._options(), value=self.value, tip="the slice to look at")
        self.observe(self._other_column, names="by")
        self.assemble(
            [
                tie(self, "by", dropdown("Where", offered, value=self.by, tip="the column to slice by")),
                tie(self, "value", self._values),
            ],
            [
                tie(self, "period", dropdown("Period", PERIODS, value=self.period, tip="whose predictions")),
                tie(self, "stage", dropdown("Labels", model.STAGES, value=self.stage, tip=model.STAGE_TIP)),
            ],
            watched=["by", "value", "period", "stage"],
        )

    def _options(self) -> list[tuple[str, str | None]]:
        values = model.slice_values(self.model.joined, self.by) if self.by else []
        return [("all", EVERYTHING), *model.choices(values)]

    def _other_column(self, _: object) -> None:
        with self.quietly():
            self.value = EVERYTHING
            self._values.options = self._options()

    def answer(self) -> pl.DataFrame:
        frame, self.parts = self.model.table(self.by, self.value, self.period, self.stage)
        return frame

    def drawing(self) -> object:
        return "reliability"

    def rows(self) -> list[dict[str, Any]]:
        return charts.calibration_rows(self.result)

    def chart(self) -> Any:
        texts = self.texts()
        return charts.calibration_chart(
            self.result, stage=self.stage, title=texts["headline"], subtitle=texts["smallprint"]
        )

    def texts(self) -> dict[str, str]:
        where = "" if self.by is None or self.value == EVERYTHING else f", {clean(self.by)} = {clean(self.value)}"
        periods = {"reference": self.model.reference, "current": self.model.current}
        when = model.span_text(periods[self.period]) if self.period in periods else "both periods"
        counted = f"{count_text(self.parts['n_labelled'])} labelled of {count_text(self.parts['n'])}"
        return {
            "headline": f"Reliability of the score{where}",
            "axis": charts.observed_title(self.stage),
            "smallprint": model.smallprint(
                self.model.joined, f"{self.period}: {when}", stage_name(self.stage), counted
            ),
            "summary": f"Reliability{where}, {self.period} period: {self._said()}",
        }

    def _said(self) -> str:
        parts = self.parts
        if parts["brier"] is None:
            return f"not estimable, because {parts['reason'] or 'no row is labelled'}."
        return (
            f"Brier score {parts['brier']:.4f} = miscalibration {parts['mcb']:.4f} − discrimination {parts['dsc']:.4f} "
            f"+ uncertainty {parts['unc']:.4f}; ECE {parts['ece']:.4f}."
        )
