"""Ledgers add up, forget rows, and are the same whatever the order of rows."""

from collections import Counter
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbkit.errors import ArgumentError
from fbkit.ledger import columns as c
from fbkit.ledger.build import build
from fbkit.ledger.edges import BinEdges
from fbkit.ledger.keys import Layout, add_up
from fbkit.ledger.ledger import Ledger
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

EDGES = BinEdges(edges=(0.1, 0.25, 0.5, 0.75))
SLICES = ("group", "region")

row = st.tuples(
    st.sampled_from([0.0, 0.05, 0.25, 0.4, 0.5, 0.8, 1.0]),
    st.sampled_from([0.0, 1.0, None, 0.3]),
    st.sampled_from([True, False, None]),
    st.sampled_from([30.0, 20.0, 3.0]),
    st.sampled_from(["a", "b", None]),
    st.sampled_from(["e1", "e2", None]),
    st.sampled_from([0.0, 0.5, 3.0]),
)


def world(rows: list[tuple]) -> FakeJoined:
    scores, labels, flags, ages, groups, entities, weights = (list(part) for part in zip(*rows, strict=True))
    columns = {"group": groups, "region": groups[::-1], "weight": weights}
    return make_joined(scores=scores, labels=labels, flags=flags, ages=ages, entities=entities, columns=columns)


def part(joined: FakeJoined, keep: pl.Expr) -> FakeJoined:
    return FakeJoined(frame=joined.frame.filter(keep), contract=joined.contract, as_of=joined.as_of)


@given(st.lists(row, min_size=2, max_size=30), st.integers(0, 29), st.sampled_from([None, "weight"]))
@settings(max_examples=15)
def test_adding_ledgers_is_the_ledger_of_all_rows(rows: list[tuple], cut: int, weights: str | None) -> None:
    joined = world(rows)
    numbered = FakeJoined(frame=joined.frame.with_row_index("row"), contract=joined.contract, as_of=joined.as_of)
    how = {"edges": EDGES, "slices": SLICES, "pairs": [SLICES], "weights": weights, "entities": True}
    first, second = (build(part(numbered, keep), **how) for keep in (pl.col("row") < cut, pl.col("row") >= cut))
    whole = build(joined, **how)
    assert first + second == whole
    assert second + first == whole
    assert (first + second).rows == len(rows)
    assert whole != first or cut >= len(rows)


def test_the_counts_are_those_of_a_plain_loop() -> None:
    joined = random_joined(500, seed=1)
    expected: Counter[tuple] = Counter()
    for line in joined.frame.to_dicts():
        day = line["ts_pred"].date()
        bucket = sum(line["score"] >= edge for edge in EDGES.edges)
        expected[line["region"], day, line["state"], line["flagged"], line["mature"], bucket] += 1
    ledger = build(joined, edges=EDGES, slices=["region"])
    cells: Counter[tuple] = Counter()
    for line in ledger.table("region").to_dicts():
        assert line["day"] is not None
        cells[line["region"], line["day"], line["state"], bool(line["flagged"]), bool(line["settled"])] += line["n"]
    summed: Counter[tuple] = Counter()
    for key, n in expected.items():
        summed[key[:5]] += n
    assert cells == summed
    overall: Counter[tuple] = Counter()
    for line in ledger.table().to_dicts():
        overall[line["day"], line["state"], line["score_bin"]] += line["n"]
    by_bin: Counter[tuple] = Counter()
    for key, n in expected.items():
        by_bin[key[1], key[2], key[5]] += n
    assert overall == by_bin


def test_delays_are_whole_days_to_the_next_midnight() -> None:
    joined = make_joined(scores=[0.5, 0.5], labels=[1.0, None], ages=[30.25, 2.0], arrival_days=[1.5, None])
    early, late = build(joined, edges=EDGES).table().sort("day").to_dicts()
    # Made at 18:00, known 1.5 days later at 06:00: the second midnight after that day's own is not enough.
    assert (early["seen"], early["known"], early["lag"], early["matures"], early["settled"]) == (1, 3, 2, 8, 1)
    # Made at midnight: known that very midnight; not mature yet.
    assert (late["seen"], late["known"], late["lag"], late["matures"], late["settled"]) == (0, None, None, None, 0)


def test_the_sum_over_a_slice_is_the_total() -> None:
    ledger = build(random_joined(2000, seed=1, entities=200), edges=EDGES, slices=SLICES, pairs=[SLICES])
    keys = ["day", "model_version", "state", "flagged", *c.TIMING]
    sums = ["n", *c.POWERS]
    overall = add_up([ledger.tables["cells", ()]], keys, sums)
    for cut in (("group",), ("region",), SLICES):
        assert add_up([ledger.tables["cells", cut]], keys, sums).equals(overall)
        for kind in ("bins", "groups"):
            assert ledger.tables[kind, cut]["n"].sum() == 2000
            assert ledger.tables[kind, cut]["s2"].sum() == overall["s2"].sum()
    assert ledger.slices == SLICES


def test_row_order_chunks_and_batches_change_nothing_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = random_joined(1000, seed=2, entities=100)
    shuffled = FakeJoined(
        frame=joined.frame.sample(fraction=1, shuffle=True, seed=3), contract=joined.contract, as_of=joined.as_of
    )
    whole = build(joined, edges=EDGES, slices=SLICES)
    assert whole == build(shuffled, edges=EDGES, slices=SLICES)
    monkeypatch.setattr("fbkit.ledger.rows.BATCH", 77)
    assert whole == build(shuffled, edges=EDGES, slices=SLICES)


def test_a_ledger_holds_no_identifier() -> None:
    joined = random_joined(300, seed=4, entities=50)
    ledger = build(joined, slices=["region"])
    for table in ledger.tables.values():
        assert not {"prediction_id", "entity"} & set(table.columns)
        assert all(dtype.is_integer() for dtype in table.dtypes)
    assert ledger.values == {"region": ("EU", "US"), "model_version": ()}
    for name in ("prediction_id", "entity"):
        with pytest.raises(ArgumentError, match="holds no identifiers"):
            build(joined, slices=[name])


def test_an_entity_falls_into_one_group_in_every_ledger() -> None:
    joined = random_joined(3000, seed=5, entities=400)
    bucket = pl.col("entity").hash(20_260_301) % 32
    expected = joined.frame.group_by(bucket.cast(pl.Int64).alias("bucket")).len("n").sort("bucket")
    found = build(joined, edges=EDGES, slices=[]).table(kind="groups").group_by("bucket").agg(pl.col("n").sum())
    assert found.sort("bucket").cast(pl.Int64).equals(expected.cast(pl.Int64))
    alone = build(random_joined(300, seed=5), edges=EDGES, entities=True)
    assert alone.table(kind="groups")["bucket"].n_unique() == 32
    assert not alone.manifest.repeats


def test_default_edges_hold_the_operating_thresholds_the_tenths_and_one_half() -> None:
    joined = random_joined(500, seed=6)
    logged = FakeJoined(
        frame=joined.frame.with_columns(threshold=pl.lit(0.37)), contract=joined.contract, as_of=joined.as_of
    )
    assert {0.37, 0.5, 0.1, 0.9} <= set(build(logged).edges.edges)
    reference = BinEdges.from_reference(pl.Series([0.1, 0.2, 0.9]), thresholds=[None, 0.3], bins=4)
    assert {0.3, 0.5} <= set(reference.edges)
    assert BinEdges.from_reference(pl.Series([], dtype=pl.Float64)).edges == (0.5,)


def test_what_cannot_be_added_or_counted_is_refused() -> None:
    joined = random_joined(50, seed=7)
    ledger = build(joined, edges=EDGES, slices=SLICES)
    weighted = FakeJoined(
        frame=joined.frame.with_columns(w=pl.lit(-1.0), big=pl.lit(1e9)), contract=joined.contract, as_of=joined.as_of
    )
    later = FakeJoined(frame=joined.frame, contract=joined.contract, as_of=joined.as_of + timedelta(days=1))
    calls = [
        (lambda: ledger + build(joined, edges=BinEdges(edges=(0.5,)), slices=SLICES), "different score bins"),
        (lambda: ledger + build(joined, edges=EDGES, slices=[]), "different slices"),
        (lambda: ledger + build(later, edges=EDGES, slices=SLICES), "different as_of"),
        (lambda: ledger + build(joined, edges=EDGES, slices=SLICES, entities=True), "entities are grouped"),
        (lambda: build(joined, slices=["regoin"]), "slice column does not exist"),
        (lambda: build(joined, slices=SLICES, pairs=[("group", "group")]), "two different slice columns"),
        (lambda: build(joined, weights="w"), "weight column does not exist"),
        (lambda: build(weighted, weights="w"), "weights must be finite"),
        (lambda: build(weighted, weights="big"), "too large to be added up"),
        (lambda: build(make_joined(scores=[3.0], labels=[1.0])), "scores from 0 to 1"),
        (lambda: build(make_joined(scores=[0.3], labels=[2.0])), "labels from 0 to 1"),
        (lambda: build(make_joined(scores=[0.3], labels=[1.0], task="regression")), "binary labels"),
        (lambda: BinEdges(edges=(0.5, 0.5)), "finite and rising"),
        (lambda: ledger.table("dest"), "no such table"),
    ]
    for call, message in calls:
        with pytest.raises(ArgumentError, match=message):
            call()


def test_plain_and_fractional_ledgers_add_up_exactly() -> None:
    rows = [(0.3, 1.0), (0.7, 0.0), (0.123456789, None), (0.6, 0.25)]
    joined = make_joined(scores=[score for score, _ in rows], labels=[label for _, label in rows])
    numbered = FakeJoined(frame=joined.frame.with_row_index("row"), contract=joined.contract, as_of=joined.as_of)
    plain, fractional = (build(part(numbered, keep), edges=EDGES) for keep in (pl.col("row") < 3, pl.col("row") >= 3))
    assert (plain.manifest.fractional, fractional.manifest.fractional) == (False, True)
    assert plain + fractional == build(joined, edges=EDGES)


def test_empty_rows_make_an_empty_ledger() -> None:
    empty: Ledger = build(part(random_joined(5), pl.lit(value=False)), slices=["region"])
    assert (empty.rows, empty.table("region").height) == (0, 0)
    assert "0 predictions" in repr(empty)


def test_keys_too_many_for_one_number_are_grouped_all_the_same() -> None:
    generator = np.random.default_rng(8)
    names = ["a", "b", "c"]
    frame = pl.DataFrame({name: generator.integers(-(2**30), 2**30, 50) for name in names}).with_columns(
        pl.lit(1, dtype=pl.Int64).alias("n"), pl.when(pl.col("a") > 0).then("a").alias("a")
    )
    assert not Layout.of(frame, names).fits
    assert add_up([frame, frame], names, ["n"])["n"].to_list() == [2] * 50


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"pairs": ["region"]}, "pairs of a ledger"),
        ({"pairs": [("region", "group", "day")]}, "pairs of a ledger"),
        ({"edges": [0.1, 0.2]}, "edges of a ledger"),
        ({"slices": "region"}, "slices of a ledger"),
        ({"weights": 3}, "weights of a ledger"),
        ({"entities": "yes"}, "entities of a ledger"),
    ],
)
def test_keywords_of_the_wrong_kind_are_refused(call: dict[str, object], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        build(random_joined(30), **call)


def test_only_ledgers_add_and_only_folders_open() -> None:
    with pytest.raises(ArgumentError, match="only a ledger"):
        build(random_joined(30)) + None
    with pytest.raises(ArgumentError, match="from its folder"):
        Ledger.open(3)
