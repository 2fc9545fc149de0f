"""The burn-down: what was seen, what mature cohorts lacked, what is expected; each drawn only where it is known."""

from datetime import UTC, datetime, timedelta

import polars as pl

from fbkit.charts.burn_down import AHEAD, SEEN, USUAL, burn_down_chart, burn_down_rows
from fbkit.charts.text import epoch_ms
from tests.unit.charts.scene import items, texts

DAY = datetime(2026, 3, 2, tzinfo=UTC)


def path(*, now: int = 4, until: int = 9, cohorts: bool = True) -> pl.DataFrame:
    lines = []
    for day in range(until + 1):
        usual = 90.0 - 10 * day if cohorts else None
        ahead = 60.0 - 5 * (day - now) if cohorts and day >= now else None
        lines.append(
            {
                "period_start": DAY,
                "period_end": DAY + timedelta(days=3),
                "as_of": DAY + timedelta(days=day),
                "n_labelled": 10 * day if day <= now else None,
                "n_missing": 90 - 8 * day if day <= now else None,
                "expected": usual,
                "expected_lower": None if usual is None else usual - 5,
                "expected_upper": None if usual is None else usual + 5,
                "forecast": ahead,
                "forecast_lower": None if ahead is None else ahead - 9,
                "forecast_upper": None if ahead is None else ahead + 9,
                "n_needed": 90,
                "n": 100,
            }
        )
    return pl.DataFrame(lines, schema_overrides={"n_missing": pl.Int64, "expected": pl.Float64, "forecast": pl.Float64})


def kinds(frame: pl.DataFrame) -> dict[str, list[int]]:
    """The days of the points of each line."""
    found: dict[str, list[int]] = {}
    for row in burn_down_rows(frame):
        if row["part"] == "point":
            found.setdefault(row["kind"], []).append((row["at"] - epoch_ms(DAY)) // 86_400_000)
    return found


def test_lines_reach_as_far_as_they_are_known() -> None:
    assert kinds(path()) == {SEEN: [0, 1, 2, 3, 4], USUAL: list(range(10)), AHEAD: [4, 5, 6, 7, 8, 9]}
    assert kinds(path(cohorts=False)) == {SEEN: [0, 1, 2, 3, 4]}
    assert kinds(path(now=9)) == {SEEN: list(range(10)), USUAL: list(range(10))}


def test_points_tell_labels_interval_and_what_is_promised() -> None:
    told = next(row for row in burn_down_rows(path()) if row.get("kind") == AHEAD)
    assert (told["said_value"], told["said_interval"], told["said_needed"]) == ("60", "51 to 69", "90 of 100")
    assert told["said_at"] == "Fri 6 Mar 2026"


def test_dates_stand_at_the_known_and_the_due_midnight() -> None:
    assert {"known until 6 Mar", "due 11 Mar"} <= set(texts(burn_down_chart(path())))
    late = texts(burn_down_chart(path(now=9)))
    assert "due 11 Mar" in late
    assert not any(text.startswith("known until") for text in late)


def test_the_last_seen_point_and_the_first_of_the_forecast_are_one_place() -> None:
    symbols = items(burn_down_chart(path().with_columns(n_missing=pl.when(pl.col("as_of") == DAY + timedelta(days=4))
                    .then(60).otherwise("n_missing").cast(pl.Int64))), "symbol")  # fmt: skip
    places = [(round(item["x"]), round(item["y"])) for item in symbols]
    assert len(places) - len(set(places)) >= 1


def test_changes_are_drawn_within_the_cohorts_life() -> None:
    changes = pl.DataFrame({"ts": [DAY + timedelta(days=day) for day in (-1, 2)], "kind": ["deploy"] * 2, "what": "v"})
    rows = [row for row in burn_down_rows(path(), changes=changes) if row["part"] == "change"]
    assert [row["at"] for row in rows] == [epoch_ms(DAY + timedelta(days=2))]
    assert "D" in texts(burn_down_chart(path(), changes=changes))


def test_axes_name_their_unit() -> None:
    told = texts(burn_down_chart(path()))
    assert "labels still missing" in told
    assert "known at midnight (UTC)" in told


def test_no_cohort_is_an_empty_picture() -> None:
    assert burn_down_rows(path().clear()) == []
    assert "Labels missing to the promise" in texts(burn_down_chart(path().clear()))
