"""Cohorts by age: a coloured cell where there is a number, blank where there is none yet, the promise marked."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from fbkit.charts import theme
from fbkit.charts.changes import ALARM
from fbkit.charts.heat import cohort_chart, cohort_rows
from fbkit.charts.text import epoch_ms
from tests.unit.charts.scene import items, texts

DAY = datetime(2026, 3, 2, tzinfo=UTC)
AGES = [0.0, 1.0, 3.0, 7.0]


def frame(*, days: int = 4, length: int = 1, reached: int = 3) -> pl.DataFrame:
    """Cohorts whose share is 0.2 a day of age; the later ones have reached fewer ages."""
    lines = []
    for place in range(days):
        for age in AGES:
            known = AGES.index(age) <= reached - place
            start = DAY + timedelta(days=place * length)
            share = min(0.2 * age + 0.01 * place, 1.0)
            lines.append(
                {
                    "period_start": start,
                    "period_end": start + timedelta(days=length),
                    "age_days": age,
                    "value": share if known else None,
                    "lower": share / 2 if known else None,
                    "upper": share if known else None,
                    "n": 100,
                    "n_labelled": round(100 * share) if known else None,
                    "reason": None if known else "not reached",
                }
            )
    return pl.DataFrame(lines)


def cells(rows: list[theme.Row]) -> list[theme.Row]:
    return [row for row in rows if row["part"] == "cell"]


def test_cells_that_were_not_reached_have_no_row() -> None:
    given = frame()
    rows = cells(cohort_rows(given))
    assert len(rows) == given["value"].count() == 4 + 3 + 2 + 1
    assert {(row["from"], row["age"]) for row in rows} == {
        (epoch_ms(start), age) for start, age, value in given.select("period_start", "age_days", "value").iter_rows()
        if value is not None
    }  # fmt: skip


def test_a_cell_reaches_to_the_next_age_and_to_the_end_of_its_cohort() -> None:
    rows = cells(cohort_rows(frame(length=7)))
    first = [row for row in rows if row["pick"] == 0]
    assert [(row["age"], row["until"]) for row in first] == [(0, 1), (1, 3), (3, 7), (7, 11)]
    assert {row["to"] - row["from"] for row in rows} == {7 * 86_400_000}
    assert first[0]["said_cohort"] == "Mon 2 Mar 2026 to Sun 8 Mar 2026"
    assert first[1]["said_age"] == "1 day"
    assert first[1]["said_n"] == "20 of 100"
    assert first[1]["said_value"] == "20.0 % (10.0 to 20.0 %)"


def test_the_picture_has_a_rect_per_cell_in_the_right_place() -> None:
    rects = [item for item in items(cohort_chart(frame()), "rect") if item.get("fill") not in (None, "transparent")]
    coloured = [rect for rect in rects if str(rect.get("fill", "")).startswith("rgb")]
    assert len(coloured) == 10
    # Newest cohorts lie lowest: time runs downwards.
    tops = sorted({round(rect["y"]) for rect in coloured})
    widths = [len([rect for rect in coloured if round(rect["y"]) == top]) for top in tops]
    assert widths == [4, 3, 2, 1]


@pytest.mark.parametrize(("promise", "broken", "told"), [
    ((3.0, 0.605), 1, "60.5 % promised by 3 days"),
    ((2.0, 0.605), 1, "60.5 % promised by 2 days"),
    ((7.0, None), 0, "promised by 7 days"),
    ((3.0, 0.1), 0, "10.0 % promised by 3 days"),
])  # fmt: skip
def test_the_promise_is_marked_and_what_breaks_it(promise: tuple[float, float | None], broken: int, told: str) -> None:
    rows = cohort_rows(frame(), promise=promise)
    assert sum(row.get("broken", False) for row in cells(rows)) == broken
    chart = cohort_chart(frame(), promise=promise)
    assert told in texts(chart)
    assert len([item for item in items(chart, "symbol") if item.get("fill") == ALARM]) == broken


def test_a_promise_past_the_shown_ages_is_not_marked() -> None:
    whole = next(row for row in cohort_rows(frame(), promise=(30.0, 0.9)) if row["part"] == "frame")
    assert "promised" not in whole


def test_changes_lie_across_the_cohorts() -> None:
    changes = pl.DataFrame({"ts": [DAY + timedelta(days=1)], "kind": ["deploy"], "what": ["v2"]})
    chart = cohort_chart(frame(), changes=changes)
    assert "D" in texts(chart)
    (rule,) = [item for item in items(chart, "rule") if item.get("strokeDash")]
    assert rule["y"] == pytest.approx(300 / 4)


def test_small_shares_have_the_colours_to_themselves() -> None:
    few = frame().with_columns(pl.col("value") / 20)
    assert "100%" not in texts(cohort_chart(few, whole=False))
    assert "100%" in texts(cohort_chart(few))


def test_nothing_at_all_is_drawn_without_an_error() -> None:
    assert cohort_rows(frame().clear(), promise=(7.0, 0.9)) == []
    assert "Labels by cohort and age" in texts(cohort_chart(frame().clear()))
    assert cells(cohort_rows(frame(reached=-1))) == []
