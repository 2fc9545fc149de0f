"""Are the labels there: availability over time by slice, or how fast labels arrive."""

from functools import cache
from typing import Any

import polars as pl
import traitlets

from fbkit.charts import availability as charts
from fbkit.charts.text import clean, value_text
from fbkit.explorers import model
from fbkit.explorers.base import Explorer, dropdown, tie
from fbkit.measure.availability import availability
from fbkit.measure.lag import label_lag
from fbkit.schema.period import Comparison
from fbkit.schema.protocols import JoinedLike

VIEWS = [("over time", "time"), ("by age: how fast labels arrive", "age")]
GRAINS = [("day", "1d"), ("week", "1w")]
NO_SLICE = "\0none"
_SHOWN = 30


class AvailabilityModel:
    """Availability by time and slice, and arrival curves by period, kept once they were computed."""

    def __init__(self, joined: JoinedLike, comparison: Comparison | None) -> None:
        self.joined = joined
        self.columns = model.slice_columns(joined)
        self.reference, self.current = model.fix_periods(joined, comparison)
        self.over_time = cache(self._over_time)
        self.by_age = cache(self._by_age)

    def _over_time(self, by: str | None, grain: str) -> pl.DataFrame:
        frame = availability(self.joined, by=by, every=grain)
        if by is None:
            return frame
        largest = (
            frame.group_by(by)
            .agg(pl.col("n").sum())
            .sort("n", by, descending=[True, False], nulls_last=True)
            .head(_SHOWN)
        )
        order = largest.select(by).with_row_index("order")
        return frame.join(order, on=by, how="inner", nulls_equal=True).sort("order", "period_start").drop("order")

    def _by_age(self, by: str | None, value: str | None) -> pl.DataFrame:
        frame = self.joined.frame
        if by is not None:
            frame = frame.filter(pl.col(by).cast(pl.String).eq_missing(value))
        rows = model.part(self.joined, frame)
        periods = {"reference": self.reference, "current": self.current}
        parts = [
            label_lag(rows, period=period).with_columns(pl.lit(role).alias("role")) for role, period in periods.items()
        ]
        return pl.concat(parts)

    def whole(self) -> dict[str, float | None]:
        """Availability of each period."""
        periods = {"reference": self.reference, "current": self.current}
        return {role: availability(self.joined, period=period)["value"].item() for role, period in periods.items()}


class AvailabilityExplorer(Explorer):
    """Label availability by day or week and slice, or by age.

    Attributes
    ----------
    show
        "time" or "age".
    by
        Slice column, or ``availability.NO_SLICE``.
    grain
        "1d" or "1w".
    value
        The slice whose arrival curves are shown by age; ``availability.NO_SLICE`` is all predictions.
    """

    show = traitlets.Unicode("time")
    by = traitlets.Unicode(NO_SLICE)
    grain = traitlets.Unicode("1d")
    value = traitlets.Unicode(NO_SLICE, allow_none=True)

    def __init__(self, joined: JoinedLike, comparison: Comparison | None = None, *, by: str | None = None) -> None:
        self.model = AvailabilityModel(joined, comparison)
        self._whole = self.model.whole()
        columns = self.model.columns
        super().__init__(by=by or (columns[0] if columns else NO_SLICE))
        offered = [*model.choices(columns), ("no slice", NO_SLICE)]
        self._values = dropdown("only", self._options(), value=self.value, tip="the slice whose arrival is shown")
        self._grains = dropdown("each", GRAINS, value=self.grain, tip="the length of a cell", width="150px")
        self.observe(self._other_column, names="by")
        self.observe(self._offer, names="show")
        self.assemble(
            [
                tie(
                    self,
                    "show",
                    dropdown("Labels", VIEWS, value=self.show, tip="what the picture shows", width="300px"),
                ),
                tie(self, "by", dropdown("by", offered, value=self.by, tip="the column to slice by")),
                tie(self, "grain", self._grains),
                tie(self, "value", self._values),
            ],
            watched=["show", "by", "grain", "value"],
        )
        self._offer(None)

    def _options(self) -> list[tuple[str, str | None]]:
        values = model.slice_values(self.model.joined, self.by) if self.by != NO_SLICE else []
        return [("all", NO_SLICE), *model.choices(values)]

    def _other_column(self, _: object) -> None:
        with self.quietly():
            self.value = NO_SLICE
            self._values.options = self._options()

    def _offer(self, _: object) -> None:
        # A control that would change nothing is not shown.
        self._grains.layout.display = "" if self.show == "time" else "none"
        self._values.layout.display = "" if self.show == "age" else "none"

    @property
    def _column(self) -> str | None:
        return None if self.by == NO_SLICE else self.by

    def answer(self) -> pl.DataFrame:
        if self.show == "time":
            return self.model.over_time(self._column, self.grain)
        chosen = self._column if self.value != NO_SLICE else None
        return self.model.by_age(chosen, self.value if chosen else None)

    def drawing(self) -> object:
        return self.show

    def _windows(self) -> list[tuple[Any, Any, str]]:
        return [
            (period.start, period.end, role)
            for period, role in ((self.model.reference, "reference"), (self.model.current, "current"))
        ]

    def rows(self) -> list[dict[str, Any]]:
        if self.show == "age":
            return charts.lag_rows(self.result)
        return charts.availability_rows(self.result, by=self._column, windows=self._windows())

    def chart(self) -> Any:
        texts = self.texts()
        titles: dict[str, Any] = {"title": texts["headline"], "subtitle": texts["smallprint"]}
        if self.show == "age":
            return charts.lag_chart(self.result, **titles)
        return charts.availability_chart(self.result, by=self._column, windows=self._windows(), **titles)

    def texts(self) -> dict[str, str]:
        then, now = self._whole["reference"], self._whole["current"]
        said = f"{value_text(then)} of the reference period's labels are known, {value_text(now)} of the current one's"
        if self.show == "age":
            where = f" ({clean(self.by)} = {clean(self.value)})" if self._column and self.value != NO_SLICE else ""
            headline, small = f"How fast labels arrive{where}", "of all predictions at least that old"
        else:
            headline = f"Label availability{f' by {clean(self.by)}' if self._column else ''}"
            small = "dashed: the compared periods; veiled: labels still arriving"
        return {
            "headline": headline,
            "smallprint": model.smallprint(self.model.joined, small),
            "summary": f"{said}. {self._worst()}".strip(),
        }

    def _worst(self) -> str:
        if self.show != "time" or self._column is None:
            return ""
        inside = self.result.filter(
            (pl.col("period_start") >= self.model.current.start) & (pl.col("period_start") < self.model.current.end)
        )
        known = inside.group_by(self._column).agg(pl.col("n_labelled").sum(), pl.col("n").sum())
        ranked = known.with_columns((pl.col("n_labelled") / pl.col("n")).alias("share")).sort(
            "share", self._column, nulls_last=True
        )
        if ranked.height < 2:
            return ""
        lowest = ranked.row(0, named=True)
        return f"Fewest now: {clean(lowest[self._column])}, {value_text(lowest['share'])} of {lowest['n']:,}."
