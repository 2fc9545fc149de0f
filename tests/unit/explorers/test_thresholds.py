"""The thresholds explorer without a browser: where its handle stands, the numbers there, and who hears of a move."""

import json
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

import fbkit as fb
from fbkit import explorers
from fbkit.charts.render import to_spec
from fbkit.errors import ArgumentError
from fbkit.explorers.source import Source
from fbkit.explorers.state import Shared
from fbkit.explorers.thresholds import ThresholdsExplorer
from fbkit.ledger.build import build
from fbkit.ledger.edges import BinEdges
from fbkit.measure.chosen_threshold import choose_threshold
from fbkit.measure.metrics import metrics
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison
from fbkit.testing.frames import START, FakeJoined, make_joined, random_joined

HOSTILE = "<img src=x onerror=alert(1)>"
AS_OF = START + timedelta(days=60)
WEEKS = Comparison(
    reference=f"{(AS_OF - timedelta(days=28)).date()}..{(AS_OF - timedelta(days=18)).date()}",
    current=f"{(AS_OF - timedelta(days=18)).date()}..{(AS_OF - timedelta(days=8)).date()}",
)
VALUE = {"true_positive": 10.0, "false_positive": -2.0, "false_negative": -6.0, "true_negative": 0.5}


def priced(joined: FakeJoined, **more: Any) -> FakeJoined:
    facts = joined.contract.model_dump(exclude_defaults=True) | {"value": VALUE | more}
    return FakeJoined(frame=joined.frame, contract=Contract.from_dict(facts), as_of=joined.as_of)


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    return priced(random_joined(6000, seed=5, groups=4, days=28), currency=HOSTILE)


@pytest.fixture
def explorer(joined: FakeJoined) -> ThresholdsExplorer:
    return explorers.thresholds(joined, WEEKS)


def test_it_starts_at_the_contracts_threshold(explorer: ThresholdsExplorer) -> None:
    assert explorer.trouble == ""
    assert explorer.threshold == 0.5
    assert explorer.shared.threshold is None, "nobody has moved it: the logged decisions stay"
    assert "threshold in use" in explorer.summary


@pytest.mark.parametrize("role", ["reference", "current"])
def test_the_numbers_at_the_handle_are_the_metrics_of_such_flags(
    joined: FakeJoined, explorer: ThresholdsExplorer, role: str
) -> None:
    explorer.threshold = 0.3
    place = explorer.threshold
    period = WEEKS.periods()[role == "current"]
    again = FakeJoined(
        frame=joined.frame.with_columns(flagged=pl.col("score") >= place), contract=joined.contract, as_of=joined.as_of
    )
    row = next(row for row in explorer.view.frame["rows"] if row["part"] == "handle" and row["role"] == role)
    for name in ("recall", "precision", "flag_rate", "value_per_prediction"):
        line = metrics(again, name, period=period).row(0, named=True)
        for part, column in ((name, "value"), (f"{name}_lower", "lower"), (f"{name}_upper", "upper")):
            assert row[part] == pytest.approx(line[column], rel=1e-5), (name, column)
    assert f"{100 * row['recall']:.1f} %" in explorer._numbers.value


def test_every_way_to_move_does_the_same_and_is_one_answer(explorer: ThresholdsExplorer) -> None:
    places = [value for _, value in explorer._places.options]
    answers = explorer.view.frame["seq"]
    explorer._places.value = places[7]
    assert explorer.threshold == explorer.shared.threshold == places[7]
    assert explorer._typed.value == pytest.approx(places[7], rel=1e-5)
    explorer._typed.value = places[9] + 1e-6
    assert explorer._places.value == explorer.threshold == places[9], "the nearest is taken"
    explorer.view.picked = {"seq": 1, "kind": "threshold", "value": places[11]}
    assert explorer.threshold == places[11]
    explorer.shared.threshold = places[5]
    assert explorer._places.value == places[5]
    explorer.threshold = places[4]
    assert explorer.shared.threshold == places[4]
    assert explorer.view.frame["seq"] == answers + 5
    drawing = explorer.view.drawing
    explorer.go(places[3])
    assert explorer.view.drawing is drawing, "a move exchanges rows and leaves the drawing alone"


def test_a_threshold_from_elsewhere_is_shown_at_the_nearest_place_and_stays_what_it_was(
    explorer: ThresholdsExplorer,
) -> None:
    explorer.shared.threshold = 0.123456
    assert explorer.shared.threshold == 0.123456
    assert explorer.threshold == min((value for _, value in explorer._places.options), key=lambda x: abs(x - 0.123456))
    explorer.shared.clear("threshold")
    assert explorer.threshold == 0.5


def test_the_buttons_go_to_the_chosen_threshold_and_back(joined: FakeJoined, explorer: ThresholdsExplorer) -> None:
    reference, current = WEEKS.periods()
    subject = Source.of(joined).subject(explorer.shared.view())
    best = choose_threshold(subject.data, fit=reference, judge=current, target="value").row(0, named=True)
    named = {button.description: button for button in explorer._jumps()}
    named["Best"].click()
    assert explorer.threshold == best["threshold"]
    marks = {row["part"]: row for row in explorer.view.frame["rows"] if row["part"] in ("own", "best")}
    assert marks["best"]["threshold"] == best["threshold"]
    assert marks["best"]["low"] <= best["threshold"] <= marks["best"]["high"]
    assert marks["own"]["threshold"] == 0.5
    assert f"{best['threshold']:.4g}" in explorer._numbers.value
    named["In use"].click()
    assert explorer.threshold == 0.5


def test_another_target_marks_another_threshold(explorer: ThresholdsExplorer) -> None:
    explorer.target = "recall"
    explorer.at_least = 0.95
    mark = next(row for row in explorer.view.frame["rows"] if row["part"] == "best")
    frame = explorer._found.by_role["reference"]
    assert mark["threshold"] == frame.filter(pl.col("recall") >= 0.95)["threshold"].max()
    assert "recall of at least 95.0 %" in explorer._numbers.value
    explorer.target = "precision"
    explorer.at_least = 1.0
    assert "no threshold" in explorer._numbers.value
    assert not [row for row in explorer.view.frame["rows"] if row["part"] == "best"]


def test_days_stage_and_slices_of_the_page_are_followed(joined: FakeJoined) -> None:
    shared = Shared.of(Source.of(joined).view(WEEKS))
    explorer = explorers.thresholds(joined, shared=shared)
    whole = explorer._held["current"]["n"]
    shared.focus_on("group", "g1")
    part = explorer._held["current"]["n"]
    current = WEEKS.periods()[1]
    inside = joined.frame.filter(pl.col("ts_pred").is_between(current.start, current.end, closed="left"))
    assert part == inside.filter(pl.col("group") == "g1").height
    assert whole == inside.height
    shared.days = type(current)(start=current.start, end=current.start + timedelta(days=1))
    assert 0 < explorer._held["current"]["n"] < part
    shared.stage = "any"
    assert explorer.stage == "any"
    assert "all labels so far" in explorer.summary
    assert explorer.trouble == ""


def test_a_page_that_moves_the_metric_leaves_it_alone(explorer: ThresholdsExplorer) -> None:
    answers = explorer.view.frame["seq"]
    explorer.shared.metric = "precision"
    explorer.shared.by = "region"
    assert explorer.view.frame["seq"] == answers


def test_a_ledger_alone_is_enough_and_rows_are_taken_where_days_are_not_whole(joined: FakeJoined) -> None:
    ledger = build(joined, slices=["group"])
    of_ledger = explorers.thresholds(ledger, WEEKS)
    assert of_ledger.summary == explorers.thresholds(joined, WEEKS).summary
    reference, current = WEEKS.periods()
    hours = Comparison(
        reference=reference, current=type(current)(start=current.start, end=current.end - timedelta(hours=5))
    )
    of_rows = explorers.thresholds(joined, hours)
    assert of_rows.trouble == ""
    assert len(of_rows._places.options) > 100
    of_rows.go(0.25)
    assert of_rows.threshold == 0.25
    assert "more_true_positives" in of_rows._found.moves.columns


def test_a_threshold_in_use_that_the_ledger_did_not_count_is_told(joined: FakeJoined) -> None:
    ledger = build(joined, edges=BinEdges(edges=(0.2, 0.4)))
    explorer = explorers.thresholds(ledger, WEEKS)
    assert "0.5: the threshold is not among the ledger" in explorer.summary
    assert explorer.threshold == 0.4


def test_days_within_the_reference_have_no_chosen_threshold_and_say_why(explorer: ThresholdsExplorer) -> None:
    explorer.shared.days = WEEKS.periods()[0]
    assert explorer.trouble == ""
    assert "not judged on the rows that it was chosen on" in explorer._numbers.value


def test_without_prices_there_is_no_value_panel_and_precision_is_the_target(joined: FakeJoined) -> None:
    bare = random_joined(2000, seed=2)
    explorer = explorers.thresholds(bare, WEEKS)
    assert explorer.target == "precision"
    assert "value" not in explorer.summary
    assert len(to_spec(explorer.chart())["vconcat"]) == 3
    assert len(to_spec(explorers.thresholds(joined, WEEKS).chart())["vconcat"]) == 4


def test_no_labels_are_not_estimable_and_never_zero() -> None:
    rng = np.random.default_rng(1)
    scores = rng.random(200)
    blank = priced(make_joined(scores=scores.tolist(), labels=[None] * 200, ages=rng.uniform(9, 27, 200).tolist()))
    explorer = explorers.thresholds(blank, WEEKS)
    assert explorer.trouble == ""
    assert "recall not estimable" in explorer.summary
    assert "0.0 %" not in explorer._numbers.value.split("flag rate")[0]


def test_only_binary_models_and_known_targets(joined: FakeJoined) -> None:
    numbers = make_joined(scores=[1.0, 2.0], labels=[1.0, 3.0], ages=[30, 10], task="regression")
    with pytest.raises(ArgumentError, match="thresholds belong to a binary model"):
        explorers.thresholds(numbers)
    with pytest.raises(ArgumentError, match="an unknown target"):
        explorers.thresholds(joined, WEEKS, target="luck")


def test_what_travels_is_small_and_users_text_is_escaped(explorer: ThresholdsExplorer) -> None:
    assert len(json.dumps(explorer.view.frame)) < 80_000
    assert "<img" not in explorer._numbers.value
    assert "&lt;img" in explorer._numbers.value
    assert "onerror" not in json.dumps(explorer.view.frame["rows"])


def test_the_drag_comes_back_under_the_name_that_the_page_listens_to(explorer: ThresholdsExplorer) -> None:
    (param,) = to_spec(explorer.chart())["params"]
    assert param["name"] == "fbkit_threshold"
    assert param["select"]["nearest"]
    assert len(param["views"]) == 4
    assert "fbkit_threshold" in explorer.view._esm


def test_repeated_entities_are_told_where_a_ledger_cannot_know_them() -> None:
    for entities in (None, 40):
        explorer = explorers.thresholds(random_joined(2000, seed=3, entities=entities), WEEKS)
        said = "as if rows were independent" in explorer.view.frame["texts"]["smallprint"].replace("\n", " ")
        assert said == (entities is not None)


def test_the_code_computes_the_frames_that_are_shown(joined: FakeJoined, explorer: ThresholdsExplorer) -> None:
    calls = explorer.calls()
    ledger = build(joined)
    known = {"fb": fb, "joined": joined, "ledger": ledger}
    assert calls[0] == "ledger = joined.ledger()"
    shown = [eval(call, known) for call in calls[1:3]]
    assert [frame["threshold"].to_list() for frame in shown] == [
        frame["threshold"].to_list() for frame in explorer._found.by_role.values()
    ]
    best = eval(calls[3], known)
    assert best["threshold"].item() == explorer._found.best["threshold"]


def test_without_curves_a_move_goes_nowhere_and_the_reason_stays(
    joined: FakeJoined, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ArgumentError("no curve today", got="x", allowed="y", next_step="wait")

    monkeypatch.setattr("fbkit.explorers.threshold_curves.threshold_curve", fail)
    explorer = explorers.thresholds(joined, WEEKS)
    assert explorer.trouble == "no curve today. wait"
    explorer._places.value = 0.5
    explorer.go(0.3)
    for button in explorer._jumps():
        button.click()
    assert explorer.shared.threshold is None
    assert explorer.trouble == "no curve today. wait"
