"""Block bootstrap by day: every draw of a tiny case, loops over rows, days that are alike, and what is refused."""

from itertools import product

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from fbkit.errors import ArgumentError
from fbkit.measure.metrics import metrics
from fbkit.measure.stats.intervals import proportion_by_variance, wilson
from fbkit.measure.stats.resample import block_bootstrap, draw_days, parse_interval
from fbkit.testing.frames import FakeJoined, random_joined


def test_a_draw_is_blocks_of_neighbouring_days_on_a_circle() -> None:
    days = draw_days(10, block=4, draws=500)
    assert days.block == 4
    assert np.all(days.drawn.sum(axis=1) == 10)
    # Two whole blocks and one of two days: no draw can miss more than six days or have a day more than three times.
    assert days.drawn.max() <= 3
    assert np.all((days.drawn > 0).sum(axis=1) >= 4)
    # On a circle every day is drawn equally often.
    np.testing.assert_allclose(days.drawn.mean(axis=0), 1.0, atol=0.15)


def test_the_variance_is_that_of_every_possible_draw() -> None:
    a, b = np.array([3.0, 0.0, 5.0]), np.array([4.0, 2.0, 9.0])
    every = [a[list(chosen)].sum() / b[list(chosen)].sum() for chosen in product(range(3), repeat=3)]
    value, lower, upper, method = block_bootstrap(a, b, block=1, draws=60_000, rows=np.inf)
    expected = proportion_by_variance(8 / 15, np.var(every) * 3 / 2, np.inf, units=3)
    assert value == pytest.approx(8 / 15)
    np.testing.assert_allclose((lower, upper), expected, rtol=0.02)
    assert method == "block bootstrap (1 day)"


def test_ordinary_days_give_about_the_interval_of_independent_rows() -> None:
    rng = np.random.default_rng(1)
    b = rng.poisson(60, 120).astype(float)
    a = rng.binomial(b.astype(int), 0.3)
    _, lower, upper, _ = block_bootstrap(a, b, block=1, rows=b.sum())
    plain = wilson(a.sum(), b.sum())
    assert (upper - lower) / (plain[1] - plain[0]) == pytest.approx(1, abs=0.2)


def test_days_that_are_alike_need_blocks() -> None:
    covered = {"rows": [], "1 day": [], "7 days": []}
    rng = np.random.default_rng(2)
    for _ in range(150):
        mood = np.repeat(rng.normal(0, 0.6, 30), 7)  # a week is in one mood
        b = np.full(210, 40)
        a = rng.binomial(b, 1 / (1 + np.exp(1 - mood)))
        truth = float(np.mean(1 / (1 + np.exp(1 - 0.6 * np.random.default_rng(0).normal(size=200_000)))))
        for name, (lower, upper) in {
            "rows": wilson(a.sum(), b.sum()),
            "1 day": block_bootstrap(a, b, block=1, draws=200, rows=b.sum())[1:3],
            "7 days": block_bootstrap(a, b, block=7, draws=200, rows=b.sum())[1:3],
        }.items():
            covered[name].append(lower <= truth <= upper)
    shares = {name: np.mean(held) for name, held in covered.items()}
    assert shares["rows"] < shares["1 day"] < 0.8
    assert 0.84 < shares["7 days"] < 0.98


def joined(seed: int = 3) -> FakeJoined:
    return random_joined(1500, seed=seed, days=42, entities=500)


def test_metrics_take_the_blocks_and_keep_the_values() -> None:
    asked = ["recall", "f1", "brier", "rmse", "roc_auc", "average_precision", "mcc", "ece", "volume", "bias"]
    own, blocks = (metrics(joined(), asked, interval=kind) for kind in (None, "block_bootstrap@7d"))
    kept = ["metric", "value", "bound_lower", "bound_upper", "n", "reason"]
    assert_frame_equal(own.select(kept), blocks.select(kept), abs_tol=1e-12)
    assert own["evaluation_id"][0] != blocks["evaluation_id"][0]
    for row in blocks.iter_rows(named=True):
        if row["metric"] in ("ece", "volume"):
            assert row["lower"] is None
        else:
            assert row["method"].startswith("block bootstrap (7 days)")
            assert row["lower"] < row["value"] < row["upper"]
    again = metrics(joined(), asked, interval="block_bootstrap@7d")
    assert_frame_equal(again, blocks, abs_tol=1e-12)


def test_a_measure_of_rows_equals_drawing_the_rows_themselves() -> None:
    from sklearn.metrics import roc_auc_score

    made = joined()
    got = metrics(made, "roc_auc", interval="block_bootstrap@5d").row(0, named=True)
    rows = made.frame.filter(pl.col("label").is_not_null() & pl.col("mature"))
    day = rows["ts_pred"].dt.epoch("d").to_numpy()
    day = day - day.min()
    days = draw_days(int(day.max()) + 1, block=5, draws=200)
    logits = []
    for drawn in days.drawn:
        kept = np.repeat(np.arange(len(day)), drawn[day])
        value = roc_auc_score(rows["label"].to_numpy()[kept], rows["score"].to_numpy()[kept])
        logits.append(np.log(value / (1 - value)))
    from scipy import stats

    error = np.std(logits) * np.sqrt(days.blocks / (days.blocks - 1))
    half = stats.t.ppf(0.975, days.blocks - 1) * error
    centre = np.log(got["value"] / (1 - got["value"]))
    np.testing.assert_allclose(
        (got["lower"], got["upper"]), 1 / (1 + np.exp([half - centre, -half - centre])), rtol=1e-9
    )


def test_by_slice_and_with_weights_and_where_there_are_too_few_blocks() -> None:
    made = joined()
    frame = metrics(made, ["recall", "roc_auc"], by="region", interval="block_bootstrap")
    assert frame["lower"].null_count() == 0
    heavy = FakeJoined(frame=made.frame.with_columns(w=pl.lit(2.0)), contract=made.contract, as_of=made.as_of)
    weighted = metrics(heavy, ["brier", "roc_auc"], weights="w", interval="block_bootstrap")
    plain = metrics(heavy, ["brier", "roc_auc"], interval="block_bootstrap")
    np.testing.assert_allclose(weighted["lower"], plain["lower"], rtol=1e-9)
    weeks = metrics(made, ["recall", "roc_auc"], every="1w", interval="block_bootstrap@7d")
    assert weeks["value"].null_count() < weeks.height
    assert weeks["lower"].null_count() == weeks.height
    assert weeks["method"].null_count() == weeks.height
    none = metrics(
        FakeJoined(frame=made.frame[:0], contract=made.contract, as_of=made.as_of),
        ["recall", "roc_auc"],
        interval="block_bootstrap",
    )
    assert none["value"].null_count() == 2


def test_a_ratio_without_denominator_is_not_a_number() -> None:
    assert np.isnan(block_bootstrap([0, 0, 0], [0, 0, 0])[0])
    value, lower, _, method = block_bootstrap([1, 2], [3, 4], block=1)
    assert value == pytest.approx(3 / 7)
    assert np.isnan(lower)
    assert method is None


@pytest.mark.parametrize(
    ("interval", "message"),
    [
        ("bootstrap", "unknown kind of interval"),
        ("block_bootstrap@12h", "whole days"),
        ("block_bootstrap@week", "duration"),
    ],
)
def test_a_wrong_interval_is_told(interval: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        metrics(joined(), "recall", interval=interval)
    assert parse_interval(None) is None
    assert parse_interval("block_bootstrap") == 0
