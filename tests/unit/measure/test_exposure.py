"""Shares of exposure and revenue: sums by hand, shares that add up to one, intervals by request against resampling."""

from math import log2

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.measure.exposure import share_by_class
from fbkit.testing.frames import FakeJoined, make_joined


def shelf(requests: int, *, seed: int = 0, entities: int | None = None) -> FakeJoined:
    rng = np.random.default_rng(seed)
    n = requests * 5
    return make_joined(
        scores=rng.random(n).tolist(),
        labels=[None] * n,
        task="ranking",
        entities=None if entities is None else [f"e{index // 5 % entities}" for index in range(n)],
        columns={
            "request_id": [f"r{index // 5}" for index in range(n)],
            "position": [index % 5 + 1 for index in range(n)],
            "seller": rng.choice(np.array(["big", "small", None], dtype=object), n, p=[0.6, 0.3, 0.1]).tolist(),
            "amount": np.where(rng.random(n) < 0.2, rng.exponential(10.0, n), 0.0).tolist(),
        },
    )


def test_shares_are_the_sums_of_a_loop_and_add_up_to_one() -> None:
    joined = shelf(60)
    for of in ("exposure", "revenue"):
        frame = share_by_class(joined, by="seller", of=of)
        sums: dict[str | None, float] = {}
        for row in joined.frame.iter_rows(named=True):
            mass = 1 / log2(1 + row["position"]) if of == "exposure" else row["amount"]
            sums[row["seller"]] = sums.get(row["seller"], 0.0) + mass
        assert frame["seller"].to_list() == ["big", "small", None]
        total = sum(sums.values())
        assert frame["value"].to_list() == pytest.approx([sums[name] / total for name in ("big", "small", None)])
        assert frame["value"].sum() == pytest.approx(1.0)
        assert frame["n"].sum() == joined.frame.height
        assert set(frame["metric"]) == {f"{of}_share"}


@pytest.mark.parametrize("entities", [None, 40])
def test_the_interval_is_as_wide_as_drawing_requests_or_users_again_says(entities: int | None) -> None:
    joined = shelf(400, entities=entities)
    got = share_by_class(joined, by="seller", of="revenue").row(0, named=True)
    assert ("cluster-robust" in got["method"]) == (entities is not None)
    unit = joined.frame["request_id" if entities is None else "entity"].rank("dense").to_numpy() - 1
    mine = joined.frame["amount"].to_numpy() * (joined.frame["seller"] == "big").fill_null(value=False).to_numpy()
    top, whole = (np.bincount(unit, weights=values) for values in (mine, joined.frame["amount"].to_numpy()))
    rng = np.random.default_rng(1)
    again = rng.integers(0, len(whole), (2000, len(whole)))
    spread = np.std(top[again].sum(1) / whole[again].sum(1))
    assert (got["upper"] - got["lower"]) / 3.92 == pytest.approx(spread, rel=0.1)


def test_periods_have_shares_of_their_own() -> None:
    joined = shelf(50)
    shifted = joined.frame.with_columns(pl.col("ts_pred") - pl.duration(days=pl.int_range(pl.len()) // 125))
    frame = share_by_class(
        FakeJoined(frame=shifted, contract=joined.contract, as_of=joined.as_of), by="seller", every="1d"
    )
    sums = frame.group_by("period_start").agg(pl.col("value").sum())
    assert sums.height == 2
    assert sums["value"].to_list() == pytest.approx([1.0, 1.0])


def test_rows_without_a_position_were_not_shown() -> None:
    joined = make_joined(
        scores=[0.5] * 3,
        labels=[None] * 3,
        task="ranking",
        columns={"request_id": ["r"] * 3, "position": [1, None, 3], "seller": ["a", "a", "b"]},
    )
    frame = share_by_class(joined, by="seller")
    assert frame["value"].to_list() == pytest.approx([1 / 1.5, 0.5 / 1.5])
    assert frame["n"].to_list() == [1, 1]


def test_nothing_to_share_is_null_with_its_reason() -> None:
    joined = make_joined(
        scores=[0.5] * 2, labels=[None] * 2, task="ranking", columns={"seller": ["a", "b"], "amount": [0.0, 0.0]}
    )
    frame = share_by_class(joined, by="seller", of="revenue")
    assert frame["value"].to_list() == [None, None]
    assert set(frame["reason"]) == {"nothing to share"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"by": None}, "need a class"),
        ({"by": "seller", "of": "clicks"}, "unknown share"),
        ({"by": "seller", "of": "exposure"}, "need the column position"),
        ({"by": "nobody"}, "slice column does not exist"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(call: dict, said: str) -> None:
    joined = make_joined(scores=[0.5], labels=[None], task="ranking", columns={"seller": ["a"], "amount": [1.0]})
    with pytest.raises(ArgumentError, match=said):
        share_by_class(joined, **{"of": "revenue"} | call)
