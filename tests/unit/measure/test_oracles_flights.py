"""The real loop of flights: every number against scikit-learn, scipy and statsmodels, from the joined rows."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fbkit as fb
from fbkit.measure.drift import ks_statistic
from fbkit.testing.frames import FakeJoined

LOOP = Path(__file__).parents[3] / "data_samples" / "flights_2013"


@pytest.fixture(scope="module")
def joined() -> fb.Joined:
    return fb.open_loop(LOOP).join()


@pytest.fixture(scope="module")
def weeks(joined: fb.Joined) -> dict[object, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Labels, scores and decisions of the mature labelled rows by week, without any of fbkit's measures."""
    rows = joined.frame.filter(pl.col("mature") & pl.col("label").is_not_null())
    rows = rows.with_columns(pl.col("ts_pred").dt.truncate("1w").alias("week"))
    return {
        key[0]: tuple(part[name].cast(pl.Float64).to_numpy() for name in ("label", "score", "flagged"))
        for key, part in rows.partition_by("week", as_dict=True).items()
    }


def test_weekly_metrics_equal_sklearn_to_1e_12(joined: fb.Joined, weeks: dict) -> None:
    from sklearn import metrics as sk

    oracles = {
        "recall": lambda y, s, d: sk.recall_score(y, d),
        "precision": lambda y, s, d: sk.precision_score(y, d),
        "f1": lambda y, s, d: sk.f1_score(y, d),
        "accuracy": lambda y, s, d: sk.accuracy_score(y, d),
        "roc_auc": lambda y, s, d: sk.roc_auc_score(y, s),
        "average_precision": lambda y, s, d: sk.average_precision_score(y, s),
        "brier": lambda y, s, d: sk.brier_score_loss(y, s),
        "log_loss": lambda y, s, d: sk.log_loss(y, s),
        "base_rate": lambda y, s, d: np.mean(y),
    }
    frame = fb.metrics(joined, list(oracles), every="1w").drop_nulls("value")
    assert frame.height == len(oracles) * len(weeks)
    for row in frame.iter_rows(named=True):
        y, s, d = weeks[row["period_start"]]
        assert row["n_labelled"] == len(y)
        assert row["value"] == pytest.approx(oracles[row["metric"]](y, s, d), abs=1e-12, rel=0), row["metric"]
        assert row["bound_lower"] is None or row["bound_lower"] <= row["value"] <= row["bound_upper"]


def test_wilson_equals_statsmodels_and_clusters_are_not_narrower(joined: fb.Joined, weeks: dict) -> None:
    from statsmodels.stats.proportion import proportion_confint

    rows = joined.frame.with_columns(pl.lit(None, dtype=pl.String).alias("entity"))
    alone = FakeJoined(frame=rows, contract=joined.contract, as_of=joined.as_of)
    frame = fb.metrics(alone, ["recall", "precision"], every="1w").drop_nulls("value")
    clustered = fb.metrics(joined, ["recall", "precision"], every="1w").drop_nulls("value")
    assert set(frame["method"]) == {"Wilson"}
    assert set(clustered["method"]) == {"cluster-robust (entity)"}
    for row, robust in zip(frame.iter_rows(named=True), clustered.iter_rows(named=True), strict=True):
        y, _, d = weeks[row["period_start"]]
        of = y if row["metric"] == "recall" else d
        expected = proportion_confint(np.sum(y * d), np.sum(of), method="wilson")
        np.testing.assert_allclose((row["lower"], row["upper"]), expected, atol=1e-12, rtol=0)
        assert robust["value"] == row["value"]
        assert robust["upper"] - robust["lower"] >= row["upper"] - row["lower"] - 1e-12


def test_ks_equals_scipy_for_scores_and_features(joined: fb.Joined) -> None:
    from scipy.stats import ks_2samp

    weeks = fb.Comparison(reference="2013-05-20..2013-05-27", current="2013-05-27..2013-06-03")
    frame = fb.drift(joined, weeks)
    assert frame.height > 10
    parts = [
        joined.frame.filter((pl.col("ts_pred") >= period.start) & (pl.col("ts_pred") < period.end))
        for period in weeks.periods()
    ]
    for row in frame.filter(pl.col("kind") != "categorical").iter_rows(named=True):
        first, second = (part[row["column"]].cast(pl.Float64).drop_nulls().to_numpy() for part in parts)
        expected = ks_2samp(first, second, method="asymp")
        assert row["ks"] == pytest.approx(expected.statistic, abs=1e-15)
        assert row["ks"] == ks_statistic(second, first)
        assert row["ks_p_value"] == pytest.approx(expected.pvalue, abs=0.01)


def test_states_partition_the_week_and_availability_counts_them(joined: fb.Joined) -> None:
    frame = fb.availability(joined, every="1d")
    total = frame.select(pl.col("n", "n_labelled", "n_pending", "n_missing", "n_censored").sum()).row(0)
    assert total[0] == joined.frame.height == sum(total[1:])
    storm = frame.filter(pl.col("period_start").dt.strftime("%m-%d") == "05-23").row(0, named=True)
    assert storm["value"] < 0.9


def test_the_curve_is_sklearns_isotonic_fit(joined: fb.Joined, weeks: dict) -> None:
    from sklearn.isotonic import IsotonicRegression

    curve = fb.calibration(joined, curves=("corp",), period="2013-05-20..2013-05-27")
    y, s, _ = next(part for week, part in weeks.items() if f"{week:%m-%d}" == "05-20")
    fitted = IsotonicRegression().fit(s, y).predict(curve["score_mean"].to_numpy())
    inside = (curve["n"] > 1).to_numpy()
    np.testing.assert_allclose(fitted[inside], curve["observed"].to_numpy()[inside], atol=1e-12)
