"""Cohorts by age: how much of each day's or week's labels was there at each age, and where it has not come to that."""

from datetime import datetime
from typing import Any, Final

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.changes import ALARM, Changes, change_rows, changes_layer
from fbkit.charts.moments import day_of_ms, in_milliseconds
from fbkit.charts.text import count_text, epoch_ms, interval_text, value_text

_HEIGHT: Final = 300


def cohort_rows(
    frame: pl.DataFrame, *, promise: tuple[float, float | None] | None = None, changes: Changes = None
) -> list[theme.Row]:
    """Rows of the heat map: a ``cell`` per cohort and age that was reached, the ``promise``, changes.

    ``frame`` is a result of ``label_lag`` with ``every``; the cell of an age reaches to the next age. ``promise`` is
    the age in days and the share promised by then (None: no share). Cells that were not reached have no row: they stay
    blank. A cell in which the promise is broken is marked. ``pick`` is the place of the cohort in time.
    """
    ages = sorted(set(frame["age_days"].to_list()))
    until = (
        dict(zip(ages, [*ages[1:], ages[-1] + (ages[-1] - ages[-2] if len(ages) > 1 else 1)], strict=True))
        if ages
        else {}
    )
    judged = _judged(ages, promise)
    reached = in_milliseconds(frame.filter(pl.col("value").is_not_null()))
    places = {epoch_ms(start): place for place, start in enumerate(frame["period_start"].unique().sort())}
    rows = [
        _cell(row, until=until, judged=judged) | {"pick": places[row["period_start"]]} for row in reached.to_dicts()
    ]
    if not frame.height:
        return rows
    first, last = frame["period_start"].min(), frame["period_end"].max()
    frame_row: theme.Row = {
        "part": "frame", "from": _ms(first), "to": _ms(last), "age": ages[0], "until": until[ages[-1]],
    }  # fmt: skip
    if promise is not None and judged is not None:
        share = "" if promise[1] is None else f"{value_text(promise[1], metric='availability')} "
        frame_row |= {"promised": judged[0], "said_promise": f"{share}promised by {_age(promise[0])}"}
    return [frame_row, *rows, *change_rows(changes, start=_moment(first), end=_moment(last), width=_HEIGHT)]


def _judged(ages: list[float], promise: tuple[float, float | None] | None) -> tuple[float, float | None] | None:
    """The shown age at which the promise is judged: the first one that is old enough."""
    if promise is None:
        return None
    age = next((age for age in ages if age >= promise[0]), None)
    return None if age is None else (age, promise[1])


def _cell(row: dict[str, Any], *, until: dict[float, float], judged: tuple[float, float | None] | None) -> theme.Row:
    age = row["age_days"]
    broken = judged is not None and judged[1] is not None and age == judged[0] and row["value"] < judged[1]
    between = interval_text(row.get("lower"), row.get("upper"))
    value = value_text(row["value"], metric="availability")
    made = {
        "part": "cell",
        "from": row["period_start"],
        "to": row["period_end"],
        "age": age,
        "until": until[age],
        "value": row["value"],
        "said_cohort": _days(row["period_start"], row["period_end"]),
        "said_age": _age(age),
        "said_value": value if between == "—" else f"{value} ({between})",
        "said_n": f"{count_text(row.get('n_labelled'))} of {count_text(row.get('n'))}",
    }
    return made | {"broken": True} if broken else made


def _days(start: int, end: int) -> str:
    first, last = day_of_ms(start), day_of_ms(end - 1)
    return first if first == last else f"{first} to {last}"


def _age(days: float) -> str:
    return f"{days:g} day{'' if days == 1 else 's'}"


def _ms(moment: Any) -> int:
    return epoch_ms(moment)


def _moment(value: Any) -> datetime:
    return value


def cohort_chart(
    frame: pl.DataFrame,
    *,
    promise: tuple[float, float | None] | None = None,
    changes: Changes = None,
    title: str = "Labels by cohort and age",
    subtitle: str = "",
    whole: bool = True,
) -> Any:
    """Heat map: day or week of prediction downwards, age to the right, colour the share that was labelled by then.

    Colours span 0 to 1, or with ``whole=False`` 0 to the largest share: where silence is a negative, few have a label.
    """
    rows = cohort_rows(frame, promise=promise, changes=changes)
    x = alt.X(
        "age:Q",
        scale=alt.Scale(nice=False, zero=False),
        axis=alt.Axis(title="age in days, of the cohort's youngest prediction", grid=False, tickMinStep=1, format="d"),
    )
    y = alt.Y(
        "from:T",
        scale=alt.Scale(type="utc", nice=False, reverse=True),
        axis=alt.Axis(format="%-d %b", title="day of prediction (UTC)", tickCount=10, grid=False),
    )
    tooltip = theme.tips(
        ("said_cohort", "predictions of"),
        ("said_age", "age"),
        ("said_value", "labelled by then (interval)"),
        ("said_n", "labelled"),
    )
    legend = alt.Legend(
        format=".0%", title="labelled by that age", gradientLength=160, titleFontWeight="normal", titleColor=theme.FAINT
    )
    span: dict[str, Any] = {"domain": [0, 1]} if whole else {"domainMin": 0, "nice": True}
    colour = alt.Color("value:Q", scale=alt.Scale(scheme="cividis", **span), legend=legend)
    ends = {"x2": "until:Q", "y2": "to:T"}
    cells = alt.Chart().transform_filter("datum.part === 'cell'")
    outline = alt.Chart().transform_filter("datum.part === 'frame'")
    promised = outline.transform_filter("isValid(datum.promised)")
    layers = [
        outline.mark_rect(fill=None, stroke=theme.RULE).encode(x=x, y=y, **ends),
        cells.mark_rect(stroke=theme.PAPER, strokeWidth=0.5).encode(x=x, y=y, color=colour, tooltip=tooltip, **ends),
        cells.transform_filter("datum.broken")
        .transform_calculate(x_mid="(datum.age + datum.until) / 2", y_mid="(datum.from + datum.to) / 2")
        .mark_point(
            shape="cross", angle=45, size=60, filled=True, fill=ALARM, stroke=theme.PAPER, strokeWidth=1, opacity=1
        )
        .encode(x="x_mid:Q", y="y_mid:T", tooltip=tooltip),
        promised.mark_rule(color=theme.INK, strokeWidth=1.6).encode(x="promised:Q"),
        promised.mark_text(align="right", baseline="bottom", dx=-2, dy=-4, fontSize=11, color=theme.INK).encode(
            x="promised:Q", y=alt.value(0), text="said_promise:N"
        ),
        *changes_layer(axis="y"),
    ]
    chart = alt.layer(*layers, data=theme.data(rows)).properties(width=theme.WIDTH, height=_HEIGHT)
    return theme.finish(
        chart, title=title, subtitle=subtitle or "blank: not all of the cohort is that old yet; crosses: promise broken"
    )
