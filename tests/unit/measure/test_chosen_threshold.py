"""A threshold for a target: against trying every one, and judged where it was not chosen."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.ledger.build import build
from fbkit.ledger.edges import BinEdges
from fbkit.measure.chosen_threshold import choose_threshold
from fbkit.measure.metrics import metrics
from fbkit.schema.contract import Contract
from fbkit.testing.frames import START, FakeJoined, make_joined

FIT, JUDGE = "2026-03-02..2026-03-17", "2026-03-17..2026-04-01"
VALUE = {"true_positive": 10.0, "false_positive": -2.0, "false_negative": -6.0, "true_negative": 0.5}


def world(n: int = 3000, *, seed: int = 0, value: dict[str, float] | None = None, repeat: int = 1) -> FakeJoined:
    rng = np.random.default_rng(seed)
    scores = np.round(np.repeat(rng.beta(1.2, 2.5, n // repeat), repeat), 3)
    labels = (np.repeat(rng.random(n // repeat), repeat) < scores).astype(float)
    made = make_joined(
        scores=scores.tolist(),
        labels=[None if lost else label for lost, label in zip(rng.random(n) < 0.1, labels.tolist(), strict=True)],
        ages=np.repeat(rng.uniform(30.5, 60, n // repeat), repeat).tolist(),
        entities=None if repeat == 1 else [f"e{row // repeat}" for row in range(n)],
        columns={"w": rng.integers(1, 4, n).astype(float)},
    )
    contract = made.contract
    if value is not None:
        contract = Contract.from_dict(contract.model_dump(exclude_defaults=True) | {"value": value})
    return FakeJoined(frame=made.frame, contract=contract, as_of=made.as_of)


def flagged_at(joined: FakeJoined, threshold: float) -> FakeJoined:
    frame = joined.frame.with_columns(flagged=pl.col("score") >= threshold)
    return FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of)


def try_all(joined: FakeJoined, metric: str) -> dict[float, float]:
    """The metric on the fit period at every score that occurs there, by flagging again."""
    inside = joined.frame.filter(pl.col("ts_pred") < START + timedelta(days=15), pl.col("label").is_not_null())
    score, label = inside["score"].to_numpy(), inside["label"].to_numpy()
    found = {}
    for cut in np.unique(score):
        flag = score >= cut
        if metric == "precision" and flag.sum() < 20:
            continue
        hits = (label * flag).sum()
        worth = hits * 10 - 2 * (flag.sum() - hits) - 6 * (label.sum() - hits)
        worth += 0.5 * ((1 - label) * ~flag).sum()
        found[float(cut)] = {
            "precision": hits / flag.sum(), "recall": hits / label.sum(), "value": worth / len(label)
        }[metric]  # fmt: skip
    return found


@pytest.mark.parametrize("at_least", [0.3, 0.55, 0.7])
def test_the_lowest_threshold_that_reaches_a_precision(at_least: float) -> None:
    joined = world()
    line = choose_threshold(joined, fit=FIT, judge=JUDGE, target="precision", at_least=at_least).row(0, named=True)
    reached = {cut: value for cut, value in try_all(joined, "precision").items() if value >= at_least}
    assert line["threshold"] == min(reached)
    assert line["fit_value"] == pytest.approx(reached[min(reached)], abs=1e-12)


@pytest.mark.parametrize("at_least", [0.5, 0.9, 1.0])
def test_the_highest_threshold_that_reaches_a_recall(at_least: float) -> None:
    joined = world()
    line = choose_threshold(joined, fit=FIT, judge=JUDGE, target="recall", at_least=at_least).row(0, named=True)
    reached = {cut: value for cut, value in try_all(joined, "recall").items() if value >= at_least}
    assert line["threshold"] == max(reached)
    assert line["fit_value"] == pytest.approx(reached[max(reached)], abs=1e-12)


def test_the_threshold_of_most_value() -> None:
    joined = world(value=VALUE)
    line = choose_threshold(joined, fit=FIT, judge=JUDGE, target="value").row(0, named=True)
    worth = try_all(joined, "value")
    assert line["fit_value"] == pytest.approx(max(worth.values()), abs=1e-12)
    assert worth[line["threshold"]] == pytest.approx(max(worth.values()), abs=1e-12)
    assert line["at_least"] is None


def test_where_flagging_costs_more_than_it_brings_nothing_is_flagged() -> None:
    joined = world(value={"true_positive": -0.1, "false_positive": -50.0, "false_negative": 0.0, "true_negative": 0.0})
    line = choose_threshold(joined, fit=FIT, judge=JUDGE, target="value").row(0, named=True)
    assert line["flags_per_day"] == 0
    assert line["fit_value"] == 0


@pytest.mark.parametrize(("target", "metric"), [("precision", "precision"), ("recall", "recall"), ("value", None)])
@pytest.mark.parametrize(("repeat", "weights"), [(1, None), (5, None), (1, "w")])
def test_the_judged_value_is_what_metrics_say_there(
    target: str, metric: str | None, repeat: int, weights: str | None
) -> None:
    joined = world(seed=1, value=VALUE, repeat=repeat)
    line = choose_threshold(
        joined,
        fit=FIT,
        judge=JUDGE,
        target=target,
        at_least=0.6,
        weights=weights,  # pyright: ignore[reportArgumentType]
    ).row(0, named=True)
    name = metric or "value_per_prediction"
    expected = metrics(flagged_at(joined, line["threshold"]), name, period=JUDGE, weights=weights).row(0, named=True)
    for part in ("value", "lower", "upper"):
        assert line[part] == pytest.approx(expected[part], abs=1e-12)
    assert line["method"] == expected["method"]
    before = metrics(joined, name, period=JUDGE, weights=weights).row(0, named=True)
    assert line["value_before"] == pytest.approx(before["value"], abs=1e-12)


def test_flags_a_day_are_counted_over_all_predictions_of_the_judge_period() -> None:
    joined = world()
    line = choose_threshold(joined, fit=FIT, judge=JUDGE, target="recall", at_least=0.9).row(0, named=True)
    inside = joined.frame.filter(pl.col("ts_pred") >= START + timedelta(days=15))
    assert line["flags_per_day"] == pytest.approx((inside["score"] >= line["threshold"]).sum() / 15)
    assert line["flags_per_day_before"] == pytest.approx(inside["flagged"].sum() / 15)
    assert line["threshold_before"] == 0.5


def test_what_no_threshold_reaches_is_null_and_says_how_far() -> None:
    line = choose_threshold(world(), fit=FIT, judge=JUDGE, target="precision", at_least=1.0).row(0, named=True)
    assert (line["threshold"], line["value"], line["flags_per_day"]) == (None, None, None)
    assert line["reason"].startswith("no threshold reaches a precision of 1 on the fit period; at most 0.8")
    empty = choose_threshold(world(), fit="2020-01-01..2020-02-01", judge=JUDGE).row(0, named=True)
    assert (empty["threshold"], empty["reason"]) == (None, "fit period: no predictions")


def test_on_the_rows_it_was_chosen_on_a_threshold_looks_too_good() -> None:
    gaps, holds = [], []
    for seed in range(40):
        joined = world(400, seed=seed)
        line = choose_threshold(joined, fit=FIT, judge=JUDGE, at_least=0.75).row(0, named=True)
        if line["value"] is not None:
            gaps.append(line["fit_value"] - line["value"])
            holds.append(line["value"] >= 0.75)
    assert np.mean(gaps) > 0.02
    assert np.mean(holds) < 0.6


def test_what_cannot_be_asked_is_refused() -> None:
    joined = world(100)
    with pytest.raises(ArgumentError, match="not judged on the rows"):
        choose_threshold(joined, fit=FIT, judge=FIT)
    with pytest.raises(ArgumentError, match="unknown target"):
        choose_threshold(joined, fit=FIT, judge=JUDGE, target="f1")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="no precision can be that"):
        choose_threshold(joined, fit=FIT, judge=JUDGE, at_least=90)
    with pytest.raises(ArgumentError, match=r"no \[value\]"):
        choose_threshold(joined, fit=FIT, judge=JUDGE, target="value")
    with pytest.raises(ArgumentError, match="binary model"):
        choose_threshold(make_joined(scores=[1.0], labels=[2.0], task="regression"), fit=FIT, judge=JUDGE)


@pytest.mark.parametrize(("target", "at_least"), [("precision", 0.55), ("recall", 0.7), ("value", 0.5)])
@pytest.mark.parametrize(("stage", "weights"), [("final", None), ("any", None), ("final", "w")])
def test_a_ledger_chooses_as_rows_do_where_every_score_is_an_edge(
    target: str, at_least: float, stage: str, weights: str | None
) -> None:
    joined = world(value=VALUE)
    edges = BinEdges(edges=tuple(np.unique(joined.frame["score"].to_numpy()).tolist()))
    how = {"fit": FIT, "judge": JUDGE, "target": target, "at_least": at_least, "stage": stage, "weights": weights}
    ledger = build(joined, edges=edges, weights=weights)
    ours, theirs = (choose_threshold(data, **how).row(0, named=True) for data in (ledger, joined))
    for line in (ours, theirs):
        line.pop("evaluation_id")
        method = line.pop("method")
        if weights is None:
            line["method"] = method.split()[0]
        else:
            # Rows that weigh more than others have no interval in a ledger's curve.
            del line["lower"], line["upper"]
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_a_ledger_knows_when_flagging_nothing_is_best_and_when_nothing_reaches_the_target() -> None:
    joined = world(value=VALUE | {"false_positive": -1000.0})
    ledger = build(joined)
    nothing = choose_threshold(ledger, fit=FIT, judge=JUDGE, target="value").row(0, named=True)
    assert nothing["threshold"] > 1
    assert nothing["flags_per_day"] == 0
    inside = joined.frame.filter(pl.col("ts_pred") >= START + timedelta(days=15), pl.col("mature"))[
        "label"
    ].drop_nulls()
    assert nothing["value"] == pytest.approx((-6.0 * inside + 0.5 * (1 - inside)).mean())
    never = choose_threshold(ledger, fit=FIT, judge=JUDGE, target="precision", at_least=1.0).row(0, named=True)
    assert never["threshold"] is None
    assert never["value"] is None
    assert "no threshold reaches a precision of 1" in never["reason"]
    empty = choose_threshold(ledger, fit="2020-01-01..2020-02-01", judge=JUDGE)["reason"].item()
    assert empty == "fit period: no labelled rows"
