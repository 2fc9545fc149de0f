"""The calibration explorer without a kernel: whose numbers it shows, what it follows, what it says when it cannot."""

from datetime import timedelta

import polars as pl
import pytest

from fbkit.explorers.calibration import EVERYTHING, CalibrationExplorer
from fbkit.explorers.source import Source
from fbkit.explorers.state import Shared
from fbkit.ledger.build import build
from fbkit.measure.calibration import calibration, calibration_summary
from fbkit.measure.recalibrate import recalibrate
from fbkit.schema.period import Comparison, Period, floor_day
from fbkit.testing.frames import START, FakeJoined, random_joined

HOSTILE = "<script>alert(1)</script>"
AS_OF = START + timedelta(days=60)
WEEKS = Comparison(
    reference=f"{(AS_OF - timedelta(days=28)).date()}..{(AS_OF - timedelta(days=21)).date()}",
    current=f"{(AS_OF - timedelta(days=21)).date()}..{(AS_OF - timedelta(days=14)).date()}",
)
REFERENCE, CURRENT = WEEKS.periods()


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    made = random_joined(4000, seed=5, groups=12, days=28)
    hostile = pl.when(pl.col("group") == "g1").then(pl.lit(HOSTILE)).otherwise(pl.col("group")).alias("group")
    version = pl.when(pl.col("ts_pred") < CURRENT.start).then(pl.lit("v1")).otherwise(pl.lit("v2"))
    frame = made.frame.with_columns(hostile, version.alias("model_version"))
    return FakeJoined(frame=frame, contract=made.contract, as_of=made.as_of)


def test_both_periods_are_those_of_the_ledger(joined: FakeJoined) -> None:
    explorer = CalibrationExplorer(joined, WEEKS)
    assert explorer.trouble == ""
    ledger = explorer.source.subject(explorer.shared.view()).data
    for role, period in (("reference", REFERENCE), ("current", CURRENT)):
        shown = explorer.result.filter(role=role).drop("role")
        assert shown.equals(calibration(ledger, period=period))
        expected = calibration_summary(ledger, period=period, draws=100)
        assert explorer.table().filter(role=role).drop("role").equals(expected)
        # The scores' own bins lose nothing of the Brier score, whose parts add up.
        exact = calibration_summary(joined, period=period, draws=0).row(0, named=True)
        assert expected["brier"].item() == pytest.approx(exact["brier"], abs=1e-9)
        assert expected["n_labelled"].item() == exact["n_labelled"]
    assert f"{explorer.table().filter(role='current')['mcb'].item():.4f}" in explorer.summary


def test_slices_have_the_rows_numbers_though_the_periods_are_no_weeks(joined: FakeJoined) -> None:
    assert CURRENT.start.weekday() != 0, "else this guards nothing"
    explorer = CalibrationExplorer(joined, WEEKS, by="group", show="slices")
    assert explorer.trouble == ""
    exact = calibration_summary(joined, by="group", period=CURRENT, draws=0)
    shown = explorer.table().filter(role="current").join(exact, left_on="panel", right_on="group", suffix="_rows")
    assert shown["brier"].to_list() == pytest.approx(shown["brier_rows"].to_list(), abs=1e-9)
    assert shown["n"].equals(shown["n_rows"].alias("n"))


def test_nine_panels_are_drawn_and_the_rest_is_counted(joined: FakeJoined) -> None:
    explorer = CalibrationExplorer(joined, WEEKS, by="group", show="slices")
    panels = {row["panel"] for row in explorer.view.frame["rows"] if row["part"] == "bins"}
    assert len(panels) == 9
    assert explorer.shown.hidden == joined.frame["group"].n_unique() - 9
    assert f"{explorer.shown.hidden} smaller ones not shown" in explorer.texts()["smallprint"]
    sizes = joined.frame.filter(pl.col("ts_pred").is_between(REFERENCE.start, CURRENT.end, closed="left"))
    counted = dict(sizes["group"].value_counts().iter_rows())
    assert [counted[value] for value in explorer.shown.values] == sorted(counted.values(), reverse=True)[:9]


def test_a_click_on_a_panel_looks_at_its_slice_and_once_more_lets_go(joined: FakeJoined) -> None:
    explorer = CalibrationExplorer(joined, WEEKS, by="group", show="slices")
    place = explorer.shown.values.index(HOSTILE)
    explorer.view.picked = {"seq": 1, "kind": "pick", "value": place}
    assert explorer.shared.focus == {"group": HOSTILE}
    assert explorer.shown.values == (HOSTILE,)
    assert HOSTILE in explorer.texts()["smallprint"]
    explorer.view.picked = {"seq": 2, "kind": "pick", "value": 0}
    assert explorer.shared.focus == {}
    explorer.view.picked = {"seq": 3, "kind": "pick", "value": 99}
    assert explorer.shared.focus == {}


def test_versions_stand_side_by_side_and_a_click_keeps_one(joined: FakeJoined) -> None:
    explorer = CalibrationExplorer(joined, WEEKS, show="versions")
    assert set(explorer.shown.values) == {"v1", "v2"}
    explorer.view.picked = {"seq": 1, "kind": "pick", "value": explorer.shown.values.index("v2")}
    assert explorer.shared.version == "v2"
    explorer.show = "periods"
    now = explorer.table().filter(role="current")
    assert now["n"].item() == calibration_summary(joined, period=CURRENT, draws=0)["n"].item()
    assert explorer.table().filter(role="reference")["n"].item() == 0


def test_the_value_looks_at_one_slice_and_another_column_lets_go_in_one_answer(joined: FakeJoined) -> None:
    explorer = CalibrationExplorer(joined, WEEKS, by="group")
    explorer.value = HOSTILE
    only = FakeJoined(
        frame=joined.frame.filter(pl.col("group") == HOSTILE), contract=joined.contract, as_of=joined.as_of
    )
    exact = calibration_summary(only, period=CURRENT, draws=0).row(0, named=True)
    assert explorer.table().filter(role="current")["brier"].item() == pytest.approx(exact["brier"], abs=1e-9)
    answers = explorer.view.frame["seq"]
    explorer.by = "region"
    assert explorer.value == EVERYTHING
    assert explorer.view.frame["seq"] == answers + 1, "one move, one answer"
    assert explorer.table().filter(role="current")["n"].item() > exact["n"]


def test_recalibration_is_fitted_before_and_judged_on_what_is_looked_at(joined: FakeJoined) -> None:
    explorer = CalibrationExplorer(joined, WEEKS, show="recalibration")
    expected = recalibrate(joined, fit=REFERENCE, judge=CURRENT)
    assert explorer.table().drop("evaluation_id").equals(expected.table.drop("evaluation_id"))
    assert "Fitted on the reference and judged on the current period" in explorer.summary
    assert "fitted on" in explorer.texts()["smallprint"]
    explorer.method = "platt"
    assert explorer.shown.facts["map"].method == "platt"
    # Days inside the reference are judged by a map of what lies before them.
    days = Period(start=REFERENCE.start + timedelta(days=5), end=REFERENCE.end)
    explorer.shared.days = days
    assert explorer.trouble == ""
    assert explorer.shown.facts["fit"] == Period(start=REFERENCE.start, end=days.start)


def test_what_a_ledger_cannot_answer_is_one_sentence_and_the_picture_stays(joined: FakeJoined) -> None:
    ledger = build(joined, slices=("group",))
    explorer = CalibrationExplorer(ledger, WEEKS, by="group")
    assert explorer.trouble == ""
    drawn = explorer.view.frame
    explorer.show = "slices"
    assert "whole weeks" in explorer.trouble
    explorer.show = "recalibration"
    assert explorer.trouble.startswith("a recalibration needs the rows")
    assert explorer.view.frame == drawn
    explorer.show = "periods"
    assert explorer.trouble == ""


def test_an_earlier_time_is_what_a_ledger_knew_then(joined: FakeJoined) -> None:
    explorer = CalibrationExplorer(joined, WEEKS)
    moment = floor_day(joined.as_of) - timedelta(days=3)
    assert moment in explorer.source.moments()
    explorer.shared.as_of = moment
    ledger = explorer.source.subject(explorer.shared.view()).data
    expected = calibration_summary(ledger, period=CURRENT, draws=100, as_of=moment)
    assert explorer.table().filter(role="current").drop("role").equals(expected)
    explorer.show = "slices"
    assert "own as-of only" in explorer.trouble


def test_brushed_days_take_the_place_of_the_current_period(joined: FakeJoined) -> None:
    source = Source.of(joined)
    shared = Shared.of(source.view(WEEKS))
    explorer = CalibrationExplorer(source, shared=shared)
    days = Period(start=CURRENT.start, end=CURRENT.start + timedelta(days=2))
    shared.days = days
    exact = calibration_summary(joined, period=days, draws=0)
    assert explorer.table().filter(role="current")["n_labelled"].item() == exact["n_labelled"].item()
    before = explorer.view.frame["seq"]
    shared.metric = "precision"
    assert explorer.view.frame["seq"] == before, "a metric is not what this explorer is about"


def test_an_empty_period_is_told(joined: FakeJoined) -> None:
    before = Comparison(reference="2020-01-01..2020-01-08", current="2020-01-08..2020-01-15")
    for show in ("periods", "slices", "versions"):
        explorer = CalibrationExplorer(joined, before, by="group", show=show)
        assert explorer.trouble == ""
        assert "not estimable" in explorer.summary or "No slice has" in explorer.summary


def test_scores_that_are_no_probabilities_are_told_in_the_widget() -> None:
    made = random_joined(200, seed=1)
    predictions = made.contract.predictions.model_copy(update={"score_kind": "margin"})
    contract = made.contract.model_copy(update={"predictions": predictions})
    explorer = CalibrationExplorer(FakeJoined(frame=made.frame, contract=contract, as_of=made.as_of))
    assert "calibration needs" in explorer.trouble


def test_the_code_computes_what_is_shown(joined: FakeJoined) -> None:
    import fbkit as fb

    explorer = CalibrationExplorer(joined, WEEKS, show="recalibration")
    for show in ("recalibration", "slices", "periods"):
        explorer.show = show
        for line in explorer.calls():
            if line.startswith("fb."):
                found = eval(line, {"fb": fb, "joined": joined, "ledger": explorer.source.ledger()})
                assert isinstance(found, pl.DataFrame)
                assert found.height
