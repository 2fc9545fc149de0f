"""Did the inputs or the scores move: ranked by PSI against what chance alone gives, and the two distributions."""

from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import clean, count_text, distinct, value_text
from fbkit.schema.words import FAMILY_COLOURS

_STRENGTH_COLOURS = {"beyond chance": FAMILY_COLOURS["quality"], "within chance": theme.OTHER}


def drift_rows(frame: pl.DataFrame, *, limit: int = 30) -> list[theme.Row]:
    """Rows of the ranked bars: the ``limit`` columns with the largest PSI.

    ``frame`` is a result of ``drift``: column, kind, psi, psi_null_95, psi_p_value, ks, ks_p_value,
    p_adjusted, null_rate_reference, null_rate_current, reason.
    """
    top = frame.sort("psi", descending=True, nulls_last=True).head(limit)
    labels = distinct(top["column"].to_list())
    return [_drift_row(row, labels[row["column"]]) for row in top.to_dicts()]


def _drift_row(row: dict[str, Any], label: str) -> theme.Row:
    psi, null = row["psi"], row.get("psi_null_95")
    return {
        "column": label,
        "psi": psi,
        "null": null,
        "verdict": "beyond chance" if _is_beyond(row) else "within chance",
        "said_psi": "not estimable" if psi is None else f"{psi:.3f}",
        "said_null": "—" if null is None else f"{null:.3f}",
        "said_ks": "—" if row.get("ks") is None else f"{row['ks']:.3f}",
        "said_p": _p_text(row.get("p_adjusted")),
        "said_nulls": f"{value_text(row.get('null_rate_reference'))} → {value_text(row.get('null_rate_current'))}",
        "said_reason": clean(row["reason"], limit=90) if row.get("reason") else "—",
    }


def beyond_chance(frame: pl.DataFrame) -> list[str]:
    """The columns whose drift is larger than chance explains, the furthest first."""
    ranked = frame.sort("psi", descending=True, nulls_last=True)
    return [row["column"] for row in ranked.to_dicts() if _is_beyond(row)]


def _is_beyond(row: dict[str, Any]) -> bool:
    psi, null, adjusted = row["psi"], row.get("psi_null_95"), row.get("p_adjusted")
    return adjusted < 0.05 if adjusted is not None else (psi is not None and null is not None and psi > null)


def bins_title(column: str) -> str:
    """The title of the axis of bins."""
    return f"{clean(column)} (bins of the reference)"


def _p_text(p: float | None) -> str:
    if p is None:
        return "—"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def drift_chart(
    frame: pl.DataFrame, *, title: str = "What moved between the periods", subtitle: str = "", limit: int = 30
) -> Any:
    """Ranked PSI bars; the tick is the 95 % quantile of PSI when nothing moved."""
    rows = drift_rows(frame, limit=limit)
    y = alt.Y("column:N", sort=None, title=None, axis=alt.Axis(labelColor=theme.INK, labelPadding=8, domain=False))
    x = alt.X("psi:Q", axis=alt.Axis(title="PSI, current against reference (no unit)", tickCount=5))
    colour = alt.Color(
        "verdict:N", scale=alt.Scale(domain=list(_STRENGTH_COLOURS), range=list(_STRENGTH_COLOURS.values()))
    )
    tooltip = theme.tips(
        ("column", "column"),
        ("said_psi", "PSI"),
        ("said_null", "95 % by chance"),
        ("said_ks", "KS distance"),
        ("said_p", "adjusted p"),
        ("said_nulls", "null rate"),
        ("said_reason", "note"),
    )
    bars = alt.Chart().mark_bar(height=13, cornerRadiusEnd=2).encode(y=y, x=x, color=colour, tooltip=tooltip)
    null = (
        alt.Chart()
        .transform_filter("isValid(datum.null)")
        .mark_tick(color=theme.INK, thickness=2, size=18)
        .encode(y=y, x="null:Q")
    )
    said = (
        alt.Chart()
        .mark_text(align="left", color=theme.FAINT, fontSize=11)
        .encode(y=y, x=alt.value(408), text="said_psi:N")
    )
    chart = alt.layer(bars, null, said, data=theme.data(rows)).properties(width=400, height=alt.Step(24))
    return theme.finish(chart, title=title, subtitle=subtitle or "black tick: 95 % of the PSI that chance alone gives")


def drift_bins_rows(frame: pl.DataFrame) -> list[theme.Row]:
    """Rows of the two distributions. ``frame`` is a result of ``drift_bins``: bin, label, share_*, n_*."""
    labels = distinct([f"{row['label']}" for row in frame.to_dicts()])
    return [
        {
            "bin": labels[f"{row['label']}"],
            "role": role,
            "share": row[f"share_{role}"],
            "said_share": value_text(row[f"share_{role}"]),
            "said_n": count_text(row.get(f"n_{role}")),
        }
        for row in frame.to_dicts()
        for role in theme.ROLE_NAMES
    ]


def drift_bins_chart(frame: pl.DataFrame, *, column: str, title: str | None = None, subtitle: str = "") -> Any:
    """The two distributions of one column over the reference's bins."""
    rows = drift_bins_rows(frame)
    x = alt.X(
        "bin:N",
        sort=None,
        title=bins_title(column),
        axis=alt.Axis(labelAngle=-35, labelLimit=110),
    )
    y = alt.Y("share:Q", axis=alt.Axis(format=".0%", title="share of predictions", tickCount=5, grid=True))
    bars = (
        alt.Chart(theme.data(rows))
        .mark_bar()
        .encode(
            x=x,
            xOffset=alt.XOffset("role:N", sort=None, scale=alt.Scale(domain=list(theme.ROLE_NAMES))),
            y=y,
            color=alt.Color("role:N", scale=theme.role_scale()),
            tooltip=theme.tips(("bin", "bin"), ("role", "period"), ("said_share", "share"), ("said_n", "predictions")),
        )
        .properties(width=theme.WIDTH, height=220)
    )
    return theme.finish(
        bars,
        title=title or f"{clean(column)}: reference and current",
        subtitle=subtitle or "bin edges come from the reference only",
    )
