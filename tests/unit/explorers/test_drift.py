"""The drift explorer without a kernel: the ranking, what a click and a brush do, what it follows and cannot know."""

from datetime import timedelta

import polars as pl
import pytest

from fbkit.charts.drift import ranked
from fbkit.explorers.drift import RANKING, DriftExplorer
from fbkit.explorers.source import Source
from fbkit.explorers.state import Shared
from fbkit.ledger.build import build
from fbkit.measure.distribution import distribution
from fbkit.measure.drift import drift
from fbkit.measure.drift_days import drift_days
from fbkit.schema.period import Comparison, Period, floor_day
from fbkit.testing.frames import START, FakeJoined, random_joined

HOSTILE = "<script>alert(1)</script>"
AS_OF = START + timedelta(days=60)
WEEKS = Comparison(
    reference=f"{(AS_OF - timedelta(days=28)).date()}..{(AS_OF - timedelta(days=12)).date()}",
    current=f"{(AS_OF - timedelta(days=12)).date()}..{(AS_OF - timedelta(days=4)).date()}",
)
REFERENCE, CURRENT = WEEKS.periods()
MOVED = CURRENT.start + timedelta(days=3)


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    """``group`` goes over to one value on a day of the current period."""
    made = random_joined(6000, seed=5, groups=4, days=28)
    late = (pl.col("ts_pred") >= MOVED) & pl.col("group").is_in(["g0", "g2"])
    hostile = pl.when(late).then(pl.lit(HOSTILE)).otherwise(pl.col("group")).alias("group")
    contract = made.contract.model_copy(
        update={"slices": made.contract.slices.model_copy(update={"columns": ("group", "region")})}
    )
    return FakeJoined(frame=made.frame.with_columns(hostile), contract=contract, as_of=made.as_of)


def click(explorer: DriftExplorer, place: int, *, seq: int = 1) -> None:
    explorer.view.picked = {"seq": seq, "kind": "pick", "value": place}


def brush(explorer: DriftExplorer, period: Period | None, *, seq: int = 1) -> None:
    value = None if period is None else [edge.timestamp() * 1000 for edge in (period.start, period.end)]
    explorer.view.picked = {"seq": seq, "kind": "days", "value": value}


def test_the_table_is_the_ranking_and_the_furthest_is_shown(joined: FakeJoined) -> None:
    explorer = DriftExplorer(joined, WEEKS)
    assert explorer.column == RANKING
    assert explorer.result.equals(drift(joined, WEEKS))
    assert explorer.shown == "group"
    assert explorer.bars.equals(distribution(joined, WEEKS, column="group"))
    assert explorer.days.changed.equals(drift_days(joined, WEEKS).changed)
    assert "1 of" in explorer.summary
    assert f"changed on {MOVED:%a} {MOVED.day} {MOVED:%b %Y}" in explorer.summary


def test_a_click_on_a_line_and_the_control_show_its_column_in_the_same_drawing(joined: FakeJoined) -> None:
    explorer = DriftExplorer(joined, WEEKS)
    lines = ranked(explorer.result)["column"].to_list()
    drawing = explorer.view.drawing["key"]
    click(explorer, lines.index("score"))
    assert (explorer.column, explorer.shown) == ("score", "score")
    assert explorer.view.drawing["key"] == drawing, "rows are exchanged, nothing is drawn anew"
    chosen = [row["pick"] for row in explorer.view.frame["rows"] if row["part"] == "line" and row["chosen"]]
    assert chosen == [lines.index("score")]
    explorer.column = "region"
    assert explorer._columns.value == "region"
    assert {row["said_label"] for row in explorer.view.frame["rows"] if row["part"] == "bar"} == {
        "EU",
        "US",
        "(null)",
    }
    for place in (-1, 999):
        click(explorer, place, seq=place)
    assert explorer.column == "region"


def test_a_brush_looks_at_whole_days_and_letting_go_brings_the_period_back(joined: FakeJoined) -> None:
    explorer = DriftExplorer(joined, WEEKS)
    first = CURRENT.start
    brush(explorer, Period(start=first + timedelta(hours=5), end=first + timedelta(days=1, hours=3)))
    assert explorer.shared.days == Period(start=first, end=first + timedelta(days=2))
    weeks = Comparison(reference=REFERENCE, current=explorer.shared.days)
    assert explorer.result.equals(drift(joined, weeks))
    # The days stay those of both periods, so that the brush has something to be drawn on.
    assert explorer.days.series.equals(drift_days(joined, WEEKS).series)
    brush(explorer, None, seq=2)
    assert explorer.shared.days is None
    assert explorer.result.equals(drift(joined, WEEKS))


def test_days_inside_the_reference_are_compared_with_what_lies_before_them(joined: FakeJoined) -> None:
    explorer = DriftExplorer(joined, WEEKS)
    days = Period(start=REFERENCE.start + timedelta(days=9), end=REFERENCE.start + timedelta(days=12))
    brush(explorer, days)
    before = Period(start=REFERENCE.start, end=days.start)
    assert explorer.result.equals(drift(joined, Comparison(reference=before, current=days)))
    shown = explorer.view.frame
    brush(explorer, Period(start=REFERENCE.start, end=days.start), seq=2)
    assert "no reference before them" in explorer.trouble
    assert explorer.view.frame == shown


def test_a_filter_narrows_every_number_and_a_metric_none(joined: FakeJoined) -> None:
    source = Source.of(joined)
    shared = Shared.of(source.view(WEEKS))
    explorer = DriftExplorer(source, shared=shared)
    answers = explorer.view.frame["seq"]
    shared.metric, shared.stage = "precision", "any"
    assert explorer.view.frame["seq"] == answers
    shared.focus_on("region", "EU")
    only = FakeJoined(frame=joined.frame.filter(pl.col("region") == "EU"), contract=joined.contract, as_of=joined.as_of)
    expected = drift(only, WEEKS)
    assert explorer.result.drop("evaluation_id").equals(expected.drop("evaluation_id"))
    assert "region = EU" in explorer.texts()["smallprint"]


def test_an_earlier_time_is_answered_from_counts_and_said(joined: FakeJoined) -> None:
    explorer = DriftExplorer(joined, WEEKS)
    explorer.column = "region"
    moment = floor_day(joined.as_of) - timedelta(days=6)
    explorer.shared.as_of = moment
    assert explorer.trouble == ""
    assert "features need the rows" in explorer.texts()["smallprint"]
    then = FakeJoined(
        frame=joined.frame.filter(pl.col("ts_pred") <= moment), contract=joined.contract, as_of=joined.as_of
    )
    expected = drift(then, WEEKS, columns="region")
    line = explorer.result.filter(column="region")
    assert line["n_current"].item() == expected["n_current"].item()
    assert line["psi"].item() == pytest.approx(expected["psi"].item(), abs=1e-12)


def test_a_ledger_alone_has_the_slices_and_the_score(joined: FakeJoined) -> None:
    ledger = build(joined, slices=("group", "region"))
    explorer = DriftExplorer(ledger, WEEKS)
    assert explorer.trouble == ""
    assert set(explorer.result["column"]) == {"score", "group", "region"}
    rows = drift(joined, WEEKS, columns=["group", "region"])
    for name in ("group", "region"):
        mine, theirs = (frame.filter(column=name)["psi"].item() for frame in (explorer.result, rows))
        assert mine == pytest.approx(theirs, abs=1e-12)
    assert explorer.days.changed.filter(column="group")["day"].item() == MOVED
    explorer.shared.focus_on("region", "EU")
    assert "not narrowed to region = EU" in explorer.texts()["smallprint"]


def test_a_chosen_column_that_a_filter_takes_away_comes_back_with_it(joined: FakeJoined) -> None:
    contract = joined.contract.model_copy(
        update={"features": joined.contract.features.model_copy(update={"columns": ("amount",)})}
    )
    frame = joined.frame.with_columns(amount=pl.col("score") * 7)
    explorer = DriftExplorer(FakeJoined(frame=frame, contract=contract, as_of=joined.as_of), WEEKS, column="amount")
    assert explorer.shown == "amount"
    explorer.shared.as_of = floor_day(joined.as_of) - timedelta(days=6)
    assert explorer.column == "amount"
    assert explorer.shown != "amount", "a ledger did not count it"
    assert "amount is not known here" in explorer.texts()["smallprint"]
    explorer.shared.as_of = explorer.source.as_of
    assert explorer.shown == "amount"


def test_hostile_values_stay_data(joined: FakeJoined) -> None:
    explorer = DriftExplorer(joined, WEEKS, column="group")
    assert HOSTILE in {row["said_label"] for row in explorer.view.frame["rows"] if row["part"] == "bar"}
    assert "<script>" not in explorer._line.value
    assert HOSTILE not in explorer.view.drawing["json"]


def test_an_empty_period_is_told(joined: FakeJoined) -> None:
    before = Comparison(reference="2020-01-01..2020-01-08", current="2020-01-08..2020-01-15")
    explorer = DriftExplorer(joined, before)
    assert explorer.trouble == ""
    assert "not estimable" in explorer.summary
    assert "None of" in explorer.summary
