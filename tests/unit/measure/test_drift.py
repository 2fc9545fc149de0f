"""Drift: exact KS, PSI by its formula and judged by its own null, edges from the reference only."""

import warnings
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.errors import ArgumentError
from fbkit.measure.drift import BIN_COLUMNS, COLUMNS, drift, drift_bins, ks_p_value, ks_statistic
from fbkit.measure.shift import psi
from fbkit.measure.stats.intervals import benjamini_hochberg
from fbkit.schema.period import Comparison
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

# as_of of the frames is 1 May 2026: rows 20 days old are reference, rows 5 days old current.
WEEKS = Comparison(reference="2026-04-01..2026-04-20", current="2026-04-20..2026-05-01")
values = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=40)


def two_periods(reference: list, current: list) -> FakeJoined:
    n = len(reference) + len(current)
    ages = [20.0] * len(reference) + [5.0] * len(current)
    return make_joined(scores=[0.5] * n, labels=[1.0] * n, ages=ages, columns={"x": reference + current})


@given(values, values)
def test_ks_is_the_exact_fraction_and_scipys(first: list[float], second: list[float]) -> None:
    from scipy.stats import ks_2samp

    def share(rows: list[float], at: float) -> Fraction:
        return Fraction(sum(x <= at for x in rows), len(rows))

    ours = ks_statistic(np.array(first), np.array(second))
    assert ours == float(max(abs(share(first, at) - share(second, at)) for at in first + second))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # its p-value overflows for a handful of rows
        assert ours == pytest.approx(ks_2samp(first, second, method="asymp").statistic, abs=1e-15)


def test_ks_p_value_is_near_the_exact_one() -> None:
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(0)
    for n, m, shift in [(200, 300, 0.0), (200, 300, 0.2), (2000, 1500, 0.05)]:
        a, b = rng.normal(size=n), rng.normal(size=m) + shift
        exact = ks_2samp(a, b, method="exact").pvalue
        assert ks_p_value(ks_statistic(a, b), n, m) == pytest.approx(exact, abs=0.01)


def test_psi_by_hand_with_an_empty_bin() -> None:
    p, q = np.array([0.5, 0.5, 1e-4]), np.array([0.25, 0.5, 0.25])
    expected = np.sum((q - p) * np.log(q / p))
    assert psi(np.array([10.0, 10, 0]), np.array([5.0, 10, 5])) == pytest.approx(expected, abs=1e-15)


@given(values, values)
def test_bins_hold_every_row_once_and_edges_come_from_the_reference(first: list[float], second: list[float]) -> None:
    joined = two_periods(first, second)
    bins = drift_bins(joined, WEEKS, column="x")
    assert bins.columns == list(BIN_COLUMNS)
    assert bins["n_reference"].sum() == len(first)
    assert bins["n_current"].sum() == len(second)
    for row in bins.iter_rows(named=True):
        low = -np.inf if row["lower"] is None else row["lower"]
        high = np.inf if row["upper"] is None else row["upper"]
        assert row["n_reference"] == sum(low <= x < high for x in first)
        assert row["n_current"] == sum(low <= x < high for x in second)
    other = drift_bins(two_periods(first, [1e9]), WEEKS, column="x")
    assert bins["lower"].equals(other["lower"])


def test_nulls_are_a_bin_and_nan_is_null() -> None:
    joined = two_periods([1.0, 2.0, None, 4.0], [1.0, float("nan"), None, None])
    bins = drift_bins(joined, WEEKS, column="x")
    assert bins.drop("evaluation_id").row(-1, named=True) | {"bin": 0} == {
        "bin": 0, "lower": None, "upper": None, "label": "(null)",
        "share_reference": 0.25, "share_current": 0.75, "n_reference": 1, "n_current": 3,
    }  # fmt: skip
    line = drift(joined, WEEKS, columns="x").row(0, named=True)
    assert (line["null_rate_reference"], line["null_rate_current"]) == (0.25, 0.75)


def test_psi_without_change_follows_its_null() -> None:
    rng = np.random.default_rng(1)
    values = []
    for _ in range(200):
        line = drift(two_periods(rng.random(1500).tolist(), rng.random(600).tolist()), WEEKS, columns="x")
        values.append(line.row(0, named=True))
    rate = np.mean([line["psi"] > line["psi_null_95"] for line in values])
    assert 0.01 < rate < 0.11
    assert np.mean([line["psi_p_value"] for line in values]) == pytest.approx(0.5, abs=0.08)


def test_categories_have_chi_square_as_scipy() -> None:
    from scipy.stats import chi2_contingency

    first, second = ["a"] * 50 + ["b"] * 30 + ["c"] * 20, ["a"] * 20 + ["b"] * 30 + ["d"] * 10
    line = drift(two_periods(first, second), WEEKS, columns="x").row(0, named=True)
    expected = chi2_contingency([[50, 30, 20, 0], [20, 30, 0, 10]], correction=False)
    assert (line["chi2"], line["chi2_p_value"]) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-12)
    assert (line["kind"], line["ks"]) == ("categorical", None)
    assert line["p_adjusted"] == line["chi2_p_value"]


def test_rare_categories_are_kept_together() -> None:
    first = [f"v{i:03d}" for i in range(80) for _ in range(1 + (i < 50))]
    bins = drift_bins(two_periods(first, ["new"] * 3), WEEKS, column="x")
    assert bins.height == 51
    assert bins["label"][-1] == "(other)"
    assert bins["n_current"][-1] == 3


def test_default_columns_and_adjusted_p_values() -> None:
    joined = random_joined(3000, seed=2)
    frame = drift(joined, WEEKS)
    assert frame.columns == list(COLUMNS)
    assert frame["column"].to_list() == ["score"]
    shifted = joined.frame.with_columns(
        score=pl.when(pl.col("ts_pred") >= WEEKS.periods()[1].start).then(pl.col("score") ** 2).otherwise("score")
    )
    both = drift(
        FakeJoined(frame=shifted, contract=joined.contract, as_of=joined.as_of),
        WEEKS,
        columns=["score", "group", "region"],
    )
    assert both["kind"].to_list() == ["score", "categorical", "categorical"]
    line = both.row(0, named=True)
    assert line["psi"] > line["psi_null_95"]
    assert line["p_adjusted"] < 1e-6
    assert both["p_adjusted"][1:].min() > 0.001


def test_a_value_that_fills_nine_tenths_has_a_bin_of_its_own() -> None:
    dry = [0.0] * 95 + [1.5] * 5
    bins = drift_bins(two_periods(dry, [0.0] * 60 + [2.0] * 40), WEEKS, column="x")
    assert bins.select("label", "n_reference", "n_current").rows() == [
        ("below 0", 0, 0),
        ("exactly 0", 95, 60),
        ("above 0", 5, 40),
    ]
    line = drift(two_periods(dry, [0.0] * 60 + [2.0] * 40), WEEKS, columns="x").row(0, named=True)
    assert line["psi_p_value"] < 1e-6
    moved = drift(two_periods([5.0] * 50, [7.0] * 50), WEEKS, columns="x").row(0, named=True)
    assert moved["psi"] > moved["psi_null_95"] > 0


def test_nothing_to_compare_has_a_reason() -> None:
    joined = two_periods([1.0, 2.0], [3.0])
    empty = Comparison(reference="2020-01-01..2020-01-02", current="2026-04-20..2026-05-01")
    assert drift(joined, empty, columns="x")["reason"].item() == "no predictions in the reference period"
    constant = drift(two_periods([1.0, 1.0], [1.0]), WEEKS, columns="x").row(0, named=True)
    assert constant["reason"] == "all values are equal"
    assert (constant["psi"], constant["ks"], constant["psi_p_value"]) == (0.0, 0.0, None)
    nulls = drift(two_periods([None, None], [1.0]).__class__(
        frame=two_periods([None, 1.0], [1.0]).frame.with_columns(x=pl.lit(None, dtype=pl.Float64)),
        contract=joined.contract, as_of=joined.as_of), WEEKS, columns="x")  # fmt: skip
    assert nulls["reason"].item() == "only nulls in the reference period"
    with pytest.raises(ArgumentError, match="did you mean 'score'"):
        drift(joined, WEEKS, columns=["scor"])
    with pytest.raises(ArgumentError, match="not times"):
        drift(joined, WEEKS, columns="ts_pred")


def weekly(weeks: dict[int, list], reference: list) -> FakeJoined:
    """Rows 40 days old as the reference, and rows of these ages in days."""
    ages = [40.0] * len(reference) + [float(age) for age, rows in weeks.items() for _ in rows]
    n = len(ages)
    values = reference + [value for rows in weeks.values() for value in rows]
    return make_joined(scores=[0.5] * n, labels=[1.0] * n, ages=ages, columns={"x": values})


# As of Friday 1 May: 17, 10 and 3 days before lie in three weeks that start on the 13th, 20th and 27th of April.
SPRING = Comparison(reference="2026-03-01..2026-04-10", current="2026-04-14..2026-05-01")
cells = st.tuples(values, values, values)


@given(values, cells)
def test_each_week_is_what_it_is_alone(reference: list[float], three: tuple[list[float], ...]) -> None:
    joined = weekly(dict(zip((17, 10, 3), three, strict=True)), reference)
    frame = drift(joined, SPRING, columns="x", every="1w")
    assert frame["period_start"].dt.strftime("%m-%d").to_list() == ["04-14", "04-20", "04-27"]
    assert frame["period_end"].dt.strftime("%m-%d").to_list() == ["04-20", "04-27", "05-01"]
    for row, rows in zip(frame.iter_rows(named=True), three, strict=True):
        alone = drift(weekly({10: rows}, reference), SPRING, columns="x").row(0, named=True)
        for name in ("psi", "psi_debiased", "psi_null_95", "psi_p_value", "ks", "ks_lower", "ks_upper", "ks_p_value"):
            assert row[name] == alone[name], name
    adjusted = benjamini_hochberg(frame["ks_p_value"].to_numpy())
    np.testing.assert_array_equal(frame["p_adjusted"].to_numpy(), adjusted)


def test_weeks_of_text_share_their_bins_and_nulls_are_counted_by_week() -> None:
    joined = weekly({17: ["a", "b", None], 10: ["a", "c"], 3: ["b"] * 4}, ["a"] * 6 + ["b"] * 2)
    frame = drift(joined, SPRING, columns=["x", "score"], every="1w")
    text = frame.filter(pl.col("column") == "x")
    assert text["null_rate_current"].to_list() == [pytest.approx(1 / 3), 0, 0]
    assert text["n_current"].to_list() == [3, 2, 4]
    expected = psi(np.array([6.0, 2, 0, 0]), np.array([[1.0, 1, 0, 1], [1, 0, 1, 0], [0, 4, 0, 0]]))
    np.testing.assert_allclose(text["psi"].to_numpy(), expected, rtol=1e-14)
    assert frame.filter(pl.col("column") == "score")["reason"].to_list() == ["all values are equal"] * 3


def test_rows_in_any_order_and_on_disk_give_the_same_weeks() -> None:
    joined = random_joined(2000, seed=3, days=40)
    once = drift(joined, SPRING, columns=["score", "group"], every="1w")
    mixed = FakeJoined(
        frame=joined.frame.sample(fraction=1, shuffle=True, seed=1), contract=joined.contract, as_of=joined.as_of
    )
    assert drift(mixed, SPRING, columns=["score", "group"], every="1w").equals(once)
    assert once["evaluation_id"].n_unique() == 1
    assert once["evaluation_id"][0] != drift(joined, SPRING, columns="score", every="1w")["evaluation_id"][0]
    with pytest.raises(ArgumentError, match="time grain"):
        drift(joined, SPRING, every="2w")


def test_many_rows_in_threads_give_what_one_column_alone_gives() -> None:
    joined = random_joined(110_000, seed=4)
    frame = joined.frame.with_columns(x=pl.col("score") ** 2, y=1 - pl.col("score"))
    big = FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of)
    together = drift(big, WEEKS, columns=["score", "x", "y"])
    for name in ("score", "x", "y"):
        alone = drift(big, WEEKS, columns=name)["ks"].item()
        assert together.filter(pl.col("column") == name)["ks"].item() == alone
    # A rising or falling map of all values moves no distribution function's distance.
    assert together["ks"].n_unique() == 1


def test_debiased_values_are_near_zero_and_the_null_band_holds_its_level_when_nothing_moved() -> None:
    rng = np.random.default_rng(5)
    lines = []
    for _ in range(60):
        weeks = {age: rng.random(400).tolist() for age in (17, 10, 3)}
        lines.append(drift(weekly(weeks, rng.random(900).tolist()), SPRING, columns="x", every="1w"))
    frame = pl.concat(lines)
    assert abs(frame["psi_debiased"].mean()) < 0.15 * frame["psi"].mean()
    assert abs(frame["ks_debiased"].mean()) < 0.1 * frame["ks"].mean()
    assert 0.01 < (frame["ks"] > frame["ks_null_95"]).mean() < 0.1
    assert 0.01 < (frame["psi"] > frame["psi_null_95"]).mean() < 0.1
    # The interval holds no change exactly where the test at its level finds none.
    assert ((frame["ks_lower"] > 0) == (frame["ks_p_value"] < 0.05)).all()


@pytest.mark.parametrize("shift", [0.1, 0.4, 1.0])
def test_the_interval_of_ks_holds_the_true_distance(shift: float) -> None:
    from scipy.stats import norm

    truth = norm.cdf(shift / 2) - norm.cdf(-shift / 2)
    rng = np.random.default_rng(6)
    held = []
    for _ in range(100):
        joined = two_periods(rng.normal(size=300).tolist(), (rng.normal(size=200) + shift).tolist())
        line = drift(joined, WEEKS, columns="x").row(0, named=True)
        held.append(line["ks_lower"] <= truth <= line["ks_upper"])
    assert np.mean(held) >= 0.95


def test_a_missing_part_marks_the_weeks_it_touches() -> None:
    from fbkit.schema.logs import UnreadablePart
    from fbkit.schema.period import Period

    joined = weekly({17: [1.0], 10: [1.0], 3: [2.0]}, [1.0, 2.0])
    part = UnreadablePart(
        table="predictions", file="p.csv", period=Period.parse("2026-04-21..2026-04-22"), reason="cut off"
    )

    class Incomplete(FakeJoined):
        incomplete = (part,)

    broken = Incomplete(frame=joined.frame, contract=joined.contract, as_of=joined.as_of)
    frame = drift(broken, SPRING, columns="x", every="1w")
    assert [reason is not None and "incomplete" in reason for reason in frame["reason"]] == [False, True, False]
    assert frame.columns == list(COLUMNS)
