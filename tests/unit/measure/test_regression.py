"""Errors of numbers: scikit-learn, plain loops, undefined cases, laws, and how often the intervals hold the truth."""

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.errors import ArgumentError
from fbkit.measure.metrics import metrics
from fbkit.testing.frames import FakeJoined, make_joined

PLAIN = ["mape", "wape", "r2", "error_p50", "error_p90", "error_p95", "error_p99"]
LOGGED = ["pinball@10", "pinball@90", "quantile_coverage@90", "interval_coverage@80"]


def world(n: int, *, seed: int = 0, entities: int | None = None, missing: float = 0.0) -> FakeJoined:
    rng = np.random.default_rng(seed)
    y = np.round(rng.gamma(3.0, 4.0, n) + 0.1, 3)
    s = np.round(y * np.exp(rng.normal(0, 0.3, n)), 3)
    return make_joined(
        scores=s.tolist(),
        labels=[None if lost else value for lost, value in zip(rng.random(n) < missing, y.tolist(), strict=True)],
        task="regression",
        entities=None if entities is None else [f"e{code}" for code in rng.integers(0, entities, n)],
        columns={
            "score_p10": (s * 0.68).tolist(),
            "score_p90": (s * 1.47).tolist(),
            "weight": (rng.random(n) * 3).tolist(),
        },
    )


def labelled(joined: FakeJoined) -> dict[str, np.ndarray]:
    rows = joined.frame.filter(pl.col("label").is_not_null())
    return {name: rows[name].to_numpy() for name in ("score", "label", "score_p10", "score_p90", "weight")}


def test_every_number_equals_sklearn_and_numpy() -> None:
    from sklearn import metrics as sk

    joined = world(3000, missing=0.2)
    rows = labelled(joined)
    y, s = rows["label"], rows["score"]
    error = np.abs(s - y)
    expected = {
        "mape": sk.mean_absolute_percentage_error(y, s),
        "wape": sk.mean_absolute_error(y, s) / np.mean(np.abs(y)),
        "r2": sk.r2_score(y, s),
        **{f"error_p{k}": np.quantile(error, k / 100, method="inverted_cdf") for k in (50, 90, 95, 99)},
        "pinball@10": sk.mean_pinball_loss(y, rows["score_p10"], alpha=0.1),
        "pinball@90": sk.mean_pinball_loss(y, rows["score_p90"], alpha=0.9),
        "quantile_coverage@90": np.mean(y <= rows["score_p90"]),
        "interval_coverage@80": np.mean((y >= rows["score_p10"]) & (y <= rows["score_p90"])),
    }
    got = metrics(joined, list(expected))
    np.testing.assert_allclose(got["value"].to_numpy(), list(expected.values()), atol=1e-12, rtol=0)
    assert set(got["n_labelled"]) == {len(y)}
    assert got["lower"].null_count() == 0


def test_weighted_numbers_equal_sklearn_and_numpy() -> None:
    from sklearn import metrics as sk

    joined = world(800, seed=1)
    rows = labelled(joined)
    y, s, w = rows["label"], rows["score"], rows["weight"]
    expected = {
        "mape": sk.mean_absolute_percentage_error(y, s, sample_weight=w),
        "wape": np.average(np.abs(s - y), weights=w) / np.average(np.abs(y), weights=w),
        "r2": sk.r2_score(y, s, sample_weight=w),
        "error_p95": np.quantile(np.abs(s - y), 0.95, method="inverted_cdf", weights=w),
        "pinball@90": sk.mean_pinball_loss(y, rows["score_p90"], alpha=0.9, sample_weight=w),
        "interval_coverage@80": np.average((y >= rows["score_p10"]) & (y <= rows["score_p90"]), weights=w),
    }
    got = metrics(joined, list(expected), weights="weight")
    np.testing.assert_allclose(got["value"].to_numpy(), list(expected.values()), atol=1e-12, rtol=0)


def one_r2(y: list[Fraction], s: list[Fraction]) -> Fraction | None:
    mean = sum(y, Fraction(0)) / len(y)
    spread = sum(((value - mean) ** 2 for value in y), Fraction(0))
    errors = sum(((a - b) ** 2 for a, b in zip(y, s, strict=True)), Fraction(0))
    return None if spread == 0 else 1 - errors / spread


eighths = st.integers(-24, 24).map(lambda number: Fraction(number, 8))


@given(rows=st.lists(st.tuples(eighths, eighths), min_size=1, max_size=8))
def test_values_are_exact_fractions(rows: list[tuple[Fraction, Fraction]]) -> None:
    y, s = [row[0] for row in rows], [row[1] for row in rows]
    joined = make_joined(scores=[float(x) for x in s], labels=[float(x) for x in y], task="regression")
    got = dict(metrics(joined, ["mape", "wape", "r2"]).select("metric", "value").iter_rows())
    misses = [abs(a - b) for a, b in zip(y, s, strict=True)]
    expected = {
        "mape": None if 0 in y else sum(m / abs(a) for m, a in zip(misses, y, strict=True)) / len(y),
        "wape": None if not any(y) else sum(misses) / sum(abs(a) for a in y),
        "r2": one_r2(y, s),
    }
    for name, value in expected.items():
        assert got[name] == (None if value is None else pytest.approx(float(value), abs=1e-12)), name


@pytest.mark.parametrize(
    ("labels", "name", "reason"),
    [
        ([0.0, 2.0], "mape", "an outcome is zero, and no error is a share of it: see wape"),
        ([0.0, 0.0], "wape", "all outcomes are zero"),
        ([2.0, 2.0], "r2", "the outcomes do not vary"),
        ([None, None], "error_p95", "no labelled rows"),
        ([1.0, 2.0], "pinball@10", "no column score_p10"),
    ],
)
def test_undefined_is_null_with_its_reason(labels: list, name: str, reason: str) -> None:
    frame = metrics(make_joined(scores=[1.0, 1.0], labels=labels, task="regression"), name)
    assert frame.select("value", "lower", "upper", "reason").row(0) == (None, None, None, reason)


def test_quantiles_that_were_read_as_text_are_numbers_and_what_is_none_is_left_out() -> None:
    joined = make_joined(
        scores=[1.0] * 3, labels=[1.0, 2.0, 9.0], task="regression", columns={"score_p10": ["0.5", "3", "n/a"]}
    )
    assert metrics(joined, "quantile_coverage@10")["value"][0] == 0.5
    odd = make_joined(
        scores=[1.0] * 2, labels=[1.0, 2.0], task="regression", columns={"score_p10": [float("nan"), 3.0]}
    )
    assert metrics(odd, ["quantile_coverage@10", "pinball@10"])["value"].to_list() == [1.0, pytest.approx(0.9)]


def test_rows_without_a_logged_quantile_are_left_out() -> None:
    joined = make_joined(
        scores=[1.0, 1.0, 1.0],
        labels=[1.0, 2.0, 9.0],
        task="regression",
        columns={"score_p10": [0.5, 3.0, None], "score_p90": [1.5, 4.0, None]},
    )
    got = metrics(joined, ["interval_coverage@80", "quantile_coverage@10", "pinball@10"])
    assert got["value"].to_list() == [0.5, 0.5, pytest.approx((0.1 * 0.5 + 0.9 * 1.0) / 2)]
    empty = make_joined(
        scores=[1.0], labels=[1.0], task="regression", columns={"score_p10": pl.Series([None], dtype=pl.Float64)}
    )
    assert metrics(empty, "pinball@10")["reason"][0] == "no labelled row has a score_p10"


@pytest.mark.parametrize(
    "name", ["interval_coverage@95", "interval_coverage@100", "pinball@100", "quantile_coverage@100"]
)
def test_an_impossible_percentage_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="percentage"):
        metrics(world(5), name)


def test_binary_models_have_no_such_errors() -> None:
    with pytest.raises(ArgumentError, match="no metric 'r2' for a binary model"):
        metrics(make_joined(scores=[0.5], labels=[1.0]), "r2")


@given(seed=st.integers(0, 50))
def test_laws_order_duplication_scale(seed: int) -> None:
    joined = world(40, seed=seed)
    frame = joined.frame
    names = [*PLAIN, *LOGGED]
    value = metrics(joined, names)["value"].to_list()

    def again(changed: pl.DataFrame, **call: object) -> list[float]:
        made = FakeJoined(frame=changed, contract=joined.contract, as_of=joined.as_of)
        return metrics(made, names, **call)["value"].to_list()

    assert again(frame.sample(fraction=1, shuffle=True, seed=seed)) == pytest.approx(value, abs=1e-12)
    two = frame.with_columns(pl.lit(2.0).alias("two"))
    assert again(two, weights="two") == pytest.approx(again(pl.concat([frame, frame])), abs=1e-12)
    scaled = again(frame.with_columns(pl.col("score", "label", "score_p10", "score_p90") * 3))
    unit = {"mape", "wape", "r2", "quantile_coverage@90", "interval_coverage@80"}
    expected = [number if name in unit else 3 * number for name, number in zip(names, value, strict=True)]
    assert scaled == pytest.approx(expected, rel=1e-12)


def test_slices_hold_what_their_rows_alone_would_give() -> None:
    joined = world(300, seed=4)
    groups = pl.Series("group", [f"g{index % 3}" for index in range(300)])
    joined = FakeJoined(frame=joined.frame.with_columns(groups), contract=joined.contract, as_of=joined.as_of)
    whole = metrics(joined, PLAIN, by="group")
    for group in ("g0", "g1", "g2"):
        alone = metrics(joined, PLAIN, where=pl.col("group") == group)
        mine = whole.filter(pl.col("group") == group)["value"].to_list()
        assert mine == pytest.approx(alone["value"].to_list(), rel=1e-14)


@pytest.mark.parametrize("repeats", [1, 5])
def test_intervals_hold_the_truth_as_often_as_they_say_also_with_repeated_entities(repeats: int) -> None:
    sigma, mean_square = 0.3, 3.0 * 4.0 * 16.0  # E y^2 of a gamma law with shape 3 and scale 4
    ratio = np.exp(2 * sigma**2) - 2 * np.exp(sigma**2 / 2) + 1
    truth = {"r2": 1 - mean_square * ratio / (3.0 * 16.0)}
    rng = np.random.default_rng(2)
    big = rng.gamma(3.0, 4.0, 2_000_000)
    errors = big * np.abs(np.exp(rng.normal(0, sigma, len(big))) - 1)
    truth |= {f"error_p{k}": float(np.quantile(errors, k / 100)) for k in (50, 95)}
    truth |= {"wape": float(errors.mean() / 12.0)}
    inside, runs, size = dict.fromkeys(truth, 0), 150, 600 // repeats
    for _ in range(runs):
        y = rng.gamma(3.0, 4.0, size)
        s = y * np.exp(rng.normal(0, sigma, size))
        joined = make_joined(
            scores=np.repeat(s, repeats).tolist(),
            labels=np.repeat(y, repeats).tolist(),
            task="regression",
            entities=[f"e{code}" for code in np.repeat(np.arange(size), repeats)],
        )
        for item in metrics(joined, list(truth)).iter_rows(named=True):
            high = np.inf if item["upper"] is None else item["upper"]
            inside[item["metric"]] += item["lower"] <= truth[item["metric"]] <= high
    for name, count in inside.items():
        assert 0.88 <= count / runs <= 0.995, name
    assert 0.92 <= np.mean(list(inside.values())) / runs <= 0.98
