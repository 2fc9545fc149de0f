"""Reliability before and after a recalibration, on the same rows: does the new curve lie on the diagonal?"""

from typing import Any, Final

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.calibration import (
    SCORE,
    THIN,
    calibration_rows,
    curve_layers,
    number_table,
    observed_title,
    part,
)
from fbkit.charts.text import clean, count_text

WHEN: Final[tuple[str, ...]] = ("before", "after")
_SHARE: Final = ".0%"
_COLOURS: Final[dict[str, str]] = dict(zip(WHEN, (theme.REFERENCE, theme.CURRENT), strict=True))
_LINES: Final = (
    ("brier", "Brier score"),
    ("mcb", "miscalibration (MCB)"),
    ("dsc", "discrimination (DSC)"),
    ("ece", "ECE, 10 bins"),
    ("smooth_ece", "smooth ECE"),
    ("log_loss", "log loss"),
    ("roc_auc", "ROC AUC"),
)


def recalibration_rows(frame: pl.DataFrame, *, minimum: int = THIN) -> list[theme.Row]:
    """Rows of both diagrams; ``frame`` has ``when`` ("before" or "after") and the columns of a reliability curve."""
    rows: list[theme.Row] = []
    for when in WHEN:
        own = frame.filter(pl.col("when") == when) if frame.height else frame
        made = [row for row in calibration_rows(own, minimum=minimum) if row["part"] != "diagonal"]
        rows += [row | {"when": when} for row in made]
    ends = ({"part": "diagonal", "score": place, "observed": place} for place in (0.0, 1.0))
    return [*rows, *ends]


def change_rows(table: pl.DataFrame) -> list[theme.Row]:
    """Rows of the table beside the diagram; ``table`` is that of a recalibration, one line a metric.

    Where a value without its upward bias is known it stands in place of the raw one, as its interval does.
    """
    found = {row["metric"]: row for row in table.iter_rows(named=True)}
    shown = [(name, said) for name, said in _LINES if name in found and found[name]["before"] is not None]
    rows: list[theme.Row] = []
    for place, (name, said) in enumerate(shown):
        row = found[name]
        told = {f"said_{when}": _interval_text(_unbiased(row, when), row, when) for when in WHEN}
        told["said_change"] = _interval_text(row["change"], row, "change", sign="+")
        note = clean(row.get("method") or "—", limit=90)
        rows.append({"part": "number", "line": place, "said_name": said, "said_note": note} | told)
    whole = next(iter(found.values()), None)
    if whole is not None:
        n = f"{count_text(whole['n_labelled'])} of {count_text(whole['n'])}"
        last = {"said_name": "labelled predictions", "said_before": n, "said_after": "the same", "said_change": "—"}
        rows.append({"part": "number", "line": len(shown), "said_note": "—"} | last)
    return rows


def _unbiased(row: dict[str, Any], when: str) -> float | None:
    debiased = row.get(f"{when}_debiased")
    return row[when] if debiased is None else debiased


def _interval_text(value: float | None, row: dict[str, Any], name: str, *, sign: str = "") -> str:
    if value is None:
        return "—"
    lower, upper = row.get(f"{name}_lower"), row.get(f"{name}_upper")
    said = f"{value:{sign}.4f}"
    said += "" if lower is None or upper is None else f"  [{lower:{sign}.4f}, {upper:{sign}.4f}]"
    return said.replace("-", "−")


def recalibration_chart(
    frame: pl.DataFrame,
    table: pl.DataFrame | None = None,
    *,
    stage: str | None = "final",
    title: str = "Before and after recalibration",
    subtitle: str = "",
    minimum: int = THIN,
) -> Any:
    """Reliability before (grey) and after (blue) with consistency bands, and the numbers of both beside it.

    Steps: CORP, Dimitriadis, Gneiting and Jordan 2021, doi:10.1073/pnas.2016191118.
    """
    rows = recalibration_rows(frame, minimum=minimum) + ([] if table is None else change_rows(table))
    layers = curve_layers(observed_title(stage), colours=_COLOURS, field="when")
    top = alt.layer(*layers, width=370, height=330)
    bottom = _histogram().properties(width=370, height=74)
    chart: Any = alt.vconcat(top, bottom, spacing=10)
    if table is not None:
        chart = alt.vconcat(chart, number_table(_COLOURS, change=True), spacing=44)
    note = "steps: isotonic fit; dots: bins; shade: where a calibrated score would lie"
    return theme.finish(chart, title=title, subtitle=subtitle or note, rows=rows)


def _histogram() -> alt.Chart:
    middle = "(datum.from + datum.to) / 2 + (datum.when === 'after' ? 0.017 : -0.017)"
    return (
        part("bins")
        .transform_calculate(middle=middle)
        .mark_bar(size=11, opacity=0.75)
        .encode(
            x=alt.X(
                "middle:Q",
                scale=alt.Scale(domain=[0, 1], nice=False, padding=0),
                axis=alt.Axis(format=_SHARE, title=SCORE, tickCount=5),
            ),
            y=alt.Y("n:Q", axis=alt.Axis(title=["labelled", "predictions"], tickCount=2, format="~s")),
            color=alt.Color("when:N", scale=alt.Scale(domain=list(WHEN), range=list(_COLOURS.values()))),
            tooltip=theme.tips(("when", "score"), ("said_score", "scores"), ("said_n", "labelled predictions")),
        )
    )
