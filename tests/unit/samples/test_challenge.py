from datetime import timedelta

import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.samples import Simulation, recall_drop
from fbkit.samples.challenge import HEADLINE, TRUE_RECALL, VARIANTS

WINDOWS = ("reference", "current")


def labelled(simulation: Simulation) -> pl.DataFrame:
    """One row a prediction with the latest label inside the window, by brute force."""
    window = timedelta(days=simulation.config.window_days)
    predictions = simulation.predictions.unique("prediction_id")
    pairs = predictions.join(simulation.outcomes, on="prediction_id")
    inside = pairs.filter(pl.col("ts_event").is_between(pl.col("ts_pred"), pl.col("ts_pred") + window))
    last = inside.group_by("prediction_id").agg(pl.col("label").sort_by("ts_arrival").last())
    current = pl.col("ts_pred") >= simulation.config.current_start
    role = pl.when(current).then(pl.lit("current")).otherwise(pl.lit("reference"))
    return predictions.join(last, on="prediction_id", how="left").with_columns(window=role)


def corrected(rows: pl.DataFrame) -> dict[str, float]:
    """Recall with labels restored in proportion within decision, region and score band (Begg and Greenes 1983)."""
    cells = rows.with_columns(band=(pl.col("score").log(2) * 2).floor()).group_by(
        "window", "decision", "region", "band"
    )
    counts = cells.agg(n=pl.len(), known=pl.col("label").count(), fraud=pl.col("label").sum())
    whole = counts.with_columns(fraud=pl.col("n") * pl.col("fraud") / pl.col("known")).fill_nan(0)
    recall = (pl.col("fraud") * pl.col("decision")).sum() / pl.col("fraud").sum()
    return dict(whole.group_by("window").agg(recall).iter_rows())


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_all_variants_have_the_same_headline_in_expectation(variant: str) -> None:
    found = recall_drop(variant, 1, per_day=200).truth
    for name, goal in zip(WINDOWS, HEADLINE["recall"], strict=True):
        assert getattr(found.observed, name) == pytest.approx(goal, abs=0.006)
    for name, goal in zip(WINDOWS, HEADLINE["availability"], strict=True):
        assert getattr(found.availability, name) == pytest.approx(goal, abs=0.003)
    assert found.observed.current / found.observed.reference == pytest.approx(0.85, abs=0.005)
    assert found.true.current == pytest.approx(TRUE_RECALL[variant], abs=0.006)
    assert found.verdict == variant


def test_what_the_causes_contribute() -> None:
    parts = {v: {c.cause: c.value for c in recall_drop(v, 1, per_day=200).truth.contributions} for v in VARIANTS}
    assert parts["labels"] == {"label_slice_loss": pytest.approx(-0.121, abs=0.006)}
    assert parts["quality"]["concept_drift"] == pytest.approx(-0.121, abs=0.006)
    assert parts["quality"]["label_slice_loss"] == pytest.approx(0, abs=1e-9)
    assert parts["both"]["concept_drift"] == pytest.approx(-0.068, abs=0.008)
    assert parts["both"]["label_slice_loss"] == pytest.approx(-0.053, abs=0.008)


@pytest.mark.parametrize("variant", sorted(VARIANTS))
@pytest.mark.parametrize("seed", [21, 22])
def test_the_logs_of_a_seed_show_the_headline_and_hold_the_truth(variant: str, seed: int) -> None:
    simulation = recall_drop(variant, seed)
    rows, found = labelled(simulation), simulation.truth
    share = dict(rows.group_by("window").agg(pl.col("label").is_not_null().mean()).iter_rows())
    seen = dict(rows.filter(pl.col("label") == 1).group_by("window").agg(pl.col("decision").mean()).iter_rows())
    for name, noise in (("reference", 0.02), ("current", 0.05)):
        assert seen[name] == pytest.approx(getattr(found.observed, name), abs=noise)
        assert share[name] == pytest.approx(getattr(found.availability, name), abs=0.012)
    # An estimator that knows nothing of the simulator finds the true change in the logs: loss is random within cells.
    repaired = corrected(rows)
    assert repaired["current"] - repaired["reference"] == pytest.approx(found.true.change, abs=0.045)


def test_the_three_variants_of_a_seed_share_their_predictions() -> None:
    frames = [recall_drop(variant, 5, per_day=100) for variant in VARIANTS]
    assert frames[0].predictions.equals(frames[1].predictions)
    assert frames[0].predictions.equals(frames[2].predictions)
    assert not frames[0].outcomes.equals(frames[1].outcomes)
    assert frames[0].contract_toml == frames[1].contract_toml == frames[2].contract_toml


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ArgumentError, match="recall_drop") as caught:
        recall_drop("bad luck", 1)
    assert "quality" in str(caught.value)
