"""The chargeback loop is what it says: positives only, late, with a truth that its own rows confirm."""

from datetime import timedelta

import polars as pl
import pytest

from fbkit.samples.chargeback import THRESHOLD, ChargebackConfig, Outage, chargebacks, expected
from fbkit.schema.contract import Contract

SMALL = ChargebackConfig(days=140, per_day=800)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    first, again, other = (chargebacks(SMALL, seed=seed) for seed in (3, 3, 4))
    assert first.predictions.equals(again.predictions)
    assert first.outcomes.equals(again.outcomes)
    assert not first.predictions.equals(other.predictions)


def test_only_positives_are_reported_and_never_after_the_window() -> None:
    made = chargebacks(SMALL, seed=3)
    assert Contract.from_toml(made.contract_toml).label.silence == "negative"
    paired = made.outcomes.join(made.predictions, on="prediction_id")
    assert paired.height == made.outcomes.height
    assert paired["label"].unique().to_list() == [1]
    lag = paired["ts_arrival"] - paired["ts_pred"]
    assert lag.max() <= timedelta(days=90)
    assert (paired["ts_event"] >= paired["ts_pred"]).all()
    assert (paired["ts_event"] <= paired["ts_arrival"]).all()
    assert made.outcomes["ts_arrival"].max() <= SMALL.as_of
    assert set(made.outcomes["ts_arrival"].dt.weekday().unique()) <= {1, 2, 3, 4, 5}


def test_flagged_payments_are_charged_back_sooner() -> None:
    made = chargebacks(SMALL, seed=5)
    early = made.predictions.filter(pl.col("ts_pred") < SMALL.start + timedelta(days=49))
    lags = made.outcomes.join(early, on="prediction_id").with_columns(
        (pl.col("ts_arrival") - pl.col("ts_pred") <= timedelta(days=30)).alias("within 30 days")
    )
    share = dict(lags.group_by(pl.col("score") >= THRESHOLD).agg(pl.col("within 30 days").mean()).iter_rows())
    assert share[True] > share[False] + 0.05


@pytest.mark.parametrize("drop", [0.0, 0.4])
def test_the_truth_is_what_many_rows_show(drop: float) -> None:
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

    config = ChargebackConfig(days=100, per_day=5000, drop_day=0, drop=drop)
    made = chargebacks(config, seed=8)
    rows = made.predictions.join(made.final, on="prediction_id")
    y, score = rows["label"].to_numpy(), rows["score"].to_numpy()
    truth = expected(config.base_rate, drop=drop)
    flagged = score >= THRESHOLD
    assert y[flagged].mean() == pytest.approx(truth["precision"], abs=0.015)
    assert y[flagged].sum() / y.sum() == pytest.approx(truth["recall"], abs=0.02)
    assert y.mean() == pytest.approx(truth["base_rate"], rel=0.05)
    assert roc_auc_score(y, score) == pytest.approx(truth["roc_auc"], abs=0.01)
    assert average_precision_score(y, score) == pytest.approx(truth["average_precision"], abs=0.015)
    assert brier_score_loss(y, score) == pytest.approx(truth["brier"], rel=0.05)
    assert set(made.truth["metric"]) == set(truth)


def test_an_outage_takes_its_days_and_region_only_and_a_backfill_brings_them_back() -> None:
    sound = chargebacks(SMALL, seed=6)
    down = chargebacks(ChargebackConfig(days=140, per_day=800, outage=Outage(first=98, days=7)), seed=6)
    lost = sound.outcomes.join(down.outcomes, on="prediction_id", how="anti").join(
        sound.predictions, on="prediction_id"
    )
    assert lost.height > 5
    assert set(lost["region"]) == {"EU"}
    day = (lost["ts_arrival"] - SMALL.start).dt.total_days()
    assert (day.min(), day.max()) == (98, 104) or 98 <= day.min() <= day.max() <= 104
    back = chargebacks(ChargebackConfig(days=140, per_day=800, outage=Outage(first=98, days=7, backfill=120)), seed=6)
    late = back.outcomes.filter(pl.col("source") == "backfill")
    assert set(late["prediction_id"]) == set(lost["prediction_id"])
    assert late["ts_arrival"].n_unique() == 1
