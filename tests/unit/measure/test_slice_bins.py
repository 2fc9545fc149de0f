"""Bins of numbers: the edges come from the reference and stay, every row is in one bin, null is its own slice."""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.measure.metrics import metrics
from fbkit.measure.slicing.slice_bins import SliceBins, numeric_bins, slice_expressions
from fbkit.schema.period import Period
from fbkit.testing.frames import FakeJoined, make_joined


def joined_of(
    values: Sequence[float | None], *, column: str = "amount", ages: Sequence[float] | None = None
) -> FakeJoined:
    n = len(values)
    return make_joined(
        scores=[0.9, 0.1] * (n // 2) + [0.9] * (n % 2),
        labels=[1.0] * n,
        ages=ages,
        columns={column: list(values), "text": ["a"] * n},
    )


@pytest.mark.parametrize("edges", [(1.0,), (1.0, 2.5), (-3.0, 0.0, 1e9)])
def test_a_value_is_in_the_bin_that_a_loop_finds(edges: tuple[float, ...]) -> None:
    bins = SliceBins(column="x", edges=edges)
    values = [-1e12, -3.0, -1.0, 0.0, 0.999, 1.0, 2.5, 2.6, 1e9, math.inf, -math.inf]
    got = pl.DataFrame({"x": values}).select(bins.expression().alias("bin"))["bin"].to_list()
    assert got == [bins.labels[sum(edge <= value for edge in edges)] for value in values]


def test_null_and_not_a_number_are_in_no_bin() -> None:
    bins = SliceBins(column="x", edges=(1.0,))
    frame = pl.DataFrame({"x": [None, math.nan, 2.0]})
    assert frame.select(bins.expression().alias("bin"))["bin"].to_list() == [None, None, "1 or more"]


def test_labels_stay_apart_where_edges_are_close() -> None:
    assert SliceBins(column="x", edges=(1.00001, 1.00002)).labels == (
        "below 1.00001",
        "1.00001 to 1.00002",
        "1.00002 or more",
    )
    assert SliceBins(column="x", edges=()).labels == ("all",)


def test_quintiles_hold_a_fifth_each() -> None:
    values = np.random.default_rng(0).permutation(np.arange(1000.0))
    joined = joined_of(values.tolist())
    bins = numeric_bins(joined, "amount")
    assert bins.edges == (200.0, 400.0, 600.0, 800.0)
    counts = joined.frame.select(bins.expression().alias("bin"))["bin"].value_counts()
    assert counts["count"].to_list() == [200] * 5


def test_edges_come_from_before_the_period_and_the_current_rows_never_move_them() -> None:
    before = list(np.arange(300.0))
    periods = []
    for now in ([5.0] * 300, [1e6] * 300):
        joined = joined_of(before + now, ages=[40.0] * 300 + [20.0] * 300)
        start = joined.frame["ts_pred"].max()
        period = Period.parse(f"{start:%Y-%m-%d}..2026-05-30")
        periods.append(numeric_bins(joined, "amount", period=period))
        assert numeric_bins(joined, "amount").edges != periods[-1].edges
        reference = Period.parse("2026-03-01..2026-04-01")
        assert numeric_bins(joined, "amount", reference=reference) == periods[-1]
    assert periods[0] == periods[1]


def test_with_too_few_rows_before_the_period_all_rows_make_the_edges() -> None:
    joined = joined_of(list(np.arange(200.0)), ages=[40.0] * 50 + [20.0] * 150)
    period = Period.parse("2026-04-05..2026-05-30")
    assert numeric_bins(joined, "amount", period=period) == numeric_bins(joined, "amount")


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([0.0] * 95 + [3.0, 2.0, 7.0, 9.0, 4.0], (2.0,)),
        ([7.0] * 30, ()),
        ([None] * 30, ()),
        ([math.nan, None, 1.0, 1.0], ()),
        ([1.0] * 50 + [2.0] * 50, (2.0,)),
    ],
)
def test_values_that_repeat_get_one_edge(values: list[float | None], edges: tuple[float, ...]) -> None:
    joined = joined_of([float("nan") if v is not None and math.isnan(v) else v for v in values])
    assert numeric_bins(joined, "amount").edges == edges


def test_only_fractions_and_many_whole_numbers_are_binned() -> None:
    joined = make_joined(
        scores=[0.9] * 60,
        labels=[1.0] * 60,
        columns={
            "few": [i % 20 for i in range(60)],
            "many": list(range(60)),
            "fraction": [0.5, 1.5] * 30,
            "truth": [True, False] * 30,
        },
    )
    made = slice_expressions(joined, ["few", "many", "fraction", "truth"])
    seen = joined.frame.select(value.alias(name) for name, value in made.items())
    assert [seen[name].n_unique() for name in made] == [20, 5, 2, 2]
    assert seen["fraction"].unique().sort().to_list() == ["1.5 or more", "below 1.5"]
    named = joined.contract.model_copy(
        update={"slices": joined.contract.slices.model_copy(update={"columns": ("many", "fraction")})}
    )
    again = slice_expressions(FakeJoined(frame=joined.frame, contract=named, as_of=joined.as_of), ["many", "fraction"])
    assert joined.frame.select(again["many"].alias("x"))["x"].n_unique() == 60
    assert joined.frame.select(again["fraction"].alias("x"))["x"].n_unique() == 2


def test_metrics_by_bins_add_up_to_those_of_the_same_rows() -> None:
    rng = np.random.default_rng(2)
    values = [
        None if gone else float(value) for gone, value in zip(rng.random(400) < 0.1, rng.normal(size=400), strict=True)
    ]
    joined = joined_of(values)
    frame = metrics(joined, ["recall", "flag_rate"], by="amount", bins={"amount": [-0.5, 0.5]})
    assert frame["amount"].to_list()[:4] == ["-0.5 to 0.5", "0.5 or more", "below -0.5", None]
    for row in frame.iter_rows(named=True):
        inside = {
            "-0.5 to 0.5": (pl.col("amount") >= -0.5) & (pl.col("amount") < 0.5),
            "0.5 or more": pl.col("amount") >= 0.5,
            "below -0.5": pl.col("amount") < -0.5,
            None: pl.col("amount").is_null(),
        }[row["amount"]]
        alone = metrics(joined, row["metric"], where=inside)
        assert (row["value"], row["n"]) == (alone["value"][0], alone["n"][0])


@pytest.mark.parametrize(
    ("bins", "said"),
    [
        ({"amount": [2, 1]}, "must rise"),
        ({"amount": []}, "must rise"),
        ({"amount": [math.nan]}, "must rise"),
        ({"amount": [1, 1]}, "must rise"),
        ({"other": [1]}, "no slice here"),
    ],
)
def test_wrong_edges_are_told(bins: dict[str, list[float]], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        metrics(joined_of([1.0, 2.0]), "recall", by="amount", bins=bins)
    with pytest.raises(ArgumentError, match="only a column of numbers"):
        metrics(joined_of([1.0, 2.0]), "recall", by="text", bins={"text": [1]})
