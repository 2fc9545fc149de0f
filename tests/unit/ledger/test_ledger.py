"""Ledgers add up, forget rows, and give the same numbers as the rows."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.errors import ArgumentError
from fbkit.ledger.build import build
from fbkit.ledger.edges import BinEdges
from fbkit.ledger.ledger import KEYS, MOMENTS, OVERALL, Ledger
from fbkit.measure.from_ledger import FROM_COUNTS, ledger_metrics
from fbkit.measure.metrics import metrics
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

EDGES = BinEdges(edges=(0.1, 0.25, 0.5, 0.75))
SLICES = ("group", "region")

row = st.tuples(
    st.sampled_from([0.0, 0.05, 0.25, 0.4, 0.5, 0.8, 1.0]),
    st.sampled_from([0.0, 1.0, None]),
    st.sampled_from([True, False, None]),
    st.sampled_from([30.0, 20.0, 3.0]),
    st.sampled_from(["a", "b", None]),
)


def world(rows: list[tuple]) -> FakeJoined:
    scores, labels, flags, ages, groups = (list(part) for part in zip(*rows, strict=True))
    return make_joined(
        scores=scores, labels=labels, flags=flags, ages=ages, columns={"group": groups, "region": groups}
    )


def part(joined: FakeJoined, keep: pl.Expr) -> FakeJoined:
    return FakeJoined(frame=joined.frame.filter(keep), contract=joined.contract, as_of=joined.as_of)


@given(st.lists(row, min_size=1, max_size=30), st.sampled_from(["final", "any"]), st.sampled_from([None, "1w", "1d"]))
def test_every_counting_metric_is_the_rows_one(rows: list[tuple], stage: str, every: str | None) -> None:
    joined = world(rows)
    ledger = build(joined, edges=EDGES, slices=SLICES)
    for by in (None, "group"):
        ours = ledger_metrics(ledger, list(FROM_COUNTS), by=by, every=every, stage=stage)
        rows_frame = metrics(joined, list(FROM_COUNTS), by=by, every=every, stage=stage)
        assert ours.columns == rows_frame.columns
        same = ["metric", "period_start", "period_end", "n", "n_labelled", "stage", "method", "reason"]
        assert ours.select(same).equals(rows_frame.select(same))
        brier = (ours["metric"] == "brier").to_numpy()
        for name in ("value", "lower", "upper", "bound_lower", "bound_upper"):
            left, right = ours[name].to_numpy(), rows_frame[name].to_numpy()
            np.testing.assert_allclose(left[~brier], right[~brier], atol=1e-12)
            # A variance of zero is known to about 1e-11 only, so its root to a few 1e-5 (a handful of equal rows).
            np.testing.assert_allclose(left[brier], right[brier], atol=2e-4 if name in ("lower", "upper") else 1e-9)
        counts = ours["metric"] != "brier"
        assert ours.filter(counts)["value"].equals(rows_frame.filter(counts)["value"])


@given(st.lists(row, min_size=2, max_size=30), st.integers(0, 29))
def test_adding_ledgers_is_the_ledger_of_all_rows(rows: list[tuple], cut: int) -> None:
    joined = world(rows)
    numbered = FakeJoined(frame=joined.frame.with_row_index("row"), contract=joined.contract, as_of=joined.as_of)
    first, second = (
        build(part(numbered, keep), edges=EDGES, slices=SLICES) for keep in (pl.col("row") < cut, pl.col("row") >= cut)
    )
    whole = build(joined, edges=EDGES, slices=SLICES)
    assert (first + second).frame.equals(whole.frame)
    assert (second + first).frame.equals(whole.frame)
    assert (first + second).manifest["rows"] == len(rows)


def test_the_sum_over_a_slice_is_the_total() -> None:
    ledger = build(random_joined(2000, seed=1), edges=EDGES, slices=SLICES)
    rest = [key for key in KEYS if key not in ("slice_column", "slice_value")]
    tables = {
        name: ledger.frame.filter(slice_column=name)
        .group_by(rest)
        .agg(pl.col("n", *MOMENTS).sum())
        .sort(rest, nulls_last=True)
        for name in (OVERALL, *SLICES)
    }
    for name in SLICES:
        assert tables[name].equals(tables[OVERALL])
    assert ledger.slices == SLICES


def test_row_order_and_chunks_change_nothing_to_the_bit() -> None:
    joined = random_joined(1000, seed=2)
    shuffled = FakeJoined(
        frame=joined.frame.sample(fraction=1, shuffle=True, seed=3), contract=joined.contract, as_of=joined.as_of
    )
    assert build(joined, edges=EDGES, slices=SLICES).frame.equals(build(shuffled, edges=EDGES, slices=SLICES).frame)


def test_a_ledger_holds_no_identifier() -> None:
    joined = random_joined(300, seed=4, entities=50)
    ledger = build(joined, slices=["region"])
    assert not {"prediction_id", "entity"} & set(ledger.frame.columns)
    text = ledger.frame.write_csv()
    assert "p-000001" not in text
    assert "e17" not in text


@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.75])
def test_another_threshold_is_exact_when_it_is_an_edge(threshold: float) -> None:
    joined = random_joined(2000, seed=5)
    flagged = FakeJoined(
        frame=joined.frame.with_columns(flagged=pl.col("score") >= threshold),
        contract=joined.contract,
        as_of=joined.as_of,
    )
    ledger = build(joined, edges=EDGES, slices=SLICES)
    names = ["recall", "precision", "flag_rate"]
    ours = ledger_metrics(ledger, names, by="region", threshold=threshold)
    assert ours["value"].equals(metrics(flagged, names, by="region")["value"])
    with pytest.raises(ArgumentError, match="not among the ledger's edges"):
        ledger_metrics(ledger, names, threshold=0.3)


def test_default_edges_hold_the_operating_thresholds_and_one_half() -> None:
    joined = random_joined(500, seed=6)
    logged = FakeJoined(
        frame=joined.frame.with_columns(threshold=pl.lit(0.37)), contract=joined.contract, as_of=joined.as_of
    )
    assert {0.37, 0.5} <= set(build(logged).edges.edges)
    reference = BinEdges.from_reference(pl.Series([0.1, 0.2, 0.9]), thresholds=[None, 0.3], bins=4)
    assert {0.3, 0.5} <= set(reference.edges)
    assert BinEdges.from_reference(pl.Series([], dtype=pl.Float64)).edges == (0.5,)


def test_what_cannot_be_added_or_asked_is_refused() -> None:
    joined = random_joined(50, seed=7)
    ledger = build(joined, edges=EDGES, slices=SLICES)
    other = build(joined, edges=BinEdges(edges=(0.5,)), slices=SLICES)
    calls = [
        (lambda: ledger + other, "different score bins"),
        (lambda: ledger + build(joined, edges=EDGES, slices=[]), "different slices"),
        (lambda: build(joined, slices=["regoin"]), "slice column does not exist"),
        (lambda: build(make_joined(scores=[3.0], labels=[1.0])), "scores from 0 to 1"),
        (lambda: build(make_joined(scores=[0.3], labels=[1.0], task="regression")), "binary labels"),
        (lambda: BinEdges(edges=(0.5, 0.5)), "finite and rising"),
        (lambda: ledger_metrics(ledger, "roc_auc"), "no metric 'roc_auc'"),
        (lambda: ledger_metrics(ledger, "recall", by="dest"), "no such slice column"),
        (lambda: ledger_metrics(ledger, "recall", every="1h"), "no such time grain"),
        (lambda: ledger_metrics(ledger, "recall", stage="provisional@3d"), "no ages"),
        (lambda: ledger_metrics(ledger, "recall", period="2026-04-01T06:00Z..2026-04-02"), "whole days"),
    ]
    for call, message in calls:
        with pytest.raises(ArgumentError, match=message):
            call()


def test_empty_rows_make_an_empty_ledger() -> None:
    empty: Ledger = build(part(random_joined(5), pl.lit(value=False)), slices=["region"])
    got = ledger_metrics(empty, "recall")
    assert (got["value"].item(), got["reason"].item()) == (None, "no predictions")


def test_flights_ledger_gives_the_rows_numbers() -> None:
    import fbkit as fb

    joined = fb.open_loop(Path(__file__).parents[3] / "data_samples" / "flights_2013").join()
    ledger = build(joined)
    assert ledger.slices == joined.contract.slices.columns
    for by in (None, "carrier"):
        ours = ledger_metrics(ledger, list(FROM_COUNTS), by=by, every="1w")
        rows = metrics(joined, list(FROM_COUNTS), by=by, every="1w")
        brier = ours["metric"] == "brier"
        for name in ("value", "bound_lower", "bound_upper", "n", "n_labelled", "reason"):
            assert ours.filter(~brier)[name].equals(rows.filter(~brier)[name]), name
        left, right = (part.filter(brier)["value"].to_numpy() for part in (ours, rows))
        np.testing.assert_allclose(left, right, atol=1e-9)
