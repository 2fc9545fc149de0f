"""The join against the slow reference: random small worlds, no difference in any state, label, rule, fate or rival."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from fbkit.errors import InputError
from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.load.outcomes import outcomes_of_label
from fbkit.schema.rules import OUTCOME_FATE
from fbkit.testing.reference import RefusedError, check_logs, reference_join
from fbkit.testing.rich_worlds import rich_worlds
from fbkit.testing.worlds import World

COMPARED = (
    "ts_pred", "state", "label", "ts_event", "ts_arrival", "rule", "source", "label_version", "n_rivals", "n_outcomes",
    "mature", "late", "blocked",
)  # fmt: skip
NOT_BROKEN = {"in", "used", "cast", "arrival_is_event_time"}


def joined(world: World, *, frames: dict[str, pl.DataFrame]) -> Joined:
    """As a loop joins: loaded once for the primary label, its outcomes checked again for another."""
    logs = load_logs(world.contract, root=Path(), frames=frames)
    contract = world.contract.for_label(world.label or world.contract.label.name)
    if world.label is not None:
        logs = replace(logs, outcomes=outcomes_of_label(logs.outcomes, contract=contract))
    return join(logs, contract=contract, as_of=world.as_of, label_versions=world.label_versions)


def counts(audit: pl.DataFrame, table: str, rules: set[str]) -> Counter[str]:
    rows = audit.filter((pl.col("table") == table) & pl.col("rule").is_in(sorted(rules)))
    return Counter(dict(rows.select("rule", "rows").iter_rows()))


def compare(world: World) -> Counter[str]:
    """Assert that both joins agree (also in refusing), and say what was met."""
    frames = world.frames()
    rows = {name: frame.to_dicts() for name, frame in frames.items()}
    view: dict[str, Any] = {"as_of": world.as_of, "label_versions": world.label_versions}
    try:
        # The log is read for the primary label first, so what refuses that refuses the proxy too.
        check_logs(**rows, contract=world.contract)
        contract = world.contract.for_label(world.label or world.contract.label.name)
        expected = reference_join(**rows, contract=contract, **view)
    except RefusedError:
        with pytest.raises(InputError):
            joined(world, frames=frames)
        return Counter(refused=1)
    result = joined(world, frames=frames)
    found: dict[str, dict[str, Any]] = {row["prediction_id"]: row for row in result.frame.to_dicts()}
    assert list(found) == list(expected.rows)
    compared = (*COMPARED, "closes") if contract.label.window == "session" else COMPARED
    for name, row in expected.rows.items():
        assert {key: found[name][key] for key in compared} == {key: row[key] for key in compared}
    fates = Counter(dict(result.candidates.group_by("fate").len().iter_rows()))
    assert fates == expected.fates
    assert counts(result.audit, "join", set(OUTCOME_FATE)) == expected.fates
    for table, refused in expected.load.items():
        assert counts(result.audit, table, set(result.audit["rule"]) - NOT_BROKEN) == refused
    return expected.everything()


def run(examples: int) -> Counter[str]:
    met: Counter[str] = Counter()

    @settings(max_examples=examples, deadline=None)
    @given(rich_worlds())
    def check(world: World) -> None:
        met.update(compare(world))

    check()
    return met


SITUATIONS = {
    *OUTCOME_FATE,
    "positive",
    "negative",
    "labelled",
    "pending",
    "missing",
    "censored",
    "late",
    "duplicate_row",
    "conflicting_id",
    "null_id",
    "null_score",
    "score_not_finite",
    "score_out_of_range",
    "no_key",
    "arrival_before_event",
    "null_label",
    "null_time",
    "label_not_binary",
    "other_label",
    "tie",
    "event at prediction",
    "event at window end",
    "arrival at as-of",
    "restored",
    "session",
    "longer session",
    "older definition",
    "unknown definition",
    "several keys",
    "logged late",
    "combined",
}


def test_a_thousand_small_worlds_join_as_the_reference_joins_them() -> None:
    met = run(1000)
    assert {name for name in SITUATIONS if met[name] < 5} == set()
    assert met["refused"] < 200


@pytest.mark.deep
def test_twenty_thousand_small_worlds_join_as_the_reference_joins_them() -> None:
    met = run(20_000)
    assert {name for name in SITUATIONS if met[name] < 50} == set()
