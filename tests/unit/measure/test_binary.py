"""F-beta, balanced accuracy, correlation and other rates: scikit-learn, exact fractions, every labelling, coverage."""

import itertools
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.measure.kernels.binary import Table, balanced_accuracy, correlation, f_score
from fbkit.measure.metrics import metrics
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

NAMES = ["false_positive_rate", "npv", "balanced_accuracy", "mcc", "f0_5", "f2"]
NUMBERS = ("value", "lower", "upper", "bound_lower", "bound_upper")


def one(joined: FakeJoined, name: str, **call: object) -> dict[str, object]:
    frame = metrics(joined, name, **call)
    assert frame.height == 1
    return frame.row(0, named=True)


def expected_by_sklearn(y: np.ndarray, d: np.ndarray, weight: np.ndarray | None = None) -> dict[str, float]:
    from sklearn import metrics as sk

    return {
        "false_positive_rate": 1 - sk.recall_score(1 - y, 1 - d, sample_weight=weight),
        "npv": sk.precision_score(1 - y, 1 - d, sample_weight=weight),
        "balanced_accuracy": sk.balanced_accuracy_score(y, d, sample_weight=weight),
        "mcc": sk.matthews_corrcoef(y, d, sample_weight=weight),
        "f0_5": sk.fbeta_score(y, d, beta=0.5, sample_weight=weight),
        "f2": sk.fbeta_score(y, d, beta=2, sample_weight=weight),
    }


def by_fractions(tp: int, fp: int, fn: int, tn: int) -> dict[str, float | None]:
    """The textbook formulas in exact arithmetic (the root of the correlation apart); None where a denominator is 0."""

    def over(top: Fraction | int, bottom: Fraction | int) -> Fraction | None:
        return None if bottom == 0 else Fraction(top) / Fraction(bottom)

    hit, right = over(tp, tp + fn), over(tn, tn + fp)
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    found: dict[str, float | Fraction | None] = {
        "false_positive_rate": over(fp, fp + tn),
        "npv": over(tn, tn + fn),
        "balanced_accuracy": None if hit is None or right is None else (hit + right) / 2,
        "mcc": None if margins == 0 else (tp * tn - fp * fn) / margins**0.5,
        "f0_5": over(Fraction(5, 4) * tp, Fraction(5, 4) * tp + Fraction(1, 4) * fn + fp),
        "f2": over(5 * tp, 5 * tp + 4 * fn + fp),
    }
    return {name: None if value is None else float(value) for name, value in found.items()}


def test_every_rate_equals_sklearn() -> None:
    joined = random_joined(3000, seed=3)
    rows = joined.frame.filter(pl.col("mature") & pl.col("label").is_not_null())
    y, d = (rows[name].cast(pl.Float64).to_numpy() for name in ("label", "flagged"))
    got = metrics(joined, NAMES)
    np.testing.assert_allclose(got["value"].to_numpy(), list(expected_by_sklearn(y, d).values()), atol=1e-12, rtol=0)
    assert set(got["n_labelled"]) == {len(y)}


def test_weighted_rates_equal_sklearn() -> None:
    weight = np.random.default_rng(0).random(900) * 3
    joined = random_joined(900, seed=4, missing=0)
    y, d = (joined.frame[name].cast(pl.Float64).to_numpy() for name in ("label", "flagged"))
    weighted = FakeJoined(
        frame=joined.frame.with_columns(pl.Series("weight", weight)), contract=joined.contract, as_of=joined.as_of
    )
    got = metrics(weighted, NAMES, stage="any", weights="weight")
    expected = list(expected_by_sklearn(y, d, weight).values())
    np.testing.assert_allclose(got["value"].to_numpy(), expected, atol=1e-12, rtol=0)
    assert got["lower"].null_count() == 0


def world_of(rows: list[tuple[float | None, bool | None]]) -> FakeJoined:
    return make_joined(scores=[0.5] * len(rows), labels=[label for label, _ in rows], flags=[flag for _, flag in rows])


def every_labelling(rows: list[tuple[float | None, bool | None]], name: str) -> list[float]:
    """The metric in every world, by exact fractions."""
    holes = [index for index, (label, _) in enumerate(rows) if label is None]
    values = []
    for world in itertools.product([0.0, 1.0], repeat=len(holes)):
        labels = [label for label, _ in rows]
        for index, label in zip(holes, world, strict=True):
            labels[index] = label
        counts = [0, 0, 0, 0]
        for label, (_, flag) in zip(labels, rows, strict=True):
            if flag is not None:
                counts[2 * (not flag) + (label != 1.0)] += 1
        value = by_fractions(*counts)[name]
        values += [] if value is None else [value]
    return values


row = st.tuples(st.sampled_from([0.0, 1.0, None]), st.sampled_from([True, False, None]))


@pytest.mark.parametrize("name", NAMES)
@given(rows=st.lists(row, min_size=1, max_size=7))
def test_value_and_bounds_equal_trying_every_labelling(name: str, rows: list[tuple[float | None, bool | None]]) -> None:
    got = one(world_of(rows), name)
    known = every_labelling([pair for pair in rows if pair[0] is not None], name)
    assert got["value"] == (None if not known else pytest.approx(known[0], abs=1e-12))
    values = every_labelling(rows, name) + known
    limits = [got["bound_lower"], got["bound_upper"]]
    assert limits == ([None, None] if not values else pytest.approx([min(values), max(values)], abs=1e-12))


@given(
    rows=st.lists(st.tuples(row, st.sampled_from([0.5, 1.0, 2.0])), min_size=1, max_size=6),
    name=st.sampled_from(NAMES[2:]),
)
def test_weighted_bounds_equal_trying_every_labelling(
    rows: list[tuple[tuple[float | None, bool | None], float]], name: str
) -> None:
    pairs, weights = [pair for pair, _ in rows], [weight for _, weight in rows]
    joined = make_joined(
        scores=[0.5] * len(rows),
        labels=[label for label, _ in pairs],
        flags=[flag for _, flag in pairs],
        columns={"weight": weights},
    )
    got = one(joined, name, weights="weight")
    # Every weight is a multiple of one half: as many equal rows have the same table, one labelling each.
    values = []
    holes = [index for index, (label, _) in enumerate(pairs) if label is None]
    for world in itertools.product([0.0, 1.0], repeat=len(holes)):
        labels = [label for label, _ in pairs]
        for index, label in zip(holes, world, strict=True):
            labels[index] = label
        counts = [0, 0, 0, 0]
        for label, (_, flag), weight in zip(labels, pairs, weights, strict=True):
            if flag is not None:
                counts[2 * (not flag) + (label != 1.0)] += int(2 * weight)
        value = by_fractions(*counts)[name]
        values += [] if value is None else [value]
    values += [] if got["value"] is None else [got["value"]]
    limits = [got["bound_lower"], got["bound_upper"]]
    assert limits == ([None, None] if not values else pytest.approx([min(values), max(values)], abs=1e-12))


@pytest.mark.parametrize(
    ("rows", "name", "reason"),
    [
        ([(1.0, True), (1.0, False)], "false_positive_rate", "no negatives"),
        ([(1.0, True), (0.0, True)], "npv", "every labelled row is flagged"),
        ([(1.0, True), (1.0, False)], "balanced_accuracy", "one class"),
        ([(1.0, True), (0.0, True)], "mcc", "one class or one decision"),
        ([(0.0, False), (0.0, False)], "f2", "no labelled row is positive or flagged"),
        ([(None, True), (None, False)], "mcc", "no labelled rows"),
        ([(1.0, None), (0.0, None)], "balanced_accuracy", "no decision and no threshold"),
    ],
)
def test_undefined_is_null_with_its_reason(
    rows: list[tuple[float | None, bool | None]], name: str, reason: str
) -> None:
    got = one(world_of(rows), name)
    assert (got["value"], got["reason"]) == (None, reason)


@pytest.mark.parametrize("rate", [balanced_accuracy, correlation, lambda table: f_score(table, beta=2.0)])
def test_slopes_are_the_derivatives(rate) -> None:
    at = np.array([30.0, 11.0, 17.0, 90.0])
    value, slopes = rate(Table(*at))
    for place in range(4):
        step = np.zeros(4)
        step[place] = 1e-5
        measured = (rate(Table(*(at + step)))[0] - rate(Table(*(at - step)))[0]) / 2e-5
        assert slopes[place] == pytest.approx(measured, abs=1e-8)
    # The same shares of twice as many rows are the same rate.
    assert rate(Table(*(2 * at)))[0] == pytest.approx(value, abs=1e-14)


@given(rows=st.lists(row, min_size=1, max_size=10), seed=st.integers(0, 99))
def test_row_order_does_not_matter_and_twice_the_rows_are_weight_two(
    rows: list[tuple[float | None, bool | None]], seed: int
) -> None:
    def found(pairs: list[tuple[float | None, bool | None]], weight: float, **call: object) -> list:
        joined = make_joined(
            scores=[0.5] * len(pairs),
            labels=[label for label, _ in pairs],
            flags=[flag for _, flag in pairs],
            columns={"weight": [weight] * len(pairs)},
        )
        return metrics(joined, NAMES, **call)["value"].to_list()

    shuffled = [rows[index] for index in np.random.default_rng(seed).permutation(len(rows))]
    assert found(shuffled, 1.0) == pytest.approx(found(rows, 1.0), abs=1e-12)
    assert found(rows + rows, 1.0) == pytest.approx(found(rows, 2.0, weights="weight"), abs=1e-12)


@pytest.mark.parametrize("repeats", [1, 5])
def test_intervals_hold_the_truth_as_often_as_they_say_also_with_repeated_entities(repeats: int) -> None:
    rng = np.random.default_rng(11)
    base, hit, false = 0.3, 0.7, 0.15
    truth = by_fractions(*(round(1e6 * x) for x in (base * hit, 0.7 * false, base * (1 - hit), 0.7 * (1 - false))))
    inside = dict.fromkeys(NAMES, 0)
    runs, size = 200, 400 // repeats
    for _ in range(runs):
        y = rng.random(size) < base
        d = np.where(y, rng.random(size) < hit, rng.random(size) < false)
        joined = make_joined(
            scores=[0.5] * (size * repeats),
            labels=np.repeat(y.astype(float), repeats).tolist(),
            flags=np.repeat(d, repeats).tolist(),
            entities=[f"e{index}" for index in np.repeat(np.arange(size), repeats)],
        )
        for item in metrics(joined, NAMES).iter_rows(named=True):
            inside[item["metric"]] += item["lower"] <= truth[item["metric"]] <= item["upper"]
    for name, count in inside.items():
        # 95 % of 200, give or take 3 standard errors.
        assert 0.90 <= count / runs <= 0.995, name
    assert 0.93 <= np.mean(list(inside.values())) / runs <= 0.98
