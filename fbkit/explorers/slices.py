"""Which slices moved: a metric by slice, reference against current, with a threshold to try."""

import math
from typing import Any

import polars as pl
import traitlets

from fbkit.charts import slices as charts
from fbkit.charts.text import change_text, clean, count_text, metric_name, number_format, stage_name, value_text
from fbkit.explorers import model
from fbkit.explorers.base import Explorer, dropdown, number, slider, tie, toggle
from fbkit.measure.metrics import metrics
from fbkit.schema.period import Comparison
from fbkit.schema.protocols import JoinedLike

SORTS = {"biggest drop": "drop", "lowest now": "low", "most predictions": "n", "name": "name"}
METRICS = (
    "recall",
    "precision",
    "f1",
    "specificity",
    "accuracy",
    "flag_rate",
    "base_rate",
    "brier",
    "roc_auc",
    "availability",
)
_SHOWN = 30
_ROLE = "\0role"  # no log has a column of this name
_WHAT_IF = "make the decisions anew at this threshold, instead of those that were logged"


class SlicesModel:
    """The table behind the picture; a call of :meth:`table` is a pure function of its arguments."""

    def __init__(self, joined: JoinedLike, comparison: Comparison | None, *, by: str | None = None) -> None:
        self.joined = joined
        found = model.slice_columns(joined)
        self.columns = found if by is None else [by, *(name for name in found if name != by)]
        self.reference, self.current = model.fix_periods(joined, comparison)
        periods = {"reference": self.reference, "current": self.current}
        frames = [
            model.within(joined, period, self.columns).with_columns(pl.lit(role).alias(_ROLE))
            for role, period in periods.items()
        ]
        self.rows = model.part(joined, pl.concat(frames))
        thresholds = joined.frame["threshold"].drop_nulls()
        median = thresholds.median() if len(thresholds) else 0.5
        self.threshold = float(median) if isinstance(median, (int, float)) else 0.5
        self.step, self.limits = _grid(joined.frame["score"])
        steps = round((self.threshold - self.limits[0]) / self.step)
        self.threshold = min(max(round(self.limits[0] + steps * self.step, 9), self.limits[0]), self.limits[1])

    def table(self, *, metric: str, by: str | None, stage: str, threshold: float | None = None) -> pl.DataFrame:
        """Both periods' estimates, the whole first, then the slices; ``threshold`` replaces the logged decisions."""
        rows = self.rows
        if threshold is not None:
            rows = model.part(rows, rows.frame.with_columns(flagged=pl.col("score") >= threshold))
        whole = metrics(rows, metric, by=_ROLE, stage=stage)
        parts = [
            whole.rename({_ROLE: "role"}).with_columns(
                pl.lit(model.ALL).alias("slice"), pl.lit(value=True).alias("whole")
            )
        ]
        if by is not None:
            sliced = metrics(rows, metric, by=[by, _ROLE], stage=stage).rename({by: "slice", _ROLE: "role"})
            parts.append(sliced.with_columns(pl.lit(value=False).alias("whole")))
        return pl.concat(parts, how="diagonal").sort("role", descending=True, maintain_order=True)


def _grid(scores: pl.Series) -> tuple[float, tuple[float, float]]:
    """A round step that cuts the range of the scores into about 200, and limits on its grid."""
    low, high = scores.min(), scores.max()
    if not isinstance(low, float) or not isinstance(high, float) or low == high:
        return 0.005, (0.0, 1.0)
    power = 10.0 ** math.floor(math.log10((high - low) / 200))
    step = next(power * unit for unit in (1, 2, 5, 10) if (high - low) / 200 <= power * unit * (1 + 1e-9))
    return step, (round(math.floor(low / step) * step, 9), round(math.ceil(high / step) * step, 9))


def arrange(table: pl.DataFrame, *, sort: str, minimum: int, limit: int = _SHOWN) -> tuple[pl.DataFrame, int]:
    """Order the slices, the whole first; slices below ``minimum`` predictions in both periods, and those past
    ``limit``, are left out. Returns the table and how many slices are hidden.
    """
    pairs = (
        table.filter(~pl.col("whole"))
        .group_by("slice")
        .agg(
            pl.col("n").max().alias("n"),
            pl.col("value").filter(pl.col("role") == "current").first().alias("now"),
            pl.col("value").filter(pl.col("role") == "reference").first().alias("then"),
        )
        .with_columns((pl.col("now") - pl.col("then")).alias("drop"))
    )
    kept = pairs.filter(pl.col("n") >= minimum)
    keys = {"drop": ["drop", "slice"], "low": ["now", "slice"], "n": ["n", "slice"], "name": ["slice"]}[sort]
    ordered = kept.sort(keys, descending=[key == "n" for key in keys], nulls_last=True).head(limit)
    order = ordered.select("slice").with_row_index("order")
    whole = table.filter(pl.col("whole"))
    sliced = table.filter(~pl.col("whole")).join(order, on="slice", how="inner", nulls_equal=True)
    arranged = sliced.sort("order", "role", descending=[False, True]).drop("order")
    return pl.concat([whole, arranged]), pairs.height - ordered.height


class SlicesExplorer(Explorer):
    """Metric by slice with interval and worst case, reference against current.

    Attributes
    ----------
    metric, by, stage, sort, minimum
        What is shown; ``by`` is a slice column, ``minimum`` the fewest predictions of a slice.
    what_if, threshold
        With ``what_if`` the decisions are made anew as ``score >= threshold``; moving the threshold sets it.
    """

    metric = traitlets.Unicode("recall")
    by = traitlets.Unicode(allow_none=True)
    stage = traitlets.Unicode("final")
    sort = traitlets.Unicode("drop")
    minimum = traitlets.Int(20)
    what_if = traitlets.Bool(default_value=False)
    threshold = traitlets.Float(0.5)

    def __init__(
        self,
        joined: JoinedLike,
        comparison: Comparison | None = None,
        *,
        metric: str | None = None,
        by: str | None = None,
    ) -> None:
        self.model = SlicesModel(joined, comparison, by=by)
        names = [metric] if metric and metric not in METRICS else []
        super().__init__(
            metric=metric or joined.contract.metrics.primary,
            by=self.model.columns[0] if self.model.columns else None,
            minimum=joined.contract.slices.minimum,
            threshold=self.model.threshold,
        )
        self.observe(self._try_threshold, names="threshold")
        metrics_offered = [(metric_name(name), name) for name in (*names, *METRICS)]
        by_tip = "the column whose values are compared"
        columns = model.choices(self.model.columns) or [("(no slice column)", None)]
        self.assemble(
            [
                tie(self, "metric", dropdown("Metric", metrics_offered, value=self.metric, tip="what is measured")),
                tie(self, "by", dropdown("by", columns, value=self.by, tip=by_tip)),
                tie(self, "stage", dropdown("Labels", model.STAGES, value=self.stage, tip=model.STAGE_TIP)),
            ],
            [
                tie(
                    self, "sort", dropdown("Order", list(SORTS.items()), value=self.sort, tip="which slice comes first")
                ),
                tie(
                    self, "minimum", number("At least n", value=self.minimum, tip="hide slices with fewer predictions")
                ),
            ],
            [
                tie(self, "what_if", toggle("What if the threshold were", value=False, tip=_WHAT_IF)),
                tie(self, "threshold", self._slider()),
            ],
            watched=["metric", "by", "stage", "sort", "minimum", "what_if", "threshold"],
        )

    def _slider(self) -> Any:
        form = ".3f" if self.model.step < 0.1 else ".4g"
        return slider(
            "score ≥", value=self.threshold, limits=self.model.limits, step=self.model.step, tip=_WHAT_IF, form=form
        )

    def _try_threshold(self, change: dict[str, Any]) -> None:
        # A browser may hand a value back rounded to its step; that is nobody's move.
        if abs(change["new"] - change["old"]) > self.model.step / 2:
            with self.quietly():
                self.what_if = True

    def answer(self) -> pl.DataFrame:
        threshold = self.threshold if self.what_if else None
        self.table = self.model.table(metric=self.metric, by=self.by, stage=self.stage, threshold=threshold)
        arranged, self._hidden = arrange(self.table, sort=self.sort, minimum=self.minimum)
        return arranged

    def drawing(self) -> object:
        return number_format(self.metric)

    def rows(self) -> list[dict[str, Any]]:
        return charts.slices_rows(self.result, by="slice", metric=self.metric)

    def chart(self) -> Any:
        texts = self.texts()
        return charts.slices_chart(
            self.result,
            by="slice",
            metric=self.metric,
            stage=self._stage(),
            title=texts["headline"],
            subtitle=texts["smallprint"],
        )

    def texts(self) -> dict[str, str]:
        name, stage = metric_name(self.metric), stage_name(self._stage())
        title = name[:1].upper() + name[1:]
        decided = f", if flagged at score ≥ {self.threshold:.3g}" if self.what_if else ""
        spans = f"{model.span_text(self.model.reference)} against {model.span_text(self.model.current)}"
        then, now = (self._whole(role) for role in ("reference", "current"))
        counts = f"n {count_text(then['n'])} and {count_text(now['n'])}"
        return {
            "headline": f"{title}{f' by {clean(self.by)}' if self.by else ''}{decided}",
            "axis": charts.value_title(self.metric, self._stage()),
            "smallprint": model.smallprint(self.model.joined, spans, stage, counts),
            "summary": f"{title}{decided}: {self._moved(then, now)}, {stage}.{self._biggest()}{self._unshown()}",
        }

    def _moved(self, then: dict[str, Any], now: dict[str, Any]) -> str:
        before, after = (value_text(line["value"], metric=self.metric) for line in (then, now))
        moved = None if then["value"] is None or now["value"] is None else now["value"] - then["value"]
        change = "" if moved is None else f" ({change_text(moved, metric=self.metric)})"
        return f"{before} in the reference, {after} now{change}"

    def _unshown(self) -> str:
        if not self._hidden:
            return ""
        several = f"{self._hidden} slices are" if self._hidden > 1 else "One slice is"
        return f" {several} not shown (fewer than {self.minimum} predictions, or past the first {_SHOWN})."

    def _stage(self) -> str:
        return "any" if self.metric == "availability" else self.stage

    def _whole(self, role: str) -> dict[str, Any]:
        found = self.table.filter(pl.col("whole") & (pl.col("role") == role))
        return found.row(0, named=True) if found.height else {"value": None, "n": None}

    def _biggest(self) -> str:
        sliced = self.result.filter(~pl.col("whole"))
        if self.sort != "drop" or sliced.is_empty():
            return ""
        first = sliced.head(2)
        pair = {row["role"]: row["value"] for row in first.to_dicts()}
        then, now = pair.get("reference"), pair.get("current")
        if then is None or now is None or now >= then:
            return ""
        fell = change_text(now - then, metric=self.metric)
        return f" Furthest down: {clean(first['slice'][0])} ({fell})."
