"""Poor logs: something is always said, nothing is invented, nothing breaks."""

from dataclasses import replace

import polars as pl
import pytest

from fbkit.diagnose.triage import triage
from fbkit.errors import ArgumentError

CURRENT = pl.col("current")
POOR = {
    "no entity": {"entity": pl.lit(None, pl.String)},
    "no version": {"model_version": pl.lit(None, pl.String)},
    "no threshold": {"threshold": pl.lit(None, pl.Float64)},
    "all flagged": {"flagged": pl.lit(value=True)},
    "none flagged": {"flagged": pl.lit(value=False)},
    "one score": {"score": pl.lit(0.5)},
    "no positives now": {"label": pl.when(CURRENT).then(0.0).otherwise("label")},
    "few labels now": {"label": pl.when(CURRENT & (pl.int_range(pl.len()) % 700 != 0)).then(None).otherwise("label")},
    "null slice": {"region": pl.lit(None, pl.String)},
    "a slice value per row": {"region": pl.col("prediction_id")},
}


@pytest.mark.parametrize("metric", ["recall", "precision", "roc_auc", "brier"])
@pytest.mark.parametrize("poor", sorted(POOR))
def test_poor_logs_still_get_a_sentence(by_hand, weeks, poor, metric):
    joined = by_hand(n=2000)
    said = triage(replace(joined, frame=joined.frame.with_columns(**POOR[poor])), weeks, metric=metric, draws=25)
    assert said.headline
    assert said.would_change_verdict
    assert said.do_now
    total = sum(part.value or 0.0 for part in said.contributions)
    if said.observed.change is None:
        assert said.verdict == "undecided"
        assert said.reason
    else:
        assert total == pytest.approx(said.observed.change, abs=1e-12)


def test_no_slices_at_all(by_hand, weeks):
    joined = by_hand(n=2000)
    none = joined.contract.slices.model_copy(update={"columns": ()})
    said = triage(replace(joined, contract=joined.contract.model_copy(update={"slices": none})), weeks, draws=25)
    assert said.evidence["remainder_by_slice"].is_empty()
    assert said.verdict == "noise"


def test_outcomes_that_the_action_always_hides_are_never_called_lost_or_decidable(by_hand, weeks):
    joined = by_hand(n=4000)
    hidden = pl.col("flagged")
    frame = joined.frame.with_columns(blocked=hidden, label=pl.when(hidden).then(None).otherwise("label"))
    said = triage(replace(joined, frame=frame), weeks, draws=25)
    assert said.verdict == "undecided"
    assert said.contributions[0].cause == "action_censoring"
    assert said.decidable_at is None
    assert said.minimum_detectable_change is None
    assert "hidden by the action" in said.checks[0].answer
    assert "cannot be estimated" in said.checks[2].answer
    assert "random share of the blocked" in said.do_now[0]


def test_where_every_label_is_there_none_is_called_lost(by_hand, weeks):
    said = triage(by_hand(n=2000), weeks, draws=25)
    assert "No label is missing" in said.checks[0].answer


def test_a_threshold_that_nothing_reaches_is_a_warning(by_hand, weeks):
    joined = by_hand(n=2000)
    said = triage(replace(joined, frame=joined.frame.with_columns(flagged=pl.lit(value=False))), weeks, draws=25)
    assert [text.split(" is flagged")[0] for text in said.warnings] == [
        "No reference prediction",
        "No current prediction",
    ]
    assert "not estimable" not in said.headline
    assert triage(joined, weeks, draws=25).warnings == ()


def test_a_regression_model_has_its_own_metrics(by_hand, weeks):
    joined = by_hand(n=2000)
    model = joined.contract.model.model_copy(update={"task": "regression"})
    joined = replace(joined, contract=joined.contract.model_copy(update={"model": model}))
    with pytest.raises(ArgumentError, match="for a regression model") as caught:
        triage(joined, weeks, metric="recall")
    assert "mae" in str(caught.value.allowed)


def test_without_any_label_the_feed_is_to_be_looked_at(by_hand, weeks):
    joined = by_hand(n=2000)
    none = joined.frame.with_columns(label=pl.when(CURRENT).then(None).otherwise("label"))
    said = triage(replace(joined, frame=none), weeks, draws=25)
    assert (said.verdict, said.decidable_at) == ("undecided", None)
    assert said.do_now[0].startswith("Look at the label feed")
