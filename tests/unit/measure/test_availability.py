"""Label availability: every row in exactly one state, nothing left out of the denominator."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.measure.availability import COLUMNS, availability
from fbkit.measure.stats.intervals import wilson
from fbkit.testing.frames import make_joined, random_joined

STATES = ["positive", "negative", "pending", "missing", "censored"]


@given(st.lists(st.tuples(st.sampled_from(STATES), st.sampled_from(["a", "b", None])), min_size=1, max_size=40))
def test_counts_are_the_states_of_the_rows(rows: list[tuple[str, str | None]]) -> None:
    states = [state for state, _ in rows]
    labels = [{"positive": 1.0, "negative": 0.0}.get(state) for state in states]
    joined = make_joined(scores=[0.5] * len(rows), labels=labels, states=states, columns={"g": [g for _, g in rows]})
    frame = availability(joined, by="g")
    for row in frame.iter_rows(named=True):
        mine = [state for state, group in rows if group == row["g"]]
        known = sum(state in ("positive", "negative") for state in mine)
        assert (row["n"], row["n_labelled"]) == (len(mine), known)
        assert [row[f"n_{name}"] for name in STATES[2:]] == [mine.count(name) for name in STATES[2:]]
        assert row["value"] == known / len(mine)
        np.testing.assert_allclose((row["lower"], row["upper"]), wilson(known, len(mine)), atol=1e-14)
    total = frame.select(pl.col("n", "n_labelled", "n_pending", "n_missing", "n_censored").sum()).row(0)
    assert total[0] == len(rows) == sum(total[1:])


def test_stage_says_whether_windows_are_closed() -> None:
    joined = make_joined(scores=[0.5] * 4, labels=[1.0, None, 1.0, None], ages=[30, 30, 20, 1])
    frame = availability(joined, every="1w")
    assert frame["stage"].to_list() == ["final", "final", "young"]
    assert frame["n_mature"].to_list() == [2, 1, 0]
    assert frame["n_pending"].to_list() == [0, 0, 1]
    assert availability(joined)["stage"].to_list() == ["mixed"]


def test_empty_period_is_one_line_with_a_reason() -> None:
    frame = availability(random_joined(20), period="2020-01-01..2020-01-02")
    assert frame.columns == list(COLUMNS)
    assert frame.select("value", "n", "n_missing", "reason").row(0) == (None, 0, 0, "no predictions")


def test_entities_that_repeat_widen_the_interval() -> None:
    labels: list[float | None] = ([1.0] * 5 + [None] * 5) * 20
    entities = [f"e{i // 5}" for i in range(200)]
    repeated = availability(make_joined(scores=[0.5] * 200, labels=labels, entities=entities))
    alone = availability(make_joined(scores=[0.5] * 200, labels=labels))
    assert repeated["method"].item() == "cluster-robust (entity)"
    ratio = (repeated["upper"] - repeated["lower"]).item() / (alone["upper"] - alone["lower"]).item()
    assert ratio == pytest.approx(5**0.5, rel=0.08)
