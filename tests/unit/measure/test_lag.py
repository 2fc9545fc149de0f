"""The arrival curve against its definition, row by row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.errors import ArgumentError
from fbkit.measure.lag import label_lag
from fbkit.testing.frames import make_joined, random_joined

row = st.tuples(st.integers(0, 10), st.integers(0, 10), st.booleans(), st.sampled_from(["a", None]))


@given(st.lists(row, min_size=1, max_size=30))
def test_curve_is_its_definition(rows: list[tuple[int, int, bool, str | None]]) -> None:
    # What is known at as-of has arrived: the lag is at most the age.
    ages = [float(age) for age, *_ in rows]
    lags = [float(min(lag, age)) if known else None for age, lag, known, _ in rows]
    labels = [1.0 if lag is not None else None for lag in lags]
    joined = make_joined(
        scores=[0.5] * len(rows), labels=labels, ages=ages, arrival_days=lags, columns={"g": [r[3] for r in rows]}
    )
    points = [0, 1, 2.5, 7, 11]
    frame = label_lag(joined, by="g", points=points)
    assert frame.columns == ["g", "age_days", "value", "lower", "upper", "n", "method", "evaluation_id"]
    for got in frame.iter_rows(named=True):
        a = got["age_days"]
        old = [lag for age, lag, r in zip(ages, lags, rows, strict=True) if r[3] == got["g"] and age >= a]
        assert got["n"] == len(old)
        arrived = sum(lag is not None and lag <= a for lag in old)
        assert got["value"] == (arrived / len(old) if old else None)


def test_default_ages_span_the_window_and_the_curve_rises_for_one_cohort() -> None:
    frame = label_lag(random_joined(300, missing=0.3))
    assert frame["age_days"].min() == 0
    assert frame["age_days"].max() == pytest.approx(7)
    lags = np.linspace(0, 6, 50).tolist()
    cohort = label_lag(make_joined(scores=[0.5] * 50, labels=[1.0] * 50, arrival_days=lags))
    assert cohort["value"].is_sorted()
    assert cohort["value"].max() == 1.0


def test_silent_negatives_never_arrive() -> None:
    joined = make_joined(scores=[0.5] * 4, labels=[1.0, 0.0, 0.0, 0.0], arrival_days=[2.0, None, None, None])
    assert label_lag(joined, points=[7])["value"].item() == 0.25


def test_no_rows_and_wrong_ages() -> None:
    joined = random_joined(10)
    empty = label_lag(joined, period="2020-01-01..2020-01-02", points=[1])
    assert (empty["value"].item(), empty["n"].item()) == (None, 0)
    assert label_lag(joined, by="group", period="2020-01-01..2020-01-02").height == 0
    with pytest.raises(ArgumentError, match="finite and not negative"):
        label_lag(joined, points=[-1])
