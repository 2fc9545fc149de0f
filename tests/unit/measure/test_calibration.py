"""Reliability curves and the Brier decomposition against published tables and scikit-learn."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.errors import ArgumentError
from fbkit.measure.calibration import calibration, calibration_summary
from fbkit.measure.metrics import metrics
from fbkit.measure.stats.corp import decompose, distinct_scores, expected_error, isotonic
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

NIAMEY = Path(__file__).parents[2] / "data" / "oracles" / "niamey_2016.csv"


@pytest.mark.parametrize(
    ("forecast", "brier", "mcb", "dsc"),
    [
        ("EMOS", 0.232025, 0.018283, 0.030469),
        ("ENS", 0.266168, 0.066072, 0.044115),
        ("EPC", 0.234282, 0.022350, 0.032279),
        ("Logistic", 0.205746, 0.017076, 0.055541),
    ],
)
def test_niamey_decomposition_as_published(forecast: str, brier: float, mcb: float, dsc: float) -> None:
    table = pl.read_csv(NIAMEY)
    got = decompose(table[forecast].to_numpy(), table["obs"].to_numpy())
    expected = {"brier": brier, "mcb": mcb, "dsc": dsc, "unc": 0.244211}
    assert got == pytest.approx(expected, abs=5e-7)


def test_isotonic_fit_as_published_and_as_sklearn() -> None:
    from sklearn.isotonic import IsotonicRegression

    values = np.array([1.0, 2, 3, 0, 5, 4, 1, 7])
    np.testing.assert_allclose(isotonic(values, np.ones(8)), [1, 5 / 3, 5 / 3, 5 / 3, 10 / 3, 10 / 3, 10 / 3, 7])
    weights = np.array([1.0, 1, 1, 1, 2, 1, 1, 1])
    np.testing.assert_allclose(isotonic(values, weights)[4:7], [15 / 4] * 3)
    rng = np.random.default_rng(0)
    scores = np.round(rng.random(2000), 2)
    labels = (rng.random(2000) < scores**2).astype(float)
    distinct = distinct_scores(scores, labels)
    fitted = isotonic(distinct.positives / distinct.n, distinct.n)
    expected = IsotonicRegression().fit(scores, labels).predict(distinct.score)
    np.testing.assert_allclose(fitted, expected, atol=1e-12)


def test_corp_curve_is_the_isotonic_fit() -> None:
    from sklearn.isotonic import IsotonicRegression

    joined = random_joined(3000, seed=1, missing=0)
    rows = joined.frame.filter("mature")
    scores, labels = rows["score"].to_numpy(), rows["label"].to_numpy()
    curve = calibration(joined, curves=("corp",))
    assert curve["n"].sum() == len(scores)
    assert curve["observed"].is_sorted()
    fitted = IsotonicRegression().fit(scores, labels).predict(scores)
    for block in curve.iter_rows(named=True):
        inside = (scores >= block["score_lower"]) & (scores <= block["score_upper"])
        np.testing.assert_allclose(fitted[inside], block["observed"], atol=1e-12)
        assert inside.sum() == block["n"]
        assert scores[inside].mean() == pytest.approx(block["score_mean"])


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=60))
def test_parts_add_up_and_are_not_negative(rows: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([s / 8 for s, _ in rows]), np.array([float(y) for _, y in rows])
    parts = decompose(scores, labels)
    assert parts["brier"] == pytest.approx(parts["mcb"] - parts["dsc"] + parts["unc"], abs=1e-12)
    assert parts["mcb"] >= -1e-12
    assert parts["dsc"] >= -1e-12
    assert parts["unc"] == pytest.approx(labels.mean() * (1 - labels.mean()), abs=1e-12)
    assert decompose(labels, labels)["mcb"] == pytest.approx(0, abs=1e-12)


def test_ece_by_a_loop_over_bins() -> None:
    rng = np.random.default_rng(2)
    scores = np.append(rng.random(500), [0.0, 1.0, 0.3])
    labels = (rng.random(503) < 0.4).astype(float)
    total = 0.0
    for low in range(10):
        high = low + 1 if low < 9 else 11
        inside = (scores * 10 >= low) & (scores * 10 < high)
        total += inside.sum() * abs(labels[inside].mean() - scores[inside].mean()) if inside.any() else 0
    assert expected_error(scores, labels) == pytest.approx(total / 503, abs=1e-14)


def test_bin_curve_counts_rows_by_equal_width() -> None:
    joined = make_joined(scores=[0.0, 0.05, 0.1, 0.95, 1.0], labels=[0, 1, 0, 1, 1])
    curve = calibration(joined, curves=("bins",))
    assert curve.select("score_lower", "n", "observed").rows() == [(0.0, 2, 0.5), (0.1, 1, 0.0), (0.9, 2, 1.0)]


def test_bands_hold_a_calibrated_model_and_not_a_shifted_one() -> None:
    joined = random_joined(8000, seed=3, missing=0)

    def outside(one: FakeJoined, curve: str) -> float:
        lines = calibration(one, stage="any").filter(curve=curve)
        off = (lines["observed"] < lines["band_lower"]) | (lines["observed"] > lines["band_upper"])
        return float((off * lines["n"]).sum() / lines["n"].sum())

    shifted = FakeJoined(
        frame=joined.frame.with_columns(score=pl.col("score") * 0.7), contract=joined.contract, as_of=joined.as_of
    )
    for curve in ("corp", "bins"):
        assert outside(joined, curve) < 0.15
        assert outside(shifted, curve) > 0.5


def test_the_band_of_many_distinct_scores_is_drawn_on_a_grid() -> None:
    rng = np.random.default_rng(4)
    scores = rng.random(6000)
    joined = make_joined(scores=scores.tolist(), labels=(rng.random(6000) < scores).astype(float).tolist())
    curve = calibration(joined, curves=("corp",))
    assert curve["n"].sum() == 6000
    assert (curve["band_lower"] <= curve["band_upper"]).all()
    assert curve.equals(calibration(joined, curves=("corp",)))


def test_slices_without_labels_have_a_reason_and_no_line() -> None:
    joined = make_joined(
        scores=[0.2, 0.8, 0.5, 0.5], labels=[0, 1, None, 1], ages=[30, 30, 30, 1], columns={"g": ["a", "a", "b", "c"]}
    )
    assert set(calibration(joined, by="g")["g"]) == {"a"}
    summary = calibration_summary(joined, by="g")
    assert summary["reason"].to_list() == [None, "no labelled rows", "window open"]
    assert summary["brier"].to_list() == [pytest.approx(0.04), None, None]
    nothing = calibration_summary(joined, period="2020-01-01..2020-01-02")
    assert nothing.select("brier", "n", "n_labelled").row(0) == (None, 0, 0)
    assert calibration(joined, period="2020-01-01..2020-01-02", by="g").height == 0


def test_calibration_needs_probabilities() -> None:
    joined = make_joined(scores=[1.0], labels=[2.0], task="regression")
    with pytest.raises(ArgumentError, match="probability scores"):
        calibration(joined)
    with pytest.raises(ArgumentError, match="at least one bin"):
        calibration(random_joined(10), bins=0)


def test_bins_of_repeated_and_weighted_rows_have_the_interval_of_the_base_rate_there() -> None:
    for entities, weights in ((150, None), (None, "w"), (150, "w")):
        joined = random_joined(2500, seed=7, missing=0, entities=entities)
        weight = pl.Series(np.random.default_rng(0).integers(1, 4, 2500)).cast(pl.Float64)
        frame = joined.frame.with_columns(w=weight, bin=(pl.col("score") * 10).cast(pl.Int64).clip(0, 9))
        joined = FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of)
        curve = calibration(joined, curves=("bins",), weights=weights)
        expected = metrics(joined, "base_rate", by="bin", weights=weights).filter(pl.col("n_labelled") > 0)
        expected = expected.sort(pl.col("bin").cast(pl.Int64))
        for name, other in (("observed", "value"), ("lower", "lower"), ("upper", "upper")):
            np.testing.assert_allclose(curve[name], expected[other], rtol=1e-12)
        assert curve["method"].to_list() == expected["method"].to_list()
        plain = calibration(joined, curves=("bins",))["n"]
        assert curve["n"].to_list() == plain.to_list(), "rows, not weights"


def test_the_band_of_repeated_entities_is_wider() -> None:
    rng = np.random.default_rng(8)
    scores = np.repeat(rng.random(400).round(2), 5)
    labels = np.repeat((rng.random(400) < scores[::5]).astype(float), 5)

    def width(entities: list[str] | None) -> float:
        joined = make_joined(scores=scores.tolist(), labels=labels.tolist(), entities=entities)
        curve = calibration(joined)
        return float((curve["band_upper"] - curve["band_lower"]).mean())  # pyright: ignore[reportArgumentType]

    assert width([f"e{row // 5}" for row in range(2000)]) > 1.6 * width(None)


def test_the_summary_is_that_of_repeated_rows_where_weights_say_so() -> None:
    joined = random_joined(300, seed=9, missing=0)
    times = np.random.default_rng(1).integers(1, 4, 300)
    weighted = FakeJoined(
        frame=joined.frame.with_columns(w=pl.Series(times).cast(pl.Float64)),
        contract=joined.contract,
        as_of=joined.as_of,
    )
    repeated = FakeJoined(
        frame=joined.frame[np.repeat(np.arange(300), times)], contract=joined.contract, as_of=joined.as_of
    )
    one, other = calibration_summary(weighted, weights="w", draws=0), calibration_summary(repeated, draws=0)
    for name in ("brier", "mcb", "dsc", "unc", "ece", "smooth_ece"):
        assert one[name][0] == pytest.approx(other[name][0], abs=1e-9)
