"""Gaps between slices: Fairlearn's published numbers, loops, exact laws, and what chance alone would show."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, studentized_range

from fbkit.errors import ArgumentError
from fbkit.measure.metrics import metrics
from fbkit.measure.slices import GAP_COLUMNS, WHOLE, slice_gaps
from fbkit.measure.slicing.slice_gaps import GAPS, Groups, effective_size, gaps, judge, simultaneous_level
from fbkit.measure.stats.intervals import newcombe, wilson
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

FAIRLEARN = Path(__file__).parents[2] / "data" / "oracles" / "fairlearn_18.csv"


def fairlearn(**columns: Any) -> FakeJoined:
    table = pl.read_csv(FAIRLEARN)
    return make_joined(
        scores=table["y_pred"].cast(pl.Float64).to_list(),
        labels=table["y_true"].cast(pl.Float64).to_list(),
        columns={"group": table["group"]} | columns,
    )


def values(frame: pl.DataFrame, metric: str, by: str = "group") -> dict[str, Any]:
    part = frame.filter((pl.col("metric") == metric) & (pl.col("by") == by))
    return dict(part.select("gap", "value").iter_rows())


def test_fairlearns_published_gaps() -> None:
    """The ratios to overall are those of Fairlearn 0.15.0 on the same rows."""
    names = ["recall", "false_positive_rate", "flag_rate"]
    frame = slice_gaps(fairlearn(), names, by="group", minimum=1)
    assert frame.columns == [*GAP_COLUMNS, "evaluation_id"]
    expected = {
        "recall": (0.2, 0.666667, 0.1, 0.8),
        "false_positive_rate": (1.0, 0.0, 0.666667, 0.0),
        "flag_rate": (0.25, 0.666667, 0.194444, 0.740741),
    }
    for name, numbers in expected.items():
        got = values(frame, name)
        assert [got[gap] for gap in GAPS] == pytest.approx(numbers, abs=1e-6)
    ends = frame.filter(pl.col("gap") == "difference").select("low_slice", "high_slice").rows()
    assert ends == [("c", "b"), ("b", "a"), ("b", "a")]
    assert frame.filter(pl.col("gap") == "difference_to_overall")["low_slice"].to_list() == [WHOLE, "b", WHOLE]


def test_fairlearns_weighted_recall() -> None:
    weights = [1, 2, 1, 3, 2, 3, 1, 2, 1, 2, 3, 1, 2, 3, 2, 3, 1, 1]
    joined = fairlearn(weight=weights)
    by_group = metrics(joined, "recall", by="group", weights="weight")["value"].to_list()
    assert by_group == pytest.approx([0.5, 0.583333, 0.25], abs=1e-6)
    got = values(slice_gaps(joined, "recall", by="group", weights="weight", minimum=1), "recall")
    assert got["difference"] == pytest.approx(0.333333, abs=1e-6)
    assert got["difference_to_overall"] == pytest.approx(0.454545 - 0.25, abs=1e-6)


def test_intersections_with_empty_cells_are_those_of_the_rows() -> None:
    second = ["x", "y", "x", "x", "y", "x", "x", "x", "x", "x", "x", "x", "x", "y", "x", "y", "x", "x"]
    frame = slice_gaps(fairlearn(other=second), "recall", by=["group", ["group", "other"]], minimum=1)
    table = pl.read_csv(FAIRLEARN).with_columns(other=pl.Series(second))
    positives = table.filter(pl.col("y_true") == 1)
    rates = positives.group_by("group", "other").agg(pl.col("y_pred").mean())["y_pred"].to_list()
    assert values(frame, "recall", "group, other")["difference"] == pytest.approx(max(rates) - min(rates))
    line = frame.filter(pl.col("by") == "group, other").row(0, named=True)
    assert line["groups"] == len(rates) < 6
    assert line["high_slice"].startswith("group = ")


def test_thin_slices_are_named_and_left_out() -> None:
    joined = make_joined(
        scores=[0.9] * 45 + [0.1] * 55,
        labels=[1.0] * 100,
        columns={"g": ["a"] * 40 + ["b"] * 2 + ["a"] * 3 + ["a"] * 17 + ["c"] * 38},
    )
    frame = slice_gaps(joined, "recall", by="g")
    first = frame.row(0, named=True)
    assert (first["groups"], first["thin"]) == (2, "b (2 rows)")
    assert (first["low_slice"], first["high_slice"]) == ("c", "a")
    all_three = slice_gaps(joined, "recall", by="g", minimum=1).row(0, named=True)
    assert (all_three["groups"], all_three["thin"], all_three["high_slice"]) == (3, None, "b")
    none = slice_gaps(joined, "recall", by="g", minimum=70)
    assert none["reason"].to_list() == ["fewer than two slices with enough rows"] * 4
    assert none["value"].null_count() == 4


def test_a_slice_without_a_value_is_named_with_its_reason() -> None:
    joined = make_joined(
        scores=[0.9, 0.1] * 60, labels=[1.0] * 80 + [0.0] * 40, columns={"g": ["a"] * 40 + ["b"] * 40 + [None] * 40}
    )
    assert slice_gaps(joined, "recall", by="g")["thin"].to_list() == ["(no value) (no positives)"] * 4


@pytest.mark.parametrize("seed", range(6))
def test_the_gaps_are_those_of_a_loop_over_the_slices(seed: int) -> None:
    joined = random_joined(400, seed=seed, missing=0.1)
    frame = slice_gaps(joined, ["recall", "brier"], by=["group", "region"], minimum=5, draws=50)
    for by in ("group", "region"):
        for name in ("recall", "brier"):
            rows = metrics(joined, name, by=by)["value"].to_list()
            overall = metrics(joined, name)["value"][0]
            got = values(frame, name, by)
            pairs = [(x, y) for x in rows for y in rows]
            assert got["difference"] == pytest.approx(max(x - y for x, y in pairs))
            assert got["ratio"] == pytest.approx(min(x / y for x, y in pairs))
            assert got["difference_to_overall"] == pytest.approx(max(abs(x - overall) for x in rows))
            assert got["ratio_to_overall"] == pytest.approx(min(min(x / overall, overall / x) for x in rows))


def test_two_slices_have_newcombes_interval() -> None:
    joined = make_joined(
        scores=[0.9] * 60 + [0.1] * 20 + [0.9] * 50 + [0.1] * 70,
        labels=[1.0] * 200,
        columns={"g": ["a"] * 80 + ["b"] * 120},
    )
    row = slice_gaps(joined, "recall", by="g").row(0, named=True)
    low, high = newcombe(50, 120, 60, 80)
    assert (row["lower"], row["upper"]) == pytest.approx((float(low), float(high)), abs=1e-9)
    assert row["p_value"] < 0.01
    assert 0.2 < row["debiased"] < row["value"]


@pytest.mark.parametrize("groups", [2, 3, 5, 20, 100])
def test_the_level_of_all_pairs_is_tukeys(groups: int) -> None:
    expected = 2 * norm.cdf(studentized_range.ppf(0.95, groups, 1e6) / np.sqrt(2)) - 1
    assert simultaneous_level(groups, 0.95) == pytest.approx(expected, abs=2e-6)


@given(k=st.integers(0, 500), n=st.integers(1, 500), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_the_effective_size_of_independent_rows_is_their_number(k: int, n: int, level: float) -> None:
    k = min(k, n)
    lower, upper = wilson(k, n, level=level)
    found = effective_size(np.array([k / n]), np.array([lower]), np.array([upper]), level=level)
    assert found == pytest.approx([n], rel=1e-6)


def test_equal_slices_look_apart_by_chance_and_are_not_called_so() -> None:
    """40 slices of 50 rows at one rate: wide apart, yet inside the null band, p fair, and debiased to little."""
    p_values, debiased, seen = [], [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        value = rng.binomial(50, 0.3, 40) / 50
        lower, upper = wilson(value * 50, np.full(40, 50.0))
        groups = Groups(value, lower, upper, np.full(40, 50.0), float(value.mean()))
        found = judge(groups, (upper - lower) / (2 * 1.96), level=0.95, draws=300, seed=seed)
        p_values.append(found.p_value[0])
        debiased.append(found.debiased[0])
        seen.append(np.ptp(value))
    assert np.mean(np.array(p_values) <= 0.05) <= 0.12
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(seen) > 0.25
    assert np.mean(debiased) < np.mean(seen) / 3


def test_slices_that_differ_keep_their_gap() -> None:
    """True rates spread evenly over 0.2 to 0.6, 400 rows each: the debiased gap is nearer to 0.4 than the seen one."""
    seen, debiased = [], []
    truth = np.linspace(0.2, 0.6, 30)
    for seed in range(40):
        value = np.random.default_rng(seed).binomial(100, truth) / 100
        lower, upper = wilson(value * 100, np.full(30, 100.0))
        groups = Groups(value, lower, upper, np.full(30, 100.0), float(value.mean()))
        found = judge(groups, (upper - lower) / (2 * 1.96), level=0.95, draws=300, seed=seed)
        seen.append(np.ptp(value))
        debiased.append(found.debiased[0])
        assert found.p_value[0] < 0.01
    assert abs(np.mean(debiased) - 0.4) < abs(np.mean(seen) - 0.4)


def test_intervals_hold_the_true_gap_in_at_least_95_of_100() -> None:
    rates = np.array([0.5, 0.6, 0.45, 0.5])
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(4), 150)
        flags = rng.random(600) < rates[group]
        joined = make_joined(
            scores=np.where(flags, 0.9, 0.1).tolist(), labels=[1.0] * 600, columns={"g": [f"g{v}" for v in group]}
        )
        row = slice_gaps(joined, "recall", by="g", draws=10).row(0, named=True)
        held += row["lower"] <= 0.15 <= row["upper"]
    assert held >= 55


def test_metrics_without_an_interval_by_slice_show_their_gap_only() -> None:
    frame = slice_gaps(random_joined(600), ["mcb", "roc_auc", "bias"], by="group")
    mcb = frame.filter(pl.col("metric") == "mcb")
    assert mcb["value"].null_count() == 0
    assert mcb["p_value"].null_count() == 4
    assert set(mcb["reason"]) == {"no interval of single slices"}
    assert frame.filter(pl.col("metric") == "roc_auc")["p_value"].null_count() == 0
    assert not any(frame.select(pl.col(pl.Float64).is_nan().any()).row(0))


def test_no_rows_and_numbers_as_bins() -> None:
    joined = random_joined(300)
    empty = slice_gaps(joined, "recall", by="group", period="2020-01-01..2020-01-02")
    assert set(empty["reason"]) == {"no predictions"}
    binned = slice_gaps(joined, "recall", by="score", bins={"score": [0.5]}, minimum=1).row(0, named=True)
    assert (binned["low_slice"], binned["high_slice"], binned["value"]) == ("below 0.5", "0.5 or more", 1.0)


def test_the_same_question_has_the_same_answer_and_id() -> None:
    joined = random_joined(300)
    assert slice_gaps(joined, "recall", by="group").equals(slice_gaps(joined, "recall", by="group"))
    ids = {slice_gaps(joined, "recall", by="group", seed=seed)["evaluation_id"][0] for seed in (0, 1)}
    assert len(ids) == 2


def test_the_gaps_of_values_have_their_names() -> None:
    found = gaps(np.array([[0.0, 0.5], [-1.0, 1.0]]), np.array([0.25, 0.5]))
    assert len(GAPS) == found.shape[1]
    assert found[0].tolist() == [0.5, 0.0, 0.25, 0.0]
    assert np.isnan(found[1, 1])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"by": []}, "no slice column"),
        ({"by": "nowhere"}, "does not exist"),
        ({"by": "group", "draws": 0}, "count from 1"),
        ({"by": "group", "minimum": 0}, "count from 1"),
        ({"by": "group", "level": 0.0}, "level of an interval"),
    ],
)
def test_wrong_questions_are_told(how: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        slice_gaps(random_joined(50), "recall", **how)
