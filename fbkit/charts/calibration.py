"""Reliability: what a score promised against what happened, reference and current, with the scores beneath."""

from collections.abc import Mapping
from typing import Any, Final

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import clean, count_text, distinct, interval_text, stage_name, value_text

THIN: Final = 20
SCORE: Final = "score of the model (probability)"
_SHARE: Final = ".0%"
_WIDE: Final = 370
# In a small panel the histogram lies beneath the diagram, on the same axes.
_FLOOR, _DEEP, _CEILING = -0.06, 0.24, 1.24
_BIASED: Final = ("mcb", "ece")
_LINES: Final = (
    ("brier", "Brier score"),
    ("mcb", "= miscalibration (MCB)"),
    ("dsc", "− discrimination (DSC)"),
    ("unc", "+ uncertainty (UNC)"),
    ("mcb_debiased", "MCB without chance"),
    ("ece", "ECE, 10 bins"),
    ("ece_debiased", "ECE without chance"),
    ("n_labelled", "labelled predictions"),
)


def calibration_rows(frame: pl.DataFrame, *, minimum: int = THIN) -> list[theme.Row]:
    """Rows of the reliability diagram.

    ``frame`` has curve ("corp" or "bins"), score_lower, score_upper, score_mean, observed, n and, where known, lower,
    upper (interval of a bin), band_lower, band_upper (where the curve of a calibrated score would lie), role
    ("reference" or "current") and panel (a slice; ``pick`` is its place). Bins of fewer than ``minimum`` rows are thin.
    """
    panels = distinct(frame["panel"].to_list()) if "panel" in frame.columns else {}
    totals: dict[object, int] = {}
    for row in frame.iter_rows(named=True):
        if row["curve"] == "bins":
            whole = (row.get("panel"), row.get("role"))
            totals[whole] = totals.get(whole, 0) + row["n"]
    rows = [
        _row(row, panel=panels.get(row.get("panel")), total=totals.get((row.get("panel"), row.get("role")), 0))
        | {"thin": row["n"] < minimum}
        for row in frame.to_dicts()
    ]
    for row in rows:
        row["said_note"] = f"fewer than {minimum} labelled: pale" if row["thin"] else "—"
    order = {name: place for place, name in enumerate(panels.values())}
    for row in rows:
        if order:
            row["pick"] = order[str(row["panel"])]
    rows.sort(key=lambda row: (row.get("pick", 0), row["role"], row["part"], row["from"] or -1.0))
    return [*rows, *_diagonals(order)]


def _row(row: Mapping[str, Any], *, panel: str | None, total: int) -> theme.Row:
    made: theme.Row = {
        "part": "corp" if row["curve"] == "corp" else "bins",
        "role": row.get("role") or "current",
        "from": row["score_lower"],
        "to": row["score_upper"],
        "score": row["score_mean"],
        "observed": row["observed"],
        "lower": row.get("lower"),
        "upper": row.get("upper"),
        "band_lower": row.get("band_lower"),
        "band_upper": row.get("band_upper"),
        "n": row["n"],
        "share": row["n"] / total if total else None,
        "said_score": interval_text(row["score_lower"], row["score_upper"]),
        "said_mean": value_text(row["score_mean"]),
        "said_observed": value_text(row["observed"]),
        "said_interval": interval_text(row.get("lower"), row.get("upper")),
        "said_band": interval_text(row.get("band_lower"), row.get("band_upper")),
        "said_n": count_text(row["n"]),
    }
    return made if panel is None else made | {"panel": panel}


def _diagonals(panels: Mapping[str, int]) -> list[theme.Row]:
    ends = [{"part": "diagonal", "score": place, "observed": place} for place in (0.0, 1.0)]
    return [end | {"panel": name, "pick": pick} for name, pick in panels.items() for end in ends] if panels else ends


def number_rows(summary: pl.DataFrame, *, roles: tuple[str, ...] = theme.ROLE_NAMES) -> list[theme.Row]:
    """Rows of the table beside the diagram: Brier and its parts, ECE, rows, by role.

    ``summary`` is a result of ``calibration_summary`` with the column ``role``.
    """
    found = {row["role"]: row for row in summary.iter_rows(named=True)}
    rows: list[theme.Row] = [
        {"part": "number", "line": place, "said_name": said}
        | {f"said_{role}": _number_text(found.get(role), name) for role in roles}
        for place, (name, said) in enumerate(_LINES)
    ]
    for row, (name, _) in zip(rows, _LINES, strict=True):
        told = [found[role] for role in roles if role in found and found[role].get(f"{name}_null_95") is not None]
        by_chance = [f"{one['role']}: chance alone stays below {one[f'{name}_null_95']:.4f}" for one in told]
        row["said_note"] = "; ".join(by_chance) or "—"
    return rows


def _number_text(row: Mapping[str, Any] | None, name: str) -> str:
    if row is None:
        return "—"
    if name == "n_labelled":
        return f"{count_text(row[name])} of {count_text(row['n'])}"
    if row.get(name) is None:
        return clean(row.get("reason") or "—", limit=24)
    # What is biased upward has its interval beside its value without that bias: the interval need not hold the other.
    base = name.removesuffix("_debiased")
    lower, upper = (None, None) if name in _BIASED else (row.get(f"{base}_{end}") for end in ("lower", "upper"))
    said = f"{round(row[name], 4) + 0.0:.4f}".replace("-", "−")
    return said + ("" if lower is None or upper is None else f"  [{lower:.4f}, {upper:.4f}]")


def calibration_chart(
    frame: pl.DataFrame,
    summary: pl.DataFrame | None = None,
    *,
    stage: str | None = "final",
    title: str = "Reliability of the score",
    subtitle: str = "",
    minimum: int = THIN,
) -> Any:
    """Reliability diagram with consistency bands, the scores' histogram beneath, and beneath that Brier's parts.

    CORP: Dimitriadis, Gneiting, Jordan 2021, doi:10.1073/pnas.2016191118.
    """
    numbers = [] if summary is None else number_rows(summary)
    rows = calibration_rows(frame, minimum=minimum) + numbers
    top = alt.layer(*curve_layers(observed_title(stage)), width=_WIDE, height=330)
    bottom = _histogram().properties(width=_WIDE, height=74)
    chart: Any = alt.vconcat(top, bottom, spacing=10)
    if summary is not None:
        # Beneath and not beside: a notebook's column is often narrower than both.
        heads: dict[str, str] = dict(zip(theme.ROLE_NAMES, theme.ROLE_COLOURS, strict=True))
        chart = alt.vconcat(chart, number_table(heads), spacing=44)
    note = "steps: isotonic fit; dots: bins; shade: where a calibrated score would lie"
    return theme.finish(chart, title=title, subtitle=subtitle or note, rows=rows)


def observed_title(stage: str | None) -> str:
    """The title of the vertical axis."""
    return f"share positive ({stage_name(stage)})"


def part(name: str) -> alt.Chart:
    """The rows of one part."""
    return alt.Chart().transform_filter(f"datum.part === '{name}'")


def _role_colour() -> alt.Color:
    return alt.Color("role:N", scale=theme.role_scale())


def curve_layers(
    y_title: str, *, colours: Mapping[str, str] | None = None, field: str = "role", small: bool = False
) -> list[alt.Chart]:
    """Bands, diagonal, isotonic steps and binned dots; a small panel leaves room for its histogram.

    ``colours`` are those of the values of ``field``, by default of the two periods.
    """
    shown = dict(zip(theme.ROLE_NAMES, theme.ROLE_COLOURS, strict=True)) if colours is None else colours
    colour = alt.Color(f"{field}:N", scale=alt.Scale(domain=list(shown), range=list(shown.values())))
    scale = alt.Scale(domain=[0, 1], nice=False)
    tall = alt.Scale(domain=[_FLOOR - _DEEP, _CEILING], nice=False) if small else scale
    x_axis = (
        alt.Axis(format=_SHARE, title=SCORE, values=[0, 0.5, 1])
        if small
        else alt.Axis(format=_SHARE, title=None, labels=False, ticks=False, tickCount=5)
    )
    y_axis = alt.Axis(format=_SHARE, title=y_title, values=[0, 0.5, 1] if small else [0, 0.2, 0.4, 0.6, 0.8, 1])
    x, steps = (alt.X(f"{name}:Q", scale=scale, axis=x_axis) for name in ("score", "from"))
    y, band = (alt.Y(f"{name}:Q", scale=tall, axis=y_axis) for name in ("observed", "band_lower"))
    tooltip = theme.tips(
        (field, "period" if field == "role" else "score"),
        ("said_score", "scores"),
        ("said_mean", "mean score"),
        ("said_observed", "share positive"),
        ("said_interval", "interval"),
        ("said_band", "if calibrated"),
        ("said_n", "labelled predictions"),
        ("said_note", "note"),
    )
    corp, bins = part("corp"), part("bins")
    pale = alt.condition("datum.thin", alt.value(0.28), alt.value(0.85))
    return [
        corp.transform_filter("isValid(datum.band_lower)")
        .mark_area(interpolate="linear", opacity=0.16)
        .encode(x=x, y=band, y2=alt.Y2("band_upper:Q"), color=colour),
        part("diagonal").mark_line(color=theme.OTHER, strokeDash=[5, 4]).encode(x=x, y=y),
        corp.mark_rule(strokeWidth=1.5 if small else 2.5).encode(x=steps, x2=alt.X2("to:Q"), y=y, color=colour),
        corp.mark_line(strokeWidth=1, opacity=0.5, interpolate="linear").encode(x=x, y=y, color=colour),
        bins.transform_filter("isValid(datum.lower)")
        .mark_rule(strokeWidth=1.2)
        .encode(x=x, y=alt.Y("lower:Q", scale=tall, axis=y_axis), y2=alt.Y2("upper:Q"), color=colour, opacity=pale),
        bins.mark_point(filled=True, size=22 if small else 46).encode(
            x=x, y=y, color=colour, opacity=pale, tooltip=tooltip
        ),
    ]


def _histogram() -> alt.Chart:
    """Share of the labelled predictions by bin, reference and current side by side on the axis of the scores."""
    edge = "datum.role === 'reference' ? 0.03 : 0.52"
    width = "(datum.to - datum.from)"
    return (
        part("bins")
        .transform_calculate(left=f"datum.from + {width} * ({edge})", right=f"datum.from + {width} * (({edge}) + 0.45)")
        .mark_rect(opacity=0.75)
        .encode(
            x=alt.X(
                "left:Q",
                scale=alt.Scale(domain=[0, 1], nice=False),
                axis=alt.Axis(format=_SHARE, title=SCORE, tickCount=5),
            ),
            x2=alt.X2("right:Q"),
            y=alt.Y("share:Q", axis=alt.Axis(title=["share of", "predictions"], tickCount=2, format=_SHARE)),
            y2=alt.datum(0),
            color=_role_colour(),
            tooltip=theme.tips(("role", "period"), ("said_score", "scores"), ("said_n", "labelled predictions")),
        )
    )


def number_table(heads: Mapping[str, str], *, change: bool = False) -> Any:
    """Numbers as text in columns; ``heads`` are the columns' names and their colours."""
    y = alt.Y("line:O", axis=None, scale=alt.Scale(paddingInner=0.1))
    layers = [
        part("number").mark_text(align="left", fontSize=11).encode(x=alt.value(0), y=y, text=alt.Text("said_name:N")),
    ]
    names = [*heads, *(["change"] if change else [])]
    for place, name in enumerate(names):
        left = 142 + 150 * place
        told = part("number").mark_text(align="left", fontSize=11, color=theme.INK)
        layers += [
            told.encode(
                x=alt.value(left), y=y, text=alt.Text(f"said_{name}:N"), tooltip=theme.tips(("said_note", "beside it"))
            ),
            alt.Chart()
            .transform_filter("datum.part === 'number' && datum.line === 0")
            .mark_text(align="left", fontSize=11, fontWeight=600, color=heads.get(name, theme.INK), dy=-26)
            .encode(x=alt.value(left), y=y, text=alt.value(name)),
        ]
    return alt.layer(*layers, width=142 + 150 * len(names), height=alt.Step(26))


def panels_chart(
    frame: pl.DataFrame,
    summary: pl.DataFrame | None = None,
    *,
    stage: str | None = "final",
    title: str = "Reliability by slice",
    subtitle: str = "",
    minimum: int = THIN,
    columns: int = 3,
) -> Any:
    """Small multiples: one reliability diagram a slice, the scores' histogram on the floor of each."""
    rows = panel_rows(frame, summary, minimum=minimum)
    said = (
        part("note")
        .mark_text(align="left", baseline="top", fontSize=10.5, color=theme.FAINT, dx=1, lineBreak="\n")
        .encode(x=alt.datum(0), y=alt.datum(_CEILING), text=alt.Text("said:N"))
    )
    back = part("note").mark_rect(opacity=0.001, color=theme.CURRENT, cursor="pointer")
    back = back.encode(x=alt.datum(0), x2=alt.datum(1), y=alt.datum(_FLOOR - _DEEP), y2=alt.datum(_CEILING))
    layers = [back, _floors(), *curve_layers(observed_title(stage), small=True), said]
    chart = (
        alt.layer(*layers, data=theme.data([]))
        .properties(width=210, height=240)
        .facet(
            facet=alt.Facet(
                "panel:N",
                sort=alt.EncodingSortField(field="pick", op="min"),
                header=alt.Header(title=None, labelFontWeight=600),
            ),
            columns=columns,
        )
    )
    note = "steps: isotonic fit; dots: bins; shade: if calibrated; * beyond chance"
    return theme.finish(chart, title=title, subtitle=subtitle or note, rows=rows)


def panel_rows(frame: pl.DataFrame, summary: pl.DataFrame | None, *, minimum: int = THIN) -> list[theme.Row]:
    """Rows of the small multiples; the histogram's bars and a line of numbers are added to each panel."""
    rows = calibration_rows(frame, minimum=minimum)
    most = max((row["share"] or 0.0 for row in rows if row["part"] == "bins"), default=0.0) or 1.0
    for row in rows:
        if row["part"] == "bins":
            width, left = row["to"] - row["from"], 0.04 if row["role"] == "reference" else 0.52
            row |= {"left": row["from"] + width * left, "right": row["from"] + width * (left + 0.44)}
            row |= {"floor": _FLOOR - _DEEP, "top": _FLOOR - _DEEP + _DEEP * (row["share"] or 0.0) / most}
    if summary is None:
        return rows
    # The same labels as the curves': those of the panels in the order of the curves.
    labels = distinct(frame["panel"].to_list())
    for pick, (value, label) in enumerate(labels.items()):
        own = summary.filter(pl.col("panel").eq_missing(pl.lit(value, dtype=pl.String)))
        found = {row["role"]: row for row in own.iter_rows(named=True)}
        rows.append({"part": "note", "panel": label, "pick": pick, "said": "\n".join(_panel_text(found))})
    return rows


def _panel_text(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    for role in theme.ROLE_NAMES:
        row = found.get(role)
        if row is None or row["ece"] is None:
            lines.append(f"{role}: no labelled rows")
        else:
            beyond = row.get("ece_p_value") is not None and row["ece_p_value"] < 0.05
            lines.append(f"{role}: ECE {row['ece']:.3f}{' *' if beyond else ''}, n {count_text(row['n_labelled'])}")
    return lines


def _floors() -> alt.Chart:
    return (
        part("bins")
        .mark_rect(opacity=0.7)
        .encode(
            x=alt.X("left:Q"),
            x2=alt.X2("right:Q"),
            y=alt.Y("floor:Q"),
            y2=alt.Y2("top:Q"),
            color=_role_colour(),
            tooltip=theme.tips(("role", "period"), ("said_score", "scores"), ("said_n", "labelled predictions")),
        )
    )
