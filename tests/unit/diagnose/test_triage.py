"""The whole ladder on tables with known truth, and the laws that hold on any table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import brier_score_loss, precision_score, recall_score, roc_auc_score

from fbkit.diagnose.settings import METRICS, VALUE_LOSSES
from fbkit.diagnose.triage import triage
from fbkit.errors import ArgumentError, InputError
from fbkit.schema.period import Comparison
from fbkit.schema.results import FAMILY_OF_CAUSE


def flagged_eu_lost(frame, outcome):
    now = frame["current"] & frame["flagged"] & (frame["region"] == "EU")
    return np.where(now.to_numpy(), 0.8, 0.05)


def drifted(frame):
    score = frame["score"].to_numpy()
    return np.where(frame["current"].to_numpy(), 0.75 * score + 0.25 * score.mean(), score)


def uniform(frame, outcome):
    return np.where(frame["current"].to_numpy(), 0.3, 0.08)


def test_lost_labels_are_labels_and_the_model_is_left_alone(by_hand, weeks):
    said = triage(by_hand(lose=flagged_eu_lost), weeks)
    assert (said.verdict, said.top_cause) == ("labels", "label_slice_loss")
    part = next(p for p in said.contributions if p.cause == "label_slice_loss")
    assert part.value < -0.03
    assert part.where == "region=EU, flagged rows"
    assert said.true_change.lower < 0 < said.true_change.upper
    assert any("not what changed" in text for text in said.do_not)


def test_drift_under_uniform_loss_is_the_model(by_hand, weeks):
    said = triage(by_hand(truth=drifted, lose=uniform), weeks)
    assert (said.verdict, said.top_cause) == ("quality", "concept_drift")
    assert not any(p.material for p in said.contributions if p.family == "labels")


def test_both_are_both(by_hand, weeks):
    said = triage(by_hand(truth=drifted, lose=flagged_eu_lost), weeks)
    assert said.verdict == "both"


def test_uniform_loss_alone_is_nothing(by_hand, weeks):
    said = triage(by_hand(lose=uniform), weeks)
    assert said.verdict == "noise"
    assert not any(part.material for part in said.contributions)


def test_masked_drop_is_found(by_hand, weeks):
    def unflagged_lost(frame, outcome):
        return np.where((frame["current"] & ~frame["flagged"]).to_numpy(), 0.6, 0.05)

    said = triage(by_hand(truth=drifted, lose=unflagged_lost), weeks)
    values = {part.cause: part.value for part in said.contributions if part.material}
    assert values["label_slice_loss"] > 0 > values["concept_drift"]
    assert said.verdict == "both"


def test_threshold_is_replayed_exactly(by_hand, weeks):
    joined = by_hand(threshold=lambda frame: np.where(frame["current"], 0.6, 0.5))
    said = triage(joined, weeks)
    before = joined.frame.filter(~pl.col("current") & (pl.col("outcome") == 1))
    expected = (before["score"] >= 0.6).mean() - (before["score"] >= 0.5).mean()
    part = next(p for p in said.contributions if p.cause == "threshold_change")
    assert said.verdict == "policy"
    assert part.value == pytest.approx(expected, abs=0.005)


def test_mix_is_told_from_drift(by_hand, weeks):
    def harder(frame):
        score = frame["score"].to_numpy()
        return np.where(frame["device"] == "app", 0.15, score)

    joined = by_hand(truth=harder, device=lambda u, current: u < np.where(current, 0.8, 0.3))
    said = triage(joined, weeks)
    assert (said.verdict, said.top_cause) == ("mix", "mix_shift")
    assert next(p.where for p in said.contributions if p.cause == "mix_shift").startswith("device=")


def test_a_canary_is_compared_within_the_days(by_hand, weeks):
    rng = np.random.default_rng(5)

    def versions(frame):
        return np.where(frame["current"].to_numpy() & (rng.random(len(frame)) < 0.5), "2", "1")

    def worse(frame):
        score = frame["score"].to_numpy()
        return np.where(frame["model_version"] == "2", score.mean(), score)

    said = triage(by_hand(version=versions, truth=worse), weeks)
    assert said.top_cause == "version_regression"
    assert next(p.where for p in said.contributions if p.cause == "version_regression") == "model_version=2"


def test_a_complete_switch_is_only_probable(by_hand, weeks):
    joined = by_hand(version=lambda frame: np.where(frame["current"], "2", "1"), truth=drifted)
    part = next(p for p in triage(joined, weeks).contributions if p.material)
    assert (part.cause, part.strength) == ("version_regression", "probable")


def test_lost_positives_are_undecided_with_two_worlds(by_hand, weeks):
    def positives(frame, outcome):
        now = (frame["current"] & frame["flagged"]).to_numpy() & (outcome == 1)
        return np.where(now, 0.5, 0.03)

    said = triage(by_hand(lose=positives), weeks)
    assert said.verdict == "undecided"
    assert said.top_cause == "label_loss_nonrandom"
    assert len(said.worlds) == 2
    assert {world["tipping_ratio"] for world in said.worlds} == {said.tipping_ratio}
    assert said.reason is not None
    assert said.decidable_at is None
    # The interval holds both worlds: nothing changed, or the whole corrected drop is real.
    assert said.true_change.lower < -0.05 < 0 < said.true_change.upper


def test_young_labels_are_compared_at_equal_age(by_hand, weeks):
    as_of = datetime(2026, 9, 8, tzinfo=UTC)

    joined = by_hand(as_of=as_of, lag_days=(1.0, 3.0), seed=8)
    said = triage(joined, weeks, metric="base_rate")
    young = next(p for p in said.contributions if p.cause == "immature_window")
    assert young.value < -0.02
    assert said.true_change.lower < 0 < said.true_change.upper
    assert said.decidable_at == datetime(2026, 9, 14, tzinfo=UTC)


def test_silence_means_negative_only_when_the_window_has_closed(by_hand, weeks):
    joined = by_hand(as_of=datetime(2026, 9, 8, tzinfo=UTC), silence="negative", lag_days=(1.0, 2.0))
    said = triage(joined, weeks, metric="base_rate")
    # The dashboard sees young positives without their negatives: a base rate near one half more than the truth.
    assert said.observed.change > 0.05
    assert said.true_change.lower < 0 < said.true_change.upper


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in VALUE_LOSSES])
def test_contributions_sum_to_the_observed_change(by_hand, weeks, metric):
    said = triage(by_hand(n=6000, truth=drifted, lose=flagged_eu_lost), weeks, metric=metric, draws=30)
    assert sum(part.value for part in said.contributions) == pytest.approx(said.observed.change, abs=1e-12)
    assert {part.family for part in said.contributions} <= set(FAMILY_OF_CAUSE.values())
    assert said.would_change_verdict
    steps = said.evidence["ladder"].filter(pl.col("kind") == "step")
    assert steps["end"][-1] == pytest.approx(said.observed.current, abs=1e-12)


@pytest.mark.parametrize("metric", ["mae", "rmse", "bias"])
def test_values_have_a_ladder_too(by_hand, weeks, metric):
    joined = by_hand(n=6000)
    joined = replace(
        joined,
        frame=joined.frame.with_columns(flagged=pl.lit(None, pl.Boolean), label=pl.col("score") + pl.col("label") / 10),
    )
    said = triage(joined, weeks, metric=metric, draws=30)
    assert sum(part.value for part in said.contributions) == pytest.approx(said.observed.change, abs=1e-12)


@pytest.mark.parametrize(
    ("metric", "oracle"),
    [
        ("recall", lambda y, s, d: recall_score(y, d)),
        ("precision", lambda y, s, d: precision_score(y, d)),
        ("brier", lambda y, s, d: brier_score_loss(y, s)),
        ("roc_auc", lambda y, s, d: roc_auc_score(y, s)),
    ],
)
def test_observed_equals_scikit_learn(by_hand, weeks, metric, oracle):
    joined = by_hand(n=5000, lose=uniform)
    said = triage(joined, weeks, metric=metric, draws=0)
    for name, rows in (("reference", ~pl.col("current")), ("current", pl.col("current"))):
        known = joined.frame.filter(rows & pl.col("label").is_not_null())
        value = oracle(known["label"].to_numpy(), known["score"].to_numpy(), known["flagged"].to_numpy())
        assert getattr(said.observed, name) == pytest.approx(value, abs=1e-12)


def test_any_order_of_rows_gives_the_same_diagnosis(by_hand, weeks):
    joined = by_hand(n=4000, truth=drifted, lose=flagged_eu_lost)
    shuffled = replace(joined, frame=joined.frame.sample(fraction=1.0, shuffle=True, seed=3))
    first, second = (triage(table, weeks, draws=40) for table in (joined, shuffled))
    assert first.contributions == second.contributions
    assert first.headline == second.headline


def test_without_draws_nothing_is_claimed(by_hand, weeks):
    said = triage(by_hand(n=4000, truth=drifted), weeks, draws=0)
    assert said.verdict == "noise"
    assert said.observed.lower is None
    assert all(not part.material for part in said.contributions)


def test_no_labels_is_not_estimable_and_not_zero(by_hand, weeks):
    joined = by_hand(n=3000, lose=lambda frame, outcome: frame["current"].to_numpy().astype(float))
    said = triage(joined, weeks, draws=20)
    assert said.verdict == "undecided"
    assert said.observed.change is None
    assert said.true_change.value is None
    assert said.contributions[0].reason
    assert "cannot be estimated" in said.headline


def test_a_decision_without_labels_is_undecided(by_hand, weeks):
    joined = by_hand(n=6000, lose=lambda frame, outcome: (frame["current"] & frame["flagged"]).to_numpy().astype(float))
    said = triage(joined, weeks, draws=20)
    assert said.verdict == "undecided"
    assert said.true_change.value is None
    assert sum(part.value or 0.0 for part in said.contributions) == pytest.approx(said.observed.change, abs=1e-12)


def test_a_rise_is_worded_as_a_rise(by_hand, weeks):
    said = triage(by_hand(truth=lambda frame: np.where(frame["current"], frame["score"] ** 2, frame["score"])), weeks)
    assert said.observed.change > 0
    assert " rose " in said.headline
    assert said.impact["rows"] < 0


def test_bad_calls_are_refused(by_hand, weeks):
    joined = by_hand(n=500)
    with pytest.raises(ArgumentError, match="does not know this metric"):
        triage(joined, weeks, metric="recal")
    with pytest.raises(ArgumentError, match="gives no interval"):
        triage(joined, weeks, draws=-1)
    with pytest.raises(ArgumentError, match="at least 20"):
        triage(joined, weeks, draws=5)
    with pytest.raises(ArgumentError, match="no fixed periods"):
        triage(joined, Comparison.last("7d"))
    with pytest.raises(InputError, match="has no predictions"):
        triage(joined, Comparison(reference="2026-08-03..2026-08-31", current="2027-01-01..2027-01-08"))


def test_logged_changes_are_dated_coincidences(by_hand, weeks):
    day = datetime(2026, 8, 31, 3, tzinfo=UTC)
    changes = pl.DataFrame(
        {
            "ts": [day, day - timedelta(days=9), day - timedelta(days=90)],
            "kind": ["deploy"] * 3,
            "what": ["new", "old", "ancient"],
        }
    )
    said = triage(replace(by_hand(n=2000), changes=changes), weeks, draws=20)
    assert [(c["what"], c["coincides"]) for c in said.changes] == [("old", False), ("new", True)]


def test_rows_hidden_by_an_action_are_a_matter_of_policy(by_hand, weeks):
    joined = by_hand(lose=flagged_eu_lost)
    hidden = pl.col("current") & pl.col("label").is_null() & pl.col("flagged")
    said = triage(replace(joined, frame=joined.frame.with_columns(blocked=hidden)), weeks)
    assert (said.verdict, said.top_cause) == ("policy", "action_censoring")
    assert any("random" in text for text in said.do_now)


def test_labels_still_to_come_without_any_closed_window_decide_nothing(by_hand, weeks):
    joined = by_hand(as_of=datetime(2026, 9, 8, tzinfo=UTC), lag_days=(1.0, 3.0), seed=8)
    joined = replace(joined, frame=joined.frame.with_columns(mature=pl.lit(value=False)))
    said = triage(joined, weeks, metric="base_rate")
    assert said.verdict == "undecided"
    assert said.true_change.value is None
    assert said.reason is not None
    assert len(said.warnings) == 1
    causes = [part.cause for part in said.contributions]
    assert "label_slice_loss" not in causes
    assert len(causes) == len(set(causes))
    assert sum(part.value for part in said.contributions) == pytest.approx(said.observed.change, abs=1e-12)
    assert "2026-09-14" in said.do_now[0]
