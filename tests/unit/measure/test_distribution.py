"""Two distributions: every row in one bar, edges from the reference only, rows and ledgers alike."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.errors import ArgumentError
from fbkit.ledger.build import build
from fbkit.measure.distribution import SHOWN, distribution, round_edges
from fbkit.schema.period import Comparison
from fbkit.testing.frames import START, FakeJoined, make_joined, random_joined

WEEKS = Comparison(reference="2026-04-01..2026-04-20", current="2026-04-20..2026-05-01")
floats = st.floats(-1e6, 1e6, allow_subnormal=False) | st.sampled_from([math.nan, math.inf, 0.0])


def two_periods(reference: list[Any], current: list[Any]) -> FakeJoined:
    n = len(reference) + len(current)
    ages = [20.0] * len(reference) + [5.0] * len(current)
    return make_joined(scores=[0.5] * n, labels=[1.0] * n, ages=ages, columns={"x": reference + current})


@given(st.lists(floats, min_size=1, max_size=60), st.lists(floats, min_size=1, max_size=60))
def test_every_row_is_in_one_bar_and_the_current_data_move_no_edge(first: list[float], second: list[float]) -> None:
    made = distribution(two_periods(first, second), WEEKS, column="x")
    assert made["n_reference"].sum() == len(first)
    assert made["n_current"].sum() == len(second)
    for share in ("share_reference", "share_current"):
        assert made[share].sum() == pytest.approx(1.0)
    closed = made.filter(pl.col("lower").is_not_null() & pl.col("upper").is_not_null())
    known = [value for value in first if math.isfinite(value)]
    if made["kind"][0] == "ranges":
        edges = set(round_edges(np.array(known)).tolist())
        shown = {edge for edge in closed["lower"].to_list() + closed["upper"].to_list() if edge is not None}
        assert shown <= edges or len(shown) <= 9, "the deciles stand in where round bins would hold nearly all"


def test_bars_count_what_lies_between_their_ends() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(3, 1, 2000), rng.normal(3.5, 1, 700)
    made = distribution(two_periods(before.tolist(), after.tolist()), WEEKS, column="x")
    for row in made.iter_rows(named=True):
        low, high = (
            (-np.inf if row["lower"] is None else row["lower"]),
            (np.inf if row["upper"] is None else row["upper"]),
        )
        for role, values in (("reference", before), ("current", after)):
            assert row[f"n_{role}"] == int(((values >= low) & (values < high)).sum())
    steps = made["upper"] - made["lower"]
    assert steps.drop_nulls().round(9).n_unique() == 1, "one round width"
    assert made.height <= 27


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_edges_are_multiples_of_a_round_step(scale: float) -> None:
    edges = round_edges(np.random.default_rng(1).gamma(2, scale, 5000)) / scale
    step = float(np.diff(edges)[0])
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - size) for size in (1, 2, 2.5, 5)) < 1e-6
    assert 9 <= len(edges) <= 26
    assert np.allclose(edges / step, np.rint(edges / step), atol=1e-6)


def test_a_value_that_holds_nearly_all_gets_the_deciles_bins() -> None:
    rng = np.random.default_rng(2)
    skewed = np.concatenate([np.zeros(900), rng.lognormal(5, 3, 100)])
    made = distribution(two_periods(skewed.tolist(), skewed.tolist()), WEEKS, column="x")
    assert made["kind"].to_list() == ["ranges"] * made.height
    assert made["n_reference"].sum() == 1000
    assert 1 < made.height <= 12


def test_few_numbers_and_text_are_bars_of_their_own_and_null_is_one_more() -> None:
    numbers = distribution(two_periods([1, 2, 2, None], [2, 3]), WEEKS, column="x")
    assert numbers.select("label", "n_reference", "n_current").rows() == [
        ("1", 1, 0), ("2", 2, 1), ("3", 0, 1), ("(null)", 1, 0),
    ]  # fmt: skip
    words = distribution(two_periods(["a", "b", "b"], ["c", None]), WEEKS, column="x")
    assert words.select("label", "n_reference", "n_current").rows() == [
        ("b", 2, 0), ("a", 1, 0), ("c", 0, 1), ("(null)", 0, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("many", [SHOWN, SHOWN + 1, 40, 300])
def test_past_the_largest_values_are_together(many: int) -> None:
    texts = [f"v{code:03}" for code in range(many) for _ in range(2 + (code % 3))]
    made = distribution(two_periods(texts, [*texts, "new"] * 2), WEEKS, column="x")
    folded = many + 1 > SHOWN
    assert made.height == (SHOWN + 1 if folded else many + 1)
    assert (made["label"].to_list().count("(other)") == 1) == folded
    assert made["n_reference"].sum() == len(texts)
    assert made["n_current"].sum() == 2 * len(texts) + 2


def test_a_new_value_of_the_current_period_is_shown() -> None:
    before = [f"v{code}" for code in range(30)] * 10
    made = distribution(two_periods(before, ["new"] * 50 + before), WEEKS, column="x")
    assert made.filter(label="new")["n_current"].item() == 50


def test_a_ledgers_bars_hold_the_rows_counts() -> None:
    joined = random_joined(3000, seed=4)
    ledger = build(joined, slices=("group", "region"))
    for name in ("group", "region"):
        mine, rows = (distribution(data, WEEKS, column=name).drop("evaluation_id") for data in (ledger, joined))
        assert mine.equals(rows)
    score = distribution(ledger, WEEKS, column="score")
    inside = joined.frame.filter(pl.col("ts_pred") < WEEKS.periods()[0].end)["score"]
    for row in score.iter_rows(named=True):
        low, high = row["lower"] or 0.0, 2.0 if row["upper"] is None else row["upper"]
        assert row["n_reference"] == inside.is_between(low, high, closed="left").sum()
    assert score.height == 10, "tenths are edges"


def test_crowded_scores_of_a_ledger_fall_back_on_its_own_bins() -> None:
    rng = np.random.default_rng(3)
    joined = make_joined(
        scores=(rng.beta(1, 80, 2000)).tolist(), labels=[0.0] * 2000, ages=rng.uniform(2, 28, 2000).tolist()
    )
    made = distribution(build(joined), WEEKS, column="score")
    assert made["share_reference"].max() < 0.3
    assert made["n_reference"].sum() + made["n_current"].sum() == 2000


def test_an_empty_period_has_null_shares() -> None:
    empty = Comparison(reference="2020-01-01..2020-01-08", current="2026-04-20..2026-05-01")
    for column in ("score", "group"):
        made = distribution(random_joined(200), empty, column=column)
        assert made["share_reference"].null_count() == made.height
        assert made["n_reference"].sum() == 0


def test_what_cannot_be_drawn_is_refused() -> None:
    joined = random_joined(50)
    with pytest.raises(ArgumentError, match="a column does not exist"):
        distribution(joined, WEEKS, column="nope")
    with pytest.raises(ArgumentError, match="not times"):
        distribution(joined, WEEKS, column="ts_pred")
    with pytest.raises(ArgumentError, match="as_of is for ledgers"):
        distribution(joined, WEEKS, column="score", as_of=START)
