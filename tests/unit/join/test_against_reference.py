"""The join against the slow reference: random small worlds, no difference in any state, label, rule, fate or rival."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from fbkit.errors import InputError
from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.schema.rules import OUTCOME_FATE
from fbkit.testing.reference import RefusedError, reference_join
from fbkit.testing.worlds import World, worlds

COMPARED = (
    "ts_pred", "state", "label", "ts_event", "ts_arrival", "rule", "n_rivals", "n_outcomes", "mature", "late",
    "blocked",
)  # fmt: skip


def joined(world: World, *, frames: dict[str, pl.DataFrame] | None = None) -> Joined:
    logs = load_logs(world.contract, root=Path(), frames=frames or world.frames())
    return join(logs, contract=world.contract, as_of=world.as_of)


def counts(audit: pl.DataFrame, table: str, rules: set[str]) -> Counter[str]:
    rows = audit.filter((pl.col("table") == table) & pl.col("rule").is_in(sorted(rules)))
    return Counter(dict(rows.select("rule", "rows").iter_rows()))


def compare(world: World) -> Counter[str]:
    """Assert that both joins agree (also in refusing), and say what was met."""
    frames = world.frames()
    rows = {name: frame.to_dicts() for name, frame in frames.items()}
    try:
        expected = reference_join(**rows, contract=world.contract, as_of=world.as_of)
    except RefusedError:
        with pytest.raises(InputError):
            joined(world, frames=frames)
        return Counter(refused=1)
    result = joined(world, frames=frames)
    found: dict[str, dict[str, Any]] = {row["prediction_id"]: row for row in result.frame.to_dicts()}
    assert list(found) == list(expected.rows)
    for name, row in expected.rows.items():
        assert {key: found[name][key] for key in COMPARED} == {key: row[key] for key in COMPARED}
    fates = Counter(dict(result.candidates.group_by("fate").len().iter_rows()))
    assert fates == expected.fates
    assert counts(result.audit, "join", set(OUTCOME_FATE)) == expected.fates
    for table, refused in expected.load.items():
        assert (
            counts(result.audit, table, set(result.audit["rule"]) - {"in", "used", "cast", "arrival_is_event_time"})
            == refused
        )
    met = Counter(expected.fates)
    for refused in expected.load.values():
        met.update(refused)
    met.update(row["state"] for row in expected.rows.values())
    met.update("late" for row in expected.rows.values() if row["late"])
    return met


def run(examples: int) -> Counter[str]:
    met: Counter[str] = Counter()

    @settings(max_examples=examples, deadline=None)
    @given(worlds())
    def check(world: World) -> None:
        met.update(compare(world))

    check()
    return met


EVERYTHING = {
    *OUTCOME_FATE,
    "positive",
    "negative",
    "pending",
    "missing",
    "censored",
    "late",
    "duplicate_row",
}
FAULTS = {"null_id", "conflicting_id", "no_key", "arrival_before_event", "null_label", "label_not_binary", "null_score"}


def test_three_hundred_small_worlds_join_as_the_reference_joins_them() -> None:
    met = run(300)
    assert met["used"] > 50


@pytest.mark.deep
def test_twenty_thousand_small_worlds_join_as_the_reference_joins_them() -> None:
    met = run(20_000)
    assert {name for name in EVERYTHING | FAULTS if met[name] < 50} == set()
