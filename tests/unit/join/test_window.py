"""The fallback's claims by ranks, against looking at every pair; and the same counts where rivals are not listed."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.join.window import fate_counts, unlisted, window_pairs

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
_UTC = pl.Datetime("us", "UTC")
RULES = ("earliest", "latest", "unique", "all")

hours = st.integers(0, 12)
entities = st.sampled_from(["a", "a", "b", "c", None])
made = st.lists(st.tuples(entities, hours), max_size=12)
said = st.lists(st.tuples(st.sampled_from(["a", "a", "b", "unknown", None]), hours), max_size=8)


def predictions(rows: list[tuple[str | None, int]], lengths: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "prediction_id": pl.Series([f"{number:02}" for number in range(len(rows))], dtype=pl.String),
            "ts_pred": pl.Series([START + hour * HOUR for _, hour in rows], dtype=_UTC),
            "__closes": pl.Series(
                [START + (hour + length) * HOUR for (_, hour), length in zip(rows, lengths, strict=True)], dtype=_UTC
            ),
            "__entity": pl.Series([entity for entity, _ in rows], dtype=pl.String),
        }
    )


def statements(rows: list[tuple[str | None, int]]) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "__entity": pl.Series([entity for entity, _ in rows], dtype=pl.String),
            "ts_event": pl.Series([START + hour * HOUR for _, hour in rows], dtype=_UTC),
            "note": pl.Series([f"n{number}" for number in range(len(rows))], dtype=pl.String),
        }
    )
    return frame.with_row_index("statement")


def every_pair(known: pl.DataFrame, told: pl.DataFrame, rule: str) -> set[tuple[object, ...]]:
    """(statement, prediction, rivals, fate) by looking at every prediction for every statement."""
    found: set[tuple[object, ...]] = set()
    for number, entity, event, _ in told.iter_rows():
        holding = sorted(
            (at, name)
            for name, at, closes, owner in known.iter_rows()
            if entity is not None and owner == entity and at <= event <= closes
        )
        if not holding:
            found.add((number, None, 0, "no_candidate"))
        winner = {"earliest": holding[:1], "latest": holding[-1:]}.get(rule, holding)
        for place in holding:
            lost = "ambiguous" if rule == "unique" and len(holding) > 1 else None if place in winner else "not_chosen"
            found.add((number, place[1], len(holding) - 1, lost))
    return found


def rows(pairs: pl.DataFrame) -> set[tuple[object, ...]]:
    found = list(pairs.select("statement", "prediction_id", "n_rivals", "fate").iter_rows())
    assert len(set(found)) == len(found)
    return set(found)


@pytest.mark.parametrize("rule", RULES)
@given(made=made, said=said, length=st.integers(1, 4))
def test_ranges_of_ranks_find_what_looking_at_every_pair_finds(
    rule: str, made: list[tuple[str | None, int]], said: list[tuple[str | None, int]], length: int
) -> None:
    known, told = predictions(made, [length] * len(made)), statements(said)
    assert rows(window_pairs(known, told, rule=rule, width=length * HOUR)) == every_pair(known, told, rule)


@pytest.mark.parametrize("rule", RULES)
@given(data=st.data(), made=made, said=said)
def test_windows_of_differing_length_are_each_held_to_their_own(
    rule: str, data: st.DataObject, made: list[tuple[str | None, int]], said: list[tuple[str | None, int]]
) -> None:
    lengths = data.draw(st.lists(st.integers(0, 6), min_size=len(made), max_size=len(made)))
    known, told = predictions(made, lengths), statements(said)
    assert rows(window_pairs(known, told, rule=rule, width=None)) == every_pair(known, told, rule)


@pytest.mark.parametrize("rule", ["earliest", "latest", "unique"])
@given(made=made, said=said, most=st.integers(1, 3))
def test_rivals_that_are_not_listed_are_counted_the_same(
    rule: str, made: list[tuple[str | None, int]], said: list[tuple[str | None, int]], most: int
) -> None:
    known, told = predictions(made, [4] * len(made)), statements(said)
    listed = window_pairs(known, told, rule=rule, width=4 * HOUR, listed=1_000)
    short = window_pairs(known, told, rule=rule, width=4 * HOUR, listed=most)
    assert unlisted(listed).is_empty()
    assert Counter(dict(fate_counts(short).iter_rows())) == Counter(listed["fate"].to_list())
    claimed = pl.col("fate").is_null()
    assert rows(short.filter(claimed)) == rows(listed.filter(claimed))
    few = short.filter((pl.col("n_rivals") < most) & pl.col("prediction_id").is_not_null())
    assert rows(few) == rows(listed.filter(pl.col("n_rivals") < most).drop_nulls("prediction_id"))


def test_a_statement_keeps_its_own_columns() -> None:
    known, told = predictions([("a", 0), ("a", 1)], [4, 4]), statements([("a", 2), ("b", 2)])
    pairs = window_pairs(known, told, rule="latest", width=4 * HOUR).sort("statement", "prediction_id")
    assert pairs["note"].to_list() == ["n0", "n0", "n1"]
    assert pairs["ts_pred"].to_list() == [START, START + HOUR, None]


def test_what_has_not_arrived_is_not_counted_as_lost() -> None:
    known, told = predictions([("a", 0), ("a", 1), ("a", 2)], [4, 4, 4]), statements([("a", 2)])
    pairs = window_pairs(known, told, rule="latest", width=4 * HOUR, listed=1)
    assert unlisted(pairs).rows() == [("not_chosen", 2)]
    assert unlisted(pairs.with_columns(fate=pl.lit("not_yet_arrived"))).rows() == [("not_yet_arrived", 2)]


def test_a_busy_entity_lists_only_what_is_claimed() -> None:
    known, told = predictions([("a", 0)] * 300, [4] * 300), statements([("a", 1)] * 2)
    pairs = window_pairs(known, told, rule="earliest", width=4 * HOUR)
    assert pairs.select("prediction_id", "n_rivals").rows() == [("00", 299), ("00", 299)]
