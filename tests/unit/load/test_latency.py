"""The latency breakdown against its total: what adds up, what does not, and what it looks like then."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.load.latency import PARTS, SLACK_MS, SLACK_SHARE, TOTAL, latency_counts
from fbkit.load.predictions import load_predictions
from fbkit.schema.contract import Contract
from fbkit.schema.logs import PredictionLog

CONTRACT = Contract.from_dict({"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "1d"}})


def load(rows: list[tuple[Any, ...]], names: tuple[str, ...] = (TOTAL, *PARTS)) -> PredictionLog:
    frame = pl.DataFrame(rows, schema=list(names), orient="row")
    ids = [f"p{number}" for number in range(len(rows))]
    frame = frame.with_columns(pl.Series("prediction_id", ids), score=0.5, ts_pred=datetime(2026, 5, 1, tzinfo=UTC))
    return load_predictions(frame, contract=CONTRACT, sources=())


def note(log: PredictionLog) -> tuple[int, str] | None:
    found = log.audit.filter(pl.col("rule") == "latency_mismatch").select("rows", "detail").rows()
    return found[0] if found else None


def test_rows_that_do_not_add_up_are_counted_and_stay() -> None:
    log = load(
        [(100, 60, 39, 0), (100, 60, 38, 0), (100, 60, 37, 0), (1000, 500, 491, 0), (100, 60, 60, 0), (9, 4, 4, 4)]
    )
    assert log.frame.height == 6
    counted = note(log)
    assert counted is not None
    assert counted[0] == 3
    assert "looks" not in counted[1]


@pytest.mark.parametrize(
    ("row", "looks"),
    [
        ((0.1, 60.0, 30.0, 10.0), "the total were in seconds"),
        ((100.0, 0.06, 0.03, 0.01), "the parts were in seconds"),
        ((100.0, 40.0, 20.0, 10.0), "not logged"),
        ((100.0, 80.0, 70.0, 10.0), "overlapped"),
        ((100.0, 110.0, -20.0, 10.0), "overlapped"),
    ],
)
def test_most_rows_off_say_what_it_looks_like(row: tuple[float, ...], looks: str) -> None:
    counted = note(load([row, row, row, (100.0, 50.0, 30.0, 20.0)]))
    assert counted is not None
    assert counted[0] == 3
    assert looks in counted[1]


def test_without_every_part_or_in_rows_with_a_null_nothing_is_claimed() -> None:
    assert note(load([(100, 10, 10)], names=(TOTAL, *PARTS[:2]))) is None
    assert note(load([(100, None, 10, 10), (None, 1, 1, 1), (100, float("nan"), 1, 1)])) is None


def test_text_of_a_csv_file_is_read_as_numbers_first() -> None:
    log = load([("100", "60", "39", "0"), ("100", "1", "1", "1"), ("100", "99", "1", "0")])
    assert note(log) is not None
    assert log.frame.schema[TOTAL] == pl.Float64
    cast = log.audit.filter(pl.col("rule") == "cast")["detail"].to_list()
    assert {f"{name}: String -> Float64" for name in (TOTAL, *PARTS)} <= set(cast)


@given(st.lists(st.tuples(*[st.one_of(st.none(), st.floats(-10, 2000), st.integers(0, 300))] * 4), max_size=20))
def test_the_counts_agree_with_arithmetic_and_add_up_over_parts(rows: list[tuple[float | None, ...]]) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys((TOTAL, *PARTS), pl.Float64), orient="row")
    counts = frame.select(latency_counts(frame.columns)).row(0, named=True)
    whole = [row for row in rows if None not in row]
    off = [
        row
        for row in whole
        if abs(sum(row[1:]) - row[0]) > max(SLACK_MS, SLACK_SHARE * abs(row[0])) or min(row) < 0  # type: ignore[arg-type,operator,type-var]
    ]
    assert (counts["checked"], counts["off"]) == (len(whole), len(off))
    halves = [part.select(latency_counts(part.columns)).row(0, named=True) for part in (frame[:7], frame[7:])]
    assert {name: halves[0][name] + halves[1][name] for name in counts} == counts
