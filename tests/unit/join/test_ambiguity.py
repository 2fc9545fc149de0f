"""How clearly outcomes without a key name their prediction."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import fbkit as fb

T0 = datetime(2026, 5, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


def joined(rule: str) -> fb.Joined:
    """Three predictions of account a, one hour apart, windows of two hours; one of account b."""
    left = pl.DataFrame(
        {
            "prediction_id": ["p0", "p1", "p2", "q0"],
            "ts_pred": [T0, T0 + HOUR, T0 + 2 * HOUR, T0],
            "score": [0.5] * 4,
            "account": ["a", "a", "a", "b"],
        }
    )
    # Held by: p0 | p0 p1 | p0 p1 p2 | q0 | nobody's account | nobody's window | not known yet.
    events = [("a", 0.5), ("a", 1.5), ("a", 2), ("b", 1), ("c", 1), ("b", 3), ("a", 1.5)]
    right = pl.DataFrame(
        {
            "account": [account for account, _ in events],
            "ts_event": [T0 + hours * HOUR for _, hours in events],
            "ts_arrival": [T0 + hours * HOUR for hours in (4, 5, 6, 7, 7, 7, 9)],
            "label": [1, 0, 1, 0, 1, 0, 1],
        }
    )
    label = {"window": "2h", "combine": "any"}
    parts = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": label}
    contract = fb.Contract.from_dict(parts | {"join": {"fallback": {"entity": "account", "rule": rule}}})
    return fb.open_loop(contract=contract, predictions=left, outcomes=right).join(as_of=T0 + 8 * HOUR)


@pytest.mark.parametrize("rule", ["earliest", "latest", "unique", "all"])
def test_rivals_and_claims_are_counted_by_rule(rule: str) -> None:
    frame = joined(rule).ambiguity
    rivals = frame.filter(pl.col("what") == "rivals per outcome")
    assert rivals.select("number", "rows").rows() == [("none", 2), ("0", 2), ("1", 1), ("2", 1), ("3+", 0)]
    claimed = {
        name: [rows for number, rows in part.select("number", "rows").rows()]
        for (name,), part in frame.filter(pl.col("rule").is_not_null()).group_by("rule")
    }
    # By hand: p0, p1, p2, q0 claim 3 0 0 1 (earliest), 1 1 1 1 (latest), 1 0 0 1 (unique), 3 2 1 1 (all).
    assert claimed == {"earliest": [2, 1, 0, 1], "latest": [0, 4, 0, 0], "unique": [2, 2, 0, 0], "all": [0, 2, 1, 1]}
    assert frame.filter("in_use")["rule"].unique().to_list() == [rule]


def test_without_a_fallback_nothing_is_ambiguous() -> None:
    left = pl.DataFrame({"prediction_id": ["p"], "ts_pred": [T0], "score": [0.5]})
    right = pl.DataFrame({"prediction_id": ["p"], "ts_event": [T0], "label": [1]})
    contract = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "2h"}}
    loop = fb.open_loop(predictions=left, outcomes=right, contract=fb.Contract.from_dict(contract))
    assert loop.join().ambiguity.is_empty()


@pytest.mark.parametrize("rule", ["earliest", "unique"])
def test_a_busy_entity_is_counted_without_its_unlisted_pairings(rule: str) -> None:
    """More candidates than are listed: rivals are known all the same, other rules' claims of them are not."""
    n = 150
    made = [T0 + timedelta(seconds=i) for i in range(n)]
    left = pl.DataFrame({"prediction_id": [f"p{i:03d}" for i in range(n)], "ts_pred": made, "account": ["a"] * n})
    right = pl.DataFrame({"account": ["a", "a"], "ts_event": [T0, T0 + HOUR], "label": [1, 1]})
    parts = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "2h"}}
    contract = fb.Contract.from_dict(parts | {"join": {"fallback": {"entity": "account", "rule": rule}}})
    joined = fb.open_loop(contract=contract, predictions=left.with_columns(score=0.5), outcomes=right).join()
    frame = joined.ambiguity
    rivals = dict(frame.filter(pl.col("what") == "rivals per outcome").select("number", "rows").iter_rows())
    assert (rivals["0"], rivals["3+"]) == (1, 1)
    used = dict(frame.filter("in_use").select("number", "rows").iter_rows())
    assert used == (
        {"0": n - 1, "1": 0, "2": 1, "3+": 0} if rule == "earliest" else {"0": n - 1, "1": 1, "2": 0, "3+": 0}
    )
    other = dict(frame.filter(pl.col("rule") == "latest").select("number", "rows").iter_rows())
    assert other == {"0": n - 1, "1": 1, "2": 0, "3+": 0}
